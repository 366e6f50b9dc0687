"""Where things of a list must appear in a frame: from their place through the vehicle's pose and the camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.classes import OUTER, shape_of
from reg_yolo.inventory.diff.known import Known
from reg_yolo.inventory.labels.typical_sizes import Size
from reg_yolo.inventory.positions.trajectory import Poses
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

_MOST_TURNED_RAD = math.radians(75.0)
"""A sign that is turned further from the camera shows its edge or its back."""


@dataclass(frozen=True)
class View:
    """What counts as in sight.

    Attributes:
        nearest_m, farthest_m: Along the view.
        least_px: Both sides of a box.
        least_share: Of a box that must lie in the frame.
    """

    nearest_m: float = 4.0
    farthest_m: float = 50.0
    least_px: float = 6.0
    least_share: float = 0.5


@dataclass(frozen=True)
class Projected:
    """A thing in a frame.

    Attributes:
        number: Its place in the list.
        xyxy: Box in pixels, cut at the frame's borders.
        distance_m: Along the view.
    """

    number: int
    xyxy: tuple[float, float, float, float]
    distance_m: float


class Projector:
    """Projects things into frames.

    A thing is an upright rectangle that faces the camera; the road is level with its foot.

    Args:
        known: The things.
        sizes: As many.
        projection: What the poses' metres mean.
        camera: Its calibration and mount.
        view: What counts as in sight.
    """

    def __init__(
        self, known: Sequence[Known], sizes: Sequence[Size], projection: LocalProjection, camera: Camera, view: View
    ) -> None:
        degrees = np.array([(one.longitude_deg, one.latitude_deg) for one in known]).reshape(-1, 2)
        self._places = projection.to_metres(degrees[:, 0], degrees[:, 1]).reshape(-1, 2)
        self._size = np.array([(one.height_m, one.width_m, one.lower_edge_m) for one in sizes]).reshape(-1, 3)
        self._outer = np.array([shape_of(one.class_name).anchor == OUTER for one in known], np.bool_)
        facing = [math.nan if one.facing_deg is None else math.radians(one.facing_deg) for one in known]
        north = projection.true_north_rad(degrees[:, 0], degrees[:, 1]) if len(known) else np.zeros(0)
        self._facing = np.array(facing) + north
        self._tree = cKDTree(self._places) if len(known) else None
        self._camera, self._view = camera, view

    def __call__(self, poses: Poses, row: int) -> list[Projected]:
        """Return what must be seen at one of some poses, the farthest first; nothing where the position is unknown."""
        if self._tree is None or not np.isfinite(poses.position_m[row]).all() or math.isnan(poses.heading_rad[row]):
            return []
        heading = float(poses.heading_rad[row])
        right, ahead, _ = self._camera.lever_arm_m
        sin, cos = math.sin(heading), math.cos(heading)
        lens = poses.position_m[row] + (right * cos + ahead * sin, ahead * cos - right * sin)
        looking = heading + math.radians(self._camera.yaw_deg)
        near = np.array(self._tree.query_ball_point(lens, 2 * self._view.farthest_m), np.int64)
        away = self._places[near] - lens
        forward = away @ (math.sin(looking), math.cos(looking))
        aside = away @ (math.cos(looking), -math.sin(looking))
        seen = (forward >= self._view.nearest_m) & (forward <= self._view.farthest_m)
        turned = self._facing[near] - (looking + math.pi)
        seen &= ~(np.abs(np.angle(np.exp(1j * turned))) > _MOST_TURNED_RAD)
        found = []
        for n in np.flatnonzero(seen)[np.argsort(-forward[seen], kind="stable")]:
            box = self._box(int(near[n]), float(aside[n]), float(forward[n]), float(poses.roll_rad[row]))
            if box is not None:
                found.append(Projected(int(near[n]), box, float(forward[n])))
        return found

    def _box(
        self, number: int, aside: float, forward: float, roll_rad: float
    ) -> tuple[float, float, float, float] | None:
        height, width, lower = self._size[number].tolist()
        left, right = aside - width / 2, aside + width / 2
        if self._outer[number]:
            # The arm of a lamp reaches from its shaft over the road.
            left, right = (aside - width, aside) if aside > 0 else (aside, aside + width)
        down = [self._camera.height_m - lower - height, self._camera.height_m - lower]
        corners = np.array([(x, y) for x in (left, right) for y in down]) / forward
        pixels = self._camera.pixels(corners, roll_rad)
        whole = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
        if not np.isfinite(whole).all():
            return None
        limits = np.array([self._camera.width, self._camera.height] * 2, np.float64)
        x1, y1, x2, y2 = np.clip(whole, 0, limits).tolist()
        share = (x2 - x1) * (y2 - y1) / float(np.prod(whole[2:] - whole[:2]))
        if min(x2 - x1, y2 - y1) < self._view.least_px or share < self._view.least_share:
            return None
        return x1, y1, x2, y2

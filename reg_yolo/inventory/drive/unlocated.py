"""What a drive saw while its position was not known: listed without one, so that nobody takes it for not there."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.drive.followed import Followed, followed
from reg_yolo.inventory.drive.rays import build_rays
from reg_yolo.inventory.drive.task import DriveTask
from reg_yolo.inventory.positions.trajectory import Poses

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SAME = 0.3
"""Least share of two boxes, one of them moved, that makes them one object."""
_ASIDE = 0.2
"""Cosine of the angle to the way from which on the point driven to is too far out of the frame."""
_GONE_FRAMES = 3
_SURE_ALONE = 0.5


@dataclass(frozen=True)
class Unlocated(Followed):
    """An object without a position.

    Attributes:
        xyxy: Its box of the highest confidence, pixels.
        last_place_m: The vehicle's last known position before, shape (2,); None where there is none.
    """

    xyxy: tuple[float, float, float, float]
    last_place_m: FloatArray | None


def unlocated_objects(task: DriveTask, poses: Poses) -> tuple[list[Unlocated], dict[str, int]]:
    """Return the objects of frames without a position, and how many were left out.

    Boxes are joined by the tracker's identity, else by how they move and grow from frame to frame. An identity that
    was also seen from a known position is left out: it is among the assets. So is what was seen once with a confidence
    under 0.5.

    Args:
        task: The drive.
        poses: The vehicle at all frames.
    """
    looks = task.looks
    lost = ~poses.located
    if not lost[looks.of_frame].any():
        return [], {}
    rays = build_rays(looks, task.camera)
    order = np.argsort(np.where(np.isfinite(task.time_s), task.time_s, np.inf), kind="stable")
    turn = np.empty(len(order), np.int64)
    turn[order] = np.arange(len(order))
    elsewhere = set(rays.track[~lost[rays.frame]].tolist()) - {-1}
    rows = np.flatnonzero(lost[rays.frame])
    rows = rows[np.argsort(turn[rays.frame[rows]], kind="stable")]
    chains = _chains(rows, turn[rays.frame], rays.track, looks.xyxy[rays.look], _ahead(task.camera))
    last_known = _last_known(poses, order)
    found, left_out = [], Counter[str]()
    for chain in chains:
        members = np.array(chain)
        track = int(rays.track[members[0]])
        if track in elsewhere:
            left_out["objects without a position that were also seen from a known one"] += 1
            continue
        confidence = rays.votes[members].max(axis=1)
        if len(members) == 1 and confidence[0] < _SURE_ALONE:
            left_out["single weak looks without a position"] += 1
            continue
        best = int(members[confidence.argmax()])
        before = last_known[rays.frame[members[0]]]
        x1, y1, x2, y2 = looks.xyxy[rays.look[best]].tolist()
        found.append(
            Unlocated(
                **followed(task, rays, members),
                xyxy=(x1, y1, x2, y2),
                last_place_m=poses.position_m[before] if before >= 0 else None,
            )
        )
    return found, dict(left_out)


def _chains(
    rows: IntArray, turn: IntArray, track: IntArray, xyxy: FloatArray, ahead: FloatArray | None
) -> list[list[int]]:
    """Join rays to objects, in the order of time; of those without an identity one a frame."""
    chains: list[list[int]] = []
    by_track: dict[int, list[int]] = {}
    open_: list[list[int]] = []
    for now in dict.fromkeys(turn[rows].tolist()):
        own = rows[turn[rows] == now].tolist()
        for row in own:
            identity = int(track[row])
            if identity < 0:
                continue
            if identity not in by_track:
                chains.append(by_track.setdefault(identity, []))
            by_track[identity].append(row)
        free = [row for row in own if track[row] < 0]
        open_ = [chain for chain in open_ if now - turn[chain[-1]] <= _GONE_FRAMES]
        alike = np.array([[_alike(xyxy[chain[-1]], xyxy[row], ahead) for row in free] for chain in open_])
        joined = {}
        if alike.size:
            for i, j in zip(*linear_sum_assignment(alike, maximize=True), strict=True):
                if alike[i, j] >= _SAME:
                    joined[free[j]] = open_[i]
        for row in free:
            if row in joined:
                joined[row].append(row)
            else:
                open_.append([row])
                chains.append(open_[-1])
    return chains


def _ahead(camera: Camera) -> FloatArray | None:
    """Pixel of the point that is driven to, or from; None where the camera looks to the side."""
    yaw = math.radians(camera.yaw_deg)
    if abs(math.cos(yaw)) < _ASIDE:
        return None
    return np.asarray(camera.pixels(np.array([[-math.tan(yaw), 0.0]]))[0])


def _alike(before: FloatArray, after: FloatArray, ahead: FloatArray | None) -> float:
    """Say how well a box is a later look at what another box shows, 0 to 1.

    What stands moves along the line through the point that is driven to, as much as it grows; where the vehicle does
    not turn, the first box moved so covers the second. The more it must grow, the less it is believed.
    """
    best = _iou(before, after)
    if ahead is None:
        return best
    sizes = np.maximum(np.stack([before[2:] - before[:2], after[2:] - after[:2]]), 1e-9)
    middles = np.stack([before[:2] + before[2:], after[:2] + after[2:]]) / 2 - ahead
    # A box that something else hides in part grows less than it moves.
    away = np.maximum(np.linalg.norm(middles, axis=1), 1e-9)
    for growth in (math.sqrt(sizes[1].prod() / sizes[0].prod()), sizes[1, 1] / sizes[0, 1], away[1] / away[0]):
        middle, half = ahead + middles[0] * growth, sizes[0] / 2 * growth
        moved = np.concatenate((middle - half, middle + half))
        best = max(best, _iou(moved, after) * min(growth, 1 / growth))
    return best


def _iou(first: FloatArray, second: FloatArray) -> float:
    shared = np.prod(np.maximum(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]), 0))
    areas = np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2])
    return float(shared / max(areas - shared, 1e-9))


def _last_known(poses: Poses, order: IntArray) -> IntArray:
    """Row of the last frame with a position before each frame, or -1."""
    located = poses.located[order]
    latest = np.maximum.accumulate(np.where(located, np.arange(len(order)), -1))
    result = np.full(len(order), -1, np.int64)
    result[order] = np.where(latest >= 0, order[latest], -1)
    return result

"""A calibrated pinhole camera: from metres in the world to pixels in the image and back."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """Pinhole calibration, with OpenCV's lens distortion where that is not zero.

    Pixel coordinates are continuous: (0, 0) is the upper left corner of the upper left pixel, whose centre is
    (0.5, 0.5).

    Args:
        width: image width in pixels.
        height: image height in pixels.
        focal_px: focal length in pixels, the same in both directions.
        cx: principal point from the left border, in pixels.
        cy: principal point from the upper border, in pixels.
        distortion: k1, k2, p1, p2, k3 as OpenCV defines them.
    """

    width: int
    height: int
    focal_px: float
    cx: float
    cy: float
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)

    @classmethod
    def from_field_of_view(cls, width: int, height: int, horizontal_fov_deg: float) -> Camera:
        """Camera with a centred principal point and the given horizontal field of view in degrees."""
        focal = width / 2 / math.tan(math.radians(horizontal_fov_deg) / 2)
        return cls(width, height, focal, width / 2, height / 2)

    def project(self, points_camera: FloatArray) -> FloatArray:
        """Project points in camera axes (right, down, forward; metres, `[..., 3]`) to pixels `[..., 2]`.

        The caller removes points with no positive forward component: a pinhole has no image of them.
        """
        if any(self.distortion):
            flat = np.ascontiguousarray(points_camera, dtype=np.float64).reshape(-1, 1, 3)
            pixels, _ = cv2.projectPoints(flat, np.zeros(3), np.zeros(3), self.matrix(), np.array(self.distortion))
            return np.asarray(pixels, np.float64).reshape(*points_camera.shape[:-1], 2)
        depth = points_camera[..., 2:3]
        return points_camera[..., :2] * (self.focal_px / depth) + np.array([self.cx, self.cy])

    def matrix(self) -> FloatArray:
        """OpenCV's camera matrix `[3, 3]`."""
        return np.array([[self.focal_px, 0.0, self.cx], [0.0, self.focal_px, self.cy], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Pose:
    """Where the camera is and where it looks, in a local frame of metres (x east, y north, z up).

    Args:
        x: east of the origin, metres.
        y: north of the origin, metres.
        z: height of the lens above the origin's height, metres.
        heading_deg: direction of view, clockwise from north.
        pitch_deg: positive looks up.
        roll_deg: positive leans to the right (clockwise, seen from behind the camera).
    """

    x: float
    y: float
    z: float
    heading_deg: float
    pitch_deg: float = 0.0
    roll_deg: float = 0.0

    def rotation(self) -> FloatArray:
        """Rotation `[3, 3]` from world axes (east, north, up) to camera axes (right, down, forward)."""
        return _rotation(self.heading_deg, self.pitch_deg, self.roll_deg)

    def to_camera(self, points_world: FloatArray) -> FloatArray:
        """World points `[..., 3]` in metres to camera axes (right, down, forward), metres."""
        return (points_world - np.array([self.x, self.y, self.z])) @ self.rotation().T


@functools.lru_cache(maxsize=8)
def _rotation(heading_deg: float, pitch_deg: float, roll_deg: float) -> FloatArray:
    heading, pitch, roll = (math.radians(a) for a in (heading_deg, pitch_deg, roll_deg))
    forward = np.array([math.sin(heading) * math.cos(pitch), math.cos(heading) * math.cos(pitch), math.sin(pitch)])
    level_right = np.array([math.cos(heading), -math.sin(heading), 0.0])
    level_down = np.cross(forward, level_right)
    right = level_right * math.cos(roll) + level_down * math.sin(roll)
    down = level_down * math.cos(roll) - level_right * math.sin(roll)
    return np.stack([right, down, forward])


def project_world(camera: Camera, pose: Pose, points_world: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Pixels `[..., 2]` and depths `[...]` in metres of world points `[..., 3]`.

    Points at or behind the lens get NaN pixels.
    """
    points = pose.to_camera(np.asarray(points_world, dtype=np.float64))
    depth = points[..., 2]
    safe = np.where(depth > 1e-9, depth, np.nan)
    pixels = camera.project(np.concatenate([points[..., :2], safe[..., None]], axis=-1))
    return pixels, depth

"""A lens that bends the image: what a wider pinhole camera paints is moved to where the distorted camera shows it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.rendering.camera import Camera
from reg_yolo.scenes.rendering.projection import SUPERSAMPLING

_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-10)


@dataclass(frozen=True, eq=False)
class Lens:
    """From the buffer of a pinhole camera to that of the camera with distortion.

    Args:
        camera: the one with distortion, which the frames are of.
        pinhole: without distortion and wide enough for all that the frames show; straight edges stay straight in it.
        map_x, map_y: sample of the pinhole's doubled buffer for each sample of the camera's `[2H, 2W]`.
        kept: pixels of the pinhole's image that lie within the camera's frame.
    """

    camera: Camera
    pinhole: Camera
    map_x: NDArray[np.float32]
    map_y: NDArray[np.float32]
    kept: NDArray[np.bool_]

    def bend(self, buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Move the doubled buffer `[2h, 2w, 4]` of the pinhole; colours are interpolated, numbers are not."""
        colours = cv2.remap(np.ascontiguousarray(buffer[:, :, :3]), self.map_x, self.map_y, cv2.INTER_LINEAR)
        numbers = cv2.remap(np.ascontiguousarray(buffer[:, :, 3]), self.map_x, self.map_y, cv2.INTER_NEAREST)
        return np.dstack([colours, numbers])

    def bend_factor(self, factor: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move a factor on each pixel `[h, w]` of the pinhole's image; returns `[H, W]`."""
        doubled = cv2.resize(factor, None, fx=SUPERSAMPLING, fy=SUPERSAMPLING, interpolation=cv2.INTER_NEAREST)
        bent = cv2.remap(doubled, self.map_x, self.map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        size = (self.camera.width, self.camera.height)
        return np.asarray(cv2.resize(bent, size, interpolation=cv2.INTER_AREA), np.float32)


@functools.lru_cache(maxsize=2)
def lens_of(camera: Camera) -> Lens | None:
    """The lens of a camera, or None if it does not distort."""
    if not any(camera.distortion):
        return None
    u, v = np.meshgrid(
        (np.arange(camera.width * SUPERSAMPLING) + 0.5) / SUPERSAMPLING,
        (np.arange(camera.height * SUPERSAMPLING) + 0.5) / SUPERSAMPLING,
    )
    points = np.stack([u, v], axis=-1).reshape(-1, 1, 2)
    straight = cv2.undistortPoints(points, camera.matrix(), np.array(camera.distortion), criteria=_CRITERIA)
    pixels = straight.reshape(*u.shape, 2) * camera.focal_px + np.array([camera.cx, camera.cy])
    left, top = (math.floor(value) - 2 for value in pixels.min(axis=(0, 1)))
    right, bottom = (math.ceil(value) + 2 for value in pixels.max(axis=(0, 1)))
    pinhole = Camera(right - left, bottom - top, camera.focal_px, camera.cx - left, camera.cy - top)
    samples = (pixels - np.array([left, top])) * SUPERSAMPLING - 0.5
    x, y = np.meshgrid(np.arange(pinhole.width) + 0.5, np.arange(pinhole.height) + 0.5)
    rays = np.stack(
        [(x - pinhole.cx) / pinhole.focal_px, (y - pinhole.cy) / pinhole.focal_px, np.ones_like(x)], axis=-1
    )
    seen = camera.project(rays)
    kept = (seen >= 0).all(axis=-1) & (seen[..., 0] < camera.width) & (seen[..., 1] < camera.height)
    return Lens(camera, pinhole, samples[..., 0].astype(np.float32), samples[..., 1].astype(np.float32), kept)

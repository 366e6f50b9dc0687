"""A slow renderer of object numbers with a depth per pixel: the reference for the painter's order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.rendering.projection import _BLOBS, View
from reg_yolo.scenes.world.ground import GroundFaces
from reg_yolo.scenes.world.objects import PlacedObject

NEAR_M = 0.8


def reference_numbers(
    objects: list[PlacedObject], numbers: list[int], ground: GroundFaces, view: View
) -> NDArray[np.int64]:
    """Number of the nearest face at the centre of every pixel `[H, W]`."""
    height, width = view.camera.height, view.camera.width
    nearest = np.full((height, width), np.inf)
    shown = np.zeros((height, width), np.int64)
    polygons: list[tuple[NDArray[np.float64], int]] = [
        (corners, int(material)) for corners, material in zip(ground.corners, ground.material, strict=True)
    ]
    for placed, number in zip(objects, numbers, strict=True):
        model = placed.model
        polygons += [(model.vertices[face], number) for face in model.faces]
    camera_polygons = [(view.pose.to_camera(p), n, i < len(ground.material)) for i, (p, n) in enumerate(polygons)]
    for placed, number in zip(objects, numbers, strict=True):
        for k, (centre, radius) in enumerate(zip(placed.model.blob_centres, placed.model.blob_radii, strict=True)):
            outline = np.repeat(view.pose.to_camera(centre)[None], len(_BLOBS[0]), axis=0)
            outline[:, :2] += _BLOBS[k % len(_BLOBS)] * radius
            camera_polygons.append((outline, number, False))
    for polygon, number, is_ground in camera_polygons:
        for k in range(1, len(polygon) - 1):
            _fill(polygon[[0, k, k + 1]], number, is_ground, view, nearest, shown)
    return shown


def _fill(
    triangle: NDArray[np.float64],
    number: int,
    is_ground: bool,
    view: View,
    nearest: NDArray[np.float64],
    shown: NDArray[np.int64],
) -> None:
    if (triangle[:, 2] <= NEAR_M).any():
        return
    normal = np.cross(triangle[1] - triangle[0], triangle[2] - triangle[0])
    if not is_ground and np.allclose(normal, 0):
        return
    pixels = view.camera.project(triangle)
    height, width = shown.shape
    x0, y0 = np.maximum(np.floor(pixels.min(axis=0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + 1, [width, height])
    if x1 <= x0 or y1 <= y0:
        return
    xs, ys = np.meshgrid(np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5)
    a, b, c = pixels
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if abs(area) < 1e-9:
        return
    wb = ((xs - a[0]) * (c[1] - a[1]) - (ys - a[1]) * (c[0] - a[0])) / area
    wc = ((b[0] - a[0]) * (ys - a[1]) - (b[1] - a[1]) * (xs - a[0])) / area
    wa = 1 - wb - wc
    inside = (wa >= 0) & (wb >= 0) & (wc >= 0)
    depth = 1 / (wa / triangle[0, 2] + wb / triangle[1, 2] + wc / triangle[2, 2] + 1e-12)
    # Paint lies a centimetre above the asphalt; ground never fights with what stands on it by less than that.
    closer = inside & (depth < nearest[y0:y1, x0:x1])
    nearest[y0:y1, x0:x1][closer] = depth[closer]
    shown[y0:y1, x0:x1][closer] = number

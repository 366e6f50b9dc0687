"""Painter's algorithm on polygons: one pass fills colour and object number of every pixel together.

The buffer has twice the image's resolution and four channels: blue, green, red and the object number (or the ground
material). Colour is averaged over the four samples of a pixel, the number is the one that most of the four show.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.rendering.camera import Camera
from reg_yolo.scenes.rendering.projection import SHIFT, SUPERSAMPLING, Drawing
from reg_yolo.scenes.world.cross_section import FIRST_MATERIAL

FloatArray = NDArray[np.float64]

MAX_ASSETS = FIRST_MATERIAL - 1


def paint(drawing: Drawing, background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fill the polygons, far first, over the background `[2H, 2W, 3]`; returns the buffer `[2H, 2W, 4]`."""
    buffer = np.zeros((*background.shape[:2], 4), np.uint8)
    buffer[:, :, :3] = background
    fill, textures = cv2.fillConvexPoly, drawing.textures
    for position, (polygon, colour) in enumerate(zip(drawing.polygons, drawing.colours, strict=True)):
        fill(buffer, polygon, colour, cv2.LINE_8, SHIFT)
        if position in textures:
            _paste(buffer, polygon, *textures[position])
    return buffer


def _paste(
    buffer: NDArray[np.uint8],
    polygon: NDArray[np.int32],
    texture: NDArray[np.uint8],
    light: FloatArray,
    haze: FloatArray,
) -> None:
    """Map a texture onto a face that has just been filled; the number channel stays as it is."""
    if len(polygon) != 4:
        return
    corners = polygon.astype(np.float32) / (1 << SHIFT)
    x0, y0 = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, [buffer.shape[1], buffer.shape[0]])
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    extent = corners.max(axis=0) - corners.min(axis=0)
    height, width = texture.shape[:2]
    scale = min(1.0, 1.2 * max(extent[0] / width, extent[1] / height))
    if scale < 0.9:
        texture = cv2.resize(
            texture, (max(2, round(width * scale)), max(2, round(height * scale))), interpolation=cv2.INTER_AREA
        )
        height, width = texture.shape[:2]
    source = np.array([[0, height], [width, height], [width, 0], [0, 0]], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(source, corners - np.array([x0, y0], np.float32))
    shape = (int(x1 - x0), int(y1 - y0))
    picture = cv2.warpPerspective(texture, matrix, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros((shape[1], shape[0]), np.uint8)
    cv2.fillConvexPoly(mask, polygon - (np.array([x0, y0]) << SHIFT).astype(np.int32), 255, cv2.LINE_8, SHIFT)
    window = buffer[y0:y1, x0:x1, :3]
    chosen = mask > 0
    window[chosen] = np.clip(picture[chosen] * light + haze, 0, 255).astype(np.uint8)


def number_of_pixels(buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Object number or material of every pixel `[H, W]`: what most of its four samples show."""
    a, b = buffer[0::2, 0::2, 3], buffer[0::2, 1::2, 3]
    c, d = buffer[1::2, 0::2, 3], buffer[1::2, 1::2, 3]
    return np.where((b == c) | (b == d), b, np.where(c == d, c, a))


def silhouette(drawing: Drawing, owner: int, camera: Camera) -> tuple[int, int]:
    """Pixels that the object would cover if nothing stood before it, and how wide that silhouette is.

    It may reach beyond the image's borders by one image width or height to each side.
    """
    polygons = [drawing.polygons[i] for i in np.flatnonzero(drawing.owners == owner)]
    if not polygons:
        return 0, 0
    every = np.concatenate(polygons)
    unit = 1 << SHIFT
    limit = np.array([camera.width, camera.height]) * SUPERSAMPLING
    low = np.maximum(every.min(axis=0) // unit, -limit)
    high = np.minimum(every.max(axis=0) // unit + 2, 2 * limit)
    if (high <= low).any():
        return 0, 0
    canvas = np.zeros((int(high[1] - low[1]), int(high[0] - low[0])), np.uint8)
    shift = (low * unit).astype(np.int32)
    for polygon in polygons:
        cv2.fillConvexPoly(canvas, polygon - shift, 1, cv2.LINE_8, SHIFT)
    area = cv2.countNonZero(canvas) / SUPERSAMPLING**2
    return round(area), round(int(canvas.any(axis=0).sum()) / SUPERSAMPLING)

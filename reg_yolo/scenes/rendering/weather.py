"""From the clean rendering to what a dash camera records: rain, glow, blur, noise."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.rendering.camera import Camera
from reg_yolo.scenes.rendering.lighting import Lighting


@functools.cache
def _noise_table() -> NDArray[np.int8]:
    rng = np.random.default_rng(5)
    return np.asarray(np.clip(rng.standard_normal((1280, 1280)) * 24, -127, 127), np.int8)


def finish(
    picture: NDArray[np.uint8], camera: Camera, lighting: Lighting, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Add what lens, sensor and windscreen do; image `[H, W, 3]` BGR.

    The order is that of light on its way: bloom and rain before the lens, blur by motion, then noise of the sensor.
    """
    scale = camera.width / 640
    if lighting.time != "day" or lighting.backlight:
        picture = _bloom(picture, 0.55 if lighting.time == "night" else 0.35)
    if lighting.rain > 0:
        picture = _rain(picture, lighting, rng, scale)
    if lighting.motion_blur_px > 0:
        picture = _motion_blur(picture, lighting.motion_blur_px * scale, lighting.motion_angle)
    if lighting.defocus_px > 0:
        picture = cv2.GaussianBlur(picture, (0, 0), lighting.defocus_px * max(scale, 0.6))
    return _sensor(picture, lighting, rng)


def encode_jpeg(picture: NDArray[np.uint8], quality: int) -> bytes:
    """The image as a JPEG file's bytes."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(data)


def _bloom(picture: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
    small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    bright = cv2.subtract(small, (150, 150, 150, 0))
    glow = cv2.GaussianBlur(bright, (0, 0), picture.shape[1] / 4 / 45)
    wide = cv2.resize(glow, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.addWeighted(picture, 1.0, wide, strength * 2.2, 0), np.uint8)


def _rain(picture: NDArray[np.uint8], lighting: Lighting, rng: np.random.Generator, scale: float) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    # A wet road mirrors: the lower part takes up a blurred, flipped share of what stands above it.
    horizon = height // 2
    mirror = cv2.flip(cv2.blur(picture[:horizon], (7, 71)), 0)
    lower = picture[height - horizon :]
    picture[height - horizon :] = cv2.addWeighted(lower, 0.84, mirror, 0.2, 0)
    streaks = np.zeros((height, width), np.uint8)
    lean = float(rng.uniform(-0.35, 0.35))
    count = int(150 * lighting.rain)
    starts = rng.uniform([0, -20], [width, height], (count, 2))
    lengths = rng.uniform(6, 24, count) * scale
    for (x, y), length in zip(starts, lengths, strict=True):
        end = (round(x + lean * length), round(y + length))
        cv2.line(streaks, (round(x), round(y)), end, int(rng.integers(25, 80)), 1, cv2.LINE_AA)
    streaks = cv2.blur(streaks, (1, 3))
    picture = cv2.add(picture, cv2.merge([streaks] * 3))
    for _ in range(int(rng.integers(4, 26) * lighting.rain)):
        _drop(picture, int(rng.integers(width)), int(rng.integers(height)), int(rng.uniform(3, 9) * scale) + 2)
    return picture


def _drop(picture: NDArray[np.uint8], x: int, y: int, radius: int) -> None:
    """A drop on the windscreen: a small, blurred, upside-down view of what lies behind it."""
    height, width = picture.shape[:2]
    x0, x1, y0, y1 = max(x - radius, 0), min(x + radius + 1, width), max(y - radius, 0), min(y + radius + 1, height)
    patch = picture[y0:y1, x0:x1]
    if min(patch.shape[:2]) < 3:
        return
    lens = cv2.flip(cv2.blur(patch, (radius // 2 * 2 + 1, radius // 2 * 2 + 1)), 0)
    mask = np.zeros(patch.shape[:2], np.uint8)
    cv2.circle(mask, (x - x0, y - y0), radius, 255, -1)
    chosen = mask > 0
    patch[chosen] = cv2.addWeighted(patch, 0.35, lens, 0.7, 4)[chosen]


def _motion_blur(picture: NDArray[np.uint8], length: float, angle: float) -> NDArray[np.uint8]:
    size = max(3, round(length) | 1)
    kernel = np.zeros((size, size), np.float32)
    middle = size // 2
    dx, dy = np.cos(angle) * length / 2, np.sin(angle) * length / 2
    cv2.line(kernel, (round(middle - dx), round(middle - dy)), (round(middle + dx), round(middle + dy)), 1.0, 1)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)


def _sensor(picture: NDArray[np.uint8], lighting: Lighting, rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    table = _noise_table()
    y, x = (int(v) for v in rng.integers(0, 512, 2))
    rows, columns = height + y, width * 3 + x
    if rows > table.shape[0] or columns > table.shape[1]:
        table = np.tile(table, (-(-rows // table.shape[0]), -(-columns // table.shape[1])))
    grain = table[y:rows, x:columns].reshape(height, width, 3)
    # The table's deviation is 24; mixing a third of grey noise in makes it look less like confetti.
    noisy = picture.astype(np.float32)
    noisy += grain.astype(np.float32) * (lighting.noise / 24)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)

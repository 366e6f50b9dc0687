"""What lies behind everything: sky, clouds, hills and the far line of trees."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.rendering.camera import Camera, Pose
from reg_yolo.scenes.rendering.lighting import Lighting
from reg_yolo.scenes.world.mesh import Colour

FloatArray = NDArray[np.float64]


@functools.cache
def _fractal(seed: int, size: int = 512) -> NDArray[np.float32]:
    """Periodic cloud noise from 0 to 1, `[size, size]`."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size), np.float32)
    for octave in range(2, 8):
        cells = 2**octave
        grid = rng.random((cells, cells), dtype=np.float32)
        wrapped = np.pad(grid, 2, mode="wrap")
        step = size // cells
        big = cv2.resize(wrapped, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += big[2 * step : 2 * step + size, 2 * step : 2 * step + size] * 0.55**octave
    total -= total.min()
    return np.asarray(total / total.max(), np.float32)


def background(
    camera: Camera, pose: Pose, lighting: Lighting, seed: int, land: Colour, trees: str
) -> NDArray[np.uint8]:
    """Image `[2H, 2W, 3]` of all that is too far away for perspective.

    Args:
        seed: hills, clouds and trees of this place; they turn with the camera's heading.
        land: BGR colour of the far plain.
        trees: "forest", "field" or "town": how tall and dense the far line of trees is.
    """
    width, height = camera.width, camera.height
    rows = np.arange(height) + 0.5
    elevation = np.degrees(np.arctan((camera.cy - rows) / camera.focal_px)) + pose.pitch_deg
    azimuth = pose.heading_deg + np.degrees(np.arctan((np.arange(width) + 0.5 - camera.cx) / camera.focal_px))
    share = np.clip(elevation / 28.0, 0, 1)[:, None] ** 0.65
    column = np.asarray(lighting.horizon) * (1 - share) + np.asarray(lighting.zenith) * share
    picture = np.repeat(column[:, None, :], width, axis=1).astype(np.float32)
    if lighting.time != "night" and lighting.weather != "fog":
        _add_clouds(picture, elevation, azimuth, lighting, seed)
    if lighting.backlight:
        _add_sun(picture, camera, pose, lighting)
    _add_skyline(picture, elevation, azimuth, lighting, seed, land, trees)
    out = np.clip(picture * lighting.exposure, 0, 255).astype(np.uint8)
    doubled: NDArray[np.uint8] = cv2.resize(out, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    return doubled


def _add_clouds(
    picture: NDArray[np.float32], elevation: FloatArray, azimuth: FloatArray, lighting: Lighting, seed: int
) -> None:
    sky_rows = int((elevation > -1).sum())
    if sky_rows < 2:
        return
    noise = _fractal(seed % 4)
    offset = (seed * 37) % 512
    above = np.clip(elevation[:sky_rows], 0, None)
    map_x = np.repeat((azimuth[None, :] * 4.0 + offset).astype(np.float32), sky_rows, axis=0)
    map_y = np.repeat((1500.0 / (above[:, None] + 11.0)).astype(np.float32), len(azimuth), axis=1)
    cloud = cv2.remap(noise, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    cover = {"clear": 0.62 - 0.25 * ((seed >> 3) % 7) / 6, "overcast": 0.3, "rain": 0.25}[lighting.weather]
    amount = np.clip((cloud - cover) / 0.3, 0, 1)[..., None] * (0.85 if lighting.weather == "clear" else 0.5)
    level = 248.0 if lighting.time == "day" else 170.0
    bright = np.full(3, level) if lighting.weather == "clear" else np.asarray(lighting.horizon) * 0.82
    if lighting.time == "dusk":
        bright = bright * np.array([0.75, 0.85, 1.1])
    region = picture[:sky_rows]
    region += (bright.astype(np.float32) * (0.86 + 0.14 * cloud[..., None]) - region) * amount


def _add_sun(picture: NDArray[np.float32], camera: Camera, pose: Pose, lighting: Lighting) -> None:
    point = pose.rotation() @ lighting.sun_direction
    if point[2] < 0.05:
        return
    u = camera.cx + camera.focal_px * point[0] / point[2]
    v = camera.cy + camera.focal_px * point[1] / point[2]
    x, y = np.meshgrid(np.arange(camera.width) - u, np.arange(camera.height) - v)
    distance = np.sqrt(x * x + y * y) / camera.width
    glow = np.exp(-distance / 0.11) * 0.8 + np.exp(-((distance / 0.028) ** 2)) * 1.3
    share = np.clip(glow, 0, 1)[..., None].astype(np.float32)
    picture += (np.array([215.0, 240.0, 255.0], np.float32) - picture) * share


def _add_skyline(
    picture: NDArray[np.float32],
    elevation: FloatArray,
    azimuth: FloatArray,
    lighting: Lighting,
    seed: int,
    land: Colour,
    trees: str,
) -> None:
    rng = np.random.default_rng(seed)
    light = np.asarray(lighting.ambient) + np.asarray(lighting.sun) * 0.5
    haze = np.asarray(lighting.haze)

    def faded(colour: FloatArray, distance_m: float) -> NDArray[np.float32]:
        clear = np.exp(-max(lighting.extinction, 5e-4) * distance_m)
        return np.asarray(colour * light * clear + haze * (1 - clear), np.float32)

    tallest = 0.0
    waves = _profile(rng, azimuth, 5, 0.06)
    if rng.random() < 0.6:
        tallest = rng.uniform(1.0, 5.0)
        hills = np.clip(waves * tallest, 0, None)
        picture[elevation[:, None] < hills[None, :]] = faded(np.array([95.0, 110.0, 85.0]), 2200)
    crown = {"forest": 2.2, "field": 0.8, "town": 1.1}[trees]
    line = 0.15 + crown * (0.55 + 0.3 * _profile(rng, azimuth, 9, 0.5) + 0.12 * _profile(rng, azimuth, 9, 4.0))
    picture[elevation[:, None] < line[None, :]] = faded(np.array([48.0, 82.0, 58.0]), 650)
    below = elevation < 0
    if below.any():
        distance = np.clip(1.5 / np.tan(np.radians(np.clip(-elevation[below], 0.05, None))), 5, 900)
        clear = np.exp(-lighting.extinction * distance)[:, None]
        ground = np.asarray(land) * light * clear + haze * (1 - clear)
        picture[below] = ground[:, None, :].astype(np.float32)


def _profile(rng: np.random.Generator, azimuth: FloatArray, terms: int, base: float) -> FloatArray:
    """A random curve over the azimuth in degrees, about -1 to 1."""
    total = np.zeros_like(azimuth)
    for k in range(1, terms + 1):
        total += np.sin(azimuth * base * k + rng.uniform(0, 2 * np.pi)) / k**0.7
    return np.asarray(total / 1.8)

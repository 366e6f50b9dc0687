"""Time of day and weather as numbers, and the light that a face sends to the camera under them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.world.mesh import LUMINOUS, RETROREFLECTIVE, TAIL_LIGHT, Colour

FloatArray = NDArray[np.float64]

TIMES = ("day", "dusk", "night")
WEATHERS = ("clear", "overcast", "rain", "fog")


@dataclass(frozen=True)
class Lighting:
    """Light, air and camera faults of one image or one drive.

    Args:
        time: "day", "dusk" or "night".
        weather: "clear", "overcast", "rain" or "fog".
        backlight: the low sun stands before the camera.
        sun_azimuth: direction of the sun, radians clockwise from north.
        sun_elevation: radians above the horizon.
        sun: BGR strength of direct light, 1 is full.
        ambient: BGR strength of the light from the sky.
        extinction: share of light the air swallows each metre.
        haze: BGR colour that far things fade into.
        zenith: BGR colour of the sky overhead.
        horizon: BGR colour of the sky at the horizon.
        headlights: strength of the camera car's own lights, 0 is off.
        exposure: factor on the whole image.
        noise: standard deviation of the sensor noise in grey levels.
        motion_blur_px: length of the blur at a width of 640 pixels.
        motion_angle: its direction in radians, 0 is level.
        defocus_px: standard deviation of the lens's blur at a width of 640 pixels.
        jpeg_quality: 1 to 100.
        rain: strength of rain streaks and drops, 0 to 1.
    """

    time: str
    weather: str
    backlight: bool
    sun_azimuth: float
    sun_elevation: float
    sun: Colour
    ambient: Colour
    extinction: float
    haze: Colour
    zenith: Colour
    horizon: Colour
    headlights: float
    exposure: float
    noise: float
    motion_blur_px: float
    motion_angle: float
    defocus_px: float
    jpeg_quality: int
    rain: float

    @property
    def sun_direction(self) -> FloatArray:
        """Unit vector towards the sun (east, north, up)."""
        flat = math.cos(self.sun_elevation)
        return np.array(
            [math.sin(self.sun_azimuth) * flat, math.cos(self.sun_azimuth) * flat, math.sin(self.sun_elevation)]
        )

    @property
    def casts_shadows(self) -> bool:
        """Whether the sun is strong enough for shadows on the ground."""
        return self.time != "night" and self.weather == "clear"


def random_lighting(rng: np.random.Generator, view_azimuth: float, *, time: str = "", weather: str = "") -> Lighting:
    """Light and weather by the default frequencies; `time` or `weather` pins one of them.

    Args:
        view_azimuth: where the camera looks, radians clockwise from north: a backlit sun stands there.
    """
    time = time or str(rng.choice(TIMES, p=[0.72, 0.14, 0.14]))
    weather = weather or str(rng.choice(WEATHERS, p=[0.55, 0.23, 0.13, 0.09]))
    backlight = bool(weather == "clear" and time != "night" and rng.random() < (0.4 if time == "dusk" else 0.1))
    elevation = {"day": rng.uniform(0.45, 1.35), "dusk": rng.uniform(0.05, 0.22), "night": -0.3}[time]
    if backlight:
        elevation = rng.uniform(0.08, 0.3)
    azimuth = view_azimuth + (rng.uniform(-0.35, 0.35) if backlight else rng.uniform(0.6, 2 * math.pi - 0.6))
    clear = weather == "clear"
    sun_power = {"day": 0.62, "dusk": 0.4, "night": 0.0}[time] * (1.0 if clear else 0.12)
    warm = {"day": (0.94, 0.99, 1.04), "dusk": (0.62, 0.86, 1.12), "night": (1.0, 1.0, 1.0)}[time]
    sky_power = {"day": 0.52 if clear else 0.78, "dusk": 0.36, "night": rng.uniform(0.07, 0.13)}[time]
    if backlight:
        sky_power *= 0.8
    cool = {"day": (1.06, 1.0, 0.96), "dusk": (1.1, 0.97, 0.98), "night": (1.25, 1.0, 0.85)}[time]
    zenith, horizon = _sky_colours(rng, time, weather)
    density = {"clear": rng.uniform(3e-4, 1.3e-3), "overcast": rng.uniform(6e-4, 2e-3)}
    extinction = density.get(weather, 0.0) or float(
        rng.uniform(0.004, 0.009) if weather == "rain" else rng.uniform(0.01, 0.03)
    )
    return Lighting(
        time=time,
        weather=weather,
        backlight=backlight,
        sun_azimuth=float(azimuth),
        sun_elevation=float(elevation),
        sun=(warm[0] * sun_power, warm[1] * sun_power, warm[2] * sun_power),
        ambient=(cool[0] * sky_power, cool[1] * sky_power, cool[2] * sky_power),
        extinction=float(extinction),
        haze=horizon,
        zenith=zenith,
        horizon=horizon,
        headlights=float({"day": 0.0, "dusk": 0.15, "night": rng.uniform(0.8, 1.1)}[time]),
        exposure=float(rng.uniform(0.88, 1.12)),
        noise=float({"day": rng.uniform(0.8, 3.0), "dusk": rng.uniform(2, 5), "night": rng.uniform(3, 7)}[time]),
        motion_blur_px=float(rng.choice([0.0, 0.0, 0.0, rng.uniform(1.5, 5.0)])),
        motion_angle=float(rng.normal(0, 0.35) + (math.pi / 2 if rng.random() < 0.3 else 0.0)),
        defocus_px=float(rng.choice([0.0, 0.0, 0.0, rng.uniform(0.4, 0.9)])),
        jpeg_quality=int(rng.integers(38, 94)),
        rain=float(rng.uniform(0.4, 1.0)) if weather == "rain" else 0.0,
    )


def _sky_colours(rng: np.random.Generator, time: str, weather: str) -> tuple[Colour, Colour]:
    if time == "night":
        base = rng.uniform(6, 20)
        return (base * 1.3, base, base * 0.9), (base * 2.0, base * 1.7, base * 1.8)
    if time == "dusk":
        zenith, horizon = (150.0, 105.0, 80.0), (rng.uniform(90, 160), rng.uniform(140, 175), rng.uniform(200, 240))
        dim = 1.0 if weather == "clear" else 0.72
        grey = 0.0 if weather == "clear" else 0.7
    else:
        zenith = (rng.uniform(190, 230), rng.uniform(130, 165), rng.uniform(70, 110))
        horizon = (rng.uniform(215, 240), rng.uniform(205, 228), rng.uniform(185, 215))
        dim = 1.0 if weather == "clear" else {"overcast": 0.97, "rain": 0.78, "fog": 0.92}[weather]
        grey = {"clear": 0.0, "overcast": 0.85, "rain": 0.95, "fog": 1.0}[weather]

    def mute(colour: tuple[float, float, float], lift: float) -> Colour:
        mean = sum(colour) / 3 * lift
        b, g, r = ((c * (1 - grey) + mean * grey) * dim for c in colour)
        return (b, g, r)

    return mute(zenith, 1.3 if time == "day" else 1.0), mute(horizon, 1.0)


def shade(
    lighting: Lighting,
    colours: FloatArray,
    finish: NDArray[np.int64],
    normals: FloatArray,
    centres_camera: FloatArray,
    lamps_camera: FloatArray,
) -> FloatArray:
    """Colours `[M, 3]` as the camera sees them, BGR from 0 to 255.

    Args:
        colours: own colours `[M, 3]`.
        finish: `[M]`, see `reg_yolo.scenes.mesh`.
        normals: outward unit vectors in the world `[M, 3]`.
        centres_camera: face centres in camera axes `[M, 3]`, metres.
        lamps_camera: burning street lamps in camera axes `[L, 3]`, metres.
    """
    direct = np.clip(normals @ lighting.sun_direction, 0.0, 1.0)[:, None]
    up = 0.84 + 0.16 * normals[:, 2:3]
    strength = np.asarray(lighting.ambient) * up + np.asarray(lighting.sun) * direct
    depth = np.maximum(centres_camera[:, 2], 0.5)
    if lighting.headlights > 0:
        strength = strength + lighting.headlights * _headlights(centres_camera, depth, finish)[:, None]
    if lighting.time == "night" and len(lamps_camera):
        apart = centres_camera[:, None, :] - lamps_camera[None, :, :]
        distance2 = np.einsum("mlk,mlk->ml", apart, apart)
        strength = strength + (26.0 / (distance2 + 32.0)).sum(axis=1)[:, None] * np.array([0.45, 0.72, 0.9])
    lit = colours * strength
    shining = (finish == TAIL_LIGHT) | ((finish == LUMINOUS) & (lighting.time != "day"))
    lit[shining] = colours[shining] * 1.1
    transmission = np.exp(-lighting.extinction * depth)[:, None]
    lit = lit * transmission + np.asarray(lighting.haze) * (1 - transmission)
    return np.clip(lit * lighting.exposure, 0, 255)


def _headlights(centres: FloatArray, depth: FloatArray, finish: NDArray[np.int64]) -> FloatArray:
    """Light of the car's own lamps that comes back from each face: a cone ahead, stronger from reflective sheets."""
    across = np.exp(-((centres[:, 0] / (0.55 * depth + 2.5)) ** 2))
    above = np.exp(-np.clip(-centres[:, 1] - 0.5, 0, None) / (0.09 * depth + 1.2))
    matt = 0.62 / (1 + (depth / 20) ** 2) * np.clip(depth / 9, 0.35, 1) * across * above
    sheet = 1.25 / (1 + (depth / 85) ** 2) * across * np.sqrt(above)
    return np.where(finish == RETROREFLECTIVE, sheet, matt)

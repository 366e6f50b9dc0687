"""The receiver and the calibration that a survey really has: drifting fixes, a late clock, angles a little off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class NoiseModel:
    """Standard deviations of what is wrong with a real drive's data.

    Args:
        position_m: of each horizontal axis of the fixes.
        correlation_s: time after which the position error has forgotten 63 % of itself.
        height_m: of the fixes' heights, with the same correlation.
        clock_s: of the constant offset between the receiver's clock and the camera's.
        pitch_deg: of the stated camera pitch, constant over a drive.
        focal: of the stated focal length, as a share of it, constant over a drive.
    """

    position_m: float = 2.5
    correlation_s: float = 40.0
    height_m: float = 4.0
    clock_s: float = 0.1
    pitch_deg: float = 0.5
    focal: float = 0.03


@dataclass(frozen=True)
class NoiseDraw:
    """The constant errors of one drive: what to add to true values to get the stated ones."""

    clock_s: float
    pitch_deg: float
    focal_factor: float


@dataclass(frozen=True)
class Fix:
    """One fix of the receiver: time in seconds since the drive's start, grid position and height in metres."""

    time_s: float
    easting_m: float
    northing_m: float
    height_m: float


def draw_constants(rng: np.random.Generator, model: NoiseModel) -> NoiseDraw:
    """Constant errors of one drive, each normal with the model's deviation."""
    return NoiseDraw(
        clock_s=float(rng.normal(0, model.clock_s)),
        pitch_deg=float(rng.normal(0, model.pitch_deg)),
        focal_factor=float(1 + rng.normal(0, model.focal)),
    )


def clock_offset(seed: int) -> float:
    """Seconds from 0.8 to 2, with either sign, by which a clock that nobody has set is off; one for both directions."""
    rng = np.random.default_rng([seed, 10])
    return float(rng.choice([-1, 1]) * rng.uniform(0.8, 2.0))


def correlated_noise(
    rng: np.random.Generator, times_s: FloatArray, deviation: float, correlation_s: float
) -> FloatArray:
    """A stationary first-order Gauss-Markov process `[N]` at the given times.

    Its deviation is constant; values dt apart correlate by exp(-dt / correlation_s).
    """
    values = np.empty(len(times_s))
    if not len(times_s):
        return values
    values[0] = rng.normal(0, deviation)
    for k in range(1, len(times_s)):
        keep = math.exp(-(times_s[k] - times_s[k - 1]) / correlation_s)
        values[k] = keep * values[k - 1] + rng.normal(0, deviation * math.sqrt(1 - keep * keep))
    return values


def noisy_fixes(rng: np.random.Generator, fixes: list[Fix], model: NoiseModel, clock_s: float) -> list[Fix]:
    """Fixes with drifting positions, stamped by a clock that is `clock_s` ahead."""
    times = np.array([fix.time_s for fix in fixes])
    east = correlated_noise(rng, times, model.position_m, model.correlation_s)
    north = correlated_noise(rng, times, model.position_m, model.correlation_s)
    up = correlated_noise(rng, times, model.height_m, model.correlation_s)
    return [
        Fix(fix.time_s + clock_s, fix.easting_m + float(e), fix.northing_m + float(n), fix.height_m + float(u))
        for fix, e, n, u in zip(fixes, east, north, up, strict=True)
    ]


def utc_text(start: datetime, seconds: float) -> str:
    """ISO 8601 time with milliseconds, in UTC."""
    moment = (start + timedelta(seconds=seconds)).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"

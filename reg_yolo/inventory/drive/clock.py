"""The offset of a drive's clock: what its looks tell of it, how sure that is, and when a stated time is not believed.

An offset of d seconds takes the vehicle's velocity at one time for that at another: it is off by its acceleration
times d. So turns and changes of speed show the offset, and the smoothed way's own errors of velocity hide it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.positions.trajectory import Poses

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CORRELATION_S = 5.0
"""Time over which the smoothed way's errors of velocity are alike."""
_UNSURE = 2.0
"""By what factor deviations are widened: neither looks nor the way are as independent as they are counted."""
_LEAST_S = 0.1
_TOO_LARGE_S2_M = 3.0
"""What offsets of noisy ways come out too large by, seconds for each metre a second of the way's error of velocity:
0.3 to 0.75 s at 0.2 m/s however long the drive is, docs/scale.md."""
_BRISK_MPS2 = 1.0
"""Acceleration over which more of it shows no more, as the smoother blurs where it begins."""
_GROSS = 3.0
_GROSS_S = 2.0
"""Deviation of a clock that was not set as stated."""
_LONGEST_STEP_S = 1.0


@dataclass(frozen=True)
class ClockOffset:
    """How far the positions' clock is ahead of the frames', seconds, with what was stated taken into account.

    Attributes:
        value_s, sigma_s: The offset and its deviation.
        gross: Whether it lies too far from the stated time for that to count.
        observed: Whether the drive tells more of it than was stated, or contradicts that.
    """

    value_s: float
    sigma_s: float
    gross: bool = False
    observed: bool = False


def way_sigma(poses: Poses, time_s: FloatArray, frames: IntArray) -> float:
    """Return how unsure the way's errors of velocity leave the offset, seconds; infinite where nothing shows it.

    Args:
        poses: The vehicle at all frames.
        time_s: Of all frames.
        frames: Rows of the frames that count, in the order of time.
    """
    if len(frames) < 3:
        return math.inf
    steps = np.diff(time_s[frames])
    changes = np.linalg.norm(np.diff(poses.velocity_mps[frames], axis=0), axis=1)
    # Not across gaps: what changes there is not observed.
    whole = (steps > 0) & (steps < _CORRELATION_S)
    square = (changes[whole] / steps[whole]) ** 2
    power = float((square / (1 + square / _BRISK_MPS2**2) * steps[whole]).sum())
    noise = float(np.median(poses.velocity_sigma_mps[frames]))
    by_chance = _UNSURE * noise * math.sqrt(2 * _CORRELATION_S / power) if power > 0 else math.inf
    return math.hypot(by_chance, _TOO_LARGE_S2_M * noise)


def estimate(
    solved_s: float, solved_sigma_s: float, way_sigma_s: float, stated_s: float, shift_s: float
) -> ClockOffset:
    """Return the offset from a solution.

    Args:
        solved_s, solved_sigma_s: What the solution has for the rest of the offset, held at 0 by the stated deviation.
        way_sigma_s: See `way_sigma`.
        stated_s: The stated time's deviation.
        shift_s: What the frames were shifted by before.
    """
    # Without the prior's hold: that part of the precision which comes from the looks.
    own = 1 - min((solved_sigma_s / stated_s) ** 2, 1.0)
    if own < 1e-3 or not math.isfinite(way_sigma_s):
        return ClockOffset(0.0, stated_s)
    value = shift_s + solved_s / own
    sigma = max(math.hypot(_UNSURE * solved_sigma_s / math.sqrt(own), way_sigma_s), _LEAST_S)
    gross = abs(value) > _GROSS * math.hypot(stated_s, sigma)
    open_s = _GROSS_S if gross else stated_s
    share = open_s**2 / (open_s**2 + sigma**2)
    return ClockOffset(value * share, math.sqrt(share) * sigma, gross, gross or sigma < stated_s)


def next_shift(offset: ClockOffset, shift_s: float) -> float:
    """Return what to shift the frames by next: towards a gross offset, as far as a straight line reaches."""
    return shift_s + float(np.clip(offset.value_s - shift_s, -_LONGEST_STEP_S, _LONGEST_STEP_S))

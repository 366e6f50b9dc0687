"""Heading and roll that a survey vehicle measures, at any time of a drive."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.positions.fixes import Fixes
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

MEASURED = ("heading_deg", "roll_deg")
_MAX_HOLE_S = 3.0
_MAX_NOISE_RAD = math.radians(1.0)
"""A course over ground that a plain receiver calls heading jumps by more than this; the smoothed way knows better."""


@dataclass(frozen=True)
class Attitude:
    """Measured angles of a vehicle; an angle that is not measured has no samples.

    Attributes:
        heading: Times and clockwise radians from grid north, unwrapped, shape (N,) both.
        roll: Times and radians against the horizontal, positive leans to the right, shape (L,) both.
        pitches: How many fixes have a pitch. It is not used: less the road's grade, it made the assets of simulated
            drives worse than the nods that are estimated with them.
        heading_noise_rad: Deviation by which the heading jumps from sample to sample; NaN where it is not measured.
    """

    heading: tuple[FloatArray, FloatArray]
    roll: tuple[FloatArray, FloatArray]
    pitches: int
    heading_noise_rad: float

    def notes(self) -> list[str]:
        """Return what the user should read about the angles."""
        lines = []
        if len(self.heading[0]):
            lines.append(f"measured heading of {len(self.heading[0])} fixes is used instead of that of the way")
        elif np.isfinite(self.heading_noise_rad):
            noise = math.degrees(self.heading_noise_rad)
            lines.append(f"heading is not used, as it jumps by {noise:.1f} degrees from fix to fix; that of the way is")
        if len(self.roll[0]):
            lines.append(f"measured roll of {len(self.roll[0])} fixes is used")
        if self.pitches:
            lines.append(f"measured pitch of {self.pitches} fixes is not used; it is estimated with the assets")
        return lines

    def at(self, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return heading and roll at some POSIX times, shape (N,) each; NaN over a hole of more than 3 s."""
        return _between(*self.heading, time_s), _between(*self.roll, time_s)


def measured_attitude(fixes: Fixes, projection: LocalProjection) -> Attitude:
    """Return the angles that a table of positions holds.

    Args:
        fixes: In the order of time.
        projection: Its grid's north is what the headings refer to.
    """
    known = [np.isfinite(getattr(fixes, name)) for name in MEASURED]
    heading, roll = (
        (fixes.time_s[rows], np.radians(getattr(fixes, name)[rows])) for name, rows in zip(MEASURED, known, strict=True)
    )
    if known[0].any():
        north = projection.true_north_rad(fixes.longitude_deg[known[0]], fixes.latitude_deg[known[0]])
        heading = heading[0], np.unwrap(heading[1] + north)
    noise = _noise(heading[1])
    if noise > _MAX_NOISE_RAD:
        heading = np.zeros(0), np.zeros(0)
    return Attitude(heading, roll, int(np.isfinite(fixes.pitch_deg).sum()), noise)


def _noise(heading_rad: FloatArray) -> float:
    """Deviation of white noise, from second differences; NaN for fewer than three samples."""
    second = heading_rad[2:] - 2 * heading_rad[1:-1] + heading_rad[:-2]
    return float(1.4826 * np.median(np.abs(second)) / math.sqrt(6)) if len(second) else math.nan


def _between(known_s: FloatArray, values: FloatArray, time_s: FloatArray) -> FloatArray:
    """Interpolate, but neither over a hole nor far from the ends; fixes that come less often are no holes."""
    if not len(known_s):
        return np.full(len(time_s), np.nan)
    typical = float(np.median(np.diff(known_s))) if len(known_s) > 2 else 1.0
    after = np.clip(np.searchsorted(known_s, time_s), 0, len(known_s) - 1)
    before = np.maximum(after - (known_s[after] > time_s), 0)
    hole = (known_s[after] - known_s[before] > max(_MAX_HOLE_S, 2.5 * typical)) & (known_s[after] != time_s)
    outside = (time_s < known_s[0] - 0.5) | (time_s > known_s[-1] + 0.5)
    return np.where(hole | outside | ~np.isfinite(time_s), np.nan, np.interp(time_s, known_s, values))

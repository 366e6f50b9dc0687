"""Where the camera's vehicle was at any time of a drive, and where it headed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from reg_yolo.errors import DataError
from reg_yolo.inventory.positions.attitude import Attitude, measured_attitude
from reg_yolo.inventory.positions.fixes import Fixes
from reg_yolo.inventory.positions.smoothing import Drift, Smoothed, smooth
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

MAX_HOLE_S = 3.0
HELD_BELOW_MPS = 2.0
_FIXES_PER_S = 2.0


@dataclass(frozen=True)
class Poses:
    """The vehicle at N times.

    Attributes:
        position_m: Shape (N, 2), easting and northing; NaN where the positions have a hole.
        velocity_mps: Shape (N, 2).
        heading_rad: Shape (N,), clockwise from grid north: measured, or that of the way, held below 2 m/s.
        track_m: Shape (N,), distance travelled.
        position_sigma_m, velocity_sigma_mps: Shape (N,), of each axis.
        heading_noise_rad: Shape (N,), of a measured heading; NaN where it is that of the way.
        roll_rad: Shape (N,), measured against the horizontal, leaning to the right; 0 where unknown.
    """

    position_m: FloatArray
    velocity_mps: FloatArray
    heading_rad: FloatArray
    track_m: FloatArray
    position_sigma_m: FloatArray
    velocity_sigma_mps: FloatArray
    heading_noise_rad: FloatArray
    roll_rad: FloatArray

    @property
    def located(self) -> NDArray[np.bool_]:
        """Where the position is known, shape (N,)."""
        return np.isfinite(self.position_m[:, 0])


@dataclass(frozen=True)
class Trajectory:
    """Smoothed stretches of a drive, in the order of time.

    Attributes:
        projection: What the metres mean.
        stretches: Smoothed fixes; between two of them lies a hole that is not bridged.
        drift: What was assumed of the receiver.
        attitude: Angles that the vehicle measured.
    """

    projection: LocalProjection
    stretches: tuple[Smoothed, ...]
    drift: Drift
    attitude: Attitude

    @property
    def start_s(self) -> float:
        """Time of the first fix."""
        return float(self.stretches[0].time_s[0])

    @property
    def end_s(self) -> float:
        """Time of the last fix."""
        return float(self.stretches[-1].time_s[-1])

    def at(self, time_s: FloatArray) -> Poses:
        """Return the vehicle at some POSIX times, shape (N,), in any order."""
        count = len(time_s)
        position, velocity = np.full((count, 2), np.nan), np.full((count, 2), np.nan)
        heading, track = np.full(count, np.nan), np.full(count, np.nan)
        sigma, speed_sigma = np.full(count, np.nan), np.full(count, np.nan)
        travelled = 0.0
        for stretch in self.stretches:
            length, held = _along(stretch)
            # A clock's last digit must not cost the first or the last frame.
            rows = np.flatnonzero((time_s >= stretch.time_s[0] - 0.5) & (time_s <= stretch.time_s[-1] + 0.5))
            if len(rows):
                inside = np.clip(time_s[rows], stretch.time_s[0], stretch.time_s[-1])
                curve = CubicHermiteSpline(stretch.time_s, stretch.position_m, stretch.velocity_mps)
                position[rows] = curve(inside) + (time_s[rows] - inside)[:, None] * curve(inside, 1)
                velocity[rows] = curve(inside, 1)
                heading[rows] = _heading_at(stretch, curve, held, inside)
                track[rows] = travelled + np.interp(inside, stretch.time_s, length)
                sigma[rows] = np.interp(inside, stretch.time_s, stretch.position_sigma_m)
                speed_sigma[rows] = np.interp(inside, stretch.time_s, stretch.velocity_sigma_mps)
            travelled += float(length[-1])
        measured, roll = self.attitude.at(time_s)
        known = np.isfinite(measured)
        heading = np.where(known, measured, heading)
        noise = np.where(known, self.attitude.heading_noise_rad, np.nan)
        return Poses(position, velocity, heading, track, sigma, speed_sigma, noise, np.nan_to_num(roll))


def build_trajectory(fixes: Fixes, projection: LocalProjection, drift: Drift) -> Trajectory:
    """Smooth a receiver's fixes, stretch by stretch; a hole over 3 s or a new segment starts another.

    Raises:
        DataError: If no stretch has two fixes.
    """
    metres = projection.to_metres(fixes.longitude_deg, fixes.latitude_deg) if len(fixes) else np.zeros((0, 2))
    # Fixes that come once in 2 s or less often are no holes in themselves.
    typical = float(np.median(np.diff(fixes.time_s))) if len(fixes) > 2 else 1.0
    limit = max(MAX_HOLE_S, 2.5 * typical)
    breaks = np.flatnonzero((np.diff(fixes.time_s) > limit) | (np.diff(fixes.segment) != 0)) + 1
    stretches = []
    for rows in np.split(np.arange(len(fixes)), breaks):
        if len(rows) >= 2 and fixes.time_s[rows[-1]] - fixes.time_s[rows[0]] >= 1.0:
            rows = _thinned(fixes.time_s, rows)
            stretches.append(smooth(fixes.time_s[rows], metres[rows], drift))
    if not stretches:
        raise DataError(
            f"{fixes.source} is not a track: expected two or more fixes within {MAX_HOLE_S:g} s of each other"
        )
    return Trajectory(projection, tuple(stretches), drift, measured_attitude(fixes, projection))


def _thinned(time_s: FloatArray, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep about two fixes a second: a drifting error says no more at ten."""
    slots = np.floor((time_s[rows] - time_s[rows[0]]) * _FIXES_PER_S + 1e-6)
    first = np.concatenate(([True], np.diff(slots) > 0))
    first[-1] = True
    return rows[first]


def _along(stretch: Smoothed) -> tuple[FloatArray, FloatArray]:
    """Distance travelled at each fix, and the heading with slow stretches held, shape (N,) both."""
    speed = np.linalg.norm(stretch.velocity_mps, axis=1)
    step = np.linalg.norm(np.diff(stretch.position_m, axis=0), axis=1)
    length = np.concatenate(([0.0], np.cumsum(step)))
    heading = np.arctan2(stretch.velocity_mps[:, 0], stretch.velocity_mps[:, 1])
    moving = np.flatnonzero(speed >= HELD_BELOW_MPS)
    if len(moving):
        # The last heading at speed, or the first one where the stretch begins with a stop.
        last = np.searchsorted(moving, np.arange(len(speed)), side="right") - 1
        heading = heading[moving[np.maximum(last, 0)]]
    return length, np.unwrap(heading)


def _heading_at(stretch: Smoothed, curve: CubicHermiteSpline, held: FloatArray, time_s: FloatArray) -> FloatArray:
    velocity = curve(time_s, 1)
    moving = np.linalg.norm(velocity, axis=1) >= HELD_BELOW_MPS
    own = np.arctan2(velocity[:, 0], velocity[:, 1])
    slow = np.interp(time_s, stretch.time_s, held)
    return np.where(moving, own, slow)

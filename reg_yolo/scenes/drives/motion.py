"""How far the camera car has come at a time: at constant speed, or with slower stretches and stops."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.drives.features import DriveFeatures
from reg_yolo.scenes.places.setting import Setting

FloatArray = NDArray[np.float64]

_STEP_M = 0.05
_BRAKING = 1.8
"""Metres per second squared, also when it starts."""
_STOP_EVERY_M = 400.0
_STOP_S = (4.0, 9.0)


@dataclass(frozen=True)
class Stop:
    """The car stands: after how many metres, and from when to when, in seconds since the drive's start."""

    distance_m: float
    from_s: float
    to_s: float


@dataclass(frozen=True, eq=False)
class Motion:
    """How the car moves.

    Args:
        speed_mps: its speed, or the highest one.
        knots: times in seconds and distances in metres since the drive's start, both `[N]`; None at constant speed.
        stops: where it stands.
    """

    speed_mps: float
    knots: tuple[FloatArray, FloatArray] | None = None
    stops: tuple[Stop, ...] = ()

    def distance_at(self, time_s: float) -> float:
        """Metres driven at a time."""
        if self.knots is None:
            return self.speed_mps * time_s
        return float(np.interp(time_s, *self.knots))

    def distances_at(self, times_s: FloatArray) -> FloatArray:
        """Metres driven at times `[N]`."""
        if self.knots is None:
            return self.speed_mps * times_s
        return np.asarray(np.interp(times_s, *self.knots), np.float64)

    def time_at(self, distance_m: float) -> float:
        """Seconds until so many metres are driven; where the car stops, until it arrives there."""
        if self.knots is None:
            return distance_m / self.speed_mps
        times, distances = self.knots
        after = int(np.clip(np.searchsorted(distances, distance_m), 1, len(distances) - 1))
        pair = slice(after - 1, after + 1)
        return float(np.interp(distance_m, distances[pair], times[pair]))

    def speed_at(self, time_s: float) -> float:
        """Metres per second at a time."""
        if self.knots is None:
            return self.speed_mps
        return (self.distance_at(time_s + 0.05) - self.distance_at(time_s - 0.05)) / 0.1

    def driven_s(self, time_s: float) -> float:
        """Seconds that the way to a time takes at full speed: the clock of a car that sways as it drives."""
        return time_s if self.knots is None else self.distance_at(time_s) / self.speed_mps


@dataclass(frozen=True)
class Way:
    """The camera car's way along one direction of the road.

    Args:
        setting: the road.
        direction: 1 or -1 along the chainage.
        start_s: chainage of the first frame.
        lane_offset_m: of the camera car from the axis.
        motion: the car's way.
        length_m: of the drive.
    """

    setting: Setting
    direction: int
    start_s: float
    lane_offset_m: float
    motion: Motion
    length_m: float

    @property
    def outwards(self) -> int:
        """Sign of the way from the axis to the car's roadside."""
        return self.setting.outer(self.direction)


def plan_motion(rng: np.random.Generator, features: DriveFeatures, speed_mps: float, length_m: float) -> Motion:
    """The way of a car over `length_m` metres, and a little beyond them."""
    if not (features.speed or features.stops):
        return Motion(speed_mps)
    distances = np.arange(0.0, length_m + 2.0, _STEP_M)
    squared = np.full(len(distances), speed_mps**2)
    if features.speed:
        # At this wavelength no more than 1.4 m/s2 are needed, whatever the speed.
        waves = 2 * math.pi * distances / max(60.0, speed_mps**2) + rng.uniform(0, 2 * math.pi)
        squared = (speed_mps * (0.7 + 0.3 * np.sin(waves))) ** 2
    places: list[float] = []
    if features.stops:
        count = max(1, round(length_m / _STOP_EVERY_M))
        places = ((np.arange(count) + rng.uniform(0.3, 0.7, count)) * length_m / count).tolist()
        # Stops lie on the grid, or the car would not come to stand.
        places = [float(distances[round(place / _STEP_M)]) for place in places]
        for place in places:
            squared = np.minimum(squared, 2 * _BRAKING * np.abs(distances - place))
    speeds = np.sqrt(squared)
    passing = 2 * _STEP_M / np.maximum(speeds[1:] + speeds[:-1], 1e-6)
    times = np.concatenate([[0.0], np.cumsum(passing)])
    stops: list[Stop] = []
    for place in places:
        index = int(np.argmin(np.abs(distances - place)))
        waits = float(rng.uniform(*_STOP_S))
        stops.append(Stop(float(place), float(times[index]), float(times[index] + waits)))
        times = np.concatenate([times[: index + 1], times[index:] + waits])
        distances = np.concatenate([distances[: index + 1], distances[index:]])
    return Motion(speed_mps, (times, distances), tuple(stops))

"""Distance along a GPX track by time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError, DataError


@dataclass(frozen=True)
class Track:
    """A recorded way.

    Attributes:
        seconds: Shape (N,), N at least 2, increasing, from 0.
        metres: Shape (N,), distance travelled, from 0.
    """

    seconds: NDArray[np.float64]
    metres: NDArray[np.float64]

    def metres_at(self, time_s: float) -> float:
        """Return the distance at a time; before the first and after the last fix at the track's mean speed."""
        end_s, end_m = float(self.seconds[-1]), float(self.metres[-1])
        if time_s < 0:
            return time_s * end_m / end_s
        if time_s > end_s:
            return end_m + (time_s - end_s) * end_m / end_s
        return float(np.interp(time_s, self.seconds, self.metres))


def read_track(path: Path) -> Track:
    """Read all track points of a GPX file that have a time, in the order of their times.

    Raises:
        ConfigError: If the library that reads GPX is missing.
        DataError: If the file is missing, no GPX, or has fewer than two points with times that lead somewhere.
    """
    try:
        import gpxpy
    except ImportError:
        raise ConfigError('`gnss`: needs the library gpxpy: pip install "reg-yolo[gpx]"') from None
    try:
        content = gpxpy.parse(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    except (gpxpy.gpx.GPXException, UnicodeDecodeError, ValueError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise DataError(f"{path} is not a GPX track: {reason}.") from None
    points = [
        (point.time, point) for line in content.tracks for part in line.segments for point in part.points if point.time
    ]
    points.sort(key=lambda pair: pair[0])
    seconds, metres = [0.0], [0.0]
    for (earlier, before), (later, after) in itertools.pairwise(points):
        elapsed = (later - earlier).total_seconds()
        if elapsed > 0:
            seconds.append(seconds[-1] + elapsed)
            metres.append(metres[-1] + (before.distance_2d(after) or 0.0))
    if len(seconds) < 2 or metres[-1] <= 0:
        raise DataError(f"{path} is not a track that leads somewhere: expected two or more points with a <time>.")
    return Track(np.array(seconds), np.array(metres))

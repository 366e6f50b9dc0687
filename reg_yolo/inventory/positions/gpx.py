"""GPX tracks, read by gpxpy."""

from __future__ import annotations

from pathlib import Path

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.positions.fixes import Fixes

_FIX_TYPES = {"none": 0, "2d": 2, "3d": 3, "dgps": 3, "pps": 3}


def read_gpx(path: Path) -> Fixes:
    """Read all points of all segments; each segment is a stretch of its own.

    Raises:
        ConfigError: If gpxpy is missing.
        DataError: If the file cannot be read or is not GPX.
    """
    try:
        import gpxpy
    except ImportError:
        raise ConfigError('GPX tracks need gpxpy; install it with pip install "reg-yolo[inventory]"') from None
    try:
        content = gpxpy.parse(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (gpxpy.gpx.GPXException, UnicodeDecodeError, ValueError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise DataError(f"{path} is not a GPX track: {reason}") from None
    nan = float("nan")
    time, longitude, latitude, elevation, dop, kinds, segments = [], [], [], [], [], [], []
    number = -1
    for track in content.tracks:
        for segment in track.segments:
            number += 1
            for point in segment.points:
                time.append(point.time.timestamp() if point.time else nan)
                longitude.append(point.longitude)
                latitude.append(point.latitude)
                elevation.append(nan if point.elevation is None else point.elevation)
                precision = point.position_dilution or point.horizontal_dilution
                dop.append(nan if precision is None else precision)
                kinds.append(_FIX_TYPES.get(point.type_of_gpx_fix or "", -1))
                segments.append(number)
    return Fixes.from_columns(
        str(path), time, longitude, latitude, elevation_m=elevation, dop=dop, fix_type=kinds, segment=segments
    )

"""Positions in CSV: by time or by the file name of an image, with angles where a survey vehicle measured them."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.positions.exiftool import degrees, fix_type, fixes_of_files, header_of
from reg_yolo.inventory.positions.fixes import Fixes
from reg_yolo.inventory.timing import parse_time

_NAMES = {
    "time": ("time", "utc", "timestamp", "datetime", "time_utc", "gpsdatetime"),
    "posix": ("time_s", "unix", "posix", "epoch", "unix_time", "t"),
    "file": ("file", "filename", "name", "image", "file_name"),
    "longitude": ("longitude", "lon", "lng", "longitude_deg", "x", "gpslongitude"),
    "latitude": ("latitude", "lat", "latitude_deg", "y", "gpslatitude"),
    "elevation": ("elevation", "ele", "altitude", "alt", "height", "elevation_m", "gpsaltitude"),
    "dop": ("dop", "hdop", "pdop", "gpsdop"),
    "heading": ("heading", "heading_deg", "yaw", "yaw_deg", "azimuth"),
    "pitch": ("pitch", "pitch_deg"),
    "roll": ("roll", "roll_deg"),
    "fix": ("fix", "fix_type", "gpsmeasuremode"),
}

_ANGLES = {"heading": 360.0, "pitch": 90.0, "roll": 90.0}


def read_table(path: Path) -> Fixes:
    """Read a CSV with a header; longitude and latitude in degrees, time in ISO 8601 or POSIX seconds.

    It may be what exiftool prints with -csv, or with -p: without a header where dates and hemispheres tell the columns.

    Raises:
        DataError: If it cannot be read, lacks a column or has a cell that is not a number (with its line).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            first = next(reader, [])
            header = [cell.strip().lower() for cell in first]
            lines = [(1, first)] if header_of(first) else []
            lines += [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not CSV: {error}") from None
    if "sourcefile" in header:
        return fixes_of_files(str(path), [_tags(first, row) for _, row in lines])
    header = header_of(first) or header
    column = {key: next((header.index(name) for name in names if name in header), -1) for key, names in _NAMES.items()}
    if column["longitude"] < 0 or column["latitude"] < 0:
        raise DataError(f"{path}: expected a first line with columns longitude and latitude, got {', '.join(header)}")
    if max(column["time"], column["posix"], column["file"]) < 0:
        raise DataError(f"{path}: expected a column time (or time_s, or file for images), got {', '.join(header)}")

    def cell_of(row: list[str], key: str) -> str:
        return row[column[key]].strip() if 0 <= column[key] < len(row) else ""

    def number(line: int, row: list[str], key: str, read: Callable[[str], float] = float) -> float:
        cell = cell_of(row, key)
        if not cell:
            return float("nan")
        try:
            value = read(cell)
            if abs(value) > _ANGLES.get(key, math.inf):
                raise ValueError
            return value
        except ValueError:
            what = "a number" if key not in _ANGLES else f"degrees within {_ANGLES[key]:g} either way"
            raise DataError(f"{path}:{line}: {key} must be {what}, got {cell!r}") from None

    def moment(line: int, row: list[str]) -> float:
        if column["posix"] >= 0:
            return number(line, row, "posix")
        if not cell_of(row, "time"):
            return float("nan")
        try:
            return parse_time(cell_of(row, "time"))
        except ConfigError as error:
            raise DataError(f"{path}:{line}: {error}") from None

    names = tuple(cell_of(row, "file") for _, row in lines) if column["file"] >= 0 else ()
    return Fixes.from_columns(
        str(path),
        [moment(line, row) for line, row in lines],
        [number(line, row, "longitude", degrees) for line, row in lines],
        [number(line, row, "latitude", degrees) for line, row in lines],
        elevation_m=[number(line, row, "elevation", _metres) for line, row in lines],
        dop=[number(line, row, "dop") for line, row in lines],
        fix_type=[fix_type(cell_of(row, "fix")) for _, row in lines],
        names=names,
        heading_deg=[number(line, row, "heading") for line, row in lines],
        pitch_deg=[number(line, row, "pitch") for line, row in lines],
        roll_deg=[number(line, row, "roll") for line, row in lines],
    )


def _metres(cell: str) -> float:
    """Metres of `12.5`, or of exiftool's `12.5 m` and `12.5 m Above Sea Level`."""
    return float(cell.split(" m")[0])


def _tags(header: list[str], row: list[str]) -> dict[str, str]:
    """A file's tags; exiftool writes `-` for one that the file lacks."""
    return {key: cell for key, cell in zip(header, row, strict=False) if cell.strip() not in ("", "-")}

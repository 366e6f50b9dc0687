"""Positions in CSV: by time or by the file name of an image, with angles where a survey vehicle measured them."""

from __future__ import annotations

import csv
from pathlib import Path

from reg_yolo.errors import DataError
from reg_yolo.inventory.positions.fixes import Fixes
from reg_yolo.inventory.timing import parse_time

_NAMES = {
    "time": ("time", "utc", "timestamp", "datetime", "time_utc"),
    "posix": ("time_s", "unix", "posix", "epoch", "unix_time", "t"),
    "file": ("file", "filename", "name", "image", "file_name"),
    "longitude": ("longitude", "lon", "lng", "longitude_deg", "x"),
    "latitude": ("latitude", "lat", "latitude_deg", "y"),
    "elevation": ("elevation", "ele", "altitude", "alt", "height", "elevation_m"),
    "dop": ("dop", "hdop", "pdop"),
}


def read_table(path: Path) -> Fixes:
    """Read a CSV with a header; longitude and latitude in degrees, time in ISO 8601 or POSIX seconds.

    Raises:
        DataError: If it cannot be read, lacks a column or has a cell that is not a number (with its line).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            header = [cell.strip().lower() for cell in next(reader, [])]
            lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not CSV: {error}") from None
    column = {key: next((header.index(name) for name in names if name in header), -1) for key, names in _NAMES.items()}
    if column["longitude"] < 0 or column["latitude"] < 0:
        raise DataError(f"{path}: expected columns longitude and latitude, got {', '.join(header)}")
    if max(column["time"], column["posix"], column["file"]) < 0:
        raise DataError(f"{path}: expected a column time (or time_s, or file for images), got {', '.join(header)}")

    def number(line: int, row: list[str], key: str) -> float:
        cell = row[column[key]].strip() if 0 <= column[key] < len(row) else ""
        if not cell:
            return float("nan")
        try:
            return float(cell)
        except ValueError:
            raise DataError(f"{path}:{line}: {key} must be a number, got {cell!r}") from None

    def moment(line: int, row: list[str]) -> float:
        if column["posix"] >= 0:
            return number(line, row, "posix")
        if column["time"] < 0 or not row[column["time"]].strip():
            return float("nan")
        try:
            return parse_time(row[column["time"]])
        except ValueError as error:
            raise DataError(f"{path}:{line}: {error}") from None

    names = tuple(row[column["file"]].strip() for _, row in lines) if column["file"] >= 0 else ()
    return Fixes.from_columns(
        str(path),
        [moment(line, row) for line, row in lines],
        [number(line, row, "longitude") for line, row in lines],
        [number(line, row, "latitude") for line, row in lines],
        elevation_m=[number(line, row, "elevation") for line, row in lines],
        dop=[number(line, row, "dop") for line, row in lines],
        names=names,
    )

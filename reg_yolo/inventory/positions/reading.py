"""Positions from any file that this package reads, told apart by its ending."""

from __future__ import annotations

from pathlib import Path

from reg_yolo.errors import DataError
from reg_yolo.inventory.positions.fixes import Fixes, usable
from reg_yolo.inventory.positions.gpx import read_gpx
from reg_yolo.inventory.positions.nmea import read_nmea
from reg_yolo.inventory.positions.table import read_table

_READERS = {".gpx": read_gpx, ".csv": read_table, ".nmea": read_nmea, ".log": read_nmea, ".txt": read_nmea}


def read_positions(path: Path) -> Fixes:
    """Read positions and leave out what is none; `dropped` says how many and why.

    Raises:
        DataError: If the ending is not known, the file cannot be read, or no position is left.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: expected positions as {', '.join(sorted(_READERS))}")
    fixes = usable(reader(path))
    if len(fixes) < 2:
        why = ", ".join(f"{count} {reason}" for reason, count in fixes.dropped.items()) or "it holds none"
        raise DataError(f"{path}: fewer than two usable positions ({why})")
    return fixes

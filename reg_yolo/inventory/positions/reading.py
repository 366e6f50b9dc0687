"""Positions from any file or folder that this package reads, told apart by its ending."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from reg_yolo.errors import DataError
from reg_yolo.inventory.positions.exiftool import read_exiftool
from reg_yolo.inventory.positions.fixes import Fixes, joined, usable
from reg_yolo.inventory.positions.gopro import read_gopro
from reg_yolo.inventory.positions.gpx import read_gpx
from reg_yolo.inventory.positions.nmea import read_nmea
from reg_yolo.inventory.positions.stills import IMAGE_ENDINGS, read_stills
from reg_yolo.inventory.positions.table import read_table

_READERS = {
    ".gpx": read_gpx, ".csv": read_table, ".nmea": read_nmea, ".log": read_nmea, ".txt": read_nmea,
    ".mp4": read_gopro, ".mov": read_gopro, ".json": read_exiftool,
}  # fmt: skip
_VIDEOS = (".mp4", ".mov")


TEXT_ENDINGS = tuple(ending for ending in _READERS if ending not in _VIDEOS)
"""Of files that hold positions and nothing else."""
_RMC = re.compile(rb"\$..RMC,")
_PEEKED = 1 << 16
"""Bytes of a text by which notes are told from a log."""


def may_hold_positions(path: Path) -> bool:
    """Return whether a file that `TEXT_ENDINGS` names may hold positions: notes end in `.txt` as logs do.

    What cannot be read may: its reader says why it cannot.
    """
    if path.suffix.lower() not in (".txt", ".log"):
        return True
    try:
        with path.open("rb") as stream:
            return _RMC.search(stream.read(_PEEKED)) is not None
    except OSError:
        return True


def read_positions(path: Path | Sequence[Path]) -> Fixes:
    """Read positions and leave out what is none; `dropped` says how many and why.

    Args:
        path: A file, or a folder of a GoPro's chapters or of images with EXIF positions; or several files of one
            receiver, or images.

    Raises:
        DataError: If the ending is not known, the file cannot be read, or no position is left.
    """
    name = str(path) if isinstance(path, Path) else _name_of(path)
    if isinstance(path, Path):
        fixes = usable(_folder(path) if path.is_dir() else _file(path))
    elif all(one.suffix.lower() in IMAGE_ENDINGS for one in path):
        fixes = usable(read_stills(list(path), name))
    else:
        fixes = usable(joined([_file(one) for one in path], name))
    if len(fixes) < 2:
        why = ", ".join(f"{count} {reason}" for reason, count in fixes.dropped.items()) or "it holds none"
        raise DataError(f"{name}: fewer than two usable positions ({why})")
    return fixes


def _name_of(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _file(path: Path) -> Fixes:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path}: expected positions as {', '.join(sorted(_READERS))}, or a folder of GoPro videos or images"
        )
    return reader(path)


def _folder(path: Path) -> Fixes:
    """Read the chapters of a camera, or its images."""
    entries = sorted(path.iterdir())
    videos = [entry for entry in entries if entry.suffix.lower() in _VIDEOS]
    images = [entry for entry in entries if entry.suffix.lower() in IMAGE_ENDINGS]
    if bool(videos) == bool(images):
        raise DataError(
            f"{path}: expected GoPro videos in it ({', '.join(_VIDEOS)}) or images ({', '.join(IMAGE_ENDINGS)}), "
            f"got {len(videos)} and {len(images)}"
        )
    if images:
        return read_stills(images, str(path))
    return joined([read_gopro(video) for video in videos], str(path))

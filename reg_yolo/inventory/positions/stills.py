"""Positions in the EXIF data of images, one by file name."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.positions.fixes import Fixes
from reg_yolo.inventory.timing import parse_time

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")

_NAN = float("nan")
_GPS = ExifTags.GPS


def read_stills(paths: list[Path], source: str) -> Fixes:
    """Read the positions of images; those that have none are counted in `dropped`.

    Args:
        paths: Images in any order.
        source: What they are called together.

    Raises:
        DataError: If none has a position.
    """
    rows, names, without = [], [], 0
    for path in sorted(paths, key=_key):
        tags = _tags(path)
        if not {_GPS.GPSLatitude, _GPS.GPSLongitude} <= set(tags):
            without += 1
            continue
        rows.append(_fix(tags))
        names.append(path.name)
    if not rows:
        raise DataError(f"{source}: none of its {len(paths)} images has a position in its EXIF data")
    time, longitude, latitude, elevation, dop, kind = (list(column) for column in zip(*rows, strict=True))
    fixes = Fixes.from_columns(
        source, time, longitude, latitude, elevation_m=elevation, dop=dop, fix_type=kind, names=tuple(names)
    )
    if without:
        fixes.dropped["image without a position in its EXIF data"] = without
    return fixes


def _key(path: Path) -> tuple[int | str, ...]:
    """Order img_9 before img_10: text and numbers alternate and are never compared with each other."""
    parts = re.split(r"(\d+)", path.name)
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts))


def _tags(path: Path) -> Mapping[int, Any]:
    """The tags of EXIF's GPS directory, empty where there is none or the image is damaged."""
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")  # Of damaged EXIF data; what lacks a position is counted.
            return dict(image.getexif().get_ifd(ExifTags.IFD.GPSInfo))
    # Once Ultralytics is imported, Image.open asks for a package (ImportError) where it knows no format.
    except (OSError, ValueError, SyntaxError, ImportError, Image.DecompressionBombError):
        return {}


def _fix(tags: Mapping[int, Any]) -> tuple[float, float, float, float, float, int]:
    """Time, longitude, latitude, elevation, DOP and fix type; what cannot be read is NaN."""
    longitude = _degrees(tags[_GPS.GPSLongitude], tags.get(_GPS.GPSLongitudeRef))
    latitude = _degrees(tags[_GPS.GPSLatitude], tags.get(_GPS.GPSLatitudeRef))
    below = tags.get(_GPS.GPSAltitudeRef) in (1, b"\x01")
    height = _number(tags.get(_GPS.GPSAltitude))
    mode = str(tags.get(_GPS.GPSMeasureMode, "")).strip("\0 ")
    kind = int(mode) if mode in ("2", "3") else -1
    if str(tags.get(_GPS.GPSStatus, "")).startswith("V"):
        kind = 0
    return _time(tags), longitude, latitude, -height if below else height, _number(tags.get(_GPS.GPSDOP)), kind


def _time(tags: Mapping[int, Any]) -> float:
    """POSIX seconds of the receiver's UTC date and time."""
    try:
        hour, minute, second = (float(part) for part in tags[_GPS.GPSTimeStamp])
        day = str(tags[_GPS.GPSDateStamp]).strip("\0 ")
        return parse_time(f"{day} 00:00:00") + 3600 * hour + 60 * minute + second
    except (KeyError, TypeError, ValueError, ZeroDivisionError, ConfigError):
        return _NAN


def _degrees(parts: Any, hemisphere: Any) -> float:
    """Degrees of EXIF's degrees, minutes and seconds, some of which may be missing."""
    try:
        value = sum(float(part) / 60**place for place, part in enumerate(parts))
    except (TypeError, ValueError, ZeroDivisionError):
        return _NAN
    return -value if str(hemisphere).startswith(("S", "W")) else value


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return _NAN

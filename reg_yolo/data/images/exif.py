"""When and where an image was taken, as its EXIF data says."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from reg_yolo.data.images.pixels import exif_of
from reg_yolo.files import open_regular

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_DATE_TIME_ORIGINAL, _DATE_TIME_DIGITIZED = 0x9003, 0x9004


@dataclass(frozen=True)
class ExifFacts:
    """What an image says of itself.

    Attributes:
        time: Local time of the exposure, without a time zone; None if it is not there or no time.
        position: Latitude and longitude in degrees, north and east positive; None if it is not there. 0, 0 is what
            cameras write that have no fix, and counts as none.
    """

    time: datetime | None = None
    position: tuple[float, float] | None = None


def read_exif(path: Path) -> ExifFacts:
    """Read time and position from a JPEG, PNG or TIFF; damaged or absent EXIF data gives empty facts."""
    try:
        with open_regular(path) as stream:
            start = stream.read(8)
        plugin = _plugin(start)
        if plugin is None:
            return ExifFacts()
        # The plug-in classes, not Image.open: Ultralytics replaces that one.
        with warnings.catch_warnings():
            # Pillow warns of every damaged tag, and reads the rest.
            warnings.simplefilter("ignore")
            with plugin(str(path)) as image:
                exif = exif_of(image)
                return ExifFacts(_time(exif.get_ifd(_EXIF_IFD)), _position(exif.get_ifd(_GPS_IFD)))
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError):
        return ExifFacts()
    except Exception as error:
        # Pillow lets struct.error and others of its own through where EXIF data is cut off.
        if type(error).__module__ in ("struct", "PIL", "PIL.Image", "zlib"):
            return ExifFacts()
        raise


def _plugin(start: bytes) -> type[Any] | None:
    if start.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if start.startswith(b"\x89PNG"):
        return PngImagePlugin.PngImageFile
    if start[:4] in (b"II*\x00", b"MM\x00*"):
        return TiffImagePlugin.TiffImageFile
    return None


def _time(tags: dict[int, Any]) -> datetime | None:
    for tag in (_DATE_TIME_ORIGINAL, _DATE_TIME_DIGITIZED):
        try:
            return datetime.strptime(str(tags[tag]).strip("\x00 ")[:19], "%Y:%m:%d %H:%M:%S")
        except (KeyError, ValueError):
            continue
    return None


def _position(tags: dict[int, Any]) -> tuple[float, float] | None:
    try:
        latitude = _degrees(tags[2]) * (-1 if str(tags[1]).strip("\x00 ").upper() == "S" else 1)
        longitude = _degrees(tags[4]) * (-1 if str(tags[3]).strip("\x00 ").upper() == "W" else 1)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, IndexError):
        return None
    sound = math.isfinite(latitude) and math.isfinite(longitude) and abs(latitude) <= 90 and abs(longitude) <= 180
    return (latitude, longitude) if sound and (latitude, longitude) != (0.0, 0.0) else None


def _degrees(parts: Any) -> float:
    return sum(float(part) / 60**power for power, part in enumerate(parts))

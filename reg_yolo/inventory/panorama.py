"""360-degree video and images, which are named and refused: their pixels are no rays of a flat camera."""

from __future__ import annotations

import struct
from pathlib import Path

from reg_yolo.errors import DataError

_ENDINGS = (".360", ".insv", ".insp")
_BOXES = (b"sv3d", bytes.fromhex("ffcc8263f8554a938814587a02521fdd"))
"""Spherical video in MP4, versions 2 and 1 of github.com/google/spatial-media."""
_XMP = b"GPano:ProjectionType"
_HEAD_BYTES = 1 << 18
ADVICE = "cut flat views from it (such as ffmpeg -vf v360=e:flat:h_fov=90:v_fov=60) and detect on those"


def refuse_panorama(source: str, width: int, height: int, has_camera: bool) -> None:
    """Raise DataError if a drive's first file is a 360-degree one.

    Args:
        source: The file; what it says of itself is read where it is at hand.
        width, height: Of its frames in pixels.
        has_camera: Whether a calibration is given, which says that frames of 2:1 are flat.
    """
    name = Path(source).name
    if Path(source).suffix.lower() in _ENDINGS or _states_sphere(Path(source)):
        raise DataError(f"{name} is 360-degree video, which gives no positions of assets; {ADVICE}")
    if width == 2 * height and not has_camera:
        raise DataError(
            f"{name}: frames of {width}x{height} (2:1) look like 360-degree video; {ADVICE}, or give --camera if they "
            "are flat"
        )


def _states_sphere(path: Path) -> bool:
    """Whether the metadata of a file at hand say that it covers the sphere."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
            if head[4:8] != b"ftyp":
                return _XMP in head
            at = 0
            while True:
                stream.seek(at)
                size, kind = struct.unpack(">I4s", stream.read(8))
                if size == 1:
                    (size,) = struct.unpack(">Q", stream.read(8))
                if kind == b"moov":
                    content = stream.read(size)
                    return any(mark in content for mark in _BOXES)
                if size < 8:
                    return False
                at += size
    except (OSError, struct.error):
        return False

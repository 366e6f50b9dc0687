"""Whether a file goes on behind what FFmpeg reads of it, as one does that was put together byte by byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 20
# What a file of these containers begins with.
_BEGINNINGS = {"matroska": b"\x1a\x45\xdf\xa3", "flv": b"FLV\x01"}


def has_another_part(path: Path, container_name: str, read_up_to: int) -> bool:
    """Return whether another file of the same container begins behind the last packet that was read.

    Args:
        path: The file.
        container_name: FFmpeg's name of the container, such as ``matroska,webm``.
        read_up_to: Bytes from the start of the file to the end of the last packet.
    """
    with path.open("rb") as stream:
        if "mp4" in container_name:
            return _count_of_type_boxes(stream) > 1
        for name, beginning in _BEGINNINGS.items():
            if name in container_name:
                return _finds(stream, beginning, max(read_up_to, len(beginning)))
    return False


def _finds(stream: BinaryIO, wanted: bytes, start: int) -> bool:
    stream.seek(start)
    before = b""
    while block := stream.read(_BLOCK):
        if wanted in before + block:
            return True
        before = block[-len(wanted) :]
    return False


def _count_of_type_boxes(stream: BinaryIO) -> int:
    """Count the `ftyp` boxes at the top of an mp4 or mov, which has one."""
    size, place, count = stream.seek(0, os.SEEK_END), 0, 0
    while place + 8 <= size:
        stream.seek(place)
        head = stream.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:16], "big")
        count += head[4:8] == b"ftyp"
        if length < 8:
            break
        place += length
    return count

"""Small videos, also with a variable frame rate, and where the real one lies."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np

from tests.real_data import REAL_DATA

REAL_VIDEO = REAL_DATA / "video" / "highway_960x540.mp4"


def write_video(path: Path, pictures: list[np.ndarray], fps: float = 25.0) -> Path:
    """Write images, all of one size, as an mp4 at a constant rate."""
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def slow_down_halfway(path: Path) -> list[float]:
    """Rewrite an mp4 so that its first half plays at twice the speed and its second at two thirds of it.

    The table of frame durations (`stts`) gets two entries for its one; the whole duration stays, so that nothing else
    has to change. Returns the new timestamps in seconds.
    """
    content = bytearray(path.read_bytes())
    position, parents = _find(content, [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"])
    entries, frames, duration = struct.unpack_from(">III", content, position + 12)
    assert entries == 1 and frames % 2 == 0 and duration % 2 == 0
    halves = [(frames // 2, duration // 2), (frames // 2, duration * 3 // 2)]
    table = struct.pack(">II", 0, 2) + b"".join(struct.pack(">II", *half) for half in halves)
    header = struct.pack(">I4s", len(table) + 8, b"stts")
    content[position : position + 24] = header + table
    for parent in parents:
        struct.pack_into(">I", content, parent, struct.unpack_from(">I", content, parent)[0] + 8)
    path.write_bytes(content)
    scale_at, _ = _find(content, [b"moov", b"trak", b"mdia", b"mdhd"])
    scale = struct.unpack_from(">I", content, scale_at + 20)[0]
    steps = [step for count, step in halves for _ in range(count)]
    return [sum(steps[:index]) / scale for index in range(frames)]


def _find(content: bytearray, names: list[bytes]) -> tuple[int, list[int]]:
    """Return where the box of the last name begins, and where those around it do."""
    start, end, around = 0, len(content), []
    for depth, name in enumerate(names):
        position = start
        while position < end:
            size, kind = struct.unpack_from(">I4s", content, position)
            if kind == name:
                break
            position += size
        else:
            raise AssertionError(f"no box {name!r}")
        if depth < len(names) - 1:
            around.append(position)
            start, end = position + 8, position + size
    return position, around

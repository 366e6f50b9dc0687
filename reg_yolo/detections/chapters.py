"""The chapters of a drive and their order: cameras cut one recording into files of a few minutes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reg_yolo.errors import MediaError

# GX020012.MP4 is the second chapter of recording 12; older cameras: GOPR0012.MP4, then GP010012.MP4.
_GOPRO = re.compile(r"^G[XHLP](?P<chapter>\d{2})(?P<recording>\d{4})$|^GOPR(?P<first>\d{4})$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Chapter:
    """The start of a drive's next file.

    Attributes:
        path: The file.
        frame: Index in the drive of its first frame.
        start_s: Where it starts, in seconds from the start of the drive.
    """

    path: Path
    frame: int
    start_s: float

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object of the chapter; see docs/detections_jsonl.md."""
        return {
            "record": "chapter",
            "source": str(self.path),
            "frame": self.frame,
            "start_s": round(self.start_s, 6),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Chapter":
        """Read `to_record`'s object."""
        return cls(Path(record["source"]), int(record["frame"]), float(record["start_s"]))


def chapter_order(paths: Sequence[Path]) -> list[Path]:
    """Return the files of one drive in the order they were filmed.

    GoPro's names put the chapter before the recording's number and are read so; all others count up or hold the time,
    and are sorted with their numbers taken as numbers.

    Args:
        paths: Videos of one camera.

    Raises:
        MediaError: If the names are of several kinds, such as those of a front and a rear camera.

    Example:
        >>> [path.name for path in chapter_order([Path("GX020012.MP4"), Path("GX010012.MP4")])]
        ['GX010012.MP4', 'GX020012.MP4']
    """
    kinds = {_kind(path): path for path in reversed(paths)}
    if len(kinds) > 1:
        first, second = sorted(path.name for path in kinds.values())[:2]
        raise MediaError(
            f"{paths[0].parent}: {first} and {second} are named differently and may be of two cameras; name one "
            "drive's chapters by a pattern such as '*_F.mp4', or in their order in a .txt list."
        )
    return sorted(paths, key=_key)


def recordings(paths: Sequence[Path]) -> list[list[Path]]:
    """Return the files of one folder by recording, each in the order it was filmed.

    GoPro's names tell the recording; of other cameras, files whose names differ in their numbers only are one
    recording, so that front and rear camera are two.

    Args:
        paths: Videos.

    Example:
        >>> names = ["GX010012.MP4", "GX020012.MP4", "GX010013.MP4"]
        >>> [[path.name for path in files] for files in recordings([Path(name) for name in names])]
        [['GX010012.MP4', 'GX020012.MP4'], ['GX010013.MP4']]
    """
    found: dict[str, list[Path]] = {}
    for path in paths:
        gopro = _GOPRO.match(path.stem)
        name = f"gopro {gopro['recording'] or gopro['first']}" if gopro else _kind(path)
        found.setdefault(name, []).append(path)
    return sorted((chapter_order(files) for files in found.values()), key=lambda files: str(files[0]))


def _kind(path: Path) -> str:
    return "gopro" if _GOPRO.match(path.stem) else re.sub(r"\d+", "#", path.stem).casefold()


def _key(path: Path) -> tuple[int | str, ...]:
    gopro = _GOPRO.match(path.stem)
    if gopro:
        return int(gopro["recording"] or gopro["first"]), int(gopro["chapter"] or 0), str(path)
    # Split by digits, so that text and numbers alternate and are never compared with each other.
    parts = re.split(r"(\d+)", path.stem.casefold())
    return (*(int(part) if number % 2 else part for number, part in enumerate(parts)), str(path))

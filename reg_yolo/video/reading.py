"""Everything that a source holds, in order: frames, holes, chapters, and files that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reg_yolo.detections.chapters import Chapter
from reg_yolo.detections.holes import Hole
from reg_yolo.detections.joins import Join
from reg_yolo.errors import MediaError
from reg_yolo.video.decoding import Picture, read_frames
from reg_yolo.video.probing import VideoInfo
from reg_yolo.video.sources import Source

# Asked with index and time; a new one is made for every video, and one for all chapters of a drive.
Wanted = Callable[[int, float], bool]


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """One frame or image.

    Attributes:
        path: Its file.
        index: Index in its file, or in the whole drive; 0 for an image.
        time_s: Seconds from the start of its file, or of the drive; None for an image.
        picture: BGR, shape (H, W, 3), uint8.
        video: What the file's container announces; None for an image.
    """

    path: Path
    index: int
    time_s: float | None
    picture: Picture
    video: VideoInfo | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that gives nothing, and why."""

    path: Path
    reason: str


SourceItem = SourceFrame | Chapter | Hole | Join | Unreadable


def read_source(
    media: Source, read_image: Callable[[Path], Picture], thinning: Callable[[], Wanted] | None = None
) -> Iterator[SourceItem]:
    """Yield what a source holds: its images, then each video by itself, or a drive's chapters on one clock.

    Args:
        media: The source.
        read_image: Decodes an image to BGR, or raises MediaError.
        thinning: Makes what decides which frames of a video are looked at.
    """
    videos = [file for file in media.files if file.kind == "video"]
    for file in (file for file in media.files if file.kind == "image"):
        try:
            picture = read_image(file.path)
        except MediaError as error:
            yield Unreadable(file.path, str(error))
            continue
        yield SourceFrame(file.path, 0, None, picture, None)
        del picture
    drive, wanted = media.kind == "drive", thinning() if thinning else None
    extent = _Extent(0, 0.0)
    for file in videos:
        try:
            info = file.video
        except MediaError as error:
            if drive:
                # How long it was nobody knows, so the clock goes on without it.
                yield Hole(str(file.path), extent.end_s, None, "unreadable", extent.next_index)
            yield Unreadable(file.path, str(error))
            continue
        if drive:
            yield Chapter(file.path, extent.next_index, extent.end_s)
        yield from _video(file.path, info, wanted, extent)
        if not drive:
            extent, wanted = _Extent(0, 0.0), thinning() if thinning else None


@dataclass
class _Extent:
    """How far a video or drive has been read, frames included that were not wanted."""

    next_index: int
    end_s: float


def _video(path: Path, info: VideoInfo, wanted: Wanted | None, extent: _Extent) -> Iterator[SourceItem]:
    first, start_s = extent.next_index, extent.end_s

    def asked(index: int, time_s: float) -> bool:
        return wanted is None or wanted(first + index, start_s + time_s)

    period = 1 / info.fps if info.fps else 0.0
    for item in read_frames(path, asked):
        if isinstance(item, Hole):
            end_s = None if item.end_s is None else start_s + item.end_s
            yield Hole(item.source, start_s + item.start_s, end_s, item.reason, first + item.frame)
            if item.reason == "cut_off" and item.end_s is not None:
                extent.end_s = max(extent.end_s, start_s + item.end_s)
                lost = round((item.end_s - item.start_s) / period) if period else 0
                extent.next_index = max(extent.next_index, first + item.frame + lost)
            continue
        if isinstance(item, Join):
            yield Join(item.source, first + item.frame, start_s + item.time_s, item.jump_s)
            continue
        extent.next_index = first + item.index + 1
        extent.end_s = max(extent.end_s, start_s + item.time_s + period)
        if item.picture is not None:
            yield SourceFrame(path, first + item.index, start_s + item.time_s, item.picture, info)
        del item

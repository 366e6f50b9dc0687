"""Everything that a source holds, in order: frames, holes, chapters, and files that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reg_yolo.detections.chapters import Chapter
from reg_yolo.detections.holes import Hole
from reg_yolo.errors import MediaError
from reg_yolo.video.decoding import Picture, read_frames
from reg_yolo.video.probing import VideoInfo, probe_image, probe_video
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


SourceItem = SourceFrame | Chapter | Hole | Unreadable


def read_source(
    media: Source, read_image: Callable[[Path], Picture | None], thinning: Callable[[], Wanted] | None = None
) -> Iterator[SourceItem]:
    """Yield what a source holds: its images, then each video by itself, or a drive's chapters on one clock.

    Args:
        media: The source.
        read_image: Decodes an image to BGR; None where it does not decode.
        thinning: Makes what decides which frames of a video are looked at.
    """
    for path in media.images:
        picture = read_image(path)
        if picture is None:
            yield Unreadable(path, _why_no_image(path))
        else:
            yield SourceFrame(path, 0, None, picture, None)
            del picture
    if media.kind == "drive":
        yield from _drive(media.videos, thinning() if thinning else None)
        return
    for path in media.videos:
        try:
            info = probe_video(path)
        except MediaError as error:
            yield Unreadable(path, str(error))
            continue
        yield from _video(path, info, thinning() if thinning else None, 0, 0.0)


def expected_frames(media: Source, thinning: object | None = None) -> int | None:
    """Return how many frames the containers announce, images included; None where one does not say, or for a part.

    Args:
        media: The source.
        thinning: Whatever leaves frames out, if anything does.
    """
    if media.videos and thinning is not None:
        return None
    total = len(media.images)
    for path in media.videos:
        try:
            count = probe_video(path).frame_count
        except MediaError:
            continue
        if count is None:
            return None
        total += count
    return total


def _drive(chapters: list[Path], wanted: Wanted | None) -> Iterator[SourceItem]:
    first, start_s = 0, 0.0
    for path in chapters:
        try:
            info = probe_video(path)
        except MediaError as error:
            # How long it was nobody knows, so the clock goes on without it.
            yield Hole(str(path), start_s, None, "unreadable", first)
            yield Unreadable(path, str(error))
            continue
        yield Chapter(path, first, start_s)
        extent = _Extent(first, start_s)
        yield from _video(path, info, wanted, first, start_s, extent)
        announced = start_s + (info.duration_s or 0.0)
        first, start_s = max(extent.next_index, first + (info.frame_count or 0)), max(extent.end_s, announced)


@dataclass
class _Extent:
    """How far a video reached, frames included that were not wanted."""

    next_index: int
    end_s: float


def _video(
    path: Path, info: VideoInfo, wanted: Wanted | None, first: int, start_s: float, extent: _Extent | None = None
) -> Iterator[SourceItem]:
    def asked(index: int, time_s: float) -> bool:
        return wanted is None or wanted(first + index, start_s + time_s)

    period = 1 / info.fps if info.fps else 0.0
    for item in read_frames(path, asked):
        if isinstance(item, Hole):
            end_s = None if item.end_s is None else start_s + item.end_s
            yield Hole(item.source, start_s + item.start_s, end_s, item.reason, first + item.frame)
            continue
        if extent is not None:
            extent.next_index = first + item.index + 1
            extent.end_s = max(extent.end_s, start_s + item.time_s + period)
        if item.picture is not None:
            yield SourceFrame(path, first + item.index, start_s + item.time_s, item.picture, info)
        del item


def _why_no_image(path: Path) -> str:
    try:
        probe_image(path)
    except MediaError as error:
        return str(error)
    return f"{path} was passed over by Ultralytics' reader, although it decodes."

"""The frames of a source that the detections name, decoded once and in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from reg_yolo.errors import MediaError
from reg_yolo.inventory.drive.looks import MediaFacts
from reg_yolo.inventory.thumbnails.cutting import Picture
from reg_yolo.video.picking import FramePlace, pick_frames, read_picture
from reg_yolo.video.probing import probe_video
from reg_yolo.video.sources import IMAGE_SUFFIXES


def frames_of(
    path: Path, source: str, places: Sequence[FramePlace], media: MediaFacts
) -> Iterator[tuple[FramePlace, Picture]]:
    """Yield chosen frames of a source, or an image.

    Raises:
        MediaError: If it cannot be opened, or is not the one that the detections were made from.
    """
    if path.suffix.lower().removeprefix(".") in IMAGE_SUFFIXES:
        yield places[0], read_picture(path)
        return
    stated, found = media.frame_counts.get(source), probe_video(path).frame_count
    if None not in (stated, found) and stated != found:
        raise MediaError(f"{path} has {found} frames, the detections are of a video of {stated}")
    yield from pick_frames(path, places, seek=source not in media.disturbed)

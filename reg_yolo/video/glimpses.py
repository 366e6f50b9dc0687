"""A few images of a video or of a folder, evenly spread: enough to judge a camera by, in a moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from reg_yolo.errors import MediaError
from reg_yolo.video.decoding import Picture, VideoFrame, announced_end, open_video, read_frames, to_picture
from reg_yolo.video.picking import read_picture
from reg_yolo.video.sources import MediaFile

_SHORT_S = 20.0
"""Videos up to this length are decoded whole."""


class Glimpses(NamedTuple):
    """Images in their order, and what could not be read.

    Attributes:
        pictures: BGR, shape (H, W, 3).
        failed: Reasons.
    """

    pictures: list[Picture]
    failed: list[str]


def glimpse(files: Sequence[MediaFile], count: int) -> Glimpses:
    """Return about `count` images, evenly spread over some videos or images.

    Of a video the key frames next to evenly spaced times are taken, so that nothing else is decoded.
    """
    pictures: list[Picture] = []
    failed: list[str] = []
    places = _spread(len(files), count) if files and files[0].kind == "image" else range(len(files))
    each = -(-count // max(1, len(files)))
    for place in places:
        path = files[place].path
        try:
            pictures += [read_picture(path)] if files[place].kind == "image" else list(_key_frames(path, each))
        except MediaError as error:
            failed.append(str(error))
    # Of many short chapters more come together than were asked for.
    return Glimpses([pictures[place] for place in _spread(len(pictures), count)], failed)


def _key_frames(path: Path, count: int) -> Iterator[Picture]:
    with open_video(path) as (container, stream):
        length_s = announced_end(container, stream)[0] or 0.0
        if length_s <= _SHORT_S:
            yield from _thinned(path, length_s / count)
            return
        unit, start = stream.time_base, stream.start_time or 0
        converter, seen = VideoReformatter(), set()
        # In the middle of equal parts: the ends of a drive are the depot.
        for time_s in (np.arange(count) + 0.5) * length_s / count if unit else ():
            try:
                container.seek(start + round(float(time_s) / float(unit)), stream=stream)
                frame = next(iter(container.decode(stream)))
            except (av.FFmpegError, OSError, StopIteration):
                continue
            if frame.pts in seen or frame.is_corrupt:
                continue
            seen.add(frame.pts)
            yield to_picture(frame, converter)
        if not seen:
            raise MediaError(f"{path} holds no frame that decodes")


def _thinned(path: Path, step_s: float) -> Iterator[Picture]:
    """Frames of a short video, which may have a single key frame; of one without a length the first."""
    wanted_s = step_s / 2

    def wanted(_index: int, time_s: float) -> bool:
        nonlocal wanted_s
        if time_s < wanted_s:
            return False
        wanted_s += step_s or float("inf")
        return True

    found = False
    for frame in read_frames(path, wanted):
        if isinstance(frame, VideoFrame) and frame.picture is not None:
            found = True
            yield frame.picture
            if not step_s:
                return
    if not found:
        raise MediaError(f"{path} holds no frame that decodes")


def _spread(length: int, count: int) -> list[int]:
    """Return up to `count` places of `length`, evenly spread."""
    if length <= count:
        return list(range(length))
    return [int(place) for place in (np.arange(count) + 0.5) * length / count]

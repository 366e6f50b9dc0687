"""Single frames of a video, and images: what is looked at once, here and there in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageOps

from reg_yolo.errors import MediaError
from reg_yolo.video.decoding import (
    Picture,
    VideoFrame,
    counts_from_anywhere,
    frame_period,
    open_video,
    read_frames,
    to_picture,
)
from reg_yolo.video.probing import decode_by_opencv

_SEEK_PAYS_S = 3.0
"""Cameras write a key frame every half to two seconds: over less than this, decoding on is as fast as seeking."""
_SAME_TIME_S = 1e-3
_FAILED = (av.FFmpegError, OSError)


class FramePlace(NamedTuple):
    """Where a frame is: its number in the file from 0, and its time in seconds, as `read_frames` gives them."""

    number: int
    time_s: float


def pick_frames(path: Path, places: Sequence[FramePlace], *, seek: bool = True) -> Iterator[tuple[FramePlace, Picture]]:
    """Yield chosen frames of a video, in their order for the most part; frames that are not there are left out.

    Frames are sought by their time where the next one is far; what is not found so, at its very time, is looked for
    once more frame by frame.

    Args:
        path: The video.
        places: Frames.
        seek: False reads all frames from the start: for files with damage, or of parts with clocks of their own.

    Raises:
        MediaError: If the file cannot be opened as a video.
    """
    left = sorted(set(places))
    if seek:
        for place, picture in _sought(path, left):
            yield place, picture
            left = [one for one in left if one != place]
    by_number = {place.number: place for place in left}
    if not by_number:
        return
    last = max(by_number)
    for frame in read_frames(path, lambda index, _time_s: index in by_number):
        if not isinstance(frame, VideoFrame):
            continue
        if frame.picture is not None and abs(frame.time_s - by_number[frame.index].time_s) <= _SAME_TIME_S:
            yield by_number[frame.index], frame.picture
        if frame.index >= last:
            return


def _sought(path: Path, places: Sequence[FramePlace]) -> Iterator[tuple[FramePlace, Picture]]:
    with open_video(path) as (container, stream):
        if counts_from_anywhere(container) or stream.time_base is None or stream.start_time is None:
            return
        unit, converter = float(stream.time_base), VideoReformatter()
        slack_s = min(_SAME_TIME_S, frame_period(stream) / 4)
        frames: Iterator[Any] | None = None
        reached_s = 0.0
        for place in places:
            try:
                if frames is None or place.time_s - reached_s > _SEEK_PAYS_S:
                    container.seek(stream.start_time + round(place.time_s / unit), stream=stream)
                    frames = container.decode(stream)
                for frame in frames:
                    if frame.pts is None:
                        return
                    reached_s = (frame.pts - stream.start_time) * unit
                    if reached_s >= place.time_s - slack_s:
                        break
                else:
                    frames = None
                    continue
            except _FAILED:
                frames = None
                continue
            if abs(reached_s - place.time_s) <= slack_s and not frame.is_corrupt:
                yield place, to_picture(frame, converter)
            elif reached_s > place.time_s:
                # It has gone past the next one, maybe.
                frames = None


def read_picture(path: Path) -> Picture:
    """Return an image as BGR, shape (H, W, 3), turned as its EXIF data say.

    Raises:
        MediaError: If it is missing, empty or does not decode.
    """
    picture = decode_by_opencv(path)
    if picture is not None and picture.dtype == np.uint8:
        return np.asarray(picture, np.uint8)
    try:
        with Image.open(path) as image:
            return np.ascontiguousarray(np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[:, :, ::-1])
    except (ImportError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise MediaError(f"{path} does not decode as an image: it is damaged, cut off or of another format.") from None

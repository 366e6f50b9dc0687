"""Frames of a video file with exact timestamps, past damage, and with the holes that damage leaves.

FFmpeg (through PyAV) reports damage and end alike, conceals what it cannot decode, and goes on predicting from the
concealment. So what is not sound is left out here until a key frame comes, and at the end the timestamps are compared
with the duration that the container announces.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from reg_yolo.errors import MediaError
from reg_yolo.video.holes import Hole

Picture = NDArray[np.uint8]

# Failed reads in a row after which a file counts as ended.
_MOST_FAILED_READS = 64
# A decoder uses this many threads at most: more hold more frames in memory and gain little.
_MOST_DECODER_THREADS = 4
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One sound frame.

    Attributes:
        index: Index in its file, from 0; behind a hole counted on at the nominal rate.
        time_s: Timestamp in seconds, from the start that the container announces.
        picture: BGR, shape (H, W, 3), uint8; None for a frame that was not wanted.
    """

    index: int
    time_s: float
    picture: Picture | None


@contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a video and yield PyAV's container and its video stream.

    Raises:
        MediaError: If it cannot be opened, or holds no video.
    """
    # Without FFmpeg's file protocol a name with a colon would be taken for an address.
    try:
        container = av.open(f"file:{path}", metadata_errors="ignore")
    except (av.FFmpegError, OSError, ValueError):
        raise MediaError(f"{path} cannot be opened as a video: it is damaged, cut off or of another format.") from None
    try:
        stream: Any = container.streams.best("video")
        if stream is None or stream.codec_context is None:
            raise MediaError(f"{path} cannot be opened as a video: it has no picture track that this machine decodes.")
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(_MOST_DECODER_THREADS, os.cpu_count() or 1)
        yield container, stream
    finally:
        container.close()


def frame_period(stream: Any) -> float:
    """Return the nominal time between two frames in seconds; a 25th where the container names none."""
    rate = stream.average_rate or stream.guessed_rate
    return float(1 / rate) if rate and 0 < rate <= 1000 else 1 / 25


def announced_end(container: Any, stream: Any) -> float | None:
    """Return the duration in seconds that the container announces for the pictures; None where it does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(Fraction(container.duration, av.time_base))
    return None


def read_frames(path: Path, wanted: Callable[[int, float], bool] | None = None) -> Iterator[VideoFrame | Hole]:
    """Yield the sound frames of a video in the order they are shown, and its holes between them.

    Args:
        path: The file.
        wanted: Asked with index and time of every frame; a frame that is not wanted comes without its picture, which
            saves the conversion of its colours.

    Raises:
        MediaError: If the file cannot be opened as a video.
    """
    with open_video(path) as (container, stream):
        track = _Continuity(str(path), container, stream)
        converter = VideoReformatter()
        for frame in _decoded(container, stream, track):
            hole, index, time_s = track.place(frame)
            if hole is not None:
                yield hole
            if index is not None:
                picture = _picture(frame, converter) if wanted is None or wanted(index, time_s) else None
                yield VideoFrame(index, time_s, picture)
            del frame
        hole = track.end()
        if hole is not None:
            yield hole


def _decoded(container: Any, stream: Any, track: _Continuity) -> Iterator[Any]:
    failed = 0
    packets = container.demux(stream)
    while failed < _MOST_FAILED_READS:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError):
            # The generator has ended with its error; the container may still have packets behind the damage.
            failed += 1
            track.damaged = True
            packets = container.demux(stream)
            continue
        if packet.size:
            failed = 0
            track.expect(packet)
        try:
            yield from packet.decode()
        except (av.FFmpegError, OSError):
            track.damaged = True


class _Continuity:
    """Which frames of a stream are sound, where they stand, and what lies between them."""

    def __init__(self, source: str, container: Any, stream: Any) -> None:
        self.damaged = False
        self._source = source
        self._unit = stream.time_base or Fraction(1, 1000)
        self._start = stream.start_time
        self._period = frame_period(stream)
        self._announced = announced_end(container, stream)
        # Only a duration of the pictures themselves is exact; sound may go on for a moment.
        self._slack = max(2 * self._period, 0.1) if stream.duration is not None else max(2 * self._period, 1.0)
        self._expected: list[int] = []
        self._lost = 0
        self._next_index = 0
        self._end_s = 0.0

    def expect(self, packet: Any) -> None:
        """Note the timestamp of a packet, whose frame should come."""
        if packet.is_corrupt:
            self.damaged = True
        if packet.pts is not None and not packet.is_discard:
            heapq.heappush(self._expected, packet.pts)

    def place(self, frame: Any) -> tuple[Hole | None, int | None, float]:
        """Return the hole before a decoded frame, the frame's index (None if it is not sound) and its time."""
        self._lost += self._lost_before(frame)
        if frame.is_corrupt:
            self.damaged = True
        time_s = self._time_of(frame)
        if self.damaged and (frame.is_corrupt or not frame.key_frame):
            return None, None, time_s
        gap = time_s - self._end_s
        hole = None
        # A codec may hold single packets that show nothing; several in a gap are frames that did not decode.
        if (self.damaged or self._lost > 1) and gap > 0.5 * self._period:
            hole = Hole(self._source, self._end_s, time_s, "damaged", self._next_index)
            # How many frames a hole swallowed nobody can count: a container without an index does not say.
            self._next_index += round(gap / self._period)
        self.damaged, self._lost = False, 0
        index = self._next_index
        self._next_index = index + 1
        self._end_s = max(self._end_s, time_s + self._period)
        return hole, index, time_s

    def end(self) -> Hole | None:
        """Return the hole between the last sound frame and the announced end."""
        missing = (self._announced or 0.0) - self._end_s
        broken = self.damaged or len(self._expected) > 1
        if missing > (0.5 * self._period if broken else self._slack):
            return Hole(self._source, self._end_s, self._announced, "cut_off", self._next_index)
        if self.damaged and self._announced is None:
            return Hole(self._source, self._end_s, None, "cut_off", self._next_index)
        return None

    def _lost_before(self, frame: Any) -> int:
        if frame.pts is None:
            return 0
        lost = 0
        while self._expected and self._expected[0] <= frame.pts:
            lost += heapq.heappop(self._expected) < frame.pts
        return lost

    def _time_of(self, frame: Any) -> float:
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is None:
            return self._end_s
        if self._start is None:
            self._start = stamp
        return float((stamp - self._start) * self._unit)


def _picture(frame: Any, converter: VideoReformatter) -> Picture:
    """Return a decoded frame as BGR, turned as the container says, bit for bit as OpenCV decodes it."""
    turned = round(frame.rotation) % 360
    converted = converter.reformat(frame, format="bgr24", interpolation="BICUBIC")
    plane: Any = converted.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: converted.height, : converted.width * 3]
    # Without padding at the end of rows this is FFmpeg's own memory, which the array keeps alive.
    picture = np.ascontiguousarray(rows).reshape(converted.height, converted.width, 3)
    return np.asarray(cv2.rotate(picture, _TURNS[turned])) if turned in _TURNS else picture

"""Frames of a video file with exact timestamps, past damage, and with the holes that damage leaves.

FFmpeg (through PyAV) reports damage and end alike, conceals what it cannot decode, and goes on predicting from the
concealment. So what is not sound is left out here until a key frame comes, and at the end the timestamps are compared
with the duration that the container announces.
"""

from __future__ import annotations

import heapq
import os
import re
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

from reg_yolo.detections.holes import Hole
from reg_yolo.errors import MediaError

Picture = NDArray[np.uint8]

# Failed reads in a row after which a file counts as ended.
_MOST_FAILED_READS = 64
# A decoder uses this many threads at most: more hold more frames in memory and gain little.
_MOST_DECODER_THREADS = 4
# A pause of this length in a steady rate is a hole, also where nothing reports damage.
_SILENT_GAP_S = 0.1
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
        # Not several frames at once: whether a frame is told to be broken would then depend on which thread is faster.
        stream.thread_type = "SLICE"
        stream.codec_context.thread_count = min(_MOST_DECODER_THREADS, os.cpu_count() or 1)
        yield container, stream
    finally:
        container.close()


def frame_period(stream: Any) -> float:
    """Return the nominal time between two frames in seconds; a 25th where the container names none."""
    rate = stream.average_rate or stream.guessed_rate
    return float(1 / rate) if rate and 0 < rate <= 1000 else 1 / 25


def announced_end(container: Any, stream: Any) -> tuple[float | None, bool]:
    """Return the duration in seconds that the container announces, None where it does not say; and whether it is exact.

    Only that of the pictures themselves is: sound may go on for a moment.
    """
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base), True
    # Matroska keeps it as text.
    match = re.match(r"(\d+):(\d+):(\d+(?:\.\d+)?)$", stream.metadata.get("DURATION", ""))
    if match:
        return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]), True
    if container.duration is not None:
        return float(Fraction(container.duration, av.time_base)), False
    return None, False


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
            track.lose_packets()
            packets = container.demux(stream)
            continue
        if packet.size:
            failed = 0
            track.expect(packet)
        try:
            yield from packet.decode()
        except (av.FFmpegError, OSError):
            track.fail()


class _Continuity:
    """Which frames of a stream are sound, where they stand, and what lies between them.

    Frames come out of a decoder later than their packets go in, and in another order. So what is known of a packet is
    kept by its timestamp until the frames have come that far.
    """

    def __init__(self, source: str, container: Any, stream: Any) -> None:
        self._source = source
        self._unit = stream.time_base or Fraction(1, 1000)
        self._start = stream.start_time
        self._period = frame_period(stream)
        self._announced, exact = announced_end(container, stream)
        self._slack = max(2 * self._period, 0.1 if exact else 1.0)
        self._expected: list[int] = []
        # Timestamps from which on frames are not to be trusted, and whether the frame of that very time may be.
        self._breaks: list[tuple[int, bool]] = []
        self._gap_in_packets = False
        # Failed packets whose frames have not been found missing yet, and frames missing since the last sound one.
        self._failures = 0
        self._lost = 0
        # Whether all sound frames so far came in whole steps of the nominal rate.
        self._steady = True
        # Whether frames are left out until a key frame comes.
        self._damaged = False
        self._next_index = 0
        self._end_s = 0.0

    def expect(self, packet: Any) -> None:
        """Note the timestamp of a packet, whose frame should come."""
        if packet.pts is None:
            self._damaged |= packet.is_corrupt
            return
        if packet.is_corrupt or self._gap_in_packets:
            heapq.heappush(self._breaks, (packet.pts, not packet.is_corrupt))
            self._gap_in_packets = False
        if not packet.is_discard:
            heapq.heappush(self._expected, packet.pts)

    def lose_packets(self) -> None:
        """Note that the container failed before the next packet."""
        self._gap_in_packets = True

    def fail(self) -> None:
        """Note that a packet failed to decode: the last one or one shortly before, whose frame will be missing."""
        self._failures += 1
        self._damaged = True

    def place(self, frame: Any) -> tuple[Hole | None, int | None, float]:
        """Return the hole before a decoded frame, the frame's index (None if it is not sound) and its time."""
        time_s = self._time_of(frame)
        gap = time_s - self._end_s
        self._lost += (lost := self._lost_before(frame))
        # A codec may hold single packets that show nothing; several in a gap are frames that did not decode.
        if lost and (self._failures or (lost > 1 and gap > 1.5 * self._period)):
            self._damaged = True
        trusted = not frame.is_corrupt and self._passes_breaks(frame)
        if not trusted or (self._damaged and not frame.key_frame):
            self._damaged = True
            return None, None, time_s
        # Some containers drop what is damaged without a word. Then a rate that was steady until here tells.
        periods = gap / self._period
        self._steady &= abs(periods - round(periods)) < 0.15
        silent = self._steady and gap > max(_SILENT_GAP_S, 2.5 * self._period)
        hole = None
        if silent or (self._damaged and gap > 0.5 * self._period):
            hole = Hole(self._source, self._end_s, time_s, "damaged", self._next_index)
            # How many frames a hole swallowed nobody can count: a container without an index does not say.
            self._next_index += round(gap / self._period)
        self._damaged = False
        if self._lost:
            self._lost = self._failures = 0
        index = self._next_index
        self._next_index = index + 1
        self._end_s = max(self._end_s, time_s + self._period)
        return hole, index, time_s

    def _passes_breaks(self, frame: Any) -> bool:
        """Take the breaks up to a frame into account; return whether the frame itself may be sound."""
        trusted = True
        while frame.pts is not None and self._breaks and self._breaks[0][0] <= frame.pts:
            place, sound = heapq.heappop(self._breaks)
            self._damaged = True
            trusted &= sound or place != frame.pts
        return trusted

    def end(self) -> Hole | None:
        """Return the hole between the last sound frame and the announced end."""
        missing = (self._announced or 0.0) - self._end_s
        broken = self._damaged or self._gap_in_packets or bool(self._breaks) or len(self._expected) > 1
        if missing > (0.5 * self._period if broken else self._slack):
            return Hole(self._source, self._end_s, self._announced, "cut_off", self._next_index)
        if broken and self._announced is None:
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
        if self._start is None or (frame.pts is None and self._next_index == 0):
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

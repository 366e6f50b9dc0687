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
from reg_yolo.detections.joins import Join
from reg_yolo.errors import MediaError
from reg_yolo.video.timeline import Timeline
from reg_yolo.video.unread import has_another_part

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
            raise MediaError(f"{path} cannot be opened as a video: it has no image track that this machine decodes.")
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


def counts_from_anywhere(container: Any) -> bool:
    """Return whether a container (MPEG-TS, MPEG-PS) announces nothing, and starts its timestamps anywhere and again."""
    return bool(container.format.flags & av.format.Flags.ts_discont.value)


def announced_end(container: Any, stream: Any) -> tuple[float | None, bool]:
    """Return the duration in seconds that the container announces, None where it does not say; and whether it is exact.

    Only that of the pictures themselves is: sound may go on for a moment. Where a container announces nothing, it is
    the difference of its last and its first timestamp, which says little of a file that was joined.
    """
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base), True
    start_s = float((stream.start_time or 0) * (stream.time_base or 0))
    # Matroska keeps it as text. FFmpeg writes the time of the end there, mkvmerge the duration.
    match = re.match(r"(\d+):(\d+):(\d+(?:\.\d+)?)$", stream.metadata.get("DURATION", ""))
    if match:
        end_s = int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
        is_end = not any(key.startswith("_STATISTICS_") for key in stream.metadata)
        return (end_s - max(0.0, start_s) if is_end else end_s), True
    if container.duration is not None:
        return float(Fraction(container.duration, av.time_base)) - max(0.0, start_s), False
    return None, False


def read_frames(path: Path, wanted: Callable[[int, float], bool] | None = None) -> Iterator[VideoFrame | Hole | Join]:
    """Yield the sound frames of a video in the order they are shown, and its holes and joins between them.

    Times rise from frame to frame, from 0 on, whatever the timestamps in the file do.

    Args:
        path: The file.
        wanted: Asked with index and time of every frame; a frame that is not wanted comes without its image, which
            saves the conversion of its colours.

    Raises:
        MediaError: If the file cannot be opened as a video.
    """
    with open_video(path) as (container, stream):
        track = _Continuity(str(path), container, stream)
        converter = VideoReformatter()
        for frame in _decoded(container, stream, track):
            events, index, time_s = track.place(frame)
            yield from events
            if index is not None:
                picture = to_picture(frame, converter) if wanted is None or wanted(index, time_s) else None
                yield VideoFrame(index, time_s, picture)
            del frame
        hole = track.end(has_more=has_another_part(path, container.format.name, track.read_up_to))
        if hole is not None:
            yield hole


def _decoded(container: Any, stream: Any, track: _Continuity) -> Iterator[Any]:
    failed = 0
    packets = container.demux(*track.streams)
    while failed < _MOST_FAILED_READS:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError):
            # The generator has ended with its error; the container may still have packets behind the damage.
            failed += 1
            for ready, damaged in track.timeline.release():
                yield from _frames_of(ready, damaged, track)
            track.lose_packets()
            packets = container.demux(*track.streams)
            continue
        if packet.size:
            failed = 0
        if packet.stream is not stream:
            track.see_other(packet)
            continue
        for ready, damaged in track.timeline.take(packet):
            yield from _frames_of(ready, damaged, track)


def _frames_of(packet: Any, damaged: bool, track: _Continuity) -> Iterator[Any]:
    if packet.size:
        track.expect(packet, damaged)
    try:
        yield from packet.decode()
    except (av.FFmpegError, OSError):
        track.fail()


class _Continuity:
    """Which frames of a stream are sound, where they stand, and what lies between them.

    Frames come out of a decoder later than their packets go in, and in another order. So what is known of a packet is
    kept by its timestamp until the frames have come that far.

    Attributes:
        timeline: The stream's clock.
        streams: What is to be read: the stream, and where only the end of the whole container is announced, all of it.
        read_up_to: Bytes from the start of the file to the end of the last packet.
    """

    def __init__(self, source: str, container: Any, stream: Any) -> None:
        self._source = source
        self._period = frame_period(stream)
        restarts = counts_from_anywhere(container)
        self.timeline = Timeline(
            stream.time_base or Fraction(1, 1000),
            None if restarts else stream.start_time,
            self._period,
            restarts=restarts,
        )
        self._announced, exact = announced_end(container, stream)
        self._slack = max(2 * self._period, 0.1 if exact else 1.0)
        self._stream_start_s = float((stream.start_time or 0) * (stream.time_base or 0))
        self.streams = [stream] if exact or self._announced is None else _readable(container, stream)
        self.read_up_to = 0
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
        # A join that waits for a sound frame, and how far sound and other tracks reach.
        self._jump_s: float | None = None
        self._others_s = 0.0

    def expect(self, packet: Any, damaged: bool) -> None:
        """Note the timestamp of a packet, whose frame should come, and whether the packet is told to be damaged."""
        self.read_up_to = max(self.read_up_to, (packet.pos or 0) + packet.size)
        if packet.pts is None:
            self._damaged |= damaged
            return
        if damaged or self._gap_in_packets:
            heapq.heappush(self._breaks, (packet.pts, not damaged))
            self._gap_in_packets = False
        if not packet.is_discard:
            heapq.heappush(self._expected, packet.pts)

    def see_other(self, packet: Any) -> None:
        """Note how far another track reaches: where it goes on to the announced end, nothing is cut off."""
        if packet.pts is not None and packet.time_base is not None:
            end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self._others_s = max(self._others_s, end_s - max(0.0, self._stream_start_s))

    def lose_packets(self) -> None:
        """Note that the container failed before the next packet."""
        self._gap_in_packets = True

    def fail(self) -> None:
        """Note that a packet failed to decode: the last one or one shortly before, whose frame will be missing."""
        self._failures += 1
        self._damaged = True

    def place(self, frame: Any) -> tuple[list[Hole | Join], int | None, float]:
        """Return what lies before a decoded frame, the frame's index (None if it is not sound) and its time."""
        missed = self._missed_before(frame)
        self.timeline.miss(missed)
        self._lost += len(missed)
        if frame.is_corrupt or not self._passes_breaks(frame) or (self._damaged and not frame.key_frame):
            return self._left_out(frame)
        time_s, jump_s = self.timeline.time_of(frame)
        if jump_s is not None:
            self._jump_s = jump_s
            # Nobody announced the end of what was joined.
            self._announced = None
        gap = time_s - self._end_s
        # A codec may hold single packets that show nothing; several in a gap are frames that did not decode.
        if missed and (self._failures or (len(missed) > 1 and gap > 1.5 * self._period)):
            self._damaged = True
            if not frame.key_frame:
                return self._left_out(frame)
        # Some containers drop what is damaged without a word. Then a rate that was steady until here tells.
        periods = gap / self._period
        self._steady &= abs(periods - round(periods)) < 0.15
        silent = self._steady and gap > max(_SILENT_GAP_S, 2.5 * self._period)
        events: list[Hole | Join] = []
        if silent or (self._damaged and gap > 0.5 * self._period):
            events.append(Hole(self._source, self._end_s, time_s, "damaged", self._next_index))
            # How many frames a hole swallowed nobody can count: a container without an index does not say.
            self._next_index += round(gap / self._period)
        self._damaged = False
        if self._lost:
            self._lost = self._failures = 0
        index = self._next_index
        if self._jump_s is not None:
            events.append(Join(self._source, index, time_s, self._jump_s))
            self._jump_s = None
        self._next_index = index + 1
        self._end_s = max(self._end_s, time_s + self._period)
        return events, index, time_s

    def _left_out(self, frame: Any) -> tuple[list[Hole | Join], int | None, float]:
        self._damaged = True
        if frame.pts is not None:
            self.timeline.miss([frame.pts])
        return [], None, self._end_s

    def _passes_breaks(self, frame: Any) -> bool:
        """Take the breaks up to a frame into account; return whether the frame itself may be sound."""
        trusted = True
        while frame.pts is not None and self._breaks and self._breaks[0][0] <= frame.pts:
            place, sound = heapq.heappop(self._breaks)
            self._damaged = True
            trusted &= sound or place != frame.pts
        return trusted

    def end(self, *, has_more: bool = False) -> Hole | None:
        """Return the hole behind the last sound frame: up to the announced end, or what FFmpeg does not read."""
        if has_more:
            return Hole(self._source, self._end_s, None, "cut_off", self._next_index)
        missing = (self._announced or 0.0) - self._end_s
        broken = self._damaged or self._gap_in_packets or bool(self._breaks) or len(self._expected) > 1
        if not broken and (self._announced or 0.0) - self._others_s < self._slack:
            return None
        if missing > (0.5 * self._period if broken else self._slack):
            return Hole(self._source, self._end_s, self._announced, "cut_off", self._next_index)
        if broken and self._announced is None:
            return Hole(self._source, self._end_s, None, "cut_off", self._next_index)
        return None

    def _missed_before(self, frame: Any) -> list[int]:
        """Return the timestamps before a frame's whose frames have not come."""
        missed: list[int] = []
        while frame.pts is not None and self._expected and self._expected[0] <= frame.pts:
            stamp = heapq.heappop(self._expected)
            if stamp < frame.pts:
                missed.append(stamp)
        return missed


def _readable(container: Any, stream: Any) -> list[Any]:
    """Return the stream and the sound next to it."""
    return [stream, *container.streams.audio]


def to_picture(frame: Any, converter: VideoReformatter) -> Picture:
    """Return a decoded frame as BGR, turned as the container says, bit for bit as OpenCV decodes it."""
    turned = round(frame.rotation) % 360
    converted = converter.reformat(frame, format="bgr24", interpolation="BICUBIC")
    plane: Any = converted.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: converted.height, : converted.width * 3]
    # Without padding at the end of rows this is FFmpeg's own memory, which the array keeps alive.
    picture = np.ascontiguousarray(rows).reshape(converted.height, converted.width, 3)
    return np.asarray(cv2.rotate(picture, _TURNS[turned])) if turned in _TURNS else picture

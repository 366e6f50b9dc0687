"""One clock for a video stream that never falls back, whatever its timestamps do.

Files that were joined (MPEG-TS and MPEG-PS byte by byte, Matroska segment by segment) start to count again at every
part. A decoder gives frames back later than it takes packets, so that the parts are kept apart by their timestamps:
each part is moved by a span of its own before decoding, and moved to the end of the part before it afterwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

# Wider than any part: 39 hours where a container counts nanoseconds.
_SPAN = 1 << 48
_MOST_PARTS = 30_000
# Forward jumps above this are another clock in containers that count on from anywhere; FFmpeg draws the same line.
_LONGEST_PAUSE_S = 10.0
# Frames may be stored this much before others that are shown earlier.
_MOST_REORDERED = 17
# A packet's damage is told by MPEG-TS when the next but one has begun, so that a join looks like damage before it.
_HELD = 3
# Two frames with one timestamp come so much after each other.
_LEAST_STEP_S = 1e-5


class Timeline:
    """Keeps the parts of one stream apart, and gives its frames times that rise.

    Args:
        unit: Seconds that a timestamp counts.
        start: Timestamp that is time 0; None for that of the first frame.
        period: Nominal time between two frames in seconds.
        restarts: The container counts from anywhere, so that a jump ahead is another clock rather than a long pause.
    """

    def __init__(self, unit: Fraction, start: int | None, period: float, *, restarts: bool) -> None:
        self._unit, self._start, self._period = unit, start, period
        self._restarts = restarts
        self._held: deque[tuple[Any, bool]] = deque()
        # Of the packets' side: number of the part, its highest timestamp, and that of its first key frame.
        self._taken_part = 0
        self._highest: int | None = None
        self._key: int | None = None
        self._decoded_at: int | None = None
        # A packet that jumped away, and what was known before it.
        self._stray: tuple[Any, int, int, int | None, int | None] | None = None
        # Of the frames' side: part, what is added to its times, and the last frame's time and end.
        self._part, self._shift_s = 0, 0.0
        self._last_s: float | None = None
        self._end_s = 0.0
        self._has_stamps = False
        self._missed: list[int] = []

    def take(self, packet: Any) -> Iterator[tuple[Any, bool]]:
        """Yield the packets that may be decoded now, and whether each is told to be damaged.

        Args:
            packet: The stream's next one; the empty one at its end lets out all that are held.
        """
        if not packet.size:
            yield from self.release()
            yield packet, False
            return
        needs_others = False
        before_dts, self._decoded_at = self._decoded_at, packet.dts if packet.dts is not None else self._decoded_at
        if packet.pts is not None:
            self._take_back_a_stray(packet)
            part, highest, key = self._taken_part, self._highest, self._key
            ahead_s = 0.0 if highest is None else float((packet.pts - highest) * self._unit)
            if self._is_another_part(packet, before_dts):
                # What looks like damage right before a join is the join itself.
                self._held = deque((held, False) for held, _ in self._held)
                self._taken_part += 1
                self._highest, self._key = None, None
            if packet.is_keyframe and self._key is None:
                self._key = packet.pts
            # What lies before a later part's first key frame needs frames that are not there.
            needs_others = self._taken_part > 0 and (self._key is None or packet.pts < self._key)
            self._highest = packet.pts if self._highest is None else max(self._highest, packet.pts)
            jumped = self._taken_part != part or ahead_s > _LONGEST_PAUSE_S
            self._stray = (packet, packet.pts, part, highest, key) if jumped and highest is not None else None
            packet.pts += self._taken_part * _SPAN
        if packet.dts is not None:
            packet.dts += self._taken_part * _SPAN
        self._held.append((packet, packet.is_corrupt or needs_others))
        if len(self._held) > _HELD:
            yield self._held.popleft()

    def _take_back_a_stray(self, packet: Any) -> None:
        """Where the packet before jumped away and this one is back, take the timestamp of that one for wrong.

        Some recorders write single frames hours away from their neighbours.
        """
        if self._stray is None:
            return
        stray, stamp, part, highest, key = self._stray
        self._stray = None
        assert highest is not None  # Only what jumped away from something is a stray.
        # In a new part, the second packet is nearer to the first than to what was before.
        if abs(packet.pts - highest) < min(
            abs(packet.pts - stamp), max(1.0, _MOST_REORDERED * self._period) / self._unit
        ):
            stray.pts = stray.dts = None
            self._taken_part, self._highest, self._key = part, highest, key

    def release(self) -> Iterator[tuple[Any, bool]]:
        """Yield the packets that are held."""
        while self._held:
            yield self._held.popleft()

    def _is_another_part(self, packet: Any, before_dts: int | None) -> bool:
        if self._highest is None or self._taken_part >= _MOST_PARTS:
            return False
        back_s = float((self._highest - packet.pts) * self._unit)
        if self._restarts and -back_s > _LONGEST_PAUSE_S:
            return True
        if back_s <= self._tolerated_s(packet.is_keyframe):
            return False
        # Between long pauses frames are stored far before others, but in the order in which they are decoded.
        return packet.dts is None or before_dts is None or packet.dts <= before_dts

    def _tolerated_s(self, is_key: bool) -> float:
        """Return by how much a timestamp may lie behind another one of its part."""
        # What is stored before a key frame is shown before it, but a time may be written twice.
        return 0.5 * self._period if is_key else max(1.0, _MOST_REORDERED * self._period)

    def miss(self, stamps: Iterable[int]) -> None:
        """Note timestamps of frames that did not come, or are not to be trusted."""
        self._missed += stamps

    def time_of(self, frame: Any) -> tuple[float, float | None]:
        """Return the time of the next sound frame in seconds, and by how much the stream's own clock jumps before it.

        Args:
            frame: In the order in which frames are shown.

        Returns:
            A time above that of the frame before; and None where the clock goes on.
        """
        self._has_stamps |= frame.pts is not None
        # Decoding times are those of showing only where a container has no others.
        stamp = frame.pts if frame.pts is not None or self._has_stamps else frame.dts
        if stamp is None or _part_of(stamp) < self._part:
            return self._next(self._end_s), None
        part = _part_of(stamp)
        first = min([stamp, *(each for each in self._missed if _part_of(each) == part)])
        if self._start is None:
            self._start, self._part = first - part * _SPAN, part
        if part == self._part:
            self._missed.clear()
            time_s = self._raw_s(stamp) + self._shift_s
            if self._last_s is None or self._last_s - time_s <= self._tolerated_s(frame.key_frame):
                return self._next(time_s), None
            first = stamp
        for other in self._missed:
            if _part_of(other) == self._part:
                self._end_s = max(self._end_s, self._raw_s(other) + self._shift_s + self._period)
        self._missed.clear()
        jump_s = self._raw_s(first) + self._shift_s - self._end_s
        self._shift_s, self._part = self._end_s - self._raw_s(first), part
        return self._next(self._raw_s(stamp) + self._shift_s), jump_s

    def _raw_s(self, stamp: int) -> float:
        return float((stamp - _part_of(stamp) * _SPAN - (self._start or 0)) * self._unit)

    def _next(self, time_s: float) -> float:
        if self._last_s is not None:
            time_s = max(time_s, self._last_s + _LEAST_STEP_S)
        self._last_s = time_s
        self._end_s = max(self._end_s, time_s + self._period)
        return time_s


def _part_of(stamp: int) -> int:
    return (stamp + _SPAN // 2) // _SPAN

"""Which frames of a video are looked at: every so many frames, seconds or metres of road."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reg_yolo.errors import ConfigError
from reg_yolo.video.gpx import read_track

Unit = Literal["frames", "s", "m"]

_PATTERN = re.compile(r"^\s*(\d+(?:\.\d*)?|\.\d+)\s*(s|m|km)?\s*$", re.IGNORECASE)
# A quantity that is a whole number of steps up to rounding has taken that step.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Every:
    """A distance between two frames.

    Attributes:
        amount: How much; positive, and whole for frames.
        unit: ``frames``, ``s`` or ``m``.
    """

    amount: float
    unit: Unit


def parse_every(text: str) -> Every:
    """Read ``5`` (frames), ``0.2s`` (seconds) or ``2m`` (metres of road; ``km`` is understood, too).

    Raises:
        ConfigError: If it is none of them.
    """
    match = _PATTERN.match(text)
    amount = float(match[1]) if match else 0.0
    unit = (match[2] or "frames").lower() if match else ""
    if not match or amount <= 0 or (unit == "frames" and not amount.is_integer()):
        raise ConfigError(
            f"`every`: got {text!r}, expected a number of frames such as 5, seconds such as 0.2s, or metres such as 2m"
        )
    if unit == "km":
        amount, unit = amount * 1000, "m"
    return Every(amount, "frames" if unit == "frames" else "s" if unit == "s" else "m")


class Thinner:
    """Asked with index and time of each frame of one video or drive, in order, whether it is looked at.

    The first frame is; then the first one in each further step of the given length, counted from the start, so that
    steps do not drift. Where the vehicle stands still, a step in metres gives no frame.

    Args:
        every: The length of a step.
        metres_at: Distance travelled by time in seconds; needed for a step in metres.
    """

    def __init__(self, every: Every, metres_at: Callable[[float], float] | None = None) -> None:
        if every.unit == "m" and metres_at is None:
            raise ValueError("metres_at must be given for a step in metres")
        self._every = every
        self._metres_at = metres_at
        self._furthest: int | None = None

    def __call__(self, index: int, time_s: float) -> bool:
        """Return whether the frame is looked at."""
        quantity = float(index)
        if self._every.unit == "s":
            quantity = time_s
        elif self._metres_at is not None and self._every.unit == "m":
            quantity = self._metres_at(time_s)
        step = math.floor(quantity / self._every.amount + _ROUNDING)
        if self._furthest is not None and step <= self._furthest:
            return False
        self._furthest = step
        return True


def choose_thinning(
    every: str | None,
    *,
    stride: int = 1,
    speed_kmh: float | None = None,
    gnss: Path | None = None,
    gnss_offset_s: float = 0.0,
) -> Callable[[], Callable[[int, float], bool]] | None:
    """Return what makes the choice of frames for each video, or None where all are looked at.

    Args:
        every: As `parse_every` reads it.
        stride: Ultralytics' `vid_stride`: every n-th frame, the n-th first.
        speed_kmh: Constant speed, for a step in metres.
        gnss: GPX track, for a step in metres.
        gnss_offset_s: Time of the first frame on the track's clock, in seconds from the track's first fix.

    Raises:
        ConfigError: If they do not go together.
        DataError: If the track cannot be read.
    """
    parsed = None if every is None else parse_every(every)
    if (parsed is None or parsed.unit != "m") and (speed_kmh is not None or gnss is not None):
        given = "speed" if speed_kmh is not None else "gnss"
        raise ConfigError(f"`{given}`: only thins by metres; write `every=2m` with it, or leave it out")
    if parsed is None:
        return (lambda: lambda index, _: (index + 1) % stride == 0) if stride > 1 else None
    if stride != 1:
        raise ConfigError("vid_stride: leave it out next to `every`, which thins by itself")
    if parsed.unit != "m":
        return lambda: Thinner(parsed)
    if (speed_kmh is None) == (gnss is None):
        raise ConfigError(f"`every={every}`: metres need either `speed=KM/H` or `gnss=FILE`")
    if gnss is not None:
        track = read_track(gnss)
        return lambda: Thinner(parsed, lambda time_s: track.metres_at(time_s + gnss_offset_s))
    if speed_kmh is None or not 0 < speed_kmh < 1000:
        raise ConfigError(f"`speed`: got {speed_kmh}, expected kilometres an hour above 0")
    metres_per_second = speed_kmh / 3.6
    return lambda: Thinner(parsed, lambda time_s: time_s * metres_per_second)

"""POSIX time of every frame: the video's clock plus when it started, and where that is known from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError, DataError

FloatArray = NDArray[np.float64]

_NAME = re.compile(r"(20\d{2})[-_]?([01]\d)[-_]?([0-3]\d)[-_T ]?([0-2]\d)[-_:]?([0-5]\d)[-_:]?([0-5]\d)")
_LEAP_SECONDS = 18
_BUDDHIST_YEARS, _LEAST_BUDDHIST = 543, 2400
"""How far the Thai calendar is ahead, and the year from which one is meant."""
_STATED_SIGMA_S, _TELEMETRY_SIGMA_S, _NAME_SIGMA_S = 0.1, 0.2, 1.0


@dataclass(frozen=True)
class Start:
    """When a drive's clock was zero.

    Attributes:
        time_s: POSIX seconds.
        sigma_s: Deviation.
        source: Where it is known from, in words.
        rate: Seconds of true time in a second of the video's clock; 1 but with two or more `--sync`.
    """

    time_s: float
    sigma_s: float
    source: str
    rate: float = 1.0

    def times(self, video_s: FloatArray) -> FloatArray:
        """Return POSIX times of the video's."""
        return np.asarray(self.time_s + self.rate * video_s)


def parse_time(text: str, time_base: str = "utc") -> float:
    """Return POSIX seconds of an ISO 8601 time, or of exiftool's `2024:05:01 03:00:00`.

    Args:
        text: With an offset, or without one in the time base.
        time_base: `utc`, `gps` (ahead of UTC by the leap seconds), or `local+07:00`.

    Raises:
        ConfigError: If either is not understood, or the year is of the Buddhist era.
    """
    plain = re.sub(r"^(\d{4}):(\d\d):(\d\d) ", r"\1-\2-\3 ", text.strip())
    try:
        moment = datetime.fromisoformat(plain.replace("Z", "+00:00"))
    except ValueError:
        raise ConfigError(f"expected a time such as 2024-05-01T03:00:00Z, got {text!r}") from None
    if moment.year >= _LEAST_BUDDHIST:
        raise ConfigError(f"{text!r}: {moment.year} is a Buddhist year; write {moment.year - _BUDDHIST_YEARS}")
    shift, zone = 0.0, UTC
    if time_base == "gps":
        shift = -float(_LEAP_SECONDS)
    elif time_base.startswith("local"):
        found = re.fullmatch(r"local([+-])(\d{2}):(\d{2})", time_base)
        if not found:
            raise ConfigError(f"--time-base: expected utc, gps or local+07:00, got {time_base!r}")
        minutes = int(found[2]) * 60 + int(found[3])
        zone = timezone(timedelta(minutes=minutes if found[1] == "+" else -minutes))
    elif time_base != "utc":
        raise ConfigError(f"--time-base: expected utc, gps or local+07:00, got {time_base!r}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment.timestamp() + shift


def find_start(
    source: str, stated: str | None, syncs: tuple[str, ...], time_base: str, telemetry: float | None = None
) -> Start:
    """Return when a drive started.

    Args:
        source: Its first file.
        stated: `--start`, or None.
        syncs: `--sync` as VIDEO_S=TIME, any number.
        time_base: See `parse_time`.
        telemetry: POSIX time of the zero of that file's clock, where it carries the positions itself.

    Raises:
        ConfigError: If a time is not understood.
        DataError: If nothing tells the start.
    """
    if syncs:
        pairs = []
        for sync in syncs:
            video, _, moment = sync.partition("=")
            try:
                pairs.append((float(video), parse_time(moment, time_base)))
            except ValueError:
                raise ConfigError(
                    f"--sync: expected VIDEO_S=TIME such as 12.5=2024-05-01T03:00:12Z, got {sync!r}"
                ) from None
        video_s, true_s = np.array(pairs).T
        if len(pairs) == 1 or np.ptp(video_s) <= 0:
            return Start(float((true_s - video_s).mean()), _STATED_SIGMA_S, "--sync")
        rate, start = np.polyfit(video_s, true_s - true_s[0], 1)
        return Start(float(start + true_s[0]), _STATED_SIGMA_S, "--sync", float(rate))
    if stated:
        return Start(parse_time(stated, time_base), _STATED_SIGMA_S, "--start")
    if telemetry is not None:
        return Start(telemetry, _TELEMETRY_SIGMA_S, f"the telemetry in {Path(source).name}")
    named = time_in_name(source, time_base)
    if named is not None:
        return Start(named, _NAME_SIGMA_S, f"the file name {Path(source).name}")
    created = _creation_time(source)
    if created is not None:
        return Start(created, _NAME_SIGMA_S, f"the creation time in {Path(source).name}")
    raise DataError(f"{source}: nothing tells when it started; give --start 2024-05-01T03:00:00Z")


def time_in_name(source: str, time_base: str = "utc") -> float | None:
    """Return the POSIX time that a file's name states; None where it states none.

    Example:
        >>> time_in_name("20240501_030000_F.mp4")
        1714532400.0
    """
    found = _NAME.search(Path(source).name)
    if not found:
        return None
    year, month, day, hour, minute, second = found.groups()
    return parse_time(f"{year}-{month}-{day}T{hour}:{minute}:{second}", time_base)


def _creation_time(source: str) -> float | None:
    """POSIX seconds that a video's container states, where the file is at hand."""
    path = Path(source)
    if not path.is_file():
        return None
    import av

    try:
        with av.open(str(path)) as container:
            text = container.metadata.get("creation_time")
    except (av.FFmpegError, OSError):
        return None
    return parse_time(text) if text else None


def check_overlap(times_s: FloatArray, start_s: float, end_s: float, name: str) -> None:
    """Raise DataError if no frame lies within the positions' time, and name the offset that would fit."""
    known = times_s[np.isfinite(times_s)]
    if not len(known):
        raise DataError(f"{name}: its frames have no times; give positions by file name, or images with EXIF")
    if known.max() >= start_s - 1 and known.min() <= end_s + 1:
        return
    fitting = start_s - float(known.min())
    hours = fitting / 3600
    hint = f", which is {hours:+.0f} h" if abs(hours - round(hours)) < 0.02 and abs(hours) >= 0.9 else ""
    raise DataError(
        f"{name}: its frames ({_text(known.min())} to {_text(known.max())}) do not overlap the positions "
        f"({_text(start_s)} to {_text(end_s)}); an offset of {fitting:+.1f} s would make both start together{hint}"
    )


def _text(time_s: float) -> str:
    return datetime.fromtimestamp(float(time_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

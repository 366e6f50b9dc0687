"""Where a drive was: which positions belong to it, when it started, and the way in metres."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from shlex import quote

import av
import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError, DataError, RegYoloError, first_line
from reg_yolo.inventory.positions.fixes import Fixes
from reg_yolo.inventory.positions.reading import TEXT_ENDINGS, read_positions
from reg_yolo.inventory.positions.stills import IMAGE_ENDINGS
from reg_yolo.inventory.timing import Start, find_start
from reg_yolo.survey.drives import Card, SurveyDrive
from reg_yolo.video.decoding import open_video

FloatArray = NDArray[np.float64]
_TELEMETRY_ENDINGS = (".mp4", ".mov")


@dataclass(frozen=True)
class Positions:
    """The positions of a drive.

    Attributes:
        paths: Files as `inventory build` takes them; several of one receiver, or images.
        fixes: What they hold.
        kind: Where they come from, in words.
        shared: Other drives use the same file or lie next to it, so that its first fix need not be this drive's start.
    """

    paths: tuple[Path, ...]
    fixes: Fixes
    kind: str
    shared: bool = False


@dataclass(frozen=True)
class Located:
    """A drive with what is known of where and when it was.

    Attributes:
        drive: The drive.
        positions: None where there are none.
        start: None where nothing tells it, there are no positions, or they belong to named images.
        reasons: Why something is missing.
        stated_start: What the user stated.
        advice: What mends missing positions; empty where nothing special does.
    """

    drive: SurveyDrive
    positions: Positions | None
    start: Start | None
    reasons: tuple[str, ...]
    stated_start: str | None = None
    advice: str = ""


@dataclass
class _Missing:
    """Why a drive has no positions, and what mends that; filled while they are looked for."""

    reasons: list[str] = field(default_factory=list)
    advice: str = ""


class PositionFiles:
    """Files of positions on a card and elsewhere, each read once.

    Args:
        card: The card.
        stated: What the user states for a drive, by its name.
        starts: When drives started, likewise.
        time_base: Of times without an offset.
    """

    def __init__(self, card: Card, stated: dict[str, Path], starts: dict[str, str], time_base: str) -> None:
        self._card, self._stated, self._starts, self._time_base = card, stated, starts, time_base
        self._read: dict[tuple[Path, ...], Fixes | str] = {}
        self._files = [path for path in card.others if path.suffix.lower() in TEXT_ENDINGS]

    def locate(self, drive: SurveyDrive) -> Located:
        """Find positions and start of a drive."""
        stated = self._starts.get(drive.name)
        missing = _Missing()
        positions = self._positions(drive, missing)
        start: Start | None = None
        if positions is not None and not positions.fixes.names:
            telemetry = positions.fixes.starts.get(drive.files[0].name)
            try:
                start = self._start(drive, telemetry)
            except RegYoloError as error:
                missing.reasons.append(first_line(error))
        return Located(drive, positions, start, tuple(missing.reasons), stated, missing.advice)

    def _start(self, drive: SurveyDrive, telemetry: float | None = None) -> Start:
        if not drive.is_video:
            raise DataError(f"{drive.name}: images without positions by file name have no times")
        return find_start(str(drive.files[0]), self._starts.get(drive.name), (), self._time_base, telemetry)

    def _positions(self, drive: SurveyDrive, missing: _Missing) -> Positions | None:
        stated = self._stated.get(drive.name)
        if stated is not None:
            fixes = self._fixes((stated,), missing.reasons)
            shared = list(self._stated.values()).count(stated) > 1
            return Positions((stated,), fixes, f"--gnss {stated.name}", shared) if fixes else None
        for find in (self._named_alike, self._embedded):
            found = find(drive, missing.reasons)
            if found is not None:
                return found
        return self._on_card(drive, missing)

    def _named_alike(self, drive: SurveyDrive, reasons: list[str]) -> Positions | None:
        """Files that are named as a chapter is, which dash cameras write next to it."""
        stems = {path.stem.casefold() for path in drive.files}
        folders = {path.parent for path in drive.files}
        alike = tuple(path for path in self._files if path.parent in folders and path.stem.casefold() in stems)
        if not drive.is_video or not alike:
            return None
        fixes = self._fixes(alike, reasons)
        return Positions(alike, fixes, _kind(alike)) if fixes else None

    def _embedded(self, drive: SurveyDrive, reasons: list[str]) -> Positions | None:
        """Telemetry in the videos, or EXIF in the images."""
        if not drive.is_video:
            paths = tuple(path for path in drive.files if path.suffix.lower() in IMAGE_ENDINGS)
            fixes = self._fixes(paths, []) if paths else None
            return Positions(paths, fixes, "EXIF") if fixes else None
        paths = tuple(path for path in drive.files if path not in drive.broken)
        if not paths or not all(map(_has_telemetry, paths)):
            return None
        fixes = self._fixes(paths, reasons)
        return Positions(paths, fixes, "GoPro telemetry") if fixes else None

    def _on_card(self, drive: SurveyDrive, missing: _Missing) -> Positions | None:
        """Files in the drive's folder, else anywhere on the card; of several those of its time."""
        folder = drive.files[0].parent
        mates = [one for one in self._card.drives if one.name != drive.name]
        named = {(path.parent, path.stem.casefold()) for one in mates if one.is_video for path in one.files}
        foreign = [path for path in self._files if (path.parent, path.stem.casefold()) in named]
        free = [path for path in self._files if path not in foreign]
        near = [path for path in free if path.parent == folder]
        # What lies next to another drive is that one's, unless it lies above this one.
        others = {one.files[0].parent for one in self._card.drives} - set(folder.parents)
        far = [path for path in free if path.parent not in {*others, folder}]
        for files in (near, far):
            unread: list[str] = []
            readable = {path: fixes for path in files if (fixes := self._fixes((path,), unread)) is not None}
            missing.reasons += unread if files is near else []
            chosen = self._fitting(drive, readable, lonely=files is near, missing=missing)
            if chosen:
                fixes = self._fixes(chosen, missing.reasons)
                shared = any(one.files[0].parent == folder for one in mates) and files is near
                return Positions(chosen, fixes, _kind(chosen), shared) if fixes else None
        beside = tuple(path for path in foreign if path.parent == folder)
        if beside and drive.is_video:
            verb = "are named as other drives" if len(beside) > 1 else "is named as another drive"
            missing.reasons.insert(0, f"{_kind(beside)} {verb}")
            own = f"{drive.files[0].stem}{beside[0].suffix}"
            missing.advice = f"copy {own} next to the video, or name its positions with --gnss"
        return None

    def _fitting(
        self, drive: SurveyDrive, readable: dict[Path, Fixes], *, lonely: bool, missing: _Missing
    ) -> tuple[Path, ...]:
        """Files of the drive's time, one after the other; a lone one next to the drive whatever its time."""
        if lonely and len(readable) == 1:
            return tuple(readable)
        where = "next to it" if lonely else "on the card"
        if not drive.is_video:
            names = {path.name for path in drive.files}
            fitting = [path for path, fixes in readable.items() if names & {Path(name).name for name in fixes.names}]
            if readable and not fitting:
                missing.reasons.append(f"{_counted(readable)} {where}, none of which names its images")
            return tuple(fitting[:1])
        timed = {path: fixes for path, fixes in readable.items() if not fixes.names}
        if not timed:
            return ()
        try:
            start = self._start(drive)
        except RegYoloError:
            missing.reasons.append(f"{_counted(timed)} {where}, and no time to choose by")
            missing.advice = f"give --start {quote(f'{drive.name}=TIME')}, or name the file with --gnss"
            return ()
        if drive.seconds is None:
            missing.reasons.append(f"{_counted(timed)} {where}, and its container does not say how long it is")
            missing.advice = "name the file with --gnss"
            return ()
        spans = []
        for path, fixes in timed.items():
            first, last = float(fixes.time_s[0]), float(fixes.time_s[-1])
            shared = min(last, start.time_s + drive.seconds) - max(first, start.time_s)
            if shared > 0:
                spans.append((first, last, shared, path))
        if not spans:
            began = f"{time_text(start.time_s)} by {start.source}"
            missing.reasons.append(f"{_counted(timed)} {where}, none of its time, which began {began}")
            missing.advice = "correct it with --start or --time-base, or copy the receiver's log of that time"
        spans.sort()
        if any(two[0] < one[1] for one, two in pairwise(spans)):
            # Two receivers at once: that which covers more.
            return (max(spans, key=lambda span: span[2])[3],)
        return tuple(span[3] for span in spans)

    def _fixes(self, paths: tuple[Path, ...], reasons: list[str]) -> Fixes | None:
        if paths not in self._read:
            try:
                self._read[paths] = read_positions(paths[0] if _lone(paths) else paths)
            except (DataError, ConfigError) as error:
                self._read[paths] = first_line(error)
        found = self._read[paths]
        if isinstance(found, str):
            reasons.append(found)
            return None
        return found


def as_given(paths: tuple[Path, ...]) -> Path | tuple[Path, ...]:
    """Return positions as `BuildOptions` takes them."""
    return paths[0] if _lone(paths) else paths


def time_text(time_s: float) -> str:
    """Return a POSIX time as ISO 8601 in UTC, to the second.

    Example:
        >>> time_text(1714532399.96)
        '2024-05-01T03:00:00Z'
    """
    return datetime.fromtimestamp(round(time_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _counted(files: Sized) -> str:
    return "1 file of positions" if len(files) == 1 else f"{len(files)} files of positions"


def _lone(paths: Sequence[Path]) -> bool:
    return len(paths) == 1 and paths[0].suffix.lower() not in IMAGE_ENDINGS


def _kind(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0].name}{more}"


def _has_telemetry(path: Path) -> bool:
    """Whether a video has a track of data; reading it needs the whole file."""
    if path.suffix.lower() not in _TELEMETRY_ENDINGS:
        return False
    try:
        with open_video(path) as (container, _):
            return bool(container.streams.data)
    except (RegYoloError, av.FFmpegError):
        return False


@dataclass(frozen=True)
class Way:
    """A drive's way as far as its positions tell.

    Attributes:
        time_s: Shape (N,), POSIX seconds; NaN for images.
        points_m: Shape (N, 2), easting and northing.
        pieces: Rows of each piece without a hole.
    """

    time_s: FloatArray
    points_m: FloatArray
    pieces: tuple[NDArray[np.int64], ...]

    @property
    def length_m(self) -> float:
        """Length of all pieces."""
        return float(sum(np.linalg.norm(np.diff(self.points_m[rows], axis=0), axis=1).sum() for rows in self.pieces))


def way_of(
    fixes: Fixes,
    to_metres: Callable[[FloatArray, FloatArray], FloatArray],
    span_s: tuple[float, float] | None,
    hole_s: float,
) -> Way:
    """Return the way within a span of time, one fix a second, cut at holes.

    Args:
        fixes: Positions.
        to_metres: Of longitude and latitude.
        span_s: POSIX times; None for all.
        hole_s: Fixes farther apart in time are not joined.
    """
    time_s = fixes.time_s
    rows = np.arange(len(fixes))
    if span_s is not None and not fixes.names:
        rows = rows[(time_s >= span_s[0] - 1) & (time_s <= span_s[1] + 1)]
    if not fixes.names and len(rows):
        rows = rows[np.concatenate(([True], np.diff(np.floor(time_s[rows])) > 0))]
    points = to_metres(fixes.longitude_deg[rows], fixes.latitude_deg[rows]) if len(rows) else np.zeros((0, 2))
    if fixes.names:
        cuts = np.flatnonzero(np.linalg.norm(np.diff(points, axis=0), axis=1) > 200) + 1
    else:
        typical = float(np.median(np.diff(time_s[rows]))) if len(rows) > 2 else 1.0
        gaps = np.diff(time_s[rows]) > max(hole_s, 2.5 * typical)
        cuts = np.flatnonzero(gaps | (np.diff(fixes.segment[rows]) != 0)) + 1
    pieces = tuple(piece for piece in np.split(np.arange(len(rows)), cuts) if len(piece) > 1)
    return Way(time_s[rows], points, pieces)

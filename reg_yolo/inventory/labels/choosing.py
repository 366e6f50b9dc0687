"""Which frames become images of a data set, and which boxes are labelled in them.

A frame is kept where what stands in it is decided: an accepted asset is a label, a rejected one is background. Between
two observations of an asset in one pass it is projected. Of a thing that stands still, seen by a camera that moves
straight and evenly between both, the distance changes evenly, and so does each side of its box times that distance; the
height of its box goes as the inverse of the distance.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.dataset.frame_names import natural_order
from reg_yolo.errors import ConfigError
from reg_yolo.inventory.labels.reviewed import ACCEPTED, REJECTED, UNDECIDED, ReviewedAssets

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

SKIP, IGNORE, ACCEPT = UNDECIDED_CHOICES = ("skip", "ignore", "accept")
DETECTED, PROJECTED = "detected", "projected"
SAME_PASS = 30.0
"""Seconds, of a series of images their number: what is not seen for longer is out of sight, or passed once more."""
IN_UNDECIDED = "frames in which an undecided asset stands"
IN_GAP = "frames in which an accepted asset stands that is not found for longer than --max-gap"
LEFT_OUT = "frames nearer than --every to the one before"
_LEAST_PX = 2.0


@dataclass(frozen=True)
class ChoiceOptions:
    """What is taken.

    Attributes:
        every: Of each source, frames are at least this many apart.
        max_gap_s: An asset that is not found for longer is not projected; its frames are skipped.
        undecided: What becomes of frames with assets that nobody has decided on: `skip`, `ignore` (nothing stands
            there) or `accept`.

    Raises:
        ConfigError: If one is out of range.
    """

    every: int = 1
    max_gap_s: float = 1.0
    undecided: str = SKIP

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"--every: got {self.every}, expected a number of frames from 1 on")
        if not 0 <= self.max_gap_s <= SAME_PASS:
            raise ConfigError(f"--max-gap: got {self.max_gap_s:g}, expected seconds from 0 to {SAME_PASS:g}")
        if self.undecided not in UNDECIDED_CHOICES:
            raise ConfigError(f"--undecided: got {self.undecided!r}, expected {', '.join(UNDECIDED_CHOICES)}")


@dataclass(frozen=True)
class Label:
    """A box in a frame.

    Attributes:
        asset: Number of the asset.
        verdict: `accepted`, `rejected` (no label, a hard negative) or `undecided`.
        origin: `detected` or `projected`.
        xyxy: Pixels.
        confidence: Of the detection; None for a projected one.
    """

    asset: int
    verdict: str
    origin: str
    xyxy: tuple[float, float, float, float]
    confidence: float | None


@dataclass(frozen=True)
class ChosenFrame:
    """A frame that is kept.

    Attributes:
        source: Number of its source.
        frame: Index as the detections file counts it.
        time_s: Time in its own file; NaN for an image.
        size: Width and height; 0 where not known.
        labels: What stands in it.
    """

    source: int
    frame: int
    time_s: float
    size: tuple[int, int]
    labels: tuple[Label, ...]


@dataclass
class Choice:
    """What was chosen.

    Attributes:
        frames: Kept ones, in the order of source and frame.
        skipped: Frames that were not kept, by reason; a frame with two reasons counts for the first.
    """

    frames: list[ChosenFrame] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def choose_frames(reviewed: ReviewedAssets, options: ChoiceOptions) -> Choice:
    """Return the frames in which accepted or rejected assets stand and nothing is in doubt."""
    return _Chooser(reviewed, options).choice()


def between(first: FloatArray, last: FloatArray, share: FloatArray) -> FloatArray:
    """Return boxes of a thing that stands still, between two that were seen.

    Args:
        first, last: Boxes xyxy in pixels, shape (N, 4).
        share: Of the time between them that has passed, in (0, 1), shape (N,).

    Returns:
        Boxes, shape (N, 4).

    Example:
        >>> near, far = np.array([[40.0, 20, 60, 40]]), np.array([[45.0, 10, 55, 20]])
        >>> between(near, far, np.array([0.5])).round(2).tolist()
        [[43.33, 13.33, 56.67, 26.67]]
    """
    distances = [1.0 / np.maximum(boxes[:, 3] - boxes[:, 1], 1e-3) for boxes in (first, last)]
    one, other = ((1 - share) * distances[0])[:, None], (share * distances[1])[:, None]
    return np.asarray((first * one + last * other) / (one + other))


class _Chooser:
    def __init__(self, reviewed: ReviewedAssets, options: ChoiceOptions) -> None:
        self._options, self._reviewed = options, reviewed
        names = [asset.verdict for asset in reviewed.assets]
        self._verdicts = [ACCEPTED if v == UNDECIDED and options.undecided == ACCEPT else v for v in names]
        counts = np.array([not (v == UNDECIDED and options.undecided == IGNORE) for v in self._verdicts], np.bool_)
        self._rows = np.flatnonzero(counts[reviewed.asset]) if len(reviewed.assets) else np.zeros(0, np.int64)
        series, rank = _series(reviewed)
        source = reviewed.source[self._rows]
        number = np.where(rank[source] < 0, reviewed.frame[self._rows], rank[source])
        # A frame by its place in a list of all frames with boxes, ordered by series and number in it.
        step = int(number.max(initial=0)) + 1
        keys, first, self._of_frame = np.unique(series[source] * step + number, return_index=True, return_inverse=True)
        self._series, self._number = np.divmod(keys, step)
        self._source = reviewed.source[self._rows[first]]
        self._time_s = reviewed.time_s[self._rows[first]]
        self._size = reviewed.size[self._rows[first]]
        self._filled: dict[int, list[Label]] = {}
        self._doubts: dict[int, str] = {}

    def choice(self) -> Choice:
        verdict = np.array([(ACCEPTED, REJECTED, UNDECIDED).index(v) for v in self._verdicts], np.int64)
        of_row = verdict[self._reviewed.asset[self._rows]] if len(self._rows) else np.zeros(0, np.int64)
        for place in np.unique(self._of_frame[of_row == 2]).tolist():
            self._doubts[place] = IN_UNDECIDED
        for low, high in self._gaps(of_row != 1):
            self._cross(low, high)
        decided = np.unique(self._of_frame[of_row != 2])
        order = np.argsort(self._of_frame, kind="stable")
        bounds = np.searchsorted(self._of_frame[order], [decided, decided + 1])
        result, last = Choice(), dict[int, int]()
        for place, start, end in zip(decided.tolist(), *bounds.tolist(), strict=True):
            if place in self._doubts:
                result.skipped[self._doubts[place]] += 1
                continue
            series, number = int(self._series[place]), int(self._number[place])
            if number - last.get(series, number - self._options.every) < self._options.every:
                result.skipped[LEFT_OUT] += 1
                continue
            last[series] = number
            source, frame = int(self._source[place]), int(self._reviewed.frame[self._rows[order[start]]])
            labels = [self._label(int(self._rows[row])) for row in order[start:end]] + self._filled.get(place, [])
            width, height = self._size[place].tolist()
            result.frames.append(ChosenFrame(source, frame, float(self._time_s[place]), (width, height), tuple(labels)))
        result.frames.sort(key=lambda one: (one.source, one.frame))
        return result

    def _label(self, row: int) -> Label:
        number = int(self._reviewed.asset[row])
        x1, y1, x2, y2 = self._reviewed.xyxy[row].tolist()
        stated = self._reviewed.assets[number].verdict
        verdict = REJECTED if self._verdicts[number] == REJECTED else stated
        return Label(number, verdict, DETECTED, (x1, y1, x2, y2), float(self._reviewed.confidence[row]))

    def _gaps(self, counted: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
        """Yield positions in `_rows` of two observations of an asset between which frames lie that were not of it."""
        rows = np.flatnonzero(counted)
        asset, place = self._reviewed.asset[self._rows[rows]], self._of_frame[rows]
        order = np.lexsort([place, asset])
        rows, asset, place = rows[order], asset[order], place[order]
        series = self._series[place]
        jump = (asset[1:] == asset[:-1]) & (series[1:] == series[:-1]) & (place[1:] - place[:-1] > 1)
        yield from ((int(rows[n]), int(rows[n + 1])) for n in np.flatnonzero(jump))

    def _cross(self, low: int, high: int) -> None:
        """Fill the frames between two observations of an asset, or note that they are in doubt."""
        first, last = self._of_frame[low], self._of_frame[high]
        places = np.arange(first + 1, last)
        number = int(self._reviewed.asset[self._rows[low]])
        # Chapters have clocks of their own, images none.
        timed = bool(self._source[first] == self._source[last] and np.isfinite(self._time_s[first]))
        clock = self._time_s if timed else self._number.astype(np.float64)
        gap = float(clock[last] - clock[first])
        if gap > SAME_PASS:
            return
        undecided = self._verdicts[number] == UNDECIDED
        if undecided or not timed or gap > self._options.max_gap_s:
            for place in places.tolist():
                self._doubts.setdefault(place, IN_UNDECIDED if undecided else IN_GAP)
            return
        share = (clock[places] - clock[first]) / gap
        ends = self._reviewed.xyxy[self._rows[[low, high]]]
        boxes = between(np.repeat(ends[:1], len(places), 0), np.repeat(ends[1:], len(places), 0), share)
        stated = self._reviewed.assets[number].verdict
        for place, (x1, y1, x2, y2) in zip(places.tolist(), boxes.tolist(), strict=True):
            if min(x2 - x1, y2 - y1) >= _LEAST_PX:
                self._filled.setdefault(place, []).append(Label(number, stated, PROJECTED, (x1, y1, x2, y2), None))


def _series(reviewed: ReviewedAssets) -> tuple[IntArray, IntArray]:
    """Return for each source what its frames follow each other in, and an image's number among those of its folder.

    A series is a video or drive, or a folder of images; the number is -1 for a video.
    """
    timed = np.zeros(len(reviewed.sources), np.bool_)
    timed[reviewed.source[np.isfinite(reviewed.time_s)]] = True
    drives, numbers, images = drives_of(reviewed.media.chapters), dict[str, int](), dict[int, list[int]]()
    series, rank = np.zeros(len(timed), np.int64), np.full(len(timed), -1, np.int64)
    for n, name in enumerate(reviewed.sources):
        folder = re.split(r"[\\/][^\\/]*$", name)[0] + "/"
        key = drives.get(name, name) if timed[n] else folder
        series[n] = numbers.setdefault(key, len(numbers))
        if not timed[n]:
            images.setdefault(int(series[n]), []).append(n)
    for some in images.values():
        rank[sorted(some, key=lambda n: natural_order(PurePosixPath(reviewed.sources[n])))] = np.arange(len(some))
    return series, rank


def drives_of(chapters: dict[str, int]) -> dict[str, str]:
    """Return the first chapter of the drive that each chapter belongs to.

    Example:
        >>> drives_of({"a1.mp4": 0, "a2.mp4": 900, "b1.mp4": 0})
        {'a1.mp4': 'a1.mp4', 'a2.mp4': 'a1.mp4', 'b1.mp4': 'b1.mp4'}
    """
    drives, first = {}, ""
    for name, start in chapters.items():
        first = name if start == 0 else first
        drives[name] = first or name
    return drives

"""Which frames are worth labelling next: where the model is least sure, rare classes first, nothing twice.

The margin of a detection is how far its confidence lies from the threshold at which it counts as found; what is about
there is found or missed by chance, and a label decides it (margin sampling: Scheffer et al. 2001; for detectors by
class: Brust et al. 2019). Classes take turns, the rarest first, and each takes the frame with the lowest margin among
its detections. A frame that looks like one that was taken is left out, and no drive gives more than half as much again
as its even share while others have frames left. Frames without any detection are never picked: the model is not in
doubt there. No random number is drawn: the same files give the same frames.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.dataset.frame_names import natural_order
from reg_yolo.data.images.similarity import Similarity
from reg_yolo.data.prelabel.frames import DetectedFrame

# Bits in which the hashes of images of one view differ at most.
NEAR_BITS = Similarity().any_bits
_BYTES = 32
# Frames of a video nearer in time show the same, whatever their hashes say.
NEAR_S = 1.0
_MOST_OF_EVEN_SHARE = 1.5


@dataclass(frozen=True, slots=True)
class Pick:
    """A frame that was picked, and the detection it was picked for.

    Attributes:
        frame: The frame.
        class_name: The class whose turn it was.
        confidence: Confidence of the detection of that class that is nearest to its threshold.
        threshold: That threshold.
    """

    frame: DetectedFrame
    class_name: str
    confidence: float
    threshold: float

    @property
    def margin(self) -> float:
        """How far the confidence lies from the threshold."""
        return abs(self.confidence - self.threshold)


@dataclass
class Picked:
    """What was picked.

    Attributes:
        picks: In the order in which they were taken, the most wanted first.
        class_counts: By class, how many objects are known: those with labels, or found where nothing is labelled.
        candidates: Frames with detections that were not labelled before.
        near: Frames that were passed by because they look like one that is labelled or was taken.
        labelled: Frames that are labelled already.
        notes: Sentences about how they were compared.
    """

    picks: list[Pick] = field(default_factory=list)
    class_counts: dict[str, int] = field(default_factory=dict)
    candidates: int = 0
    near: int = 0
    labelled: int = 0
    notes: list[str] = field(default_factory=list)


def pick_uncertain(
    frames: Sequence[DetectedFrame],
    count: int,
    class_names: Sequence[str],
    *,
    among: Collection[str] | None = None,
    signs: Mapping[str, bytes] | None = None,
    labelled: Sequence[DetectedFrame] = (),
    labelled_signs: Sequence[bytes] = (),
    labelled_counts: Mapping[str, int] | None = None,
) -> Picked:
    """Pick frames that are worth labelling next.

    Args:
        frames: All frames with their detections.
        count: How many are wanted.
        class_names: All classes; equally rare ones take turns in this order.
        among: Names of the frames that may be picked; None allows all.
        signs: Perceptual hash of frames, by name; frames without one are compared by time or by their place in order.
        labelled: Frames that are labelled already: none of them, nor one that looks like one, is picked.
        labelled_signs: Hashes of images that are labelled already, under whatever name.
        labelled_counts: Labelled objects by class; None takes the objects that the model finds.
    """
    known = {frame.name for frame in labelled}
    pool = [frame for frame in frames if frame.detections and frame.name not in known]
    counts = dict(labelled_counts) if labelled_counts is not None else _found(pool)
    if among is not None:
        pool = [frame for frame in pool if frame.name in among]
    result = Picked(class_counts={name: counts.get(name, 0) for name in class_names}, candidates=len(pool))
    result.labelled = len(known)
    order = sorted(class_names, key=lambda name: result.class_counts[name])
    queues = {name: _queue(pool, name) for name in order}
    apart = _Apart(frames, signs or {}, labelled, labelled_signs)
    drives = {frame.drive for frame in pool}
    quota = math.ceil(_MOST_OF_EVEN_SHARE * count / max(len(drives), 1))
    of_drive: Counter[str] = Counter()
    while len(result.picks) < count and any(queues.values()):
        taken = len(result.picks)
        for name in order:
            pick = _next(queues[name], apart, of_drive, quota) if len(result.picks) < count else None
            if pick is not None:
                result.picks.append(pick)
                apart.take(pick.frame)
                of_drive[pick.frame.drive] += 1
        # Nothing but frames of drives that have given their share: then these give more.
        quota += len(result.picks) == taken
    result.near = len(apart.near)
    return result


def _found(frames: Sequence[DetectedFrame]) -> Counter[str]:
    return Counter(
        found.class_name
        for frame in frames
        for found in frame.detections
        if found.confidence >= frame.thresholds.get(found.class_name, 0.0)
    )


def _queue(frames: Sequence[DetectedFrame], name: str) -> list[Pick]:
    """Return one pick a frame for a class, the lowest margin first."""
    picks = []
    for frame in frames:
        threshold = frame.thresholds.get(name, 0.0)
        confidences = [found.confidence for found in frame.detections if found.class_name == name]
        if confidences:
            nearest = min(confidences, key=lambda value: abs(value - threshold))
            picks.append(Pick(frame, name, nearest, threshold))
    return sorted(picks, key=lambda pick: (pick.margin, str(pick.frame.source), pick.frame.frame or 0))


def _next(queue: list[Pick], apart: _Apart, of_drive: Counter[str], quota: int) -> Pick | None:
    """Take the first pick of a queue whose drive has not given its share; those that are of no use leave the queue."""
    place = 0
    while place < len(queue):
        pick = queue[place]
        # Comparing images takes longest, so it comes last.
        if of_drive[pick.frame.drive] >= quota:
            place += 1
        elif apart.is_taken(pick.frame) or apart.is_near(pick.frame):
            del queue[place]
        else:
            return queue.pop(place)
    return None


class _Apart:
    """Tells whether a frame looks like one that was taken: by hash, else by time, else by its place in name order."""

    def __init__(
        self,
        frames: Sequence[DetectedFrame],
        signs: Mapping[str, bytes],
        labelled: Sequence[DetectedFrame],
        labelled_signs: Sequence[bytes],
    ) -> None:
        self._signs = {name: _bits(sign) for name, sign in signs.items()}
        self._places = _places_in_order(frames)
        self._taken: set[str] = set()
        self._of_drive: defaultdict[str, list[DetectedFrame]] = defaultdict(list)
        self._hashes = np.array([_bits(sign) for sign in labelled_signs], np.uint8).reshape(-1, 8 * _BYTES)
        self.near: set[str] = set()
        for frame in labelled:
            self.take(frame)

    def take(self, frame: DetectedFrame) -> None:
        """Note that a frame is labelled or picked."""
        self._taken.add(frame.name)
        self._of_drive[frame.drive].append(frame)
        if frame.name in self._signs:
            self._hashes = np.vstack([self._hashes, self._signs[frame.name]])

    def is_taken(self, frame: DetectedFrame) -> bool:
        """Whether it is one of them."""
        return frame.name in self._taken

    def is_near(self, frame: DetectedFrame) -> bool:
        """Whether it looks like one of them; it is remembered then."""
        sign = self._signs.get(frame.name)
        near = any(self._follows(frame, other, sign is not None) for other in self._of_drive[frame.drive])
        if not near and sign is not None and len(self._hashes):
            near = int((self._hashes != sign).sum(axis=1).min()) <= NEAR_BITS
        if near:
            self.near.add(frame.name)
        return near

    def _follows(self, frame: DetectedFrame, other: DetectedFrame, hashed: bool) -> bool:
        if frame.time_s is not None and other.time_s is not None:
            return abs(frame.time_s - other.time_s) < NEAR_S
        neighbours = abs(self._places[frame.name] - self._places[other.name]) <= 1
        return neighbours and not (hashed and other.name in self._signs)


def _bits(sign: bytes) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(sign, np.uint8))


def _places_in_order(frames: Sequence[DetectedFrame]) -> dict[str, int]:
    """Number the frames of each drive in the order of their names, in which 9 comes before 10."""
    ordered = sorted(frames, key=lambda frame: (frame.drive, natural_order(PurePosixPath(frame.source.as_posix()))))
    return {frame.name: place for place, frame in enumerate(ordered)}

"""Which box of a build an observation is: the same source and frame, and boxes that overlap."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import DataError
from reg_yolo.inventory.decisions.decision import Decision, Seen
from reg_yolo.inventory.drive.overlaps import iou

FloatArray = NDArray[np.float64]
Item = TypeVar("Item")

SAME_BOX_IOU = 0.5
"""Boxes of one object by two networks or thresholds overlap more than this, those of neighbours less."""


class Sources:
    """The sources of a build, by their names and by the ends of their names.

    Args:
        names: As the detections files name them.

    Example:
        >>> Sources(["/new/card1/a.mp4", "/new/card2/a.mp4"]).named("/old/card2/a.mp4")
        '/new/card2/a.mp4'
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._by_end: dict[str, list[str]] = {}
        self._moved: dict[str, str | None] = {}
        for name in sorted(self._names):
            self._by_end.setdefault(_parts(name)[-1], []).append(name)

    def named(self, source: str) -> str | None:
        """Return the source of that name; where files have moved, the one whose path ends alike; None for no such one.

        Of several that end equally alike none is meant.
        """
        if source in self._names:
            return source
        if source not in self._moved:
            self._moved[source] = self._named_alike(source)
        return self._moved[source]

    def _named_alike(self, source: str) -> str | None:
        alike = [(_common_end(source, name), name) for name in self._by_end.get(_parts(source)[-1], [])]
        longest = max((length for length, _ in alike), default=0)
        best = [name for length, name in alike if length == longest]
        return best[0] if len(best) == 1 else None


def _parts(name: str) -> list[str]:
    return re.split(r"[\\/]", name)


def _common_end(one: str, other: str) -> int:
    pairs = zip(reversed(_parts(one)), reversed(_parts(other)), strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(_parts(one)), len(_parts(other))))


class BoxIndex(Generic[Item]):
    """Boxes of the frames that decisions refer to, each with what it belongs to.

    Args:
        sources: Of the build.
        decisions: Whose observations will be looked for.
    """

    def __init__(self, sources: Sources, decisions: Iterable[Decision]) -> None:
        self._sources = sources
        self._boxes: dict[tuple[str, int], list[tuple[Sequence[float], Item]]] = {}
        for seen in (seen for decision in decisions for part in decision.parts for seen in part):
            name = sources.named(seen.source)
            if name is not None:
                self._boxes.setdefault((name, seen.frame), [])

    def wants(self, source: str, frame: int) -> bool:
        """Whether a decision refers to this frame."""
        return (source, frame) in self._boxes

    def add(self, source: str, frame: int, box: Sequence[float], item: Item) -> None:
        """Note a box of a frame that is wanted."""
        self._boxes[source, frame].append((box, item))

    def find(self, part: Sequence[Seen]) -> list[Item]:
        """Return what the observations belong to; those that no box fits are left out."""
        found = []
        for seen in part:
            known = self._boxes.get((self._sources.named(seen.source) or "", seen.frame), [])
            if known:
                overlap = iou(np.array([seen.xyxy]), np.array([box for box, _ in known], np.float64))[0]
                if overlap.max() >= SAME_BOX_IOU:
                    found.append(known[int(overlap.argmax())][1])
        return found


def refuse_other_drives(paths: Sequence[Path], decisions: Sequence[Decision], names: Iterable[str]) -> None:
    """Raise where a decisions file refers to no source of the build.

    Raises:
        DataError: Naming the file, and a source of each side.
    """
    names = sorted(names)
    sources = Sources(names)
    for path in paths:
        own = [decision for decision in decisions if decision.read_from.rpartition(":")[0] == str(path)]
        referred = sorted({seen.source for decision in own for part in decision.parts for seen in part})
        if referred and not any(map(sources.named, referred)):
            raise DataError(
                f"{path} holds decisions for another drive: it refers to {referred[0]}, the detections to "
                f"{names[0] if names else 'nothing'}; give the decisions of this drive"
            )

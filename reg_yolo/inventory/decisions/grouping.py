"""Merges and splits: what is of one asset by a reviewer's word rather than by the association."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.decisions.decision import MERGE, REGROUPING, Decision
from reg_yolo.inventory.decisions.matching import BoxIndex, Sources
from reg_yolo.inventory.drive.looks import DriveLooks
from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.network.sightings import Sighting
from reg_yolo.inventory.observations import Observations

IntArray = NDArray[np.int64]


class Observed(Protocol):
    """What decisions can refer to: an object with the boxes that it was seen by, and its two ends if it is a line."""

    @property
    def observations(self) -> Observations: ...
    @property
    def ends_m(self) -> NDArray[np.float64] | None: ...


class Regrouping:
    """Applies merges and splits within a drive and between drives.

    Args:
        decisions: Those that stand, in the order of time.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self._decisions = [decision for decision in decisions if decision.action in REGROUPING]

    def of_rays(self, looks: DriveLooks, rays: Rays, groups: list[IntArray]) -> list[IntArray]:
        """Return the rows of each object's rays; `groups` itself where nothing changes.

        Rays of a split object that no part names go to the part that was seen in the nearest frame, and there to the
        nearer box.
        """
        if not self._decisions or not groups:
            return groups
        index: BoxIndex[int] = BoxIndex(Sources(set(looks.sources)), self._decisions)
        wanted = np.array([index.wants(*key) for key in zip(looks.sources, looks.frame.tolist(), strict=True)])
        boxes = looks.xyxy[rays.look]
        for row in np.concatenate(groups).tolist():
            frame = int(rays.frame[row])
            if wanted[frame]:
                index.add(looks.sources[frame], int(looks.frame[frame]), boxes[row].tolist(), row)
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2

        def apart(row: int, other: int) -> tuple[int, float]:
            frames = abs(int(rays.frame[row]) - int(rays.frame[other]))
            return frames, float(np.linalg.norm(middles[row] - middles[other]))

        plain = [rows.tolist() for rows in groups]
        changed = self._regrouped(plain, index, apart)
        return groups if changed == plain else [np.array(sorted(rows), np.int64) for rows in changed]

    def of_sightings(self, sightings: Sequence[Sighting], groups: list[list[int]], sources: Sources) -> list[list[int]]:
        """Return the sightings of each asset; `groups` itself where nothing changes."""
        if not self._decisions:
            return groups
        index: BoxIndex[int] = BoxIndex(sources, self._decisions)
        for number, sighting in enumerate(sightings):
            add_observations(index, sighting, number)

        def apart(one: int, other: int) -> float:
            return float(np.linalg.norm(sightings[one].place_m - sightings[other].place_m))

        changed = self._regrouped(groups, index, apart)
        return groups if changed == groups else changed

    def _regrouped(
        self, groups: Sequence[Sequence[int]], index: BoxIndex[int], apart: Callable[[int, int], Any]
    ) -> list[list[int]]:
        current = {number: list(rows) for number, rows in enumerate(groups)}
        owner = {item: number for number, rows in current.items() for item in rows}
        unused = itertools.count(len(current))
        for decision in self._decisions:
            parts = [index.find(part) for part in decision.parts]
            if decision.action == MERGE:
                leaders = dict.fromkeys(main_of([owner[item] for item in part]) for part in parts)
                some = [leader for leader in leaders if leader is not None]
                for other in some[1:]:
                    current[some[0]] = current[some[0]] + current.pop(other)
                changed = {number: current[number] for number in some[:1]}
            else:
                changed = {}
                for number in {owner[item] for part in parts for item in part}:
                    first_piece, *pieces = _pieces(current[number], parts, apart)
                    changed |= {number: first_piece} | {next(unused): piece for piece in pieces}
            current |= changed
            owner |= {item: number for number, rows in changed.items() for item in rows}
        return list(current.values())


def add_observations(index: BoxIndex[int], sighting: Observed, item: int) -> None:
    """Note those boxes of a sighting that decisions may refer to."""
    seen = sighting.observations
    for n, key in enumerate(zip(seen.sources, seen.frame.tolist(), strict=True)):
        if index.wants(*key):
            index.add(*key, seen.xyxy[n].tolist(), item)


def main_of(numbers: Sequence[int]) -> int | None:
    """Return the number that is more than half of them; None for none."""
    counted = Counter(numbers).most_common(1)
    return counted[0][0] if counted and 2 * counted[0][1] > len(numbers) else None


def _pieces(rows: Sequence[int], parts: Sequence[Sequence[int]], apart: Callable[[int, int], Any]) -> list[list[int]]:
    """Divide a group: each row goes to the part that names it most often, or whose named rows are nearest."""
    counts = [Counter(part) for part in parts]
    named: list[list[int]] = [[] for _ in parts]
    others: list[int] = []
    for row in rows:
        votes = [count[row] for count in counts]
        (named[int(np.argmax(votes))] if any(votes) else others).append(row)
    known = [n for n, some in enumerate(named) if some]
    if len(known) < 2:
        return [list(rows)]
    pieces = {n: list(named[n]) for n in known}
    for row in others:
        pieces[min(known, key=lambda n: min(apart(row, other) for other in named[n]))].append(row)
    return list(pieces.values())

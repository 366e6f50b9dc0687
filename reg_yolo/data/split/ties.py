"""Which images belong together: disjoint sets, and the ties that time and place give."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime

import numpy as np

_EARTH_RADIUS_M = 6_371_009.0


class Ties:
    """Disjoint sets of images (union towards the smaller index, with path halving)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def find(self, index: int) -> int:
        """Return the smallest index that `index` is tied to."""
        parent = self._parent
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    def tie(self, first: int, second: int) -> None:
        """Tie two images and everything that is tied to them."""
        a, b = self.find(first), self.find(second)
        self._parent[max(a, b)] = min(a, b)

    def tie_pairs(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Tie the two images of every pair."""
        for first, second in pairs:
            self.tie(first, second)

    def tie_equal(self, keys: Iterable[Hashable]) -> None:
        """Tie the images that have the same key; None is not a key."""
        seen: dict[Hashable, int] = {}
        for index, key in enumerate(keys):
            if key is not None:
                self.tie(seen.setdefault(key, index), index)


def tie_in_time(ties: Ties, times: Sequence[datetime | None], gap_s: float) -> None:
    """Tie images that follow each other by at most `gap_s` seconds; None is not a time."""
    ordered = sorted((time, index) for index, time in enumerate(times) if time is not None)
    ties.tie_pairs(
        (first, second)
        for (before, first), (after, second) in itertools.pairwise(ordered)
        if (after - before).total_seconds() <= gap_s
    )


def tie_in_place(ties: Ties, positions: Sequence[tuple[float, float] | None], radius_m: float) -> None:
    """Tie images that were taken at most `radius_m` metres apart.

    Positions (latitude and longitude, degrees) become points in space, so that no meridian or pole is special. They are
    sorted into cubes whose diagonal is the radius: all of a cube are tied, and cubes nearby are compared.
    """
    edge = radius_m / math.sqrt(3)
    cubes: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    points = np.full((len(positions), 3), np.nan)
    for index, position in enumerate(positions):
        if position is not None:
            points[index] = _point(*position)
            x, y, z = (int(value) for value in np.floor(points[index] / edge))
            cubes[x, y, z].append(index)
    for members in cubes.values():
        ties.tie_pairs((members[0], other) for other in members[1:])
    # Half of the cubes around; the other half meets this one from its own side.
    around = [offset for offset in itertools.product(range(-2, 3), repeat=3) if offset > (0, 0, 0)]
    for (x, y, z), members in cubes.items():
        for dx, dy, dz in around:
            others = cubes.get((x + dx, y + dy, z + dz))
            if not others or ties.find(members[0]) == ties.find(others[0]):
                continue
            between = points[members][:, None] - points[others][None]
            if (between**2).sum(-1).min() <= radius_m**2:
                ties.tie(members[0], others[0])


def _point(latitude: float, longitude: float) -> tuple[float, float, float]:
    phi, lam = math.radians(latitude), math.radians(longitude)
    ring = _EARTH_RADIUS_M * math.cos(phi)
    return ring * math.cos(lam), ring * math.sin(lam), _EARTH_RADIUS_M * math.sin(phi)

"""Which sightings of different passes are one object: one to one, with the passes' errors fitted in between."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from reg_yolo.inventory.existence import probability
from reg_yolo.inventory.network.shifts import DriveErrors, Shifted, fit_drives
from reg_yolo.inventory.network.sightings import Sighting

FloatArray = NDArray[np.float64]

_REACH_M = (12.0, 9.0, 7.0)
_WIDE_M = 12.0
"""What is wider than this spans the road; its distance is known less well, and it has no neighbour near."""
_LEAST_WEIGHT = 0.1
"""What leaving a sighting alone costs that surely is of nothing, as a share of what it costs for a sure one."""
_FRONT = math.cos(math.radians(80))


def match_drives(drives: Sequence[DriveErrors], sightings: Sequence[Sighting]) -> tuple[list[list[int]], Shifted]:
    """Group the sightings of all drives into objects, and fit the drives to each other.

    A first matching within wide bounds shows how far the drives are apart; two more, after fitting, are narrower.

    Args:
        drives: What is known of each drive's errors.
        sightings: Of all drives, numbered by drive.
    """
    groups: list[list[int]] = [[n] for n in range(len(sightings))]
    shifted = fit_drives(drives, sightings, groups)
    if len(drives) < 2:
        return groups, shifted
    for reach in _REACH_M:
        places = np.array([sighting.place_m for sighting in sightings]) + shifted.moved_m
        groups = _grouped(sightings, places, reach)
        shifted = fit_drives(drives, sightings, groups)
    return groups, shifted


def _grouped(sightings: Sequence[Sighting], places: FloatArray, reach: float) -> list[list[int]]:
    """Add drive by drive to the objects found so far."""
    groups: list[list[int]] = []
    middles: list[FloatArray] = []
    nearby = _Cells(2.5 * reach)
    existence = np.array([probability([sighting.features]) for sighting in sightings])
    # What is doubted must not take the place of what is sure next to it.
    alone = reach * (_LEAST_WEIGHT + (1 - _LEAST_WEIGHT) * existence)
    by_drive: dict[int, list[int]] = {}
    for number, sighting in enumerate(sightings):
        by_drive.setdefault(sighting.drive, []).append(number)
    for members in by_drive.values():
        known = nearby.around(places[members])
        taken: dict[int, int] = {}
        if known:
            near = cKDTree(np.array([middles[n] for n in known])).query_ball_point(places[members], 2.5 * reach)
            costs = {}
            for row, candidates in enumerate(near):
                for column in candidates:
                    cost = _cost(sightings, places, members[row], groups[known[column]], reach)
                    if cost is not None:
                        costs[row, column] = cost
            taken = _one_to_one(costs, alone[members], np.array([alone[groups[n]].max() for n in known]))
        for row, number in enumerate(members):
            if row in taken:
                chosen = known[taken[row]]
                groups[chosen].append(number)
                middles[chosen] = places[groups[chosen]].mean(axis=0)
            else:
                chosen = len(groups)
                groups.append([number])
                middles.append(places[number])
            nearby.add(chosen, middles[chosen])
    return groups


class _Cells:
    """Which objects lie near a drive, however many lie elsewhere.

    Args:
        size_m: Of a cell; what is looked for lies within it.
    """

    def __init__(self, size_m: float) -> None:
        self._size = size_m
        self._numbers: dict[tuple[int, int], set[int]] = {}

    def add(self, number: int, place: FloatArray) -> None:
        """Note an object; one that has moved is found by both places."""
        east, north = np.floor(place / self._size).astype(int).tolist()
        self._numbers.setdefault((east, north), set()).add(number)

    def around(self, places: FloatArray) -> list[int]:
        """Return the objects in the cells of places, shape (N, 2), and in those next to them, in order."""
        cells = {(east, north) for east, north in np.floor(places / self._size).astype(int).tolist()}
        wider = {(east + i, north + j) for east, north in cells for i in (-1, 0, 1) for j in (-1, 0, 1)}
        return sorted({number for cell in wider for number in self._numbers.get(cell, ())})


def _cost(
    sightings: Sequence[Sighting], places: FloatArray, number: int, group: list[int], reach: float
) -> float | None:
    new, old = sightings[number], sightings[group[0]]
    names = set(new.votes) | set(old.votes)
    dot = sum(new.votes.get(name, 0) * old.votes.get(name, 0) for name in names)
    norms = [math.sqrt(sum(value**2 for value in one.votes.values())) for one in (new, old)]
    alike = dot / max(norms[0] * norms[1], 1e-9)
    if alike < 0.3:
        return None
    if (new.is_sign or old.is_sign) and float(new.way @ old.way) < _FRONT:
        return None
    ratio = abs(math.log(max(new.height_m, 0.05) / max(old.height_m, 0.05)))
    if ratio > 0.9:
        return None
    apart = places[number] - places[group].mean(axis=0)
    spread = new.covariance + old.covariance + np.eye(2) * (reach / 3) ** 2
    distance = math.sqrt(float(apart @ np.linalg.solve(spread, apart)))
    limit = reach * (2.5 if min(new.width_m, old.width_m) > _WIDE_M else 1.0)
    if float(np.hypot(*apart)) > limit or distance > 3.0:
        return None
    # In deviations rather than metres, so that two unsure ones may be further apart; in all less than `reach`.
    return reach * distance / 3.5 + 2.0 * ratio + 2.0 * (1 - alike)


def _one_to_one(
    costs: dict[tuple[int, int], float], rows_alone: FloatArray, columns_alone: FloatArray
) -> dict[int, int]:
    """Return the cheapest one-to-one matching, cluster by cluster; leaving a row or a column alone costs as stated."""
    rows, columns = len(rows_alone), len(columns_alone)
    if not costs:
        return {}
    pairs = np.array(list(costs))
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], rows + pairs[:, 1])), shape=(rows + columns,) * 2)
    _, label = connected_components(graph, directed=False)
    clusters: dict[int, list[tuple[int, int]]] = {}
    for row, column in costs:
        clusters.setdefault(int(label[row]), []).append((row, column))
    taken = {}
    for some in clusters.values():
        own_rows = sorted({row for row, _ in some})
        own_columns = sorted({column for _, column in some})
        matrix = np.full((len(own_rows), len(own_columns) + len(own_rows)), 1e6)
        matrix[:, len(own_columns) :] = rows_alone[own_rows, None]
        for row, column in some:
            matrix[own_rows.index(row), own_columns.index(column)] = costs[row, column] - columns_alone[column]
        for i, j in zip(*linear_sum_assignment(matrix), strict=True):
            if j < len(own_columns) and matrix[i, j] < 1e6:
                taken[own_rows[i]] = own_columns[j]
    return taken

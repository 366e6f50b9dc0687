"""How far each drive's way is off, along its time: solved jointly with the objects that several drives saw.

A receiver's error drifts (first-order Gauss-Markov, as its smoother assumes), and a clock's offset moves everything
along the way. What two drives saw of one object differs by the difference of their errors; so objects that are seen
twice tie the drives together, and their neighbours gain as well. All of it is linear; sightings that are far from
their object once it is solved, as two objects taken for one are, count less in the next round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from reg_yolo.inventory.network.sightings import Sighting

FloatArray = NDArray[np.float64]

_KNOT_S = 6.0
_SLACK_M = 0.5
_BELIEVED = 3.0
"""Deviations from its object, with a slack, up to which a sighting counts whole; less with their square beyond."""
_ROUNDS, _SETTLED = 4, 0.05
_BATCH = 400
_DENSE = 3000


@dataclass(frozen=True)
class DriveErrors:
    """What is known of a drive's errors before drives are compared.

    Attributes:
        start_s, end_s: POSIX times between which it has positions.
        sigma_m, correlation_s: Of the receiver's drift on each axis.
        clock_s, clock_sigma_s: Estimated offset of its clock, and its deviation.
        receiver: Number of the receiver: what cameras of one vehicle see is shifted by one and the same error. None for
            one of its own.
    """

    start_s: float
    end_s: float
    sigma_m: float
    correlation_s: float
    clock_s: float
    clock_sigma_s: float
    receiver: int | None = None


@dataclass(frozen=True)
class Shifted:
    """Objects after the drives were fitted to each other.

    Attributes:
        places_m: Shape (A, 2).
        covariances: Shape (A, 2, 2), everything included.
        moved_m: What each sighting is moved by, shape (S, 2).
        clocks_s: By drive.
        clock_sigmas_s: By drive.
    """

    places_m: FloatArray
    covariances: FloatArray
    moved_m: FloatArray
    clocks_s: FloatArray
    clock_sigmas_s: FloatArray


def fit_drives(
    drives: Sequence[DriveErrors], sightings: Sequence[Sighting], groups: Sequence[Sequence[int]]
) -> Shifted:
    """Solve the drives' errors and the objects' places.

    Drives that no object ties together, directly or by others, are solved apart: the work grows with their number.

    Args:
        drives: What is known of each.
        sightings: All of them.
        groups: Sightings of each object.
    """
    count = len(groups)
    result = Shifted(
        np.zeros((count, 2)), np.zeros((count, 2, 2)), np.zeros((len(sightings), 2)), np.zeros(len(drives)),
        np.zeros(len(drives)),
    )  # fmt: skip
    part_of_drive = _parts(drives, sightings, groups)
    members: dict[int, tuple[list[int], list[int]]] = {int(part): ([], []) for part in part_of_drive}
    for number, part in enumerate(part_of_drive.tolist()):
        members[part][0].append(number)
    for number, group in enumerate(groups):
        members[int(part_of_drive[sightings[group[0]].drive])][1].append(number)
    for own_drives, own_groups in members.values():
        rows = [n for number in own_groups for n in groups[number]]
        place = {n: row for row, n in enumerate(rows)}
        solved = _fit(
            [drives[n] for n in own_drives],
            [sightings[n] for n in rows],
            np.searchsorted(own_drives, [sightings[n].drive for n in rows]),
            [[place[n] for n in groups[number]] for number in own_groups],
        )
        result.places_m[own_groups], result.covariances[own_groups] = solved.places_m, solved.covariances
        result.moved_m[rows] = solved.moved_m
        result.clocks_s[own_drives], result.clock_sigmas_s[own_drives] = solved.clocks_s, solved.clock_sigmas_s
    return result


def _parts(
    drives: Sequence[DriveErrors], sightings: Sequence[Sighting], groups: Sequence[Sequence[int]]
) -> NDArray[np.int64]:
    """Return a number for each drive, the same for drives that objects or receivers tie together, shape (D,)."""
    first: dict[int, int] = {}
    pairs = [(first.setdefault(one.receiver, n), n) for n, one in enumerate(drives) if one.receiver is not None]
    pairs += [(sightings[group[0]].drive, sightings[n].drive) for group in groups for n in group[1:]]
    ties = np.array(pairs, np.int64).reshape(-1, 2)
    graph = sparse.coo_matrix((np.ones(len(ties)), ties.T), shape=(len(drives),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _fit(
    drives: Sequence[DriveErrors],
    sightings: Sequence[Sighting],
    drive: NDArray[np.int64],
    groups: Sequence[Sequence[int]],
) -> Shifted:
    """Solve drives that are tied together; `drive` says which of them each sighting is of."""
    if not sightings:
        clocks = ([one.clock_s for one in drives], [one.clock_sigma_s for one in drives])
        return Shifted(np.zeros((0, 2)), np.zeros((0, 2, 2)), np.zeros((0, 2)), *map(np.array, clocks))
    layout = _Layout(drives)
    owner = np.empty(len(sightings), np.int64)
    for number, members in enumerate(groups):
        owner[list(members)] = number
    covariances = np.array([sighting.covariance for sighting in sightings])
    places = np.array([sighting.place_m for sighting in sightings])
    errors = _error_design(layout, sightings, drive)
    inverses, loose = np.linalg.inv(covariances), np.linalg.inv(covariances + np.eye(2) * _SLACK_M**2)
    weights = np.ones(len(sightings))
    for _ in range(_ROUNDS):
        system = _System(layout, drives, owner, len(groups), inverses * weights[:, None, None], places, errors)
        apart = places + system.moved_m - system.places_m[owner]
        deviations = np.sqrt(np.einsum("ni,nij,nj->n", apart, loose, apart))
        before, weights = weights, np.minimum((_BELIEVED / np.maximum(deviations, _BELIEVED)) ** 2, 1.0)
        if np.abs(weights - before).max() < _SETTLED:
            break
    return system.shifted()


class _System:
    """Drives whose sightings, with the inverses of their covariances, are of the objects `owner`, solved."""

    def __init__(
        self,
        layout: _Layout,
        drives: Sequence[DriveErrors],
        owner: NDArray[np.int64],
        count: int,
        inverses: FloatArray,
        places: FloatArray,
        errors: sparse.csr_matrix,
    ) -> None:
        self._layout = layout
        own = np.zeros((count, 2, 2))
        np.add.at(own, owner, inverses)
        self._spread = np.linalg.inv(own)
        weighted = sparse.block_diag(list(inverses), format="csr") @ errors
        gather = sparse.csr_matrix(
            (np.ones(2 * len(owner)), (_pairs(owner), np.arange(2 * len(owner)))),
            shape=(2 * count, 2 * len(owner)),
        )
        mixed = sparse.csr_matrix(gather @ weighted)
        self._weights = sparse.csr_matrix(sparse.block_diag(list(self._spread), format="csr") @ mixed)
        pulled = np.zeros((count, 2))
        np.add.at(pulled, owner, np.einsum("nij,nj->ni", inverses, places))
        alone = np.einsum("nij,nj->ni", self._spread, pulled)
        prior, mean = layout.prior(drives)
        self._factor = _Factor(errors.T @ weighted - mixed.T @ self._weights + prior)
        self._solved = self._factor.solve(weighted.T @ places.ravel() - mixed.T @ alone.ravel() + prior @ mean)
        self.places_m = alone - (self._weights @ self._solved).reshape(-1, 2)
        self.moved_m = -(errors @ self._solved).reshape(-1, 2)

    def shifted(self) -> Shifted:
        """Return the solution with all deviations, which take most of the work."""
        covariances = self._spread.copy()
        for start in range(0, len(covariances), _BATCH):
            chosen = np.arange(start, min(start + _BATCH, len(covariances)))
            some = self._weights[_pairs(chosen)]
            product = some @ self._factor.solve(some.T.toarray())
            at = 2 * np.arange(len(chosen))
            for i in range(2):
                for j in range(2):
                    covariances[chosen, i, j] += product[at + i, at + j]
        clocks = self._layout.clocks
        unit = np.zeros((self._layout.size, len(clocks)))
        unit[clocks, np.arange(len(clocks))] = 1.0
        sigmas = np.sqrt(np.diag(self._factor.solve(unit)[clocks]))
        return Shifted(self.places_m, np.asarray(covariances), self.moved_m, self._solved[clocks], sigmas)


def _pairs(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Columns or rows of both axes of some things."""
    return np.asarray((2 * rows[:, None] + np.arange(2)).ravel())


class _Factor:
    """A symmetric positive definite matrix, factored: dense where that is small."""

    def __init__(self, matrix: sparse.spmatrix) -> None:
        self._dense = cho_factor(matrix.toarray()) if matrix.shape[0] <= _DENSE else None
        self._sparse = None if self._dense is not None else splu(sparse.csc_matrix(matrix))

    def solve(self, right: FloatArray) -> FloatArray:
        if self._dense is not None:
            return np.asarray(cho_solve(self._dense, right))
        assert self._sparse is not None
        return np.asarray(self._sparse.solve(right))


class _Layout:
    """Columns of the unknowns: two axes at every knot of each receiver, then a clock for each drive."""

    def __init__(self, drives: Sequence[DriveErrors]) -> None:
        own = [(n, None) if drive.receiver is None else (None, drive.receiver) for n, drive in enumerate(drives)]
        numbers = {key: n for n, key in enumerate(dict.fromkeys(own))}
        self._receiver = np.array([numbers[key] for key in own])
        self._first_drive = [int(np.flatnonzero(self._receiver == n)[0]) for n in range(len(numbers))]
        some = [drives[n] for n in self._first_drive]
        knots = np.array([max(2, math.ceil((one.end_s - one.start_s) / _KNOT_S) + 1) for one in some])
        first = np.concatenate(([0], np.cumsum(2 * knots)))
        self.knots, self.first = knots[self._receiver], first[:-1][self._receiver]
        self.clocks = int(first[-1]) + np.arange(len(drives))
        self.size = int(first[-1]) + len(drives)
        self.starts = np.array([drive.start_s for drive in drives])

    def prior(self, drives: Sequence[DriveErrors]) -> tuple[sparse.csr_matrix, FloatArray]:
        blocks, mean = [], np.zeros(self.size)
        for number in self._first_drive:
            drive, knots = drives[number], int(self.knots[number])
            keep = math.exp(-_KNOT_S / drive.correlation_s)
            inner = np.full(knots, 1 + keep**2)
            inner[[0, -1]] = 1.0
            line = sparse.diags([np.full(knots - 1, -keep), inner, np.full(knots - 1, -keep)], [-1, 0, 1])
            line = line / ((1 - keep**2) * drive.sigma_m**2)
            blocks.append(sparse.kron(line, sparse.eye(2)))
        blocks.append(sparse.diags([drive.clock_sigma_s**-2 for drive in drives]))
        mean[self.clocks] = [drive.clock_s for drive in drives]
        return sparse.csr_matrix(sparse.block_diag(blocks)), mean


def _error_design(layout: _Layout, sightings: Sequence[Sighting], drive: NDArray[np.int64]) -> sparse.csr_matrix:
    """What the drives' errors do to each coordinate of each sighting, shape (2S, size)."""
    time_s = np.array([sighting.time_s for sighting in sightings])
    velocity = np.array([sighting.velocity_mps for sighting in sightings])
    place = np.clip((time_s - layout.starts[drive]) / _KNOT_S, 0, None)
    low = np.minimum(place.astype(np.int64), layout.knots[drive] - 2)
    share = np.repeat(np.minimum(place - low, 1.0), 2)
    column = np.repeat(layout.first[drive] + 2 * low, 2) + np.tile([0, 1], len(sightings))
    # Fixes stamped late put the vehicle, and all it sees, where it was before.
    values = np.concatenate([1 - share, share, -velocity.ravel()])
    columns = np.concatenate([column, column + 2, np.repeat(layout.clocks[drive], 2)])
    rows = np.tile(np.arange(2 * len(sightings)), 3)
    return sparse.csr_matrix((values, (rows, columns)), shape=(2 * len(sightings), layout.size))

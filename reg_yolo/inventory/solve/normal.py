"""Normal equations of a pass, summed look by look: each look knows one object, two knots, and what is common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reg_yolo.inventory.solve.problem import GLOBALS, LOOK_CAMERA, PER_OBJECT, Problem

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CHUNK = 32768
"""Looks of a problem for each further piece that it is summed in."""


@dataclass(frozen=True)
class Normal:
    """A normal matrix in parts; the camera's unknowns in the inner order: turn and nod of each knot, then the rest.

    Attributes:
        camera: Of the camera's unknowns, shape (C, C).
        mixed: Of objects and camera, shape (6N, C).
        blocks: Of each object, shape (N, 6, 6).
    """

    camera: sparse.csr_matrix
    mixed: sparse.csr_matrix
    blocks: FloatArray

    def damped(self, damping: float) -> Normal:
        """Return it with a diagonal that is larger by a share."""
        camera = self.camera + sparse.diags(damping * self.camera.diagonal())
        diagonal = np.einsum("nii->ni", self.blocks)
        return Normal(camera, self.mixed, self.blocks + np.eye(PER_OBJECT) * (damping * diagonal)[:, None])


class NormalEquations:
    """Sums the normal equations of a problem at any values of its unknowns.

    Args:
        problem: Whose looks and prior are summed.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        low, owner = problem.low, problem.sights.object
        # Looks of one object between the same two knots are summed first.
        self._sorted = np.lexsort((low, owner))
        key = owner[self._sorted] * problem.knots + low[self._sorted]
        self._pairs = np.flatnonzero(np.concatenate(([True], np.diff(key) > 0)))
        first, counts = self._sorted[self._pairs], np.diff(np.append(self._pairs, len(key)))
        self._alike = [
            (chosen, self._sorted[self._pairs[chosen, None] + np.arange(count)])
            for count in np.unique(counts).tolist()
            for chosen in np.array_split(np.flatnonzero(counts == count), 1 + len(key) // _CHUNK)
            if len(chosen)
        ]
        self._owner, self._low = owner[first], low[first]
        inner = 2 * problem.knots
        columns = 2 * self._low[:, None] + np.array([0, 2, 1, 3])
        common = np.broadcast_to(inner + np.arange(GLOBALS), (len(columns), GLOBALS))
        self._columns = np.concatenate([columns, common], 1)
        self._size = inner + GLOBALS
        self._rows = PER_OBJECT * self._owner[:, None] + np.arange(PER_OBJECT)
        prior = problem.prior_terms(np.zeros(problem.size))[0]
        order = inner_order(problem.knots)
        self._prior_camera = sparse.csr_matrix(prior[: self._size, : self._size][order][:, order])
        self._prior_blocks = _blocks(prior[self._size :, self._size :], problem.objects)

    def at(
        self, x: FloatArray, parts: dict[str, FloatArray], scaled: FloatArray, weight: FloatArray, inverse: FloatArray
    ) -> tuple[Normal, FloatArray]:
        """Return the weighted normal matrix with the prior, and the gradient in the order of the unknowns.

        Args:
            x: Unknowns.
            parts: What `Problem.predict` returned for them.
            scaled: Residuals in deviations, shape (K, 4).
            weight: Of each, shape (K, 4).
            inverse: One over each one's deviation, 0 where it does not count, shape (K, 4).
        """
        problem = self._problem
        root = np.sqrt(weight)
        rows = problem.jacobian(x, parts)
        rows *= (inverse * root)[..., None]
        pulled = (rows * (scaled * root)[..., None]).sum(axis=1)
        summed = self._summed(rows)
        pairs, camera = self._pairs, slice(0, LOOK_CAMERA)
        own = slice(LOOK_CAMERA, None)
        blocks = self._prior_blocks.copy()
        np.add.at(blocks, self._owner, summed[:, own, own])
        at = np.broadcast_to(self._columns[:, None, :], (len(pairs), PER_OBJECT, LOOK_CAMERA)).ravel()
        rows_at = np.broadcast_to(self._rows[:, :, None], (len(pairs), PER_OBJECT, LOOK_CAMERA)).ravel()
        mixed = sparse.csr_matrix(
            (summed[:, own, camera].ravel(), (rows_at, at)), shape=(PER_OBJECT * problem.objects, self._size)
        )
        both = (len(pairs), LOOK_CAMERA, LOOK_CAMERA)
        left, right = (np.broadcast_to(self._columns[:, :, None], both), np.broadcast_to(self._columns[:, None], both))
        knots = sparse.csr_matrix(
            (summed[:, camera, camera].ravel(), (left.ravel(), right.ravel())), shape=(self._size, self._size)
        )
        gradient = problem.prior_terms(x)[1]
        pull = np.add.reduceat(pulled[self._sorted], pairs)
        inner = np.bincount(self._columns.ravel(), pull[:, camera].ravel(), self._size)
        gradient[inner_order(problem.knots)] -= inner
        gradient[self._size :] -= np.bincount(self._rows.ravel(), pull[:, own].ravel(), PER_OBJECT * problem.objects)
        return Normal(sparse.csr_matrix(knots + self._prior_camera), mixed, blocks), gradient

    def _summed(self, rows: FloatArray) -> FloatArray:
        """Return the sums of the looks' products, shape (pairs, 14, 14): pairs of as many looks at once."""
        summed = np.empty((len(self._pairs), rows.shape[2], rows.shape[2]))
        for chosen, looks in self._alike:
            some = rows[looks].reshape(len(chosen), -1, rows.shape[2])
            summed[chosen] = some.transpose(0, 2, 1) @ some
        return summed


def inner_order(knots: int) -> IntArray:
    """Return which of the problem's camera unknowns each of the inner order is: turn and nod of a knot side by side."""
    along = GLOBALS + np.arange(2 * knots).reshape(2, knots).T.ravel()
    return np.concatenate([along, np.arange(GLOBALS)])


def _blocks(matrix: sparse.spmatrix, count: int) -> FloatArray:
    """Blocks on the diagonal of a matrix that has nothing else, shape (N, 6, 6)."""
    found = sparse.coo_matrix(matrix)
    blocks = np.zeros((count, PER_OBJECT, PER_OBJECT))
    np.add.at(blocks, (found.row // PER_OBJECT, found.row % PER_OBJECT, found.col % PER_OBJECT), found.data)
    return blocks

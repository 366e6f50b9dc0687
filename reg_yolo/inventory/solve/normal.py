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


class _Pattern:
    """Where the entries of a sparse matrix lie, of which several are summed; the same at every step.

    Args:
        rows, columns: Of each entry, shapes that broadcast to one another.
        shape: Of the matrix.
    """

    def __init__(self, rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> None:
        places, slots = np.unique(rows * shape[1] + columns, return_inverse=True)
        self._slots, self._indices, self._shape = slots.ravel(), places % shape[1], shape
        self._starts = np.searchsorted(places, shape[1] * np.arange(shape[0] + 1))

    def matrix(self, values: FloatArray) -> sparse.csr_matrix:
        """Return the matrix of some values, in the order of the entries."""
        summed = np.bincount(self._slots, values.ravel(), len(self._indices))
        return sparse.csr_matrix((summed, self._indices, self._starts), shape=self._shape)


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
        self._objects = np.flatnonzero(np.concatenate(([True], np.diff(self._owner) > 0)))
        inner = 2 * problem.knots
        columns = 2 * self._low[:, None] + np.array([0, 2, 1, 3])
        common = np.broadcast_to(inner + np.arange(GLOBALS), (len(columns), GLOBALS))
        self._columns = np.concatenate([columns, common], 1)
        self._size = inner + GLOBALS
        self._rows = PER_OBJECT * self._owner[:, None] + np.arange(PER_OBJECT)
        self._mixed = _Pattern(
            self._rows[:, :, None], self._columns[:, None, :], (PER_OBJECT * problem.objects, self._size)
        )
        # Of the camera, what lies between the same two knots is summed first.
        self._by_knot = np.argsort(self._low, kind="stable")
        self._knots = np.flatnonzero(np.concatenate(([True], np.diff(self._low[self._by_knot]) > 0)))
        known = self._columns[self._by_knot[self._knots]]
        self._camera = _Pattern(known[:, :, None], known[:, None, :], (self._size, self._size))
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
        pulled = ((scaled * root)[:, None] @ rows)[:, 0]
        summed = self._summed(rows)
        camera, own = slice(0, LOOK_CAMERA), slice(LOOK_CAMERA, None)
        blocks = self._prior_blocks.copy()
        blocks[self._owner[self._objects]] += np.add.reduceat(summed[:, own, own], self._objects)
        mixed = self._mixed.matrix(summed[:, own, camera])
        knots = self._camera.matrix(np.add.reduceat(summed[self._by_knot, camera, camera], self._knots))
        gradient = problem.prior_terms(x)[1]
        pull = np.add.reduceat(pulled[self._sorted], self._pairs)
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

"""Normal equations of a pass, solved by elimination: objects first, then the knots along the way, then what is common.

Objects meet only through the camera, and a knot meets only its neighbours along the way; so the work grows with the
length of a pass, not with its square.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import splu

from reg_yolo.inventory.solve.problem import GLOBALS, PER_OBJECT

FloatArray = NDArray[np.float64]


class Eliminated:
    """A factored normal matrix.

    Args:
        normal: Symmetric, positive definite; unknowns in `Problem`'s order.
        knots: Number of knots.
        objects: Number of objects.
    """

    def __init__(self, normal: sparse.csr_matrix, knots: int, objects: int) -> None:
        first = GLOBALS + 2 * knots
        self._first, self._objects = first, objects
        # Turns and nods of one knot lie next to each other, which keeps the knots' matrix narrow.
        along = GLOBALS + np.arange(2 * knots).reshape(2, knots).T.ravel()
        self._order = np.concatenate([along, np.arange(GLOBALS)])
        camera = normal[:first, :first][self._order][:, self._order]
        self._mixed = sparse.csr_matrix(normal[first:, :first][:, self._order])
        self._inverse = np.linalg.inv(_blocks(normal[first:, first:], objects))
        inverse = sparse.block_diag(list(self._inverse), format="csr") if objects else sparse.csr_matrix((0, 0))
        self._weights = sparse.csr_matrix(inverse @ self._mixed)
        reduced = sparse.csc_matrix(camera - self._mixed.T @ self._weights)
        inner = 2 * knots
        self._inner = inner
        self._band = splu(reduced[:inner, :inner], permc_spec="NATURAL", diag_pivot_thresh=0.0)
        self._border = reduced[:inner, inner:].toarray()
        self._solved_border = self._band.solve(self._border)
        corner = reduced[inner:, inner:].toarray() - self._border.T @ self._solved_border
        self._corner = cho_factor((corner + corner.T) / 2)

    def _camera(self, right: FloatArray) -> FloatArray:
        """Solve the reduced system, in the inner order."""
        inner = self._band.solve(np.ascontiguousarray(right[: self._inner]))
        common = cho_solve(self._corner, right[self._inner :] - self._border.T @ inner)
        return np.concatenate([inner - self._solved_border @ common, common])

    def solve(self, right: FloatArray) -> FloatArray:
        """Return the solution for one right-hand side, shape (size,)."""
        camera, objects = right[: self._first][self._order], right[self._first :]
        own = np.einsum("nij,nj->ni", self._inverse, objects.reshape(-1, PER_OBJECT)).ravel()
        solved = self._camera(camera - self._mixed.T @ own)
        result = np.empty_like(right)
        result[self._order] = solved
        result[self._first :] = own - self._weights @ solved
        return result

    def covariances(self) -> tuple[FloatArray, FloatArray]:
        """Return the covariance of each object's place (N, 2, 2) and the deviations of the common unknowns (4,)."""
        unit = np.zeros((self._inner + GLOBALS, GLOBALS))
        unit[self._inner + np.arange(GLOBALS), np.arange(GLOBALS)] = 1.0
        camera = np.sqrt(np.abs(np.diag(self._camera(unit)[self._inner :])))
        blocks = self._inverse[:, :2, :2].copy()
        for start in range(0, self._objects, 200):
            chosen = np.arange(start, min(start + 200, self._objects))
            rows = (PER_OBJECT * chosen[:, None] + np.arange(2)).ravel()
            weights = self._weights[rows]
            spread = weights @ self._camera(weights.T.toarray())
            at = np.arange(len(chosen)) * 2
            for i in range(2):
                for j in range(2):
                    blocks[chosen, i, j] += spread[at + i, at + j]
        return np.asarray(blocks), np.asarray(camera)


def _blocks(matrix: sparse.spmatrix, count: int) -> FloatArray:
    """Blocks on the diagonal of a matrix that has nothing else, shape (N, 6, 6)."""
    found = sparse.coo_matrix(matrix)
    blocks = np.zeros((count, PER_OBJECT, PER_OBJECT))
    np.add.at(blocks, (found.row // PER_OBJECT, found.row % PER_OBJECT, found.col % PER_OBJECT), found.data)
    return blocks

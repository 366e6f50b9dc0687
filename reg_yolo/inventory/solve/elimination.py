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

from reg_yolo.inventory.solve.normal import Normal, inner_order
from reg_yolo.inventory.solve.problem import GLOBALS, PER_OBJECT

FloatArray = NDArray[np.float64]

_NARROW, _BLOCK, _BATCH = 400, 32, 200


class Eliminated:
    """A factored normal matrix.

    Args:
        normal: Symmetric, positive definite.
    """

    def __init__(self, normal: Normal) -> None:
        self._first, self._objects = normal.camera.shape[0], len(normal.blocks)
        inner = self._first - GLOBALS
        self._order = inner_order(inner // 2)
        self._mixed = normal.mixed
        self._inverse = np.linalg.inv(normal.blocks)
        numbers = np.arange(self._objects + 1)
        inverse = sparse.bsr_matrix((self._inverse, numbers[:-1], numbers), shape=(normal.mixed.shape[0],) * 2)
        self._weights = sparse.csr_matrix(inverse.tocsr() @ self._mixed)
        reduced = sparse.csc_matrix(normal.camera - self._mixed.T @ self._weights)
        self._inner, self._reduced = inner, reduced[:inner, :inner]
        found = self._reduced.tocoo()
        self._width = int(np.abs(found.row - found.col).max(initial=0))
        # Where somebody drove a road twice, objects tie knots together that are far apart.
        order = "NATURAL" if self._width <= _NARROW else "MMD_AT_PLUS_A"
        self._band = splu(self._reduced, permc_spec=order, diag_pivot_thresh=0.0, options={"SymmetricMode": True})
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
        rows = (PER_OBJECT * np.arange(self._objects)[:, None] + np.arange(2)).ravel()
        weights = self._weights[rows]
        inner, common = sparse.csr_matrix(weights[:, : self._inner]), weights[:, self._inner :].toarray()
        # What is common adds to what the knots add; see _camera.
        common = (common - inner @ self._solved_border).reshape(-1, 2, GLOBALS)
        solved = cho_solve(self._corner, common.reshape(-1, GLOBALS).T).T.reshape(common.shape)
        spread = common @ solved.transpose(0, 2, 1)
        if self._width <= _NARROW:
            spread += _spread_of(inner, SelectedInverse(self._reduced.tocoo(), max(self._width, _BLOCK)))
        else:
            for start in range(0, self._objects, _BATCH):
                some = inner[2 * start : 2 * (start + _BATCH)]
                product = some @ self._band.solve(some.T.toarray())
                at = 2 * np.arange(len(product) // 2)[:, None, None]
                spread[start : start + _BATCH] += product[at + np.arange(2)[:, None], at + np.arange(2)]
        return self._inverse[:, :2, :2] + spread, np.asarray(camera)


class SelectedInverse:
    """The inverse of a symmetric band matrix near its diagonal.

    It is found block by block (Takahashi, Fagan and Chin, *Formation of a sparse bus impedance matrix and its
    application to short circuit study*, PICA 1973), so that the work grows with the length of the band.

    Args:
        matrix: Positive definite, shape (N, N).
        block: Size of the blocks, at least the width of the band on one side.

    Attributes:
        pairs: The inverse in two neighbouring blocks, shape (B, 2 * block, 2 * block); the last has one block alone.
    """

    def __init__(self, matrix: sparse.coo_matrix, block: int) -> None:
        count = -(-matrix.shape[0] // block)
        diagonal, beside = np.zeros((count, block, block)), np.zeros((count, block, block))
        row, column = matrix.row // block, matrix.col // block
        for blocks, chosen in ((diagonal, row == column), (beside, row + 1 == column)):
            some = row[chosen], matrix.row[chosen] % block, matrix.col[chosen] % block
            np.add.at(blocks, some, matrix.data[chosen])
        rest = np.arange(matrix.shape[0] - (count - 1) * block, block)
        diagonal[-1, rest, rest] = 1.0
        inverses = np.empty_like(diagonal)
        for n in range(count):
            less = beside[n - 1].T @ inverses[n - 1] @ beside[n - 1] if n else 0.0
            inverses[n] = np.linalg.inv(diagonal[n] - less)
        self.pairs = np.zeros((count, 2 * block, 2 * block))
        own, other = slice(0, block), slice(block, None)
        self.pairs[-1, own, own] = inverses[-1]
        for n in range(count - 2, -1, -1):
            carried, after = inverses[n] @ beside[n], self.pairs[n + 1, own, own]
            between = -carried @ after
            self.pairs[n, own, own] = inverses[n] - between @ carried.T
            self.pairs[n, own, other], self.pairs[n, other, own] = between, between.T
            self.pairs[n, other, other] = after


def _spread_of(weights: sparse.csr_matrix, known: SelectedInverse) -> FloatArray:
    """Return W P W^T of each two rows of W, shape (N, 2, 2), of which the columns lie near each other."""
    block, count = known.pairs.shape[1] // 2, weights.shape[0] // 2
    found = weights.tocoo()
    first = np.full(count, weights.shape[1])
    np.minimum.at(first, found.row // 2, found.col)
    first //= block
    window = np.zeros((count, 2, 2 * block))
    window[found.row // 2, found.row % 2, found.col - block * first[found.row // 2]] = found.data
    spread = np.zeros((count, 2, 2))
    order = np.argsort(first, kind="stable")
    for some in np.split(order, np.flatnonzero(np.diff(first[order])) + 1):
        if len(some) and first[some[0]] < len(known.pairs):
            spread[some] = window[some] @ known.pairs[first[some[0]]] @ window[some].transpose(0, 2, 1)
    return spread

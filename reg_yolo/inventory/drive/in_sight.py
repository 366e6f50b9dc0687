"""What is in sight while a pass is followed: the state of every object, as rows of one table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RHO_MIN = 1 / 400
MIX = np.uint64(0x9E3779B97F4A7C15)
_VOTES = 36
"""Columns of the table of what is followed that come before the votes."""


class InSight:
    """The state of all objects in sight, one row each of one table.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes: int) -> None:
        self._table = np.zeros((0, _VOTES + classes))
        self._marks = np.zeros((0, 3), np.uint64)
        self.rows: list[list[int]] = []

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def origin(self) -> FloatArray:
        """Where the camera first saw each, shape (N, 2)."""
        return self._table[:, :2]

    @property
    def heading(self) -> FloatArray:
        """The view then, shape (N,)."""
        return self._table[:, 2]

    @property
    def track(self) -> FloatArray:
        """The tracker's identity, shape (N,)."""
        return self._table[:, 3]

    @property
    def last(self) -> FloatArray:
        """Distance travelled and time of the last look, shape (N, 2)."""
        return self._table[:, 4:6]

    @property
    def state(self) -> FloatArray:
        """Inverse depth and the tangents of the four sides, shape (N, 5)."""
        return self._table[:, 6:11]

    @property
    def covariance(self) -> FloatArray:
        """Of the state, shape (N, 5, 5)."""
        return self._table[:, 11:_VOTES].reshape(-1, 5, 5)

    @property
    def votes(self) -> FloatArray:
        """Shape (N, C)."""
        return self._table[:, _VOTES:]

    @property
    def lane(self) -> IntArray:
        """Shape (N,)."""
        return self._marks[:, 0].view(np.int64)

    @property
    def history(self) -> NDArray[np.uint64]:
        """A hash of the rows of each, shape (N,)."""
        return self._marks[:, 1]

    @property
    def latest(self) -> IntArray:
        """The last row of each, shape (N,)."""
        return self._marks[:, 2].view(np.int64)

    def positions(self) -> FloatArray:
        """Easting and northing, shape (N, 2)."""
        tangent = (self.state[:, 1] + self.state[:, 3]) / 2
        sin, cos = np.sin(self.heading), np.cos(self.heading)
        ray = np.stack([sin + tangent * cos, cos - tangent * sin], 1)
        return np.asarray(self.origin + ray / np.maximum(self.state[:, :1], RHO_MIN))

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the others."""
        self._table, self._marks = self._table[kept], self._marks[kept]
        self.rows = [rows for rows, stays in zip(self.rows, kept.tolist(), strict=True) if stays]

    def add(self, rows: IntArray, lane: IntArray) -> slice:
        """Add objects that nothing is known of but their first rows, and return where they are."""
        first = len(self.rows)
        self._table = np.concatenate([self._table, np.zeros((len(rows), self._table.shape[1]))])
        marks = np.stack([lane, rows + 1, rows], 1).view(np.uint64)
        self._marks = np.concatenate([self._marks, marks])
        self.rows += [[row] for row in rows.tolist()]
        return slice(first, first + len(rows))

    def note(self, numbers: IntArray, rows: IntArray) -> None:
        """Note a further row of some objects."""
        self._marks[numbers, 1] = self._marks[numbers, 1] * MIX + (rows + 1).view(np.uint64)
        self._marks[numbers, 2] = rows.view(np.uint64)
        for number, row in zip(numbers.tolist(), rows.tolist(), strict=True):
            self.rows[number].append(row)

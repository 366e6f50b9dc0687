"""One-to-one matching of the pairs that are possible at all, which are few."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def cheapest_pairs(
    one: IntArray, other: IntArray, cost: FloatArray, alone: float, group: IntArray | None = None
) -> IntArray:
    """Return which pairs make the cheapest one-to-one matching, where leaving one of `other` alone costs `alone`.

    Args:
        one, other: Numbers of what is paired, shape (P,).
        cost: Of each pair, less than `alone`, shape (P,).
        alone: What it costs to leave one without a partner; far more than any pair makes as many pairs as can be.
        group: Numbers of groups that share no partner, shape (P,): each is matched by itself.

    Example:
        >>> cheapest_pairs(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([1.0, 2.0, 3.0]), 5.0)
        array([0, 2])
    """
    # What shares no partner with another pair holds anyway.
    contested = (np.bincount(one)[one] > 1) | (np.bincount(other)[other] > 1)
    taken = [np.flatnonzero(~contested)]
    left = np.flatnonzero(contested)
    groups = [left]
    if group is not None:
        left = left[np.argsort(group[left], kind="stable")]
        groups = np.split(left, np.flatnonzero(np.diff(group[left])) + 1)
    for some in groups:
        if not len(some):
            continue
        firsts, row = np.unique(one[some], return_inverse=True)
        seconds, column = np.unique(other[some], return_inverse=True)
        costs = np.full((len(firsts) + len(seconds), len(seconds)), alone)
        number = np.full(costs.shape, -1)
        costs[row, column], number[row, column] = cost[some], some
        pairs = number[linear_sum_assignment(costs)]
        taken.append(pairs[pairs >= 0])
    return np.concatenate(taken)

"""Ranges of numbers, many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def ranges(first: IntArray, counts: IntArray) -> IntArray:
    """Return numbers that count up from each of `first`, so many of each.

    Example:
        >>> ranges(np.array([3, 10]), np.array([2, 3]))
        array([ 3,  4, 10, 11, 12])
    """
    ends = np.cumsum(counts)
    return np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(first - (ends - counts), counts)

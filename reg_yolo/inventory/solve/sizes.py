"""How high the objects of each class are on this drive, learned from those that were located well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.solve.problem import LOWER, UPPER

FloatArray = NDArray[np.float64]

_ENOUGH = 4
_MIN_SPREAD = 0.06


@dataclass(frozen=True)
class ClassSizes:
    """Heights by class.

    Attributes:
        height_m: Median, shape (C,), NaN where too few were located well.
        spread: Deviation of the logarithm, shape (C,).
    """

    height_m: FloatArray
    spread: FloatArray

    @classmethod
    def unknown(cls, classes: int) -> ClassSizes:
        """Return sizes that say nothing."""
        return cls(np.full(classes, np.nan), np.full(classes, np.inf))


def learn_sizes(
    votes: FloatArray, objects: FloatArray, covariance: FloatArray, misfit: FloatArray, looks: FloatArray
) -> ClassSizes:
    """Learn each class's height.

    Args:
        votes: By object and class, shape (N, C).
        objects: Solved, shape (N, 6).
        covariance: Of east and north, shape (N, 2, 2).
        misfit: Mean square residual, shape (N,).
        looks: How many looks each has, shape (N,).
    """
    sizes = ClassSizes.unknown(votes.shape[1])
    height = objects[:, UPPER] - objects[:, LOWER]
    sigma = np.sqrt(np.linalg.eigvalsh(covariance)[:, -1])
    good = (looks >= 4) & (sigma < 2.0) & (misfit < 6) & (height > 0.1)
    main = votes.argmax(axis=1)
    for number in range(votes.shape[1]):
        values = np.log(height[good & (main == number)])
        if len(values) >= _ENOUGH:
            middle = float(np.median(values))
            sizes.height_m[number] = np.exp(middle)
            sizes.spread[number] = max(1.4826 * float(np.median(np.abs(values - middle))), _MIN_SPREAD)
    return sizes

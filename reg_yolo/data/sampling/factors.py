"""How much more often an image is shown for the rare classes on it: repeat factors, plain or instance-aware.

Repeat factor sampling is Gupta, Dollar and Girshick, LVIS, CVPR 2019 (arXiv 1908.03195), section 3.3 and appendix; the
instance-aware form is Yaman et al., Instance-Aware Repeat Factor Sampling, 2023 (arXiv 2305.08069).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Method = Literal["repeat_factor", "instance_repeat_factor"]
Threshold = float | Literal["median"]

RARE_SHARE = 1 / 3
"""A class is rare with fewer objects than this share of the median class's."""


def count_matrix(class_ids: Sequence[ArrayLike], classes: int) -> NDArray[np.int64]:
    """Return how many objects of each class every image holds.

    Args:
        class_ids: One list or array of class indices an image, any shape.
        classes: Number of classes C.

    Returns:
        int64 `[N, C]`.

    Example:
        >>> count_matrix([[0, 0, 2], []], 3).tolist()
        [[2, 0, 1], [0, 0, 0]]
    """
    counts = np.zeros((len(class_ids), classes), np.int64)
    for row, ids in zip(counts, class_ids, strict=True):
        row += np.bincount(np.asarray(ids).reshape(-1).astype(np.int64), minlength=classes)
    return counts


def class_frequencies(counts: NDArray[np.int64], method: Method) -> NDArray[np.float64]:
    """Return the frequency f(c) of each class, float64 `[C]` in [0, 1].

    `repeat_factor`: the share of images that hold the class. `instance_repeat_factor`: the geometric mean of that and
    the class's share of all objects, so that a class of few objects on many images counts as rarer than one with many.

    Args:
        counts: Objects of each class on every image, int64 `[N, C]`.
        method: Which frequency.
    """
    images = (counts > 0).sum(axis=0) / max(1, len(counts))
    if method == "repeat_factor":
        return images
    objects = counts.sum(axis=0) / max(1, counts.sum())
    return np.sqrt(images * objects)


def resolve_threshold(frequencies: NDArray[np.float64], threshold: Threshold) -> float:
    """Return t as a number; `median` is the median frequency of the classes that have objects, 0 without any."""
    if threshold != "median":
        return float(threshold)
    present = frequencies[frequencies > 0]
    return float(np.median(present)) if len(present) else 0.0


def class_factors(frequencies: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Return r(c) = max(1, sqrt(t / f(c))), float64 `[C]`; 1 for a class without objects (LVIS, appendix).

    Example:
        >>> class_factors(np.array([0.5, 0.02, 0.0]), 0.08).tolist()
        [1.0, 2.0, 1.0]
    """
    present = frequencies > 0
    return np.where(present, np.sqrt(np.maximum(1.0, threshold / np.where(present, frequencies, 1.0))), 1.0)


def image_factors(counts: NDArray[np.int64], factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return r(i) = the largest factor of the classes on an image, float64 `[N]`; 1 for an image without objects."""
    return np.where(counts > 0, factors, 1.0).max(axis=1, initial=1.0)


def expected_draws(factors: NDArray[np.float64], draws: int) -> NDArray[np.float64]:
    """Return how often each image is expected in an epoch of so many draws, float64 `[N]`, in proportion to r(i)."""
    return factors * (draws / factors.sum())


def rare_classes(objects: Sequence[int] | NDArray[np.int64]) -> list[int]:
    """Return the classes with at least one object and fewer than a third of the median class's.

    Args:
        objects: Objects of each class; classes without any do not enter the median.

    Example:
        >>> rare_classes([90, 100, 20, 0])
        [2]
    """
    counts = np.asarray(objects)
    present = counts > 0
    if not present.any():
        return []
    return [int(index) for index in np.flatnonzero(present & (counts < RARE_SHARE * np.median(counts[present])))]

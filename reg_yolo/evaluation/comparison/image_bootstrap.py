"""Studentised bootstrap of a paired difference over images and seeds.

The t interval over seeds says how far another training would lead; it takes the validation images for given. Here the
images are drawn with replacement as well, the same draw for every arm and seed. A draw b of images and of n seeds gives
a difference d_b and, from the spread s_b of its n seeds and the variance v of the images alone, the standard error
sqrt(s_b^2 / n + v). The quantiles of (d_b - d) / error_b times the error of the data make the interval (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, section 12.5).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reg_yolo.evaluation.comparison.paired_differences import CONFIDENCE

DRAWS = 500


def draw_images(images: int, draws: int = DRAWS, seed: int = 0) -> NDArray[np.float64]:
    """Return how often each of N images is drawn, shape (B, N); every row sums to N."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1 / images), size=draws).astype(np.float64)


def bootstrap_interval(
    differences: NDArray[np.floating], drawn: NDArray[np.floating], *, seed: int = 0
) -> tuple[float, float]:
    """Return the ends of the studentised 95 % interval of the mean difference.

    Args:
        differences: Of the data, shape (S,) for S seeds.
        drawn: The same for each draw of the images, shape (B, S).
        seed: Of the draws of seeds.

    Returns:
        NaN twice with fewer than two seeds; the mean twice where nothing varies.
    """
    observed = np.asarray(differences, np.float64)
    resampled = np.asarray(drawn, np.float64)
    seeds = len(observed)
    resampled = resampled[np.isfinite(resampled).all(axis=1)]
    if seeds < 2 or len(resampled) < 2:
        return math.nan, math.nan
    mean = float(observed.mean())
    of_images = float(resampled.mean(axis=1).var(ddof=1))
    error = math.sqrt(observed.var(ddof=1) / seeds + of_images)
    if not error > 0:
        return mean, mean
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, seeds, (len(resampled), seeds))
    values = np.take_along_axis(resampled, chosen, axis=1)
    errors = np.sqrt(values.var(axis=1, ddof=1) / seeds + of_images)
    usable = errors > 0
    ratios = (values.mean(axis=1)[usable] - mean) / errors[usable]
    lower, upper = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return mean - float(upper) * error, mean - float(lower) * error

"""Paired comparison of two arms over seeds: t interval, Holm's adjustment, and what so many seeds could have shown.

The runs of one seed share initial weights, batches and augmentation draws, so that the difference of two arms varies
less than either of them. Its mean over n seeds is judged by Student's t with n - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
POWER = 0.8
MOST_SEEDS = 1000


@dataclass(frozen=True)
class PairedDifference:
    """Differences of an arm to the reference, in the unit of the values, seed by seed.

    Attributes:
        seeds: The n seeds that both have.
        values: Arm less reference for each of them.
        mean: Their mean.
        deviation: Their sample standard deviation; NaN for one seed.
        low: Lower end of the 95 % t interval; NaN for one seed.
        high: Its upper end.
        p_value: Two-sided, of no difference; NaN for one seed.
    """

    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float
    deviation: float
    low: float
    high: float
    p_value: float

    @property
    def agreeing(self) -> int:
        """How many seeds have the sign of the mean."""
        return sum(value * self.mean > 0 for value in self.values)

    @property
    def is_decided(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


def paired_difference(arm: Mapping[int, float], reference: Mapping[int, float]) -> PairedDifference:
    """Compare an arm with the reference by the seeds that both have.

    Args:
        arm: A value for each seed.
        reference: The reference's.

    Raises:
        ValueError: If no seed is in both.

    Example:
        >>> paired_difference({0: 31.2, 1: 29.6, 2: 30.5}, {0: 30.7, 1: 28.4, 2: 29.0}).agreeing
        3
    """
    seeds = tuple(sorted(arm.keys() & reference.keys()))
    if not seeds:
        raise ValueError("no seed has a value for both the arm and the reference")
    values = np.array([arm[seed] - reference[seed] for seed in seeds], np.float64)
    mean, count = float(values.mean()), len(values)
    if count == 1:
        return PairedDifference(seeds, (mean,), mean, math.nan, math.nan, math.nan, math.nan)
    deviation = float(values.std(ddof=1))
    error = deviation / math.sqrt(count)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    p_value = float(2 * stats.t.sf(abs(mean) / error, count - 1)) if error > 0 else float(mean == 0)
    return PairedDifference(seeds, tuple(values.tolist()), mean, deviation, mean - half, mean + half, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values: the k-th smallest of m times m - k + 1, never falling, at most 1.

    NaN stays NaN and is not counted among the m.
    """
    known = sorted((value, index) for index, value in enumerate(p_values) if not math.isnan(value))
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for rank, (value, index) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - rank)))
        adjusted[index] = highest
    return adjusted


def power_of(effect: float, deviation: float, seeds: int) -> float:
    """Return the chance that the paired t test with n seeds finds a true difference.

    The statistic has a noncentral t distribution with n - 1 degrees of freedom and noncentrality effect sqrt(n) / s_d;
    its square, whose tail scipy computes more reliably, a noncentral F distribution with 1 and n - 1.

    Args:
        effect: The true difference, above 0.
        deviation: Standard deviation s_d of the differences between seeds, above 0.
        seeds: n, at least 2.
    """
    edge = float(stats.t.ppf((1 + CONFIDENCE) / 2, seeds - 1))
    return float(stats.ncf.sf(edge**2, 1, seeds - 1, seeds * (effect / deviation) ** 2))


def smallest_effect(deviation: float, seeds: int) -> float:
    """Return the true difference that n seeds find with a chance of 80 %; 0 where the seeds do not differ at all."""
    if not deviation > 0:
        return 0.0
    low, high = 0.0, deviation
    while power_of(high, deviation, seeds) < POWER:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if power_of(middle, deviation, seeds) < POWER else (low, middle)
    return high


def seeds_needed(effect: float, deviation: float) -> int | None:
    """Return how many seeds find a true difference with a chance of 80 %; None where more than 1000.

    Near 7.85 (s_d / effect)^2 + 2, where 7.85 is (1.960 + 0.842)^2; computed exactly here.
    """
    if not deviation > 0:
        return 2
    first = max(2, math.floor(7.85 * (deviation / effect) ** 2) - 2)
    for seeds in range(first, MOST_SEEDS + 1):
        if power_of(effect, deviation, seeds) >= POWER:
            return seeds
    return None

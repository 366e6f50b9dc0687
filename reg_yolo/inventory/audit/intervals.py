"""Exact limits of a share of faults, from counts: binomial, or hypergeometric where the population is known.

Two kinds are used. *Clopper-Pearson* limits (Biometrika 26, 1934) never err more often than stated, and more seldom
than stated on average. *Mid-P* limits (Lancaster, JASA 56, 1961) count half the probability of what was seen, and err
about as often as stated. Verdicts are made by the former, intervals shown by the latter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv, gammaln, ndtri, stdtrit

_CLOSE = 1e-9


@dataclass(frozen=True)
class Limits:
    """Limits of a share, both between 0 and 1."""

    low: float
    high: float


def binomial_limits(faults: float, checked: float, alpha: float, *, mid_p: bool = False) -> Limits:
    """Return the limits of a share of faults, each of which errs with probability `alpha`.

    Args:
        faults: How many were seen; need not be whole, as effective sizes of samples are not.
        checked: Size of the sample, at least `faults`.
        alpha: Of each side: 0.025 for an interval of 95 %, 0.05 for a one-sided limit of 95 %.
        mid_p: Whether to count half the probability of what was seen.

    Example:
        >>> limits = binomial_limits(0, 59, 0.05)
        >>> limits.low, round(limits.high, 4)
        (0.0, 0.0495)
    """
    if checked <= 0:
        return Limits(0.0, 1.0)
    return Limits(*_binomial(round(faults, 9), round(checked, 9), alpha, mid_p))


@lru_cache(maxsize=1 << 16)
def _binomial(faults: float, checked: float, alpha: float, mid_p: bool) -> tuple[float, float]:
    right = checked - faults

    def at_least(share: float) -> float:
        """P(X >= faults)."""
        return 1.0 if faults <= _CLOSE else float(betainc(faults, right + 1, share))

    def more_than(share: float) -> float:
        """P(X > faults)."""
        return 0.0 if right <= _CLOSE else float(betainc(faults + 1, right, share))

    if not mid_p:
        low = 0.0 if faults <= _CLOSE else float(betaincinv(faults, right + 1, alpha))
        high = 1.0 if right <= _CLOSE else float(betaincinv(faults + 1, right, 1 - alpha))
        return low, high
    low = 0.0 if faults <= _CLOSE else _root(lambda share: (at_least(share) + more_than(share)) / 2 - alpha)
    high = 1.0 if right <= _CLOSE else _root(lambda share: (at_least(share) + more_than(share)) / 2 - (1 - alpha))
    return low, high


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function crosses zero between 0 and 1."""
    return float(brentq(rising, 0.0, 1.0, xtol=1e-12))


def finite_limits(faults: int, checked: int, population: int, alpha: float, *, mid_p: bool = False) -> Limits:
    """Return the limits of the share of faults in a finite population of which a part was checked.

    Args:
        faults: How many were seen.
        checked: Size of the sample.
        population: Of how many; not below `checked`.
        alpha: Of each side.
        mid_p: Whether to count half the probability of what was seen.

    Example:
        >>> limits = finite_limits(1, 50, 50, 0.05)
        >>> limits.low == limits.high == 0.02
        True
    """
    if checked <= 0:
        return Limits(0.0, 1.0)
    return Limits(*_finite(faults, checked, population, alpha, mid_p))


@lru_cache(maxsize=1 << 16)
def _finite(faults: int, checked: int, population: int, alpha: float, mid_p: bool) -> tuple[float, float]:
    fewest, most = faults, population - (checked - faults)

    def high_enough(total: int) -> bool:
        """Whether so few as were seen, or fewer, would be a surprise were there `total` faults."""
        fewer, as_many = _hypergeometric(faults, population, total, checked)
        return fewer + as_many * (0.5 if mid_p else 1.0) <= alpha

    def low_enough(total: int) -> bool:
        """Whether so many as were seen, or more, would not be a surprise."""
        fewer, as_many = _hypergeometric(faults, population, total, checked)
        return 1 - fewer - as_many * (0.5 if mid_p else 0.0) > alpha

    # The largest and the smallest number of faults that the sample does not refute.
    high = _first(high_enough, fewest, most + 1) - 1
    low = _first(low_enough, fewest, most)
    return low / population, max(high, low) / population


def _hypergeometric(seen: int, population: int, total: int, checked: int) -> tuple[float, float]:
    """P(X < seen) and P(X = seen) for the faults X among `checked` of a population that has `total`."""
    least = max(0, checked - (population - total))
    counts = np.arange(least, min(seen, total, checked) + 1)
    if not len(counts):
        return 0.0, 0.0
    logs = _log_factorials(population)
    chosen = logs[total] - logs[counts] - logs[total - counts]
    others = logs[population - total] - logs[checked - counts] - logs[population - total - checked + counts]
    each = np.exp(chosen + others - (logs[population] - logs[checked] - logs[population - checked]))
    if counts[-1] < seen:
        return min(float(each.sum()), 1.0), 0.0
    return min(float(each[:-1].sum()), 1.0), float(each[-1])


def at_most_hypergeometric(seen: int, population: int, total: int, checked: int) -> float:
    """Return P(X <= seen) for the faults X among `checked` of a population that has `total`."""
    return min(sum(_hypergeometric(seen, population, total, checked)), 1.0)


@lru_cache(maxsize=8)
def _log_factorials(most: int) -> NDArray[np.float64]:
    return np.asarray(gammaln(np.arange(most + 1) + 1.0))


def _first(condition: Callable[[int], bool], low: int, high: int) -> int:
    """The first number from `low` on for which a condition that stays true once it is holds; `high` if none before."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if condition(middle) else (middle + 1, high)
    return low


def student_shrunk(effective: float, clusters: int, alpha: float) -> float:
    """Return a smaller effective size for a variance that few clusters estimate (Korn and Graubard 1998).

    Args:
        effective: Number of independent checks with the variance that was estimated.
        clusters: How many clusters estimated it.
        alpha: Of each side.
    """
    if clusters < 2:
        return 0.0
    return effective * float(ndtri(1 - alpha) / stdtrit(clusters - 1, 1 - alpha)) ** 2

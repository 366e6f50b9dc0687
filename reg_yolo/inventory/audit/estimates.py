"""Shares of right ones in all, from a stratified sample of assets or from a sample of stretches.

Inside a class the sample of assets is drawn with one probability for all; rare classes may have been given more. The
share of a class is then that of its sample, and the share of all is the mean of the classes' shares, weighted by how
many assets the inventory has of each.

Limits of a share come from an *effective size*: the number of independent checks that tell as much (Kish 1965; Korn and
Graubard, Survey Methodology 24, 1998).

- Assets, verdict: the smallest of n_c / W_c over the classes (n_c checked of a class with the share W_c of all), with
  Clopper-Pearson limits, hypergeometric. It is the size of the sample that is left when every class is thinned to the
  rate of the one that was checked least; where all have one rate it is n itself, and the verdict is that of the plan.
- Assets, interval: p (1 - p) / sum of W_c^2 (1 - f_c) p_c (1 - p_c) / n_c (f_c the checked part of a class, p_c its own
  share), with mid-P limits; hypergeometric within one class.
- Stretches: what was listed in one stretch is not independent. n is divided by the design effect, 1 at least: that of
  the misses by stretch (ratio estimator, linearised), or the planned 1 + (m - 1) rho where that is more, and shrunk by
  Student's t for few stretches. For the interval it grows by 1 / (1 - f), where a part f of all stretches was checked,
  up to twice its size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reg_yolo.inventory.audit.intervals import Limits, binomial_limits, finite_limits, student_shrunk

PASS, FAIL, NOT_ENOUGH = "pass", "fail", "not enough"
_CLOSE = 1e-9
_MOST_PART = 0.5


@dataclass(frozen=True)
class Group:
    """A class of a sample of assets.

    Attributes:
        population: How many the inventory has.
        checked: How many were checked.
        faults: How many of these are wrong.
    """

    population: int
    checked: int
    faults: int


@dataclass(frozen=True)
class Estimate:
    """A share of right ones.

    Attributes:
        checked, faults: Counts, without weights.
        effective: Number of independent checks that the verdict is based on.
        share: Estimate; NaN where nothing was checked.
        low, high: Two-sided interval.
        bound_low, bound_high: One-sided limits of the verdict.
        census: Whether everything was checked, so that no interval is left.
    """

    checked: int
    faults: int
    effective: float
    share: float
    low: float
    high: float
    bound_low: float
    bound_high: float
    census: bool = False

    def verdict(self, limit: float) -> str:
        """Return `pass`, `fail` or `not enough` for the share of right ones that a contract asks for.

        It passes where the one-sided lower limit reaches the contract's, and fails where the upper one does not.
        """
        if not self.checked:
            return NOT_ENOUGH
        if self.bound_low >= limit - _CLOSE:
            return PASS
        return FAIL if self.bound_high < limit - _CLOSE else NOT_ENOUGH


_NOTHING = Estimate(0, 0, 0.0, math.nan, 0.0, 1.0, 0.0, 1.0)


def asset_share(groups: Sequence[Group], confidence: float) -> Estimate:
    """Return the share of right ones over the classes of a sample of assets.

    Classes without a checked asset are left out of the weights: nothing is known of them.

    Args:
        groups: The classes.
        confidence: Of the two-sided interval, and of each one-sided limit.

    Example:
        >>> found = asset_share([Group(100, 50, 0)], 0.95)
        >>> found.bound_low, found.verdict(0.95), found.verdict(0.97)
        (0.96, 'pass', 'not enough')
    """
    groups = [group for group in groups if group.checked]
    if not groups:
        return _NOTHING
    size, checked, faults = (np.array([getattr(group, key) for group in groups], float) for key in (
        "population", "checked", "faults"))  # fmt: skip
    population, total = int(size.sum()), int(checked.sum())
    weight = size / population
    share = float(np.sum(weight * faults / checked))
    if total == population:
        right = 1 - share
        return Estimate(total, int(faults.sum()), float(total), right, right, right, right, right, census=True)
    count = int(faults.sum())
    equal = len(groups) == 1 or bool(np.allclose(checked / size, total / population, rtol=0.05, atol=0.5 / size))
    if equal:
        # One rate for all, but for what rounding the classes' numbers makes of it.
        effective, few, many = float(total), count, count
    else:
        effective = float(np.floor((checked / weight).min() + _CLOSE))
        few, many = math.floor(effective * share + _CLOSE), math.ceil(effective * share - _CLOSE)
    bound = Limits(
        finite_limits(few, int(effective), population, 1 - confidence).low,
        finite_limits(many, int(effective), population, 1 - confidence).high,
    )
    if len(groups) == 1:
        interval = finite_limits(count, total, population, (1 - confidence) / 2, mid_p=True)
    else:
        size_shown = _interval_size(size, checked, faults, weight, share)
        interval = binomial_limits(size_shown * share, size_shown, (1 - confidence) / 2, mid_p=True)
    return _complement(total, int(faults.sum()), effective, share, interval, bound)


def _interval_size(
    size: np.ndarray, checked: np.ndarray, faults: np.ndarray, weight: np.ndarray, share: float
) -> float:
    left = 1 - checked / size
    if not 0 < share < 1:
        return 1 / float(np.sum(weight**2 * left / checked))
    # Half a fault and half a right one added to each class: one without faults is not one that cannot have any.
    own = (faults + 0.5) / (checked + 1)
    return share * (1 - share) / float(np.sum(weight**2 * left * own * (1 - own) / checked))


def stretch_share(listed: ArrayLike, missed: ArrayLike, part: float, clustering: float, confidence: float) -> Estimate:
    """Return the share of what stands along checked stretches that the inventory has.

    Args:
        listed: What the auditors listed in each checked stretch, shape (S,).
        missed: What of it the inventory lacks, shape (S,).
        part: Checked part of all stretches, in (0, 1].
        clustering: Correlation within a stretch that is assumed at least.
        confidence: Of the two-sided interval, and of each one-sided limit.
    """
    stands, lacks = np.asarray(listed, float), np.asarray(missed, float)
    total, faults = float(stands.sum()), float(lacks.sum())
    if not total:
        return _NOTHING
    share = faults / total
    if part >= 1:
        right = 1 - share
        return Estimate(int(total), int(faults), total, right, right, right, right, right, census=True)
    planned = design_effect(stands, clustering)
    effect = planned
    if 0 < share < 1 and len(stands) > 1:
        residual = lacks - share * stands
        variance = len(stands) / (len(stands) - 1) * float(np.sum(residual**2)) / total**2
        effect = max(planned, variance * total / (share * (1 - share)))
    size = total / max(effect, 1.0)
    alone = planned <= 1 + _CLOSE and effect <= 1 + _CLOSE

    def shrunk(alpha: float) -> float:
        """Stretches of one asset each need no variance of their own."""
        return size if alone else min(max(student_shrunk(size, len(stands), alpha), 1.0), size)

    effective = shrunk(1 - confidence)
    bound = binomial_limits(effective * share, effective, 1 - confidence)
    size_shown = shrunk((1 - confidence) / 2) / (1 - min(part, _MOST_PART))
    interval = binomial_limits(size_shown * share, size_shown, (1 - confidence) / 2, mid_p=True)
    return _complement(int(total), int(faults), effective, share, interval, bound)


def design_effect(counts: ArrayLike, clustering: float) -> float:
    """Return 1 + (m - 1) rho, with the mean m of the number that an asset shares its stretch with, itself included.

    Example:
        >>> round(design_effect([1, 3], 0.1), 3)
        1.15
    """
    sizes = np.asarray(counts, float)
    if not sizes.sum():
        return 1.0
    return 1 + max(float(np.sum(sizes**2) / sizes.sum()) - 1, 0.0) * clustering


def _complement(checked: int, faults: int, effective: float, share: float, interval: Limits, bound: Limits) -> Estimate:
    """Turn limits of faults into those of right ones."""
    return Estimate(
        checked, faults, effective, 1 - share, 1 - interval.high, 1 - interval.low, 1 - bound.high, 1 - bound.low
    )


def checks_to_decide(estimate: Estimate, limit: float, confidence: float) -> int | None:
    """Return how many checks in all would give a verdict, were the share to stay; None where 100 times as many do not.

    Example:
        >>> found = asset_share([Group(100_000, 50, 1)], 0.95)
        >>> found.verdict(0.95), checks_to_decide(found, 0.95, 0.95)
        ('not enough', 157)
    """
    faults = 1 - estimate.share
    if not estimate.effective or math.isnan(faults):
        return None

    def decided(times: float) -> bool:
        size = estimate.effective * times
        bound = binomial_limits(size * faults, size, 1 - confidence)
        return 1 - bound.high >= limit or 1 - bound.low < limit

    low, high = 1.0, 100.0
    if not decided(high):
        return None
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return math.ceil(estimate.checked * high)

"""Completeness from two passes that saw the same road: capture and recapture.

It assumes that a pass sees an asset no more likely because the other has seen it. What is hard to see is hard to see
from both sides, so the passes of one detector usually agree more than by chance, and the completeness comes out *too
high*; `independence` tests the assumption by what the auditors found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import fisher_exact, norm

from reg_yolo.inventory.audit.intervals import binomial_limits


@dataclass(frozen=True)
class Recapture:
    """What two passes say about what neither saw.

    Attributes:
        first, second, both: How many each pass saw, and both.
        total: Estimated number of all (Chapman).
        completeness: Share that at least one of them saw.
        low, high: Interval of the completeness.
    """

    first: int
    second: int
    both: int
    total: float
    completeness: float
    low: float
    high: float


def chapman(first: int, second: int, both: int, confidence: float = 0.95) -> Recapture | None:
    """Return the estimate of Chapman (1951), or None where nothing was seen.

    N = (n1 + 1)(n2 + 1) / (m + 1) - 1, with the variance of Seber (1970). The interval is log-normal in the number that
    neither saw (Chao 1987), so that it never says that fewer exist than were seen. Where one pass saw all that the
    other did, that has no width; its lower end is then what so many seen again say of the other pass (Clopper-Pearson).

    Args:
        first, second: How many each pass saw.
        both: How many both saw.
        confidence: Of the interval.

    Example:
        >>> found = chapman(90, 80, 72)
        >>> round(found.total, 1), round(found.completeness, 3)
        (100.0, 0.98)
    """
    seen = first + second - both
    if not seen:
        return None
    total = (first + 1) * (second + 1) / (both + 1) - 1
    variance = (first + 1) * (second + 1) * (first - both) * (second - both) / ((both + 1) ** 2 * (both + 2))
    unseen = max(total - seen, 0.0)
    if unseen <= 0:
        least = 1 - binomial_limits(0, both, (1 - confidence) / 2).high
        return Recapture(first, second, both, float(seen), 1.0, least, 1.0)
    spread = math.exp(float(norm.ppf((1 + confidence) / 2)) * math.sqrt(math.log1p(variance / unseen**2)))
    low, high = seen / (seen + unseen * spread), seen / (seen + unseen / spread)
    return Recapture(first, second, both, total, seen / total, low, high)


@dataclass(frozen=True)
class Independence:
    """Whether two passes saw what is there independently of each other.

    Attributes:
        both, first_only, second_only, neither: Counts of what the auditors found, by the passes that saw it.
        odds_ratio: 1 where they are independent, above 1 where they agree more than chance; None where not finite.
        p_value: Of Fisher's exact test, two-sided.
    """

    both: int
    first_only: int
    second_only: int
    neither: int
    odds_ratio: float | None
    p_value: float


def independence(both: int, first_only: int, second_only: int, neither: int) -> Independence:
    """Test by Fisher's exact test whether two passes are independent.

    Example:
        >>> independence(50, 10, 10, 2).p_value == 1.0
        True
        >>> independence(50, 5, 5, 20).p_value < 0.001
        True
    """
    found = fisher_exact([[both, first_only], [second_only, neither]])
    ratio = float(found.statistic)
    return Independence(
        both, first_only, second_only, neither, ratio if math.isfinite(ratio) else None, float(found.pvalue)
    )

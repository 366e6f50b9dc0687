"""How many to check: acceptance sampling by attributes, exact.

A plan (n, c) accepts where at most c of n checked ones are faulty. It is the smallest n for which

- one that just misses the limit is accepted with a probability of at most 1 - confidence (consumer's risk), and
- one of the quality that its producer expects is accepted with a probability of at least `power`
  (1 - producer's risk),

by the binomial distribution, or the hypergeometric one where the number of all is known. Accepting by (n, c) and by
"the one-sided Clopper-Pearson limit reaches the contract's limit" are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import bdtr

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.audit.intervals import at_most_hypergeometric

_CLOSE = 1e-9


@dataclass(frozen=True)
class SampleSize:
    """How many are checked, and how many faults are allowed.

    Attributes:
        checked: n.
        allowed: c.
        census: Whether no sample smaller than all would do.
    """

    checked: int
    allowed: int
    census: bool = False


def sample_size(
    limit: float, expected: float, confidence: float = 0.95, power: float = 0.9, population: int | None = None
) -> SampleSize:
    """Return the smallest plan of acceptance sampling.

    Args:
        limit: Share of right ones that the contract asks for, in (0, 1).
        expected: Share that the producer expects, above the limit.
        confidence: 1 - consumer's risk.
        power: 1 - producer's risk.
        population: How many there are; None for very many.

    Raises:
        ConfigError: If the expected share is not above the limit.

    Example:
        >>> sample_size(0.9, 0.97)
        SampleSize(checked=103, allowed=5, census=False)
        >>> sample_size(0.9, 0.97, population=150).checked < 103
        True
        >>> sample_size(0.95, 0.98, population=12)
        SampleSize(checked=12, allowed=0, census=True)
    """
    if not 0 < limit < expected <= 1:
        raise ConfigError(
            f"the expected share must lie above the limit and be at most 1, got {expected:g} for a limit of {limit:g}"
        )
    if population is None:
        return _grown(
            lambda n, c: float(bdtr(c, n, 1 - limit)) <= 1 - confidence,
            lambda n, c: float(bdtr(c, n, 1 - expected)) >= power,
            None,
        )
    bad = most_faults(limit, population) + 1
    good = most_faults(expected, population)
    found = _grown(
        lambda n, c: at_most_hypergeometric(c, population, bad, n) <= 1 - confidence,
        lambda n, c: at_most_hypergeometric(c, population, good, n) >= power,
        population,
    )
    if found.checked < population:
        return found
    return SampleSize(population, bad - 1, census=True)


def most_faults(limit: float, population: int) -> int:
    """Return how many of a population may be faulty while the share of right ones reaches the limit."""
    return math.floor(population * (1 - limit) + _CLOSE)


def _grown(refused: Callable[[int, int], bool], accepted: Callable[[int, int], bool], most: int | None) -> SampleSize:
    """The first c whose smallest n that refuses the bad also accepts the good."""
    checked, allowed = 1, 0
    while True:
        checked = _smallest(lambda n, c=allowed: refused(n, c), max(checked, allowed + 1), most)  # type: ignore[misc]
        if (most is not None and checked >= most) or accepted(checked, allowed):
            return SampleSize(checked, allowed)
        allowed += 1


def _smallest(condition: Callable[[int], bool], start: int, most: int | None) -> int:
    """The smallest number from `start` on for which a condition that stays true once it is holds, `most` at most."""
    low, high = start, start
    while not condition(high):
        if most is not None and high >= most:
            return most
        low, high = high + 1, min(high * 2, most) if most is not None else high * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if condition(middle) else (middle + 1, high)
    return low

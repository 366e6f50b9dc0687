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

LARGEST = 20_000
"""Checks that a plan asks for at most: more would take minutes to find, and nobody makes so many."""
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
        ConfigError: If the expected share is not above the limit, or so near to it that more than `LARGEST` of very
            many would have to be checked.

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
        found = _grown(
            lambda n, c: float(bdtr(c, n, 1 - limit)) <= 1 - confidence,
            lambda n, c: float(bdtr(c, n, 1 - expected)) >= power,
            LARGEST + 1,
        )
        return _bounded(found, limit, expected)
    bad = most_faults(limit, population) + 1
    good = most_faults(expected, population)
    found = _grown(
        lambda n, c: at_most_hypergeometric(c, population, bad, n) <= 1 - confidence,
        lambda n, c: at_most_hypergeometric(c, population, good, n) >= power,
        min(population, LARGEST + 1),
    )
    if found.checked < population:
        return _bounded(found, limit, expected)
    return SampleSize(population, bad - 1, census=True)


def _bounded(found: SampleSize, limit: float, expected: float) -> SampleSize:
    if found.checked <= LARGEST:
        return found
    raise ConfigError(
        f"the sample would be over {LARGEST:,} checks, as the expected share {expected:g} is so near to the limit "
        f"{limit:g}; expect more, or ask for less"
    )


def drawn_for(right: int, share: float, power: float = 0.9) -> int:
    """Return how many to draw so that so many right ones are among them with a probability of at least `power`.

    By the binomial distribution of the right ones among those drawn. `right / share` would hold them little
    more than half the time.

    Args:
        right: How many right ones are needed.
        share: Share of right ones that is expected, in (0, 1].
        power: The probability.

    Example:
        >>> drawn_for(100, 1.0), drawn_for(100, 0.9)
        (100, 116)
    """
    return _smallest(lambda n: float(bdtr(n - right, n, 1 - share)) >= power, right)


def most_faults(limit: float, population: int) -> int:
    """Return how many of a population may be faulty while the share of right ones reaches the limit."""
    return math.floor(population * (1 - limit) + _CLOSE)


def _grown(refused: Callable[[int, int], bool], accepted: Callable[[int, int], bool], most: int) -> SampleSize:
    """The first c whose smallest n that refuses the bad also accepts the good; `most` where no smaller one does."""
    checked, allowed = 1, 0
    while True:
        checked = _smallest(lambda n, c=allowed: refused(n, c), max(checked, allowed + 1), most)  # type: ignore[misc]
        if checked >= most or accepted(checked, allowed):
            return SampleSize(checked, allowed)
        allowed += 1


def _smallest(condition: Callable[[int], bool], start: int, most: float = math.inf) -> int:
    """The smallest number from `start` on for which a condition that stays true once it is holds, `most` at most."""
    low, high, step = start, start, 1
    while not condition(high):
        if high >= most:
            return high
        low, high, step = high + 1, int(min(high + step, most)), step * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if condition(middle) else (middle + 1, high)
    return low

"""Whether two people agree: Cohen's kappa."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from scipy.stats import norm


@dataclass(frozen=True)
class Agreement:
    """How far two people agree.

    Attributes:
        both: How many both judged.
        agreed: How many they judged alike.
        kappa: Agreement beyond chance, 1 at most; None where chance explains all, as where both say the same of
            everything.
        low, high: Its interval by the large-sample deviation (Cohen 1960); None with kappa.
    """

    both: int
    agreed: int
    kappa: float | None = None
    low: float | None = None
    high: float | None = None


def cohens_kappa(pairs: Sequence[tuple[Hashable, Hashable]], confidence: float = 0.95) -> Agreement:
    """Return the agreement of two people over the things that both judged.

    kappa = (p_o - p_e) / (1 - p_e) with the observed share of agreement p_o and that of chance p_e (Cohen, Educational
    and Psychological Measurement 20, 1960).

    Example:
        >>> pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
        >>> round(cohens_kappa(pairs).kappa, 3)
        0.4
    """
    count = len(pairs)
    agreed = sum(first == second for first, second in pairs)
    if not count:
        return Agreement(0, 0)
    firsts, seconds = [first for first, _ in pairs], [second for _, second in pairs]
    chance = sum(firsts.count(value) * seconds.count(value) for value in set(firsts)) / count**2
    if chance >= 1:
        return Agreement(count, agreed)
    share = agreed / count
    kappa = (share - chance) / (1 - chance)
    reach = float(norm.ppf((1 + confidence) / 2)) * math.sqrt(share * (1 - share) / count) / (1 - chance)
    return Agreement(count, agreed, kappa, max(kappa - reach, -1.0), min(kappa + reach, 1.0))

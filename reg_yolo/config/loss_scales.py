"""The factor on a focused loss for each exponent, measured over trainings instead of on their first batch.

abs(y - p)^gamma makes a loss smaller, and by how much changes as the network learns. The numbers are those at which the
summed absolute gradient by the logits (by mask coefficients) is the stock loss's: medians over moments of trainings
from scratch past their first steps, a trained network, and losses with and without alpha and g, by
`scripts/measure_loss_balance.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

CLASS_SCALES: Final[Mapping[float, float]] = {0.0: 1.0, 0.5: 2.2, 1.0: 3.7, 1.5: 6.1, 2.0: 8.6}
# Of the forms that balance the signs, at the alpha of their papers.
FORM_SCALES: Final[Mapping[str, Mapping[float, float]]] = {
    "sigmoid": {0.0: 1.4, 1.0: 7.7, 1.5: 13.0, 2.0: 20.0},
    "varifocal": {0.0: 1.6, 1.0: 4.9, 1.5: 5.3, 2.0: 5.5},
}
MASK_SCALES: Final[Mapping[float, float]] = {0.0: 1.0, 0.5: 1.01, 1.0: 1.06, 1.5: 1.14, 2.0: 1.25}


def scale_by_gamma(gamma: float, measured: Mapping[float, float]) -> float:
    """Return the factor for an exponent: log-linear between the measured ones, and on beyond the last.

    Args:
        gamma: >= 0.
        measured: Factors by exponent, 0 among them.
    """
    known = sorted(measured)
    upper = next((g for g in known[1:] if g >= gamma), known[-1])
    lower = known[known.index(upper) - 1]
    way = (gamma - lower) / (upper - lower)
    low, high = math.log(measured[lower]), math.log(measured[upper])
    return round(math.exp(low + way * (high - low)), 3)

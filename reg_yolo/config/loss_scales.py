"""The factor on a focused loss for each exponent, measured over whole trainings instead of on their first batch.

abs(y - p)^gamma makes a loss smaller, and by how much changes as the network learns. `scripts/measure_loss_balance.py`
measures what a factor would have to be for the gradients on positives and on negatives to be the stock loss's in
geometric mean, at several moments of a training from scratch and on a trained network; the numbers here are medians.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

CLASS_SCALES: Final[Mapping[float, float]] = {0.0: 1.0, 0.5: 2.0, 1.0: 3.6, 1.5: 6.0, 2.0: 9.0}
MASK_SCALES: Final[Mapping[float, float]] = {0.0: 1.0, 0.5: 1.4, 1.0: 1.8, 1.5: 2.2, 2.0: 2.6}


def scale_by_gamma(gamma: float, measured: Mapping[float, float]) -> float:
    """Return the factor for an exponent: log-linear between the measured ones, and on beyond the last.

    Args:
        gamma: >= 0.
        measured: Factors by exponent, 0 the first.
    """
    known = sorted(measured)
    upper = next((g for g in known[1:] if g >= gamma), known[-1])
    lower = known[known.index(upper) - 1]
    way = (gamma - lower) / (upper - lower)
    low, high = math.log(measured[lower]), math.log(measured[upper])
    return round(math.exp(low + way * (high - low)), 3)

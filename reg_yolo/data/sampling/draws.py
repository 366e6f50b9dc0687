"""Which images an epoch shows: systematic draws whose counts never drift from their expectation.

Independent draws with replacement would leave a third of the images out of an epoch and show others four times. Here
an image whose expectation is w draws an epoch gets floor(w) or ceil(w) of them in every epoch, and after any number e
of epochs its count lies within 1 of e w. Dealing out the fractions so is the same as scheduling periodic tasks on
identical processors without one ever being late or early by a slot ("Pfair"), which algorithm PD2 does: Anderson and
Srinivasan, Mixed Pfair/ERfair scheduling of asynchronous periodic tasks, J. Computer and System Sciences 68 (2004).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Expectations are multiples of 1 / this, so that deadlines are exact integers.
_UNITS = 1 << 30


class SystematicDraws:
    """Counts of draws by epoch for fixed expectations, a pure function of them, the seed and the epoch.

    Attributes:
        draws: Draws an epoch, the sum of the expectations.

    Example:
        >>> draws = SystematicDraws(np.array([1.5, 1.0, 0.5]), seed=0)
        >>> int(draws.counts(0).sum()), sorted((draws.counts(0) + draws.counts(1)).tolist())
        (3, [1, 2, 3])
    """

    def __init__(self, expectations: NDArray[np.float64], seed: int) -> None:
        """Prepare the draws.

        Args:
            expectations: Expected draws of each image in an epoch, float64 `[N]`, >= 0; their sum a whole number up to
                rounding errors.
            seed: Decides between images that are equally due.

        Raises:
            ValueError: The sum is not a whole number.
        """
        total = float(expectations.sum())
        self.draws = round(total)
        if abs(total - self.draws) > 1e-6 * max(1, len(expectations)):
            raise ValueError(f"expectations sum to {total}, expected a whole number of draws")
        self._seed = seed
        units = _rounded_to_sum(expectations * _UNITS, self.draws * _UNITS)
        self._whole, self._part = np.divmod(units, _UNITS)
        self._extra = np.zeros(len(units), np.int64)
        self._epoch = 0
        self._last: tuple[int, NDArray[np.int64]] | None = None

    def counts(self, epoch: int) -> NDArray[np.int64]:
        """Return how often each image is drawn in an epoch (from 0), int64 `[N]`."""
        if self._last is not None and self._last[0] == epoch:
            return self._last[1]
        if epoch < self._epoch:
            self._epoch, self._extra = 0, np.zeros_like(self._extra)
        while self._epoch <= epoch:
            chosen = self._most_urgent(self._epoch)
            self._extra[chosen] += 1
            self._epoch += 1
        counts = self._whole.copy()
        counts[chosen] += 1
        self._last = (epoch, counts)
        return counts

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return the images of an epoch in the order in which they are shown, int64 `[draws]`."""
        images = np.repeat(np.arange(len(self._whole)), self.counts(epoch))
        shuffled: NDArray[np.int64] = np.random.default_rng((self._seed, epoch, 1)).permutation(images)
        return shuffled

    def _most_urgent(self, epoch: int) -> NDArray[np.int64]:
        """Return the images that get one of the draws left over once each has its whole number, by PD2's priorities."""
        left = self.draws - int(self._whole.sum())
        eligible = np.flatnonzero((self._part > 0) & (self._extra * _UNITS < (epoch + 1) * self._part))
        part, next_one = self._part[eligible], self._extra[eligible] + 1
        # Draw k of an image that is due part / _UNITS of a draw an epoch may fall into the epochs floor((k-1)/w) to
        # ceil(k/w) - 1. An epoch's share has begun once (k-1) < (epoch + 1) w.
        deadline = _ceil_div(next_one * _UNITS, part)
        overlaps = next_one * _UNITS % part != 0
        # Where windows are two or three epochs long, choosing one late forces all that follow: the longer such a chain,
        # the more urgent.
        heavy = 2 * part >= _UNITS
        rest = _UNITS - part
        chain = np.where(heavy, _ceil_div(_ceil_div(deadline * rest, _UNITS) * _UNITS, rest), 0)
        lottery = np.random.default_rng((self._seed, epoch, 0)).random(len(eligible))
        return eligible[np.lexsort((lottery, -chain, ~overlaps, deadline))[:left]]


def _ceil_div(numerator: NDArray[np.int64], denominator: NDArray[np.int64] | int) -> NDArray[np.int64]:
    return -(-numerator // denominator)


def _rounded_to_sum(values: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Return whole numbers next to the values that sum to `total`, the largest remainders rounded up."""
    whole = np.floor(values).astype(np.int64)
    missing = total - int(whole.sum())
    order = np.argsort(whole - values, kind="stable")
    # More than one each only where the values' own rounding errors add up to more than their number.
    whole += missing // len(whole)
    whole[order[: missing % len(whole)]] += 1
    return whole

"""Running means of what the criterion is made of, since a loss one cannot watch cannot be trusted."""

from collections.abc import Iterable

from torch import Tensor

FAR_BEFORE, FAR_AFTER = "reg/far_probability_before", "reg/far_probability_after"
"""Means over the proximal steps, of the last batch before each."""


class EpochTerms:
    """Sums of detached values by name; they stay on their device until the epoch ends, so no step waits for them."""

    def __init__(self, expected: Iterable[str] = ()) -> None:
        """Start with nothing recorded; expected terms are given as 0 until they are."""
        self._sums: dict[str, Tensor | float] = dict.fromkeys(expected, 0.0)
        self._counts: dict[str, int] = dict.fromkeys(self._sums, 0)

    def add(self, name: str, value: Tensor | float) -> None:
        """Record one batch's value of a term; a tensor is a detached scalar."""
        self._sums[name] = self._sums.get(name, 0.0) + value
        self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """Return the mean of every term since the last call and start again; a term not seen again counts as 0."""
        means = {name: float(total) / max(self._counts[name], 1) for name, total in self._sums.items()}
        self._sums = dict.fromkeys(self._sums, 0.0)
        self._counts = dict.fromkeys(self._counts, 0)
        return means

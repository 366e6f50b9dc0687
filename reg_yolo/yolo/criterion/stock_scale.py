"""The factor that brings a loss of ours to the scale of the stock one: fixed by the first batch, or a number."""

from __future__ import annotations

import math

import torch
from torch import Tensor, distributed

# A batch with less evidence does not fix the factor: a network that overlaps nothing yet has targets near 0, where a
# focusing exponent makes any loss vanish and the ratio says nothing about later batches.
LEAST_TARGETS = 1.0


class StockScale:
    """A number, or stock over ours on the first training batch that can tell.

    Attributes:
        value: The factor; None until a training batch has fixed it.
    """

    def __init__(self, number: float | None, stored: float | None = None) -> None:
        """Start from what a resumed run had; without it from a number, or from nothing."""
        self.value = stored or number

    @property
    def factor(self) -> float:
        """The factor as it stands, 1 until a batch has fixed it."""
        return self.value or 1.0

    @torch.no_grad()
    def fix(self, stock: Tensor, ours: Tensor, targets: Tensor) -> float:
        """Return the factor for a training batch, and keep it if the batch can tell; all ranks must call this.

        Args:
            stock: The stock loss of the batch, a scalar.
            ours: Ours over the same normaliser, a scalar.
            targets: Sum of the targets, a scalar; over all ranks at least 1 for the factor to be kept.

        Returns:
            Stock over ours, both summed over ranks; 1 where one of them is no number or ours is 0.
        """
        values = torch.stack((stock, ours, targets)).float()
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(values)
        stock_value, our_value, evidence = values.tolist()
        if not (math.isfinite(stock_value) and math.isfinite(our_value) and our_value > 0.0):
            return 1.0
        factor = stock_value / our_value
        if evidence >= LEAST_TARGETS:
            self.value = factor
        return factor

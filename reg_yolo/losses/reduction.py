"""The one reduction that all losses share."""

from __future__ import annotations

from torch import Tensor

from reg_yolo.losses.checks import check_choice

REDUCTIONS = ("none", "mean", "sum")


def reduce_loss(loss: Tensor, reduction: str, normalizer: Tensor | float | None = None) -> Tensor:
    """Reduce an elementwise loss.

    Args:
        loss: Tensor of any shape, also empty.
        reduction: "none" returns `loss` itself, "sum" its sum, "mean" its sum over `normalizer`.
        normalizer: What "mean" divides by, >= 0; the number of elements if None. Where it is 0 the result is a
            differentiable zero, never NaN.

    Raises:
        ValueError: If `reduction` is none of the three.

    Example:
        >>> import torch
        >>> reduce_loss(torch.tensor([1.0, 3.0]), "mean", normalizer=8)
        tensor(0.5000)
    """
    check_choice("reduction", reduction, REDUCTIONS)
    if reduction == "none":
        return loss
    total = loss.sum()
    if reduction == "sum":
        return total
    if normalizer is None:
        return total / max(loss.numel(), 1)
    if isinstance(normalizer, Tensor):
        # Division by a stand-in keeps the gradient finite; a comparison on the host would stall a GPU.
        empty = normalizer <= 0
        return (total / normalizer.masked_fill(empty, 1.0)).masked_fill(empty, 0.0)
    return total / normalizer if normalizer > 0 else total * 0.0

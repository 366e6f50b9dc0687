"""Predicted probability far from every object of its class, the G of the proximal step (REG §2.6.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from reg_yolo.losses.checks import at_least_float32, check_broadcast


def far_probability(pred_logits: Tensor, is_far: Tensor, normalizer: Tensor | float = 1.0) -> Tensor:
    """Return G = sum of p over the entries that lie far from every object of their class, over the normaliser (ours).

    The paper's proximal step is that of its weight g, which does not depend on the parameters. G is what g weighs: the
    probability mass where an object of the class cannot be.

    Args:
        pred_logits: Tensor of any shape; p = sigmoid(z).
        is_far: Boolean tensor that broadcasts to it.
        normalizer: > 0, such as the sum of the target scores: G then is false probability for each object found.

    Returns:
        A scalar >= 0.

    Raises:
        ValueError: If the shape does not fit.

    Example:
        >>> far_probability(torch.tensor([0.0, 0.0, 5.0]), torch.tensor([True, True, False]), 2.0)
        tensor(0.5000)
    """
    check_broadcast("is_far", is_far, pred_logits.shape)
    probability = at_least_float32(pred_logits).sigmoid()
    return torch.where(is_far, probability, 0.0).sum() / normalizer

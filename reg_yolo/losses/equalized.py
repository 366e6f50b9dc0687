"""Equalized Focal Loss: a focusing exponent for each class, from the balance of its gradients (EFL)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from reg_yolo.losses.checks import at_least_float32, check_range, check_same_shape
from reg_yolo.losses.modulated_bce import modulated_bce, value_and_slope
from reg_yolo.losses.reduction import reduce_loss


def equalized_focal_loss(
    pred_logits: Tensor,
    target_scores: Tensor,
    gradient_ratio: Tensor,
    gamma: float = 2.0,
    s: float = 8.0,
    weight: Tensor | None = None,
    reduction: str = "none",
) -> Tensor:
    """Equalized focal loss e_c / gamma abs(y - p)^e_c BCE(z, y), e_c = gamma + s (1 - g_c) (Li et al. 2022, eq. 3-4).

    With hard targets as printed; soft ones give the quality focal loss an exponent for each class. A class whose
    positive and negative gradients balance, g_c = 1, has exponent gamma and factor 1: there it *is* the focal loss.

    Args:
        pred_logits: Tensor[..., C].
        target_scores: same shape, in [0, 1].
        gradient_ratio: Tensor[C] g_c in [0, 1], from `GradientRatio`.
        gamma: > 0, the exponent of a balanced class (the paper's gamma_b).
        s: >= 0, what a class without any positive gradient gets on top.
        weight: a further factor without gradient, broadcasts to `pred_logits`, or None for 1.
        reduction: "none", "mean" (over elements) or "sum".

    Raises:
        ValueError: a shape does not fit, gamma is not positive or s negative.
    """
    z, y, exponent, factor = _prepared(pred_logits, target_scores, gradient_ratio, gamma, s)
    factor = factor if weight is None else factor * weight.detach().to(z.dtype)
    return reduce_loss(modulated_bce(z, y, exponent, factor), reduction)


@torch.no_grad()
def equalized_focal_slope(
    pred_logits: Tensor,
    target_scores: Tensor,
    gradient_ratio: Tensor,
    gamma: float = 2.0,
    s: float = 8.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Derivative of each entry of `equalized_focal_loss` by its logit, in closed form; arguments and errors as there.

    What `GradientRatio` adds up, without a backward pass.
    """
    z, y, exponent, factor = _prepared(pred_logits, target_scores, gradient_ratio, gamma, s)
    _, slope = value_and_slope(z, y, exponent)
    assert slope is not None
    slope = slope * factor
    return slope if weight is None else slope * weight.to(z.dtype)


class GradientRatio:
    """Accumulated absolute gradient of each class's positives over that of its negatives (Li et al. 2022, section 3.2).

    g_c = clamp(positive / negative, 0, 1), 1 where a class has had neither. A plain object, as `DualClassWeights`.

    Args:
        num_classes: C.
    """

    def __init__(self, num_classes: int) -> None:
        self._sums = torch.zeros(2, num_classes)

    def accumulate(self, gradients: Tensor) -> None:
        """Add what a training batch brings, summed over ranks; a batch with a value that is no number is left out.

        Args:
            gradients: Tensor[2, C] >= 0, summed absolute gradients of the positives and of the negatives.

        Raises:
            ValueError: the shape is not (2, C).
        """
        if gradients.shape != self._sums.shape:
            raise ValueError(f"gradients must have shape {tuple(self._sums.shape)}, got {tuple(gradients.shape)}")
        with torch.no_grad():
            added = gradients.detach().float()
            # No decision on the host, which would stall a GPU.
            self._sums = self._sums.to(added.device) + torch.where(torch.isfinite(added).all(), added, 0.0)

    def ratio(self, device: torch.device | str | None = None) -> Tensor:
        """Return g_c, Tensor[C] in [0, 1]."""
        if device is not None:
            self._sums = self._sums.to(device)
        positive, negative = self._sums
        return torch.where(negative > 0, positive / negative.clamp_min(1e-30), 1.0).clamp(max=1.0)

    def state_dict(self) -> dict[str, Any]:
        """Return both sums as plain lists."""
        return {"positive": self._sums[0].tolist(), "negative": self._sums[1].tolist()}

    def load_state_dict(self, state: Mapping[str, Sequence[float]]) -> None:
        """Continue from `state_dict()`'s result.

        Raises:
            ValueError: the state is of another number of classes, or lacks an entry.
        """
        count = self._sums.shape[1]
        for key in ("positive", "negative"):
            if key not in state or len(state[key]) != count:
                got = len(state[key]) if key in state else "nothing"
                raise ValueError(f"state[{key!r}] must have {count} entries, one a class, got {got}")
        self._sums = torch.tensor([list(state["positive"]), list(state["negative"])], device=self._sums.device)


def _prepared(
    pred_logits: Tensor, target_scores: Tensor, gradient_ratio: Tensor, gamma: float, s: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return logits and targets, the exponent of each entry and the factor of each class."""
    check_same_shape("pred_logits", pred_logits, "target_scores", target_scores)
    check_range("gamma", gamma, 1e-6)
    check_range("s", s, 0.0)
    if tuple(gradient_ratio.shape) != tuple(pred_logits.shape[-1:]):
        raise ValueError(
            f"gradient_ratio must have shape {tuple(pred_logits.shape[-1:])}, got {tuple(gradient_ratio.shape)}"
        )
    z = at_least_float32(pred_logits)
    exponent = gamma + s * (1.0 - gradient_ratio.detach().to(z))
    # In the logits' own memory order, which keeps the arithmetic in blocks.
    return z, target_scores.detach().to(z.dtype), torch.empty_like(z.detach()).copy_(exponent), exponent / gamma

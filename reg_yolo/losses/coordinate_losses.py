"""Losses on coordinate differences, elementwise on tensors of any shape: SmoothL1, FocalL1, BalancedL1."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from reg_yolo.losses.checks import at_least_float32, check_range, check_same_shape
from reg_yolo.losses.reduction import reduce_loss


def smooth_l1_loss(pred: Tensor, target: Tensor, beta: float = 1.0, reduction: str = "none") -> Tensor:
    """Return SmoothL1: x^2 / (2 beta) for x < beta, x - beta / 2 above, x = abs(pred - target) (Girshick 2015, eq. 3).

    Args:
        pred: Tensor of any shape.
        target: Same shape.
        beta: Threshold >= 0; 0 is the L1 loss.
        reduction: "none", "mean" (over elements) or "sum".

    Raises:
        ValueError: If shapes differ or beta is negative.

    Example:
        >>> smooth_l1_loss(torch.tensor([0.5, 2.0]), torch.zeros(2))
        tensor([0.1250, 1.5000])
    """
    check_range("beta", beta, 0.0)
    prediction, truth = _checked(pred, target)
    return reduce_loss(F.smooth_l1_loss(prediction, truth, reduction="none", beta=beta), reduction)


def focal_l1_loss(pred: Tensor, target: Tensor, beta: float = 0.8, reduction: str = "none") -> Tensor:
    """Return FocalL1 (EIOU eq. 8-9) of x = abs(pred - target).

    -alpha x^2 (2 ln(beta x) - 1) / 4 for x <= 1, -alpha ln(beta) x + C above, with alpha = e beta (largest slope 1)
    and C = (2 alpha ln beta + alpha) / 4, which joins both pieces in value and slope.

    Args:
        pred: Tensor of any shape.
        target: Same shape.
        beta: In [1/e, 1]; smaller suppresses large errors less.
        reduction: "none", "mean" (over elements) or "sum".

    Raises:
        ValueError: If shapes differ or beta is out of range.

    Example:
        >>> focal_l1_loss(torch.tensor([0.5, 2.0]), torch.zeros(2))
        tensor([0.3850, 1.2715])
    """
    # 1/e typed with four digits is to pass
    check_range("beta", beta, 1.0 / math.e - 1e-4, 1.0)
    prediction, truth = _checked(pred, target)
    error = (prediction - truth).abs()
    alpha = math.e * beta
    # x^2 ln x and its slope go to 0 with x, but the logarithm alone does not.
    small = error.clamp(max=1.0)
    logarithm = (beta * small.clamp(min=torch.finfo(error.dtype).tiny)).log()
    inner = small * small * (2.0 * logarithm - 1.0) * (-alpha / 4.0)
    outer = error * (-alpha * math.log(beta)) + (2.0 * alpha * math.log(beta) + alpha) / 4.0
    return reduce_loss(torch.where(error <= 1.0, inner, outer), reduction)


def balanced_l1_loss(
    pred: Tensor,
    target: Tensor,
    alpha: float = 0.5,
    gamma: float = 1.5,
    beta: float = 1.0,
    reduction: str = "none",
) -> Tensor:
    """Return the BalancedL1 of Libra R-CNN (Pang et al. 2019, eq. 9; EIOU §5.4.3) of x = abs(pred - target).

    alpha / b (b x / beta + 1) ln(b x / beta + 1) beta - alpha x for x < beta, gamma x + gamma beta / b - alpha beta
    above, with b = exp(gamma / alpha) - 1.

    Args:
        pred: Tensor of any shape.
        target: Same shape.
        alpha: > 0, gain on small errors.
        gamma: > 0, slope on large errors (Libra's symbol; the one gamma here that is not an exponent).
        beta: > 0, threshold between small and large errors.
        reduction: "none", "mean" (over elements) or "sum".

    Raises:
        ValueError: If shapes differ or a number is not positive.

    Example:
        >>> balanced_l1_loss(torch.tensor([0.5, 2.0]), torch.zeros(2))
        tensor([0.4006, 2.5786])
    """
    for name, value in (("alpha", alpha), ("gamma", gamma), ("beta", beta)):
        check_range(name, value, 1e-6)
    prediction, truth = _checked(pred, target)
    error = (prediction - truth).abs()
    b = math.expm1(gamma / alpha)
    scaled = error.clamp(max=beta) * (b / beta)
    inner = (scaled + 1.0) * torch.log1p(scaled) * (alpha * beta / b) - alpha * error
    outer = gamma * error + (gamma / b - alpha) * beta
    return reduce_loss(torch.where(error < beta, inner, outer), reduction)


def _checked(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    check_same_shape("pred", pred, "target", target)
    prediction = at_least_float32(pred)
    return prediction, target.to(prediction.dtype)

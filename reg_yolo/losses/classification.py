"""Classification losses on logits: sigmoid focal, quality focal, varifocal, softmax focal.

Targets carry no gradient. Half-precision input is computed and returned in float32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reg_yolo.losses.checks import at_least_float32, check_range, check_same_shape
from reg_yolo.losses.modulated_bce import modulated_bce
from reg_yolo.losses.powers import guarded_power
from reg_yolo.losses.reduction import reduce_loss


def sigmoid_focal_loss(
    pred_logits: Tensor,
    targets: Tensor,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Tensor:
    """Return the focal loss alpha_t (1 - p_t)^gamma BCE(z, y) (Lin et al. 2017, eq. 5), equal to torchvision's.

    p_t = y p + (1 - y)(1 - p) and alpha_t = y alpha + (1 - y)(1 - alpha), also between 0 and 1.

    Args:
        pred_logits: Tensor of any shape.
        targets: Same shape, in [0, 1].
        alpha: Weight of the positives in [0, 1]; None leaves it out.
        gamma: Exponent >= 0; 0 with alpha None is plain binary cross-entropy.
        reduction: "none", "mean" (over elements) or "sum".

    Raises:
        ValueError: If shapes differ, or alpha, gamma or reduction is out of range.

    Example:
        >>> sigmoid_focal_loss(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 1.0]))
        tensor([4.3322e-02, 2.7321e-05])
    """
    z, y = _checked_pair(pred_logits, targets, "targets", gamma)
    loss = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    if gamma > 0.0:
        p = z.sigmoid()
        loss = loss * guarded_power((p + y - 2.0 * p * y).clamp_min(0.0), gamma)
    if alpha is not None:
        check_range("alpha", alpha, 0.0, 1.0)
        loss = loss * (y * (2.0 * alpha - 1.0) + (1.0 - alpha))
    return reduce_loss(loss, reduction)


def quality_focal_loss(
    pred_logits: Tensor, target_scores: Tensor, gamma: float = 2.0, reduction: str = "none"
) -> Tensor:
    """Return the quality focal loss abs(y - p)^gamma BCE(z, y) with soft targets (GFL eq. 2).

    The gradient flows through the modulating factor too. gamma = 0 is binary cross-entropy, bit for bit.

    Args:
        pred_logits: Tensor of any shape.
        target_scores: Same shape, in [0, 1].
        gamma: Exponent >= 0 (GFL's beta).
        reduction: "none", "mean" (over elements) or "sum".

    Raises:
        ValueError: If shapes differ, or gamma or reduction is out of range.

    Example:
        >>> quality_focal_loss(torch.zeros(3), torch.tensor([1.0, 0.5, 0.0]))
        tensor([0.1733, 0.0000, 0.1733])
    """
    z, y = _checked_pair(pred_logits, target_scores, "target_scores", gamma)
    return reduce_loss(modulated_bce(z, y, gamma), reduction)


def varifocal_loss(
    pred_logits: Tensor,
    target_scores: Tensor,
    alpha: float = 0.75,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Tensor:
    """Return varifocal loss: y BCE(z, y) where y > 0, alpha p^gamma BCE(z, 0) where y = 0 (Zhang et al. 2021, eq. 2).

    Args:
        pred_logits: Tensor of any shape.
        target_scores: Same shape, in [0, 1].
        alpha: Weight of the negatives >= 0.
        gamma: Exponent >= 0 of the negatives' modulation.
        reduction: "none", "mean" (over elements) or "sum".

    Raises:
        ValueError: If shapes differ, or alpha, gamma or reduction is out of range.

    Example:
        >>> varifocal_loss(torch.zeros(3), torch.tensor([1.0, 0.5, 0.0]))
        tensor([0.6931, 0.3466, 0.1300])
    """
    z, y = _checked_pair(pred_logits, target_scores, "target_scores", gamma)
    check_range("alpha", alpha, 0.0)
    cross_entropy = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    weight = torch.where(y > 0, y, alpha * guarded_power(z.sigmoid(), gamma))
    return reduce_loss(weight * cross_entropy, reduction)


def softmax_focal_loss(
    pred_logits: Tensor,
    labels: Tensor,
    class_weights: Tensor | None = None,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: str = "none",
) -> Tensor:
    """Return the softmax focal loss -alpha_c (1 - p_c)^gamma log p_c of the labelled class c (REG-blog formulas 1-2).

    Args:
        pred_logits: Tensor[N, C, ...], classes in dimension 1 as in torch's cross_entropy.
        labels: Tensor[N, ...] of class indices, or `ignore_index`.
        class_weights: Tensor[C] alpha_c, or None for 1.
        gamma: Exponent >= 0; 0 is torch's cross_entropy.
        ignore_index: Label of elements that count nowhere; their loss is 0.
        reduction: "none", "mean" (over the elements that are not ignored) or "sum".

    Raises:
        ValueError: If shapes do not fit, or gamma or reduction is out of range.

    Example:
        >>> softmax_focal_loss(torch.zeros(1, 4), torch.tensor([2]))
        tensor([0.7798])
    """
    check_range("gamma", gamma, 0.0)
    expected = (*pred_logits.shape[:1], *pred_logits.shape[2:])
    if pred_logits.ndim < 2 or tuple(labels.shape) != expected:
        raise ValueError(f"labels must have shape {expected} for pred_logits {tuple(pred_logits.shape)}, "
                         f"got {tuple(labels.shape)}")  # fmt: skip
    z = at_least_float32(pred_logits)
    if class_weights is not None and tuple(class_weights.shape) != (z.shape[1],):
        raise ValueError(f"class_weights must have shape ({z.shape[1]},), got {tuple(class_weights.shape)}")
    loss = F.cross_entropy(z, labels, reduction="none", ignore_index=ignore_index)
    if gamma > 0.0:
        # 1 - exp(-loss) without cancellation; the clamp takes a rounding error below zero
        loss = loss * guarded_power(-torch.expm1(-loss.clamp_min(0.0)), gamma)
    counted = labels != ignore_index
    if class_weights is not None:
        loss = loss * class_weights.to(loss)[labels.masked_fill(~counted, 0)]
    return reduce_loss(loss, reduction, counted.sum().to(loss.dtype) if reduction == "mean" else None)


def _checked_pair(pred_logits: Tensor, targets: Tensor, name: str, gamma: float) -> tuple[Tensor, Tensor]:
    check_same_shape("pred_logits", pred_logits, name, targets)
    check_range("gamma", gamma, 0.0)
    z = at_least_float32(pred_logits)
    return z, targets.detach().to(z.dtype)

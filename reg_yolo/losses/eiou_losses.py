"""Efficient IoU loss and its focal variants (EIOU eq. 7-11 and §5.4.4)."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor

from reg_yolo.losses.box_geometry import (
    area_ratio,
    checked_pair,
    enclosing_size,
    intersection_over_union,
    normalized_center_distance,
)
from reg_yolo.losses.checks import check_choice, check_range
from reg_yolo.losses.coordinate_losses import focal_l1_loss
from reg_yolo.losses.powers import guarded_power
from reg_yolo.losses.reduction import reduce_loss


def eiou_loss(pred_boxes: Tensor, target_boxes: Tensor, reduction: str = "none") -> Tensor:
    """Return the efficient IoU loss (EIOU eq. 7): DIoU + (w - w_gt)^2 / w_c^2 + (h - h_gt)^2 / h_c^2.

    w_c and h_c are the size of the enclosing box ("h^w" in the paper is a misprint of w^c).

    Args:
        pred_boxes: Tensor[N, 4], xyxy in pixels.
        target_boxes: Tensor[N, 4], xyxy in pixels.
        reduction: "none", "mean" or "sum".

    Returns:
        Tensor[N] in [0, 4], or a scalar.

    Raises:
        ValueError: If a shape is not (N, 4), or the shapes differ.

    Example:
        >>> eiou_loss(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 20]]))
        tensor([0.8000])
    """
    return reduce_loss(_iou_and_eiou(pred_boxes, target_boxes)[1], reduction)


def focal_eiou_loss(
    pred_boxes: Tensor,
    target_boxes: Tensor,
    gamma: float = 0.5,
    target_scores: Tensor | None = None,
    weight_gradient: bool = False,
    reduction: str = "none",
) -> Tensor:
    """Return Focal-EIoU: IoU^gamma EIoU, its mean normalised by the sum of the weights (EIOU eq. 10-11).

    Args:
        pred_boxes: Tensor[N, 4], xyxy in pixels.
        target_boxes: Tensor[N, 4], xyxy in pixels.
        gamma: Exponent >= 0; 0 is EIoU.
        target_scores: Tensor[N] >= 0, a further weight s of each pair (the assigner's in YOLO), or None for 1.
        weight_gradient: Let the gradient flow through IoU^gamma too. The paper does not say that it stops it; with
            it, the loss of a box that overlaps a little falls when the overlap is lost.
        reduction: "none" gives s W L, "sum" its sum, "mean" sum(s W L) / sum(s W), 0 where all weights are 0.

    Raises:
        ValueError: If a shape is not (N, 4), shapes differ or gamma is negative.

    Example:
        >>> focal_eiou_loss(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 20]]))
        tensor([0.5657])
    """
    check_range("gamma", gamma, 0.0)
    iou, eiou = _iou_and_eiou(pred_boxes, target_boxes)
    with contextlib.nullcontext() if weight_gradient else torch.no_grad():
        weight = guarded_power(iou, gamma)
        if target_scores is not None:
            if target_scores.shape != iou.shape:
                raise ValueError(f"target_scores must have shape {tuple(iou.shape)}, got {tuple(target_scores.shape)}")
            weight = weight * target_scores.detach().to(weight.dtype)
    return reduce_loss(weight * eiou, reduction, weight.sum())


def focal_eiou_v1_loss(pred_boxes: Tensor, target_boxes: Tensor, beta: float = 0.8, reduction: str = "none") -> Tensor:
    """Return Focal-EIoU v1: FocalL1 of the EIoU loss (EIOU §4.2), which the paper found not to work well.

    Args:
        pred_boxes: Tensor[N, 4], xyxy in pixels.
        target_boxes: Tensor[N, 4], xyxy in pixels.
        beta: As in `focal_l1_loss`, in [1/e, 1].
        reduction: "none", "mean" or "sum".

    Raises:
        ValueError: If a shape is not (N, 4), the shapes differ or beta is out of range.

    Example:
        >>> focal_eiou_v1_loss(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 20]]))
        tensor([0.6585])
    """
    _, eiou = _iou_and_eiou(pred_boxes, target_boxes)
    return focal_l1_loss(eiou, torch.zeros_like(eiou), beta, reduction)


def focal_eiou_star_loss(
    pred_boxes: Tensor, target_boxes: Tensor, gamma: float = 0.5, form: str = "clamped", reduction: str = "none"
) -> Tensor:
    """Return Focal-EIoU*: -(1 - IoU)^gamma log(IoU / EIoU) (EIOU §5.4.4).

    Args:
        pred_boxes: Tensor[N, 4], xyxy in pixels.
        target_boxes: Tensor[N, 4], xyxy in pixels.
        gamma: Exponent >= 0.
        form: "clamped" (ours) limits the logarithm to [-10, 10] and stops the gradient through (1 - IoU)^gamma;
            "printed" does neither, and is unbounded in both directions (IoU -> 0 and EIoU -> 0).
        reduction: "none", "mean" or "sum".

    Returns:
        Tensor[N], negative where EIoU < IoU, or a scalar.

    Raises:
        ValueError: If a shape is not (N, 4), the shapes differ, gamma is negative or `form` unknown.

    Example:
        >>> focal_eiou_star_loss(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 20]]))
        tensor([0.3323])
    """
    check_range("gamma", gamma, 0.0)
    check_choice("form", form, ("clamped", "printed"))
    iou, eiou = _iou_and_eiou(pred_boxes, target_boxes)
    factor = guarded_power((1.0 - iou).clamp(min=0.0), gamma)
    # The logarithm of the smallest normal number instead of minus infinity: infinity times zero is NaN.
    tiny = torch.finfo(iou.dtype).tiny
    log_ratio = iou.clamp(min=tiny).log() - eiou.clamp(min=tiny).log()
    if form == "clamped":
        factor, log_ratio = factor.detach(), log_ratio.clamp(-10.0, 10.0)
    return reduce_loss(-factor * log_ratio, reduction)


def _iou_and_eiou(pred_boxes: Tensor, target_boxes: Tensor) -> tuple[Tensor, Tensor]:
    pred, target = checked_pair(pred_boxes, target_boxes)
    iou, _ = intersection_over_union(pred, target)
    enclosing = enclosing_size(pred, target)
    size_error = (pred[:, 2:] - pred[:, :2]) - (target[:, 2:] - target[:, :2])
    size_term = area_ratio(size_error.square(), enclosing.square()).sum(1)
    return iou, 1.0 - iou + normalized_center_distance(pred, target, enclosing) + size_term

"""IoU, GIoU, DIoU and CIoU losses on aligned pairs of boxes (EIOU eq. 1-5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from reg_yolo.losses.box_geometry import (
    SMALLEST_AREA,
    area_ratio,
    checked_pair,
    enclosing_size,
    intersection_over_union,
    normalized_center_distance,
)
from reg_yolo.losses.reduction import reduce_loss


def iou_loss(pred_boxes: Tensor, target_boxes: Tensor, reduction: str = "none") -> Tensor:
    """Return the IoU loss 1 - IoU (EIOU eq. 1-5).

    Args:
        pred_boxes: Tensor[N, 4], xyxy in pixels.
        target_boxes: Tensor[N, 4], xyxy in pixels.
        reduction: "none", "mean" or "sum".

    Returns:
        Tensor[N] in [0, 1], or a scalar. Disjoint boxes have loss 1 and no gradient.

    Raises:
        ValueError: If a shape is not (N, 4), or the shapes differ.

    Example:
        >>> iou_loss(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 20]]))
        tensor([0.5000])
    """
    pred, target = checked_pair(pred_boxes, target_boxes)
    return reduce_loss(1.0 - intersection_over_union(pred, target)[0], reduction)


def giou_loss(pred_boxes: Tensor, target_boxes: Tensor, reduction: str = "none") -> Tensor:
    """Return the generalised IoU loss 1 - IoU + (enclosing - union) / enclosing (EIOU eq. 1-5), equal to torchvision's.

    Args:
        pred_boxes: Tensor[N, 4], xyxy in pixels.
        target_boxes: Tensor[N, 4], xyxy in pixels.
        reduction: "none", "mean" or "sum".

    Returns:
        Tensor[N] in [0, 2], or a scalar.

    Raises:
        ValueError: If a shape is not (N, 4), or the shapes differ.

    Example:
        >>> giou_loss(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 20]]))
        tensor([0.5000])
    """
    pred, target = checked_pair(pred_boxes, target_boxes)
    iou, union = intersection_over_union(pred, target)
    size = enclosing_size(pred, target)
    enclosing = size[:, 0] * size[:, 1]
    return reduce_loss(1.0 - iou + area_ratio(enclosing - union, enclosing), reduction)


def diou_loss(pred_boxes: Tensor, target_boxes: Tensor, reduction: str = "none") -> Tensor:
    """Return distance IoU loss 1 - IoU + rho^2(centres) / diagonal^2 (EIOU eq. 1-5 without v), equal to torchvision's.

    Args:
        pred_boxes: Tensor[N, 4], xyxy in pixels.
        target_boxes: Tensor[N, 4], xyxy in pixels.
        reduction: "none", "mean" or "sum".

    Returns:
        Tensor[N] in [0, 2], or a scalar.

    Raises:
        ValueError: If a shape is not (N, 4), or the shapes differ.

    Example:
        >>> diou_loss(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 20]]))
        tensor([0.5500])
    """
    pred, target = checked_pair(pred_boxes, target_boxes)
    iou, _ = intersection_over_union(pred, target)
    distance = normalized_center_distance(pred, target, enclosing_size(pred, target))
    return reduce_loss(1.0 - iou + distance, reduction)


def ciou_loss(pred_boxes: Tensor, target_boxes: Tensor, reduction: str = "none") -> Tensor:
    """Return the complete IoU loss: DIoU + a v with the aspect term v and a = v / (1 - IoU + v) (EIOU eq. 1-5).

    The weight a carries no gradient. Equal to torchvision's.

    Args:
        pred_boxes: Tensor[N, 4], xyxy in pixels.
        target_boxes: Tensor[N, 4], xyxy in pixels.
        reduction: "none", "mean" or "sum".

    Returns:
        Tensor[N] >= 0, or a scalar.

    Raises:
        ValueError: If a shape is not (N, 4), or the shapes differ.

    Example:
        >>> ciou_loss(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 20]]))
        tensor([0.5532])
    """
    pred, target = checked_pair(pred_boxes, target_boxes)
    iou, _ = intersection_over_union(pred, target)
    distance = normalized_center_distance(pred, target, enclosing_size(pred, target))
    v = aspect_ratio_term(pred, target)
    with torch.no_grad():
        weight = v / (1.0 - iou + v + 1e-7)
    return reduce_loss(1.0 - iou + distance + weight * v, reduction)


def aspect_ratio_term(pred_boxes: Tensor, target_boxes: Tensor) -> Tensor:
    """Return the aspect term v = 4/pi^2 (atan(w_gt/h_gt) - atan(w/h))^2 of CIoU (EIOU eq. 1-5), Tensor[N] in [0, 1].

    The paper's eq. 6 prints dv/dw and dv/dh with the wrong sign; the gradient here is autograd's.

    Example:
        >>> aspect_ratio_term(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 20]]))
        tensor([0.0420])
    """
    pred, target = checked_pair(pred_boxes, target_boxes)
    return (4.0 / math.pi**2) * (_aspect_angle(target) - _aspect_angle(pred)).square()


def _aspect_angle(boxes: Tensor) -> Tensor:
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
    smallest = math.sqrt(SMALLEST_AREA)
    # A point has no shape: angle 0, and no gradient where the quotient's would be without bound.
    width = width.masked_fill((width <= smallest) & (height <= smallest), 0.0)
    return torch.atan(width / height.clamp(min=smallest))

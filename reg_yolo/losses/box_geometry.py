"""What the losses on aligned box pairs share: overlap, enclosing box, centres."""

from __future__ import annotations

import torch
from torch import Tensor

from reg_yolo.losses.checks import at_least_float32, check_boxes

# In squared pixels: far below a real box, also in normalised coordinates.
SMALLEST_AREA = 1e-12


def checked_pair(pred_boxes: Tensor, target_boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return both box tensors in at least float32 after checking that they are Tensor[N, 4] of one length."""
    check_boxes(pred_boxes, target_boxes)
    pred = at_least_float32(pred_boxes)
    return pred, target_boxes.to(pred.dtype)


def area_ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Return numerator / denominator, but 0 without a gradient where the denominator has no area.

    A small constant in the denominator would do for the value; its gradient, though, is the constant's inverse, and one
    box without area would outweigh a batch.
    """
    return numerator / denominator.masked_fill(denominator <= SMALLEST_AREA, torch.inf)


def intersection_over_union(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU and union area, Tensor[N] each; the IoU of two boxes without area is 0."""
    overlap = (torch.minimum(pred[:, 2:], target[:, 2:]) - torch.maximum(pred[:, :2], target[:, :2])).clamp(min=0.0)
    intersection = overlap[:, 0] * overlap[:, 1]
    pred_size, target_size = pred[:, 2:] - pred[:, :2], target[:, 2:] - target[:, :2]
    union = pred_size[:, 0] * pred_size[:, 1] + target_size[:, 0] * target_size[:, 1] - intersection
    return area_ratio(intersection, union), union


def enclosing_size(pred: Tensor, target: Tensor) -> Tensor:
    """Return width and height of the smallest box around both, Tensor[N, 2]."""
    return torch.maximum(pred[:, 2:], target[:, 2:]) - torch.minimum(pred[:, :2], target[:, :2])


def normalized_center_distance(pred: Tensor, target: Tensor, enclosing: Tensor) -> Tensor:
    """Return the squared distance of the centres over the squared diagonal of the enclosing box, Tensor[N]."""
    offset = (pred[:, :2] + pred[:, 2:] - target[:, :2] - target[:, 2:]) * 0.5
    return area_ratio(offset.square().sum(1), enclosing.square().sum(1))

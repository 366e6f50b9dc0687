"""The IoU-classification-aware score s, and the assignment of anchors by it (CLE eq. 5-7)."""

from __future__ import annotations

import torch
from torch import Tensor

from reg_yolo.losses.box_geometry import area_ratio, checked_pair, intersection_over_union
from reg_yolo.losses.checks import check_last_dims, check_range, check_same_shape

# CLE eq. 5 and 7: an anchor is positive from the one on, background up to the other.
POSITIVE_IOU = 0.5
BACKGROUND_IOU = 0.4


def localization_score(
    class_scores: Tensor, pred_boxes: Tensor, target_boxes: Tensor, alpha: float = 0.75
) -> tuple[Tensor, Tensor]:
    """Score s = alpha p + (1 - alpha) intersection / min(area, area_gt), and the IoU (CLE eq. 5-6).

    A tiny box inside an object has an intersection over the smaller area of 1, so s alone tells little of the place.

    Args:
        class_scores: Tensor[N] in [0, 1], p of the target's class.
        pred_boxes: Tensor[N, 4], xyxy in pixels: anchors, or what is predicted at an anchor point.
        target_boxes: Tensor[N, 4], xyxy in pixels.
        alpha: share of p, in [0, 1].

    Returns:
        s and IoU, Tensor[N] in [0, 1] each; 0 overlap for boxes without area.

    Raises:
        ValueError: a shape does not fit, or alpha is out of range.

    Example:
        >>> boxes = torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 20]])
        >>> localization_score(torch.tensor([0.4]), *boxes)
        (tensor([0.5500]), tensor([0.5000]))
    """
    check_range("alpha", alpha, 0.0, 1.0)
    pred, target = checked_pair(pred_boxes, target_boxes)
    check_same_shape("class_scores", class_scores, "boxes' first column", pred[:, 0])
    iou, union = intersection_over_union(pred, target)
    area, target_area = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (pred, target))
    contained = area_ratio(iou * union, torch.minimum(area, target_area))
    return alpha * class_scores + (1.0 - alpha) * contained, iou


def match_anchors(
    anchors: Tensor,
    class_scores: Tensor,
    target_boxes: Tensor,
    target_labels: Tensor,
    alpha: float = 0.75,
    threshold: float = 0.5,
) -> Tensor:
    """Assign anchors as in RetinaNet, but a high score s makes an anchor positive too (CLE eq. 5-7).

    Positive for a ground truth if IoU >= 0.5 or s >= threshold, of several for the one with the highest IoU (the first
    of equals); otherwise background if no IoU is above 0.4, otherwise left out. Positive wins over background, where
    the paper's cases overlap.

    Args:
        anchors: Tensor[A, 4], xyxy in pixels.
        class_scores: Tensor[A, C] in [0, 1].
        target_boxes: Tensor[N, 4], xyxy in pixels.
        target_labels: Tensor[N] int64 in [0, C).
        alpha: share of p in s, in [0, 1].
        threshold: lowest s that makes an anchor positive.

    Returns:
        Tensor[A] int64: the ground truth of a positive, -1 for background, -2 for an anchor that is left out.

    Raises:
        ValueError: a shape does not fit, or alpha is out of range.
    """
    check_last_dims("anchors", anchors, None, 4)
    check_last_dims("target_boxes", target_boxes, None, 4)
    count, targets = len(anchors), len(target_boxes)
    if not targets:
        return torch.full((count,), -1, dtype=torch.int64, device=anchors.device)
    score, iou = localization_score(
        class_scores[:, target_labels].reshape(-1),
        anchors.repeat_interleave(targets, 0),
        target_boxes.repeat(count, 1),
        alpha,
    )
    score, iou = score.view(count, targets), iou.view(count, targets)
    positive = (iou >= POSITIVE_IOU) | (score >= threshold)
    best, owner = iou.masked_fill(~positive, -1.0).max(1)
    unassigned = torch.where(iou.amax(1) <= BACKGROUND_IOU, -1, -2)
    return torch.where(best >= 0.0, owner, unassigned)

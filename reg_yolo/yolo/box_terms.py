"""The box branch: upstream's CIoU and DFL, or another box loss of the papers beside the same DFL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from ultralytics.utils.loss import BboxLoss
from ultralytics.utils.tal import bbox2dist

from reg_yolo import losses
from reg_yolo.config.reg import BoxSettings

if TYPE_CHECKING:
    from reg_yolo.yolo.criterion import Assignment, HeadOutput

PLAIN_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "iou": losses.iou_loss,
    "giou": losses.giou_loss,
    "diou": losses.diou_loss,
    "eiou": losses.eiou_loss,
    "focal_eiou_v1": losses.focal_eiou_v1_loss,
}


def box_and_distribution_loss(
    stock: BboxLoss, settings: BoxSettings, head: HeadOutput, assignment: Assignment
) -> tuple[Tensor, Tensor]:
    """Return the box loss and the distribution focal loss, each a weighted mean over the positives.

    Args:
        stock: Upstream's box criterion; with `ciou` it computes both, bit for bit as without us.
        settings: The `reg.box:` block.
        head: What the head predicts.
        assignment: Targets; the weight of a positive is the sum of its target scores.
    """
    targets_in_strides = assignment.target_boxes / head.strides
    if settings.loss == "ciou":
        return stock(
            head.distances,
            head.boxes,
            head.anchor_points,
            targets_in_strides,
            assignment.target_scores,
            assignment.normalizer,
            assignment.positive,
            head.image_size,
            head.strides,
        )
    image, anchor = assignment.positive.nonzero(as_tuple=True)
    weight = assignment.target_scores[image, anchor].sum(-1)
    pred, target = head.boxes[image, anchor].float(), targets_in_strides[image, anchor].float()
    points = head.anchor_points[anchor].to(target.dtype)
    box = _box_loss(settings, pred, target, points, weight, assignment.normalizer)
    bins = stock.dfl_loss.reg_max
    target_ltrb = bbox2dist(points, target, bins - 1)
    distribution = stock.dfl_loss(head.distances[image, anchor].view(-1, bins), target_ltrb).squeeze(-1)
    return box, (distribution * weight).sum() / assignment.normalizer


def _box_loss(
    settings: BoxSettings, pred: Tensor, target: Tensor, points: Tensor, weight: Tensor, normalizer: Tensor
) -> Tensor:
    if settings.loss == "focal_eiou":
        # Its own normaliser, the sum of s IoU^gamma (EIOU eq. 11).
        return losses.focal_eiou_loss(pred, target, settings.gamma, target_scores=weight, reduction="mean")
    if settings.loss == "focal_eiou_star":
        each = losses.focal_eiou_star_loss(pred, target, settings.gamma)
    elif settings.loss == "smooth_l1":
        # REG-blog on the distances to the four sides in strides, unclipped: DFL beside it learns the clipped ones.
        pred_ltrb, target_ltrb = (
            torch.cat((points - boxes[:, :2], boxes[:, 2:] - points), 1) for boxes in (pred, target)
        )
        each = losses.smooth_l1_loss(pred_ltrb, target_ltrb, beta=1.0).mean(-1)
    else:
        each = PLAIN_LOSSES[settings.loss](pred, target)
    return (each * weight).sum() / normalizer

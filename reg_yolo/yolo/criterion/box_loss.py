"""The box branch: upstream's CIoU and DFL, or another box loss of the papers beside the same DFL."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from ultralytics.utils.loss import BboxLoss
from ultralytics.utils.tal import bbox2dist

from reg_yolo import losses
from reg_yolo.config.reg_sections import BoxSettings
from reg_yolo.yolo.criterion.head_output import BoxPredictions
from reg_yolo.yolo.criterion.targets import Assignment

PLAIN_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "iou": losses.iou_loss,
    "giou": losses.giou_loss,
    "diou": losses.diou_loss,
    "eiou": losses.eiou_loss,
}


def box_and_distribution_loss(
    stock: BboxLoss, settings: BoxSettings, predicted: BoxPredictions, assignment: Assignment, image_size: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the box loss and the distribution focal loss, each a weighted mean over the positives.

    Args:
        stock: Upstream's box criterion; with `ciou` it computes both, bit for bit as without us.
        settings: The `reg.box:` block.
        predicted: The predictions at the positives.
        assignment: Targets; the weight of a positive is its target score.
        image_size: Tensor[2], height and width in pixels.
    """
    weight = assignment.positives.score
    target = assignment.target_boxes / predicted.strides
    if settings.loss == "ciou":
        # Upstream takes the positives out of dense tensors; here every row is one.
        return stock(
            predicted.logits, predicted.boxes, predicted.points, target, weight.unsqueeze(1), assignment.normalizer,
            torch.ones_like(weight, dtype=torch.bool), image_size, predicted.strides,
        )  # fmt: skip
    target = target.float()
    points = predicted.points.to(target.dtype)
    box = _box_loss(settings, predicted.boxes.float(), target, points, weight, assignment.normalizer)
    bins = stock.dfl_loss.reg_max
    target_ltrb = bbox2dist(points, target, bins - 1)
    distribution = stock.dfl_loss(predicted.logits.view(-1, bins), target_ltrb).squeeze(-1)
    return box, (distribution * weight).sum() / assignment.normalizer


def _box_loss(
    settings: BoxSettings, pred: Tensor, target: Tensor, points: Tensor, weight: Tensor, normalizer: Tensor
) -> Tensor:
    if settings.loss == "focal_eiou":
        # Its own normaliser, the sum of s IoU^gamma (EIOU eq. 11). The factor is 1 unless the scores sum to less than
        # 1: there a mean over hardly anything would weigh as much as one over all objects of another batch.
        mean = losses.focal_eiou_loss(
            pred, target, settings.gamma, target_scores=weight, weight_gradient=settings.weight_gradient,
            reduction="mean",
        )  # fmt: skip
        return mean * (weight.sum() / normalizer)
    if settings.loss == "focal_eiou_star":
        each = losses.focal_eiou_star_loss(pred, target, settings.gamma, settings.form)
    elif settings.loss == "focal_eiou_v1":
        each = losses.focal_eiou_v1_loss(pred, target, settings.beta_or_default)
    elif settings.loss in PLAIN_LOSSES:
        each = PLAIN_LOSSES[settings.loss](pred, target)
    else:
        # REG-blog on the distances to the four sides in strides, unclipped: DFL beside it learns the clipped ones.
        pred_ltrb, target_ltrb = (
            torch.cat((points - boxes[:, :2], boxes[:, 2:] - points), 1) for boxes in (pred, target)
        )
        each = _coordinate_loss(settings, pred_ltrb, target_ltrb).mean(-1)
    return (each * weight).sum() / normalizer


def _coordinate_loss(settings: BoxSettings, pred: Tensor, target: Tensor) -> Tensor:
    beta = settings.beta_or_default
    if settings.loss == "focal_l1":
        return losses.focal_l1_loss(pred, target, beta)
    if settings.loss == "balanced_l1":
        return losses.balanced_l1_loss(pred, target, settings.small_gain, settings.large_slope, beta)
    return losses.smooth_l1_loss(pred, target, beta)

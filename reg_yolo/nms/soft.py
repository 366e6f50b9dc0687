"""Soft-NMS: a box that overlaps a better one loses score, not its place (Bodla et al., arXiv 1704.04503)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from reg_yolo.nms.pairs import iou_matrix
from reg_yolo.nms.survivors import Candidates, Survivors

SoftMethod = Literal["gaussian", "linear"]

# Boxes whose overlaps are computed together.
LEADING = 128


def soft_nms(
    boxes_xyxy: Tensor,
    scores: Tensor,
    labels: Tensor,
    *,
    method: SoftMethod = "gaussian",
    sigma: float = 0.5,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.001,
    max_candidates: int = 2000,
) -> Survivors:
    """Lower the scores of boxes by their overlap with better ones of the same label, in greedy order.

    The highest score is taken, and the score of every other box is multiplied by exp(-IoU^2 / sigma) ("gaussian"), or
    by 1 - IoU where IoU > iou_threshold ("linear"); then the highest of what is left, until nothing is above
    `score_threshold`. Ties go to the lower index.

    Args:
        boxes_xyxy: Tensor[N, 4] of one image, any unit. Boxes with x2 < x1 or y2 < y1, or a number that is not finite,
            are dropped.
        scores: Tensor[N], in [0, 1].
        labels: Tensor[N], whole numbers; boxes of different labels do not meet.
        method: "gaussian" or "linear".
        sigma: > 0, for "gaussian".
        iou_threshold: In [0, 1], for "linear".
        score_threshold: >= 0; what falls to it or below is left out.
        max_candidates: The highest-scoring so many are taken, the work grows with their square.

    Returns:
        The survivors by descending lowered score, with that score.

    Raises:
        ValueError: If a shape does not fit, a number is out of its range, or `method` is unknown.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 20]])
        >>> soft_nms(boxes, torch.tensor([0.9, 0.8]), torch.zeros(2)).scores
        tensor([0.9000, 0.4852])
    """
    if method not in get_args(SoftMethod):
        raise ValueError(f"method must be one of {', '.join(get_args(SoftMethod))}, got {method!r}")
    if not (sigma > 0.0 and score_threshold >= 0.0 and max_candidates >= 1):
        raise ValueError(
            "sigma must be > 0, score_threshold >= 0 and max_candidates >= 1, "
            f"got {sigma!r}, {score_threshold!r} and {max_candidates!r}"
        )
    # What is made in inference mode could not meet a gradient later on; the copies are ordinary tensors.
    with torch.inference_mode():
        given = Candidates.of(boxes_xyxy, scores, labels, iou_threshold)
        # They stand by descending score.
        above = int((given.scores > score_threshold).sum())
        # By row from here on, so that ties go to the lower index.
        rows, taken = given.rows[:max_candidates][:above].sort()
        # Many small steps: a GPU would wait for every one.
        corners, values, groups = given.corners[:, taken].cpu(), given.scores[taken].cpu(), given.groups[taken].cpu()
        if given.group_count > 1:
            # A third axis, along which boxes of different groups only touch.
            corners = torch.stack((*corners[:2], groups, *corners[2:], groups + 1))
        # Half the digits of the scores do for the overlaps, which are most of the work.
        corners = corners.to(torch.promote_types(boxes_xyxy.dtype, torch.float32))
        lowered = _lowered(corners, values, method, sigma, iou_threshold, score_threshold)
        left, best = lowered.sort(descending=True, stable=True)
        count = int((left > score_threshold).sum())
        left, kept = left[:count].to(scores), rows[best[:count].to(rows.device)]
    return Survivors(kept.clone(), left.clone(), given.dropped, max(above - max_candidates, 0))


def _lowered(
    corners: Tensor, values: Tensor, method: SoftMethod, sigma: float, iou_threshold: float, score_threshold: float
) -> Tensor:
    """Return the score of each box when its turn comes, 0 where it has none, Tensor[N].

    Scores only fall. So a box that is the best of all it overlaps stays that until its turn, and its score is final.
    """
    lowered = torch.zeros_like(values)
    rows = torch.arange(len(values))
    while True:
        left = (values > score_threshold).nonzero().squeeze(1)
        if not len(left):
            return lowered
        corners, values, rows = corners.index_select(1, left), values.index_select(0, left), rows.index_select(0, left)
        # The leading boxes are compared among themselves, as long as no other can come before. Then the others learn of
        # all that were taken. Rows ascend, so that ties go to the lower index.
        bound = values.topk(LEADING + 1).values[-1] if len(values) > LEADING else values.new_tensor(score_threshold)
        leading = (values > bound).nonzero().squeeze(1)
        if not len(leading):
            leading = (values == bound).nonzero().squeeze(1)[:LEADING]
            bound = torch.nextafter(bound, torch.zeros_like(bound))
        best = corners.index_select(1, leading)
        overlaps, scores = iou_matrix(best, best), values.index_select(0, leading)
        final = _final_scores(scores, overlaps, bound, method, sigma, iou_threshold)
        won = final.nonzero().squeeze(1)
        winners = leading.index_select(0, won)
        lowered.index_copy_(0, rows.index_select(0, winners), final.index_select(0, won))
        values *= _factors(iou_matrix(best.index_select(1, won), corners), method, sigma, iou_threshold)
        # What is taken leaves the race.
        values.index_fill_(0, winners, 0.0)


def _final_scores(
    values: Tensor, iou: Tensor, bound: Tensor, method: SoftMethod, sigma: float, iou_threshold: float
) -> Tensor:
    """Return the final scores of those of the leading boxes that no other box can come before, 0 for the rest."""
    final = torch.zeros_like(values)
    # 1 where one lowers the other.
    meet = (iou - (iou_threshold if method == "linear" else 0.0)).clamp_(min=0.0).sign_().fill_diagonal_(0.0)
    places = torch.arange(len(values), 0, -1, dtype=iou.dtype)
    while True:
        racing = (values > bound).nonzero().squeeze(1)
        if not len(racing):
            return final
        strength = torch.empty_like(places).index_copy_(0, values.argsort(descending=True, stable=True), places)
        rival = meet.index_select(0, racing).mul_(strength).amax(1)
        won = racing.masked_select(strength.index_select(0, racing) > rival)
        final.index_copy_(0, won, values.index_select(0, won))
        values = values * _factors(iou.index_select(0, won), method, sigma, iou_threshold)
        values.index_fill_(0, won, 0.0)


def _factors(iou: Tensor, method: SoftMethod, sigma: float, iou_threshold: float) -> Tensor:
    """Return what overlaps multiply a score with, all of the first dimension together."""
    if method == "gaussian":
        return iou.square_().sum(0).div_(-sigma).exp_()
    return torch.where(iou > iou_threshold, 1.0 - iou, 1.0).prod(0)

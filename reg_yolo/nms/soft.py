"""Soft-NMS: a box that overlaps a better one loses score, not its place (Bodla et al., arXiv 1704.04503)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from reg_yolo.nms.pairs import iou_matrix
from reg_yolo.nms.survivors import Candidates, Survivors

SoftMethod = Literal["gaussian", "linear"]

# Boxes whose overlaps are computed together.
LEADING = 64


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
        iou_threshold: in [0, 1], for "linear".
        score_threshold: >= 0; what falls to it or below is left out.
        max_candidates: the highest-scoring so many are taken, the work grows with their square.

    Returns:
        The survivors by descending lowered score, with that score.

    Raises:
        ValueError: a shape does not fit, a number is out of its range, or `method` is unknown.

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
    given = Candidates.of(boxes_xyxy, scores, labels, iou_threshold)
    taken = (given.scores > score_threshold).nonzero().squeeze(1)
    over_limit = max(len(taken) - max_candidates, 0)
    if over_limit:
        best = given.scores[taken].argsort(descending=True, stable=True)[:max_candidates]
        taken = taken[best.sort().values]
    # One step after the other, each of them tiny: a GPU would wait for every one. Half the digits of the scores would
    # do for the factors, which are most of the work.
    boxes = given.boxes[taken].to("cpu", torch.promote_types(boxes_xyxy.dtype, torch.float32))
    values, groups = given.scores[taken].cpu(), given.groups[taken].cpu()
    lowered = torch.full_like(values, -1.0)
    for rows in groups.argsort(stable=True).split(torch.bincount(groups, minlength=1).tolist()):
        order, left = _taken_in_turn(boxes[rows], values[rows], method, sigma, iou_threshold, score_threshold)
        lowered[rows[order]] = left
    best = lowered.argsort(descending=True, stable=True)[: int((lowered >= 0.0).sum())]
    indices = given.rows[taken[best.to(taken.device)]]
    return Survivors(indices, lowered[best].to(scores), given.dropped, over_limit)


def _taken_in_turn(
    boxes: Tensor, values: Tensor, method: SoftMethod, sigma: float, iou_threshold: float, score_threshold: float
) -> tuple[Tensor, Tensor]:
    """Return the boxes of a group in the order in which they are taken, and the scores they have by then."""
    order: list[int] = []
    lowered: list[float] = []
    rows = torch.arange(len(values))
    while True:
        left = (values > score_threshold).nonzero().squeeze(1)
        boxes, values, rows = boxes[left], values[left], rows[left]
        if not len(left):
            return torch.tensor(order, dtype=torch.long), torch.tensor(lowered, dtype=values.dtype)
        # The leading boxes are taken among themselves, as long as the best of the others cannot come before: scores
        # only fall. Then the others learn of all that were taken. Ascending, so that ties go to the lower index.
        by_score = values.argsort(descending=True, stable=True)
        bound = float(values[by_score[LEADING]]) if len(values) > LEADING else score_threshold
        leading = by_score[:LEADING].sort().values
        factors = _factors(iou_matrix(boxes[leading], boxes).nan_to_num_(0.0), method, sigma, iou_threshold)
        # What is taken leaves the race.
        factors[torch.arange(len(leading)), leading] = 0.0
        among_leading, numbers = factors[:, leading].tolist(), rows[leading].tolist()
        current = first = values[leading].tolist()
        taken: list[int] = []
        while (best := max(current)) > score_threshold:
            place = current.index(best)
            # Whoever has its first score yet stood before the others in the order above.
            if best <= bound and current[place] != first[place]:
                break
            taken.append(place)
            order.append(numbers[place])
            lowered.append(best)
            current = [score * factor for score, factor in zip(current, among_leading[place], strict=True)]
        values *= factors[taken].prod(0, dtype=values.dtype)


def _factors(iou: Tensor, method: SoftMethod, sigma: float, iou_threshold: float) -> Tensor:
    """Return what an overlap multiplies a score with."""
    if method == "gaussian":
        return iou.square_().div_(-sigma).exp_()
    return torch.where(iou > iou_threshold, 1.0 - iou, 1.0)

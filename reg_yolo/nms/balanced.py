"""Balanced NMS: of boxes that mean one object, the best placed one survives, not the highest score (CLE eq. 8-9)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from reg_yolo.nms.greedy import greedy_nms
from reg_yolo.nms.pairs import iou_matrix, overlapping_pairs
from reg_yolo.nms.survivors import Candidates, Survivors

BalancedMode = Literal["closeness", "printed"]
MODES = get_args(BalancedMode)

# So few pairs are compared faster than sorted out.
FEW_PAIRS = 1 << 16
# Sums in another order differ in the last digits; what differs by less than this is a tie.
DECIMALS = 9


def balanced_nms(
    boxes_xyxy: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float, mode: BalancedMode = "closeness"
) -> Survivors:
    """Suppress overlapping boxes by score and place together (CLE eq. 8-9).

    Greedy NMS gives the references; a box it suppresses joins the highest-scoring reference of its label with
    IoU > threshold, and the reference belongs to its own cluster. The centre of a cluster is the mean of its boxes'
    centres weighted by softmax(score) (8). A box's rank is s_nms = score + 1 - dis (9), with dis its distance from that
    centre over the diagonal of the reference. The highest s_nms of a cluster wins (ties: higher score, then lower
    index), and greedy NMS runs over the winners in the order of s_nms. Where all centres coincide this is greedy NMS.

    Departure: print adds the distance, s_nms = p + dis, which favours the worst placed box, and names no unit.
    "printed" has that sign, in the same unit.

    Args:
        boxes_xyxy: Tensor[N, 4], any unit. Boxes with x2 < x1 or y2 < y1, or a number that is not finite, are dropped.
        scores: Tensor[N], in [0, 1].
        labels: Tensor[N], whole numbers; boxes of different labels do not meet. For several images at once give
            image * classes + class.
        iou_threshold: In [0, 1].
        mode: "closeness" or "printed".

    Returns:
        The survivors by descending s_nms, with their scores as they were.

    Raises:
        ValueError: If a shape does not fit, the threshold is outside [0, 1], or `mode` is unknown.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[8.0, 0, 48, 40], [1.0, 0, 41, 40], [-1.0, 0, 39, 40]])
        >>> scores, labels = torch.tensor([0.81, 0.80, 0.79]), torch.zeros(3)
        >>> balanced_nms(boxes, scores, labels, 0.5).indices
        tensor([1])
        >>> from torchvision.ops import nms
        >>> nms(boxes, scores, 0.5)
        tensor([0])
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    with torch.inference_mode():
        given = Candidates.of(boxes_xyxy, scores, labels, iou_threshold)
        kept = _kept(given.moved_apart(), iou_threshold, mode)
    # What is made in inference mode could not meet a gradient later on; what is selected here is an ordinary tensor.
    indices = given.rows.index_select(0, kept)
    return Survivors(indices, scores.detach().index_select(0, indices), given.dropped)


def _kept(given: Candidates, iou_threshold: float, mode: BalancedMode) -> Tensor:
    """Return the candidates that survive, by descending s_nms, Tensor[K]."""
    boxes, groups, groups_of = given.corners.t(), given.groups, given.group_count
    references = greedy_nms(boxes, given.scores, groups, groups_of, iou_threshold)
    if len(references) == len(boxes):
        return references
    owner = _clusters(given, references, iou_threshold)
    rank = _ranks(given, references, owner, mode)
    winners = _winners(rank, owner, len(references))
    # In the order of their rank already, in which greedy NMS leaves those of equal rank.
    best, groups = given.corners.index_select(1, winners).t(), groups.index_select(0, winners)
    return winners.index_select(0, greedy_nms(best, rank.index_select(0, winners), groups, groups_of, iou_threshold))


def _clusters(given: Candidates, references: Tensor, iou_threshold: float) -> Tensor:
    """Return the number of each box's reference, Tensor[N], R where it has none."""
    # References stand by descending score: the lowest number is the highest score.
    count, boxes = len(references), len(given.rows)
    numbers = torch.arange(count, device=references.device)
    if given.group_count <= 1 and count * boxes <= FEW_PAIRS:
        found = iou_matrix(given.corners.index_select(1, references), given.corners) > iou_threshold
        # Of several the first, which is what torch.max promises.
        overlaps, owner = found.max(0)
        owner.masked_fill_(overlaps.logical_not_(), count)
    else:
        owner = references.new_full((boxes,), count)
        for number, box, _ in overlapping_pairs(given.corners, given.groups, references, iou_threshold):
            owner.scatter_reduce_(0, box, number, "amin")
    # Also at a threshold of 1, which nothing exceeds.
    return owner.index_copy_(0, references, numbers)


def _ranks(given: Candidates, references: Tensor, owner: Tensor, mode: BalancedMode) -> Tensor:
    """Return s_nms of each box, Tensor[N]; of no meaning where it belongs to no cluster."""
    # A cluster more for the boxes without one.
    references = torch.cat((references, references[:1]))
    low, high = given.corners.view(2, 2, -1)
    # Twice the centres, and the scores, as seen from the reference: no number is large, and none too large for exp.
    seen = torch.cat((low + high, given.scores.unsqueeze(0)))
    own = given.corners.index_select(1, references)
    diagonal = torch.hypot(*(own[2:] - own[:2])).clamp_(min=torch.finfo(own.dtype).tiny)
    own = torch.cat((seen.index_select(1, references), diagonal.mul_(2.0).unsqueeze(0))).index_select(1, owner)
    seen -= own[:3]
    offset, weight = seen[:2].div_(own[3]), seen[2].exp_()
    sums = seen.new_zeros(3, len(references))
    sums.index_add_(1, owner, torch.cat((offset * weight, weight.unsqueeze(0))))
    offset -= (sums[:2] / sums[2]).index_select(1, owner)
    distance = torch.hypot(offset[0], offset[1])
    rank = given.scores - distance + 1.0 if mode == "closeness" else given.scores + distance
    return rank.round_(decimals=DECIMALS)


def _winners(rank: Tensor, owner: Tensor, clusters: int) -> Tensor:
    """Return the winner of each cluster, by descending rank, then by descending score, then by index, Tensor[R]."""
    # Boxes stand by score, and a stable sort leaves ties so.
    order = rank.argsort(descending=True, stable=True)
    first = order.new_full((clusters + 1,), len(order))
    first.scatter_reduce_(0, owner.index_select(0, order), torch.arange(len(order), device=order.device), "amin")
    return order.index_select(0, first[:clusters].sort().values)

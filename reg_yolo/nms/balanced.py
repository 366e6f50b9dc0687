"""Balanced NMS: of boxes that mean one object, the best placed one survives, not the highest score (CLE eq. 8-9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import torch
from torch import Tensor

from reg_yolo.nms.greedy import greedy_nms
from reg_yolo.nms.pairs import iou_matrix, overlapping_pairs
from reg_yolo.nms.survivors import Candidates, Survivors

BalancedMode = Literal["closeness", "printed"]

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
        iou_threshold: in [0, 1].
        mode: "closeness" or "printed".

    Returns:
        The survivors by descending s_nms, with their scores as they were.

    Raises:
        ValueError: a shape does not fit, the threshold is outside [0, 1], or `mode` is unknown.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[8.0, 0, 48, 40], [1.0, 0, 41, 40], [-1.0, 0, 39, 40]])
        >>> scores, labels = torch.tensor([0.81, 0.80, 0.79]), torch.zeros(3)
        >>> balanced_nms(boxes, scores, labels, 0.5).indices
        tensor([1])
        >>> torchvision.ops.nms(boxes, scores, 0.5)
        tensor([0])
    """
    if mode not in get_args(BalancedMode):
        raise ValueError(f"mode must be one of {', '.join(get_args(BalancedMode))}, got {mode!r}")
    given = Candidates.of(boxes_xyxy, scores, labels, iou_threshold).moved_apart()
    boxes, groups, groups_of = given.boxes, given.groups, given.group_count
    kept = greedy_nms(boxes, given.scores, groups, groups_of, iou_threshold)
    if len(kept) < len(boxes):
        owner = _clusters(given, kept, iou_threshold)
        winners = _winners(given.scores, _ranks(given, kept, owner, mode), owner, len(kept))
        # Greedy NMS sorts by score, and they stand in order already.
        places = torch.arange(len(winners), 0, -1, dtype=boxes.dtype, device=boxes.device)
        kept = winners[greedy_nms(boxes[winners], places, groups[winners], groups_of, iou_threshold)]
    indices = given.rows[kept]
    return Survivors(indices, scores.detach()[indices], given.dropped)


def _clusters(given: Candidates, references: Tensor, iou_threshold: float) -> Tensor:
    """Return the number of each box's reference, Tensor[N], R where it has none."""
    # References stand by descending score: the lowest number is the highest score.
    count = len(references)
    numbers = torch.arange(count, device=references.device)
    if given.group_count <= 1 and count * len(given.boxes) <= FEW_PAIRS:
        found = iou_matrix(given.boxes[references], given.boxes) > iou_threshold
        pairs: Iterable[tuple[Tensor, ...]] = [found.nonzero(as_tuple=True)]
    else:
        pairs = overlapping_pairs(given.boxes, given.groups, references, iou_threshold)
    owner = references.new_full((len(given.boxes),), count)
    for number, box in pairs:
        owner.scatter_reduce_(0, box, number, "amin")
    # Also at a threshold of 1, which nothing exceeds.
    owner[references] = numbers
    return owner


def _ranks(given: Candidates, references: Tensor, owner: Tensor, mode: BalancedMode) -> Tensor:
    """Return s_nms of each box, Tensor[N]; -infinity where it belongs to no cluster."""
    count = len(references)
    # A row more for the boxes without a cluster.
    reference = torch.cat((references, references[:1])).index_select(0, owner)
    own = given.boxes.index_select(0, reference)
    # Centres of the boxes as seen from their reference's, in half units.
    offset = given.boxes[:, :2] + given.boxes[:, 2:] - own[:, :2] - own[:, 2:]
    # Against the reference's score, so that no score is too large for exp.
    weight = (given.scores - given.scores.index_select(0, reference)).exp_().unsqueeze(1)
    sums = weight.new_zeros(count + 1, 3).index_add_(0, owner, torch.cat((offset * weight, weight), 1))
    tiny = torch.finfo(sums.dtype).tiny
    mean = sums[:, :2] / sums[:, 2:].clamp_(min=tiny)
    offset -= mean.index_select(0, owner)
    diagonal = torch.linalg.vector_norm(own[:, 2:] - own[:, :2], dim=1).clamp_(min=tiny)
    distance = torch.linalg.vector_norm(offset, dim=1).div_(diagonal.mul_(2.0))
    rank = given.scores + (1.0 - distance if mode == "closeness" else distance)
    return rank.round_(decimals=DECIMALS).masked_fill_(owner == count, -torch.inf)


def _winners(scores: Tensor, rank: Tensor, owner: Tensor, clusters: int) -> Tensor:
    """Return the winner of each cluster, by descending rank, then by descending score, then by index, Tensor[R]."""
    order = scores.argsort(descending=True, stable=True)
    order = order[rank[order].argsort(descending=True, stable=True)]
    first = order.new_full((clusters + 1,), len(order))
    first.scatter_reduce_(0, owner[order], torch.arange(len(order), device=order.device), "amin")
    return order[first[:clusters].sort().values]

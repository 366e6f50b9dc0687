"""Pairs of boxes that overlap, found without comparing every box with every other."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

# Pairs compared at once, which bounds the memory.
CHUNK = 1 << 20
# Where one axis leaves more than this many pairs a box, the other may leave fewer.
CROWDED = 8


def iou_matrix(references: Tensor, corners: Tensor) -> Tensor:
    """Return the IoU of every reference with every box, Tensor[R, N]; 0 for two boxes without area in one place.

    Args:
        references: Tensor[4, R], x1, y1, x2 and y2.
        corners: Tensor[4, N], as `references`.
    """
    left, top, right, bottom = references.unsqueeze(2)
    x1, y1, x2, y2 = corners
    intersection = torch.minimum(right, x2).sub_(torch.maximum(left, x1)).clamp_(min=0.0)
    intersection.mul_(torch.minimum(bottom, y2).sub_(torch.maximum(top, y1)).clamp_(min=0.0))
    # Term by term as torchvision has it, so that both agree on which overlaps are above the threshold.
    own_area = (right - left).mul_(bottom - top).clamp_(min=torch.finfo(corners.dtype).tiny)
    union = (own_area + (x2 - x1).mul_(y2 - y1)).sub_(intersection)
    return intersection.div_(union)


def overlapping_pairs(
    corners: Tensor, groups: Tensor, references: Tensor, iou_threshold: float
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield the pairs of reference and box of one group whose IoU is above a threshold, those of a box and itself too.

    A large overlap leaves the centres little room: with width w of the reference, IoU > t asks for
    abs(dx) < w max(1 - t, (1/t - 1)/2). Boxes are sorted by the centre along one axis, each reference looks at a
    stretch of them, and the other axis sorts out most of what is left before any IoU is computed.

    Args:
        corners: Tensor[4, N] float64, x1, y1, x2 and y2 with x1 <= x2 and y1 <= y2.
        groups: Tensor[N] int64 in [0, group_count).
        references: Tensor[R] int64, rows of the references.
        iou_threshold: In [0, 1].

    Yields:
        Number of the reference in [0, R), row of the box, IoU: Tensor[P] each.
    """
    size = corners[2:] - corners[:2]
    center = (corners[:2] + corners[2:]) * 0.5
    reach = _reach(size, references, iou_threshold)
    order, first, counts = _stretches(center[0], groups, references, reach[0])
    axis, total = 0, int(counts.sum())
    if total > CROWDED * len(order):
        along_y = _stretches(center[1], groups, references, reach[1])
        if int(along_y[2].sum()) < total:
            axis, (order, first, counts) = 1, along_y
            total = int(counts.sum())
    across, room = center[1 - axis], reach[1 - axis]
    across_sorted, across_reference = across[order], across[references]
    columns = (*corners, size[0] * size[1])
    for begin, end in _chunks(counts, total):
        number = torch.arange(begin, end, device=corners.device).repeat_interleave(counts[begin:end])
        ends = counts[begin:end].cumsum(0)
        start = first[begin:end] - ends + counts[begin:end]
        place = start.repeat_interleave(counts[begin:end])
        place += torch.arange(len(place), device=corners.device)
        distance = across_sorted.index_select(0, place).sub_(across_reference.index_select(0, number)).abs_()
        near = (distance <= room.index_select(0, number)).nonzero().squeeze(1)
        number, place = number.index_select(0, near), place.index_select(0, near)
        box = order.index_select(0, place)
        reference = references.index_select(0, number)
        x1, y1, x2, y2, own = (column.index_select(0, reference) for column in columns)
        width = torch.minimum(x2, columns[2].index_select(0, box)) - torch.maximum(x1, columns[0].index_select(0, box))
        height = torch.minimum(y2, columns[3].index_select(0, box)) - torch.maximum(y1, columns[1].index_select(0, box))
        # Term by term as torchvision has it, so that both agree on which overlaps are above the threshold.
        intersection = width.clamp_(min=0).mul_(height.clamp_(min=0))
        iou = intersection / own.add_(columns[4].index_select(0, box)).sub_(intersection)
        found = (iou > iou_threshold).nonzero().squeeze(1)
        yield number.index_select(0, found), box.index_select(0, found), iou.index_select(0, found)


def _reach(size: Tensor, references: Tensor, iou_threshold: float) -> Tensor:
    """Return how far the centre of a box may lie from a reference's along x and y, Tensor[2, R]."""
    own = size.index_select(1, references)
    # Boxes that touch, whatever their size.
    reach = (own + size.amax(1, keepdim=True)) * 0.5
    if iou_threshold > 0.0:
        reach = torch.minimum(reach, own * max(1.0 - iou_threshold, (1.0 / iou_threshold - 1.0) * 0.5))
    # Rounding must not cost a pair.
    return reach * (1.0 + 1e-9) + 1e-9


def _stretches(center: Tensor, groups: Tensor, references: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the order of boxes by group and centre, and where in it each reference's stretch begins and how long."""
    low, high = center.aminmax()
    # Groups lie so far apart that no stretch reaches the next one.
    span = (high - low) * 1.001 + 2.0 * reach.max() + 1.0
    keys, order = (center + groups * span).sort()
    middle = center[references] + groups[references] * span
    # The key of a distant group is rounded more coarsely.
    room = reach + 1e-11 * (groups.max() + 1) * span
    first = torch.searchsorted(keys, middle - room)
    return order, first, torch.searchsorted(keys, middle + room, right=True) - first


def _chunks(counts: Tensor, total: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of references with about `CHUNK` pairs each."""
    if total <= CHUNK:
        yield 0, len(counts)
        return
    begin, pairs = 0, 0
    for number, count in enumerate(counts.tolist()):
        if pairs and pairs + count > CHUNK:
            yield begin, number
            begin, pairs = number, 0
        pairs += count
    yield begin, len(counts)

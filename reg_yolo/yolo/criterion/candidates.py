"""Pairs of ground truth and anchor point that can matter to an assignment: the points inside each ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# What upstream asks of a point's distance to a side, so that both agree on points that lie on it.
MARGIN = 1e-9


@dataclass(frozen=True)
class CandidatePairs:
    """N pairs of ground truth and anchor point, ordered by ground truth and then by anchor point.

    Attributes:
        counts: Tensor[M], pairs of each of M ground truths.
        rows: Tensor[N], the ground truth of each pair, in [0, M).
        anchors: Tensor[N], the anchor point of each pair, in [0, A).
    """

    counts: Tensor
    rows: Tensor
    anchors: Tensor


@dataclass(frozen=True)
class Candidates:
    """What is known of N pairs of an object and an anchor point inside it.

    Attributes:
        cell: Tensor[N], image * A + anchor point.
        slot: Tensor[N], the object's row in its image's ground truth.
        score: Tensor[N], predicted probability of the object's class.
        true: Tensor[N, 4], the object's box, xyxy in pixels.
        predicted: Tensor[N, 4], the box predicted at the anchor point.
    """

    cell: Tensor
    slot: Tensor
    score: Tensor
    true: Tensor
    predicted: Tensor


@dataclass(frozen=True)
class Claims:
    """Anchor points with the object that each of them serves, Tensor[P] each, and what upstream computes of both."""

    cell: Tensor
    slot: Tensor
    metric: Tensor
    overlap: Tensor


def pairs_on_grids(boxes_xyxy: Tensor, points: Tensor, level_shapes: Sequence[tuple[int, int]]) -> CandidatePairs:
    """Return the anchor points strictly inside each box, without a dense [M, A] comparison.

    On a regular grid the points inside a box are a rectangle of rows and columns.

    Args:
        boxes_xyxy: Tensor[M, 4], pixels.
        points: Tensor[A, 2], pixels: regular grids level after level, rows first, as in YOLO heads.
        level_shapes: rows and columns of each level, which add up to A.
    """
    low, high = boxes_xyxy[:, :2].unsqueeze(-1), boxes_xyxy[:, 2:].unsqueeze(-1)
    widths, row_pieces, first_pieces = [], [], []
    start = 0
    for rows, columns in level_shapes:
        grid = points[start : start + rows * columns].view(rows, columns, 2)
        right_of_low = grid[0, :, 0] - low[:, 0] > MARGIN
        widths.append((right_of_low & (high[:, 0] - grid[0, :, 0] > MARGIN)).sum(1))
        row_pieces.append((grid[:, 0, 1] - low[:, 1] > MARGIN) & (high[:, 1] - grid[:, 0, 1] > MARGIN))
        row_starts = torch.arange(start, start + rows * columns, columns, device=points.device)
        first_pieces.append((columns - right_of_low.sum(1)).unsqueeze(1) + row_starts)
        start += rows * columns
    box, row = torch.cat(row_pieces, 1).nonzero(as_tuple=True)
    level_of_row = _repeated([rows for rows, _ in level_shapes], points.device)
    width = torch.stack(widths, 1)[box, level_of_row[row]]
    first = torch.cat(first_pieces, 1)[box, row]
    ends = width.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    steps = torch.arange(total, device=points.device)
    anchors = (first - ends + width).repeat_interleave(width, output_size=total).add_(steps)
    counts = torch.zeros(len(boxes_xyxy), dtype=torch.long, device=points.device).index_add_(0, box, width)
    return CandidatePairs(counts, box.repeat_interleave(width, output_size=total), anchors)


def pairs_of_mask(inside: Tensor) -> CandidatePairs:
    """Return the pairs of a dense mask, Tensor[M, A], for anchor points that are no regular grids."""
    rows, anchors = inside.nonzero(as_tuple=True)
    return CandidatePairs(inside.sum(1), rows, anchors)


def _repeated(repeats: Sequence[int], device: torch.device) -> Tensor:
    return torch.arange(len(repeats), device=device).repeat_interleave(torch.tensor(repeats, device=device))

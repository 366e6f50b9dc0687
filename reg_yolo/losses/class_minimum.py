"""Minimum over the boxes of each image and class of a separable squared distance, without a dense [B, A, N] tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# (axis, coordinates Tensor[K], rows of the boxes) -> squared distance along that axis, Tensor[rows, K]
AxisDistance = Callable[[int, Tensor, slice], Tensor]


def minimum_over_class_boxes(
    anchor_points: Tensor,
    groups: Tensor,
    batch_size: int,
    num_classes: int,
    squared_axis_distance: AxisDistance,
    level_shapes: Sequence[tuple[int, int]] | None,
) -> Tensor:
    """Return Tensor[B, A, C] (a view of [B, C, A]): the square root of the smallest sum of both axes' squares.

    Args:
        anchor_points: Tensor[A, 2].
        groups: Tensor[M], image x C + class of each box.
        batch_size: B.
        num_classes: C.
        squared_axis_distance: the distance, one axis at a time.
        level_shapes: (rows, columns) of each level, or None for scattered points.

    Raises:
        ValueError: the levels do not add up to A points.
    """
    points = len(anchor_points)
    if level_shapes is not None and sum(rows * columns for rows, columns in level_shapes) != points:
        raise ValueError(f"level_shapes must add up to {points} anchor points, got {list(level_shapes)}")
    nearest = anchor_points.new_full((batch_size * num_classes, points), torch.inf)
    order = torch.argsort(groups, stable=True).tolist() if len(groups) else []
    group_of = groups.tolist()
    levels = _levels(anchor_points, level_shapes)
    scratch = torch.empty_like(nearest[0]) if order else nearest
    for row in order:
        target = nearest[group_of[row]]
        box = slice(row, row + 1)
        for start, stop, x, y, shape in levels:
            across = squared_axis_distance(0, x, box).view(1, -1)
            down = squared_axis_distance(1, y, box).view(-1, 1) if shape else squared_axis_distance(1, y, box)
            out = scratch[start:stop].view(*shape) if shape else scratch[start:stop].view(1, -1)
            torch.add(across, down, out=out)
        torch.minimum(target, scratch, out=target)
    return nearest.sqrt_().view(batch_size, num_classes, points).transpose(1, 2)


def _levels(
    anchor_points: Tensor, level_shapes: Sequence[tuple[int, int]] | None
) -> list[tuple[int, int, Tensor, Tensor, tuple[int, int] | None]]:
    """Split the points into levels: start, stop, the x of a row, the y of a column, (rows, columns)."""
    if level_shapes is None:
        return [(0, len(anchor_points), anchor_points[:, 0], anchor_points[:, 1], None)]
    levels: list[tuple[int, int, Tensor, Tensor, tuple[int, int] | None]] = []
    start = 0
    for rows, columns in level_shapes:
        stop = start + rows * columns
        grid = anchor_points[start:stop].view(rows, columns, 2)
        levels.append((start, stop, grid[0, :, 0], grid[:, 0, 1], (rows, columns)))
        start = stop
    return levels

"""Minimum over the boxes of each image and class of a separable squared distance, without a dense [B, A, N] tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# (axis, coordinates Tensor[K], boxes in their order Tensor[M]) -> squared distance along that axis, Tensor[M, K]
AxisDistance = Callable[[int, Tensor, Tensor], Tensor]

# First point, (rows, columns), x along a row, y along a column
Level = tuple[int, tuple[int, int], Tensor, Tensor]

# Scattered points are taken this many at a time, so that the M x K terms of both axes stay small.
SCATTERED_POINTS = 512

# Boxes times points that are held at a time where all boxes are taken at once: 64 MiB. A batch of 64 at 1280 pixels
# with 300 objects an image would otherwise need 2.6 GB.
DISTANCES_AT_ONCE = 2**24


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
    if len(groups) and points:
        levels = _levels(anchor_points, level_shapes)
        # In rounds the work stays small; a GPU has the arithmetic to spare, and each round would be two launches.
        fill = _fill_in_rounds if anchor_points.device.type == "cpu" else _fill_at_once
        fill(nearest, groups, levels, squared_axis_distance)
    return nearest.view(batch_size, num_classes, points).transpose(1, 2)


def _fill_in_rounds(
    nearest: Tensor, groups: Tensor, levels: Sequence[Level], squared_axis_distance: AxisDistance
) -> None:
    """Fill Tensor[groups, A]: a round takes the first box of every group, then the second, and so on.

    With the largest groups first the groups of each round are a leading slice, so a round is one sum and one minimum
    on contiguous memory.
    """
    occupied, sequence, rounds = _rounds(groups, len(nearest))
    best = torch.empty_like(nearest[: rounds[0]])
    candidate = torch.empty_like(best)
    for start, shape, x, y in levels:
        across, down = _axes(squared_axis_distance, sequence, shape, x, y)
        first = 0
        for number, count in enumerate(rounds):
            boxes = slice(first, first + count)
            out = (candidate if number else best)[:count, start : start + shape[0] * shape[1]]
            torch.add(across[boxes], down[boxes], out=out.view(count, *shape))
            first += count
            if number:
                leading = best[:count, start : start + shape[0] * shape[1]]
                torch.minimum(leading, out, out=leading)
    nearest[occupied] = best.sqrt_()


def _fill_at_once(
    nearest: Tensor, groups: Tensor, levels: Sequence[Level], squared_axis_distance: AxisDistance
) -> None:
    """Fill Tensor[groups, A] by scattered minima over the distances of some boxes at a time."""
    points = nearest.shape[1]
    for boxes in torch.arange(len(groups), device=groups.device).split(max(1, DISTANCES_AT_ONCE // points)):
        squared = nearest.new_empty(len(boxes), points)
        for start, shape, x, y in levels:
            across, down = _axes(squared_axis_distance, boxes, shape, x, y)
            torch.add(across, down, out=squared[:, start : start + shape[0] * shape[1]].view(len(boxes), *shape))
        nearest.scatter_reduce_(0, groups[boxes].unsqueeze(1).expand_as(squared), squared, "amin")
    nearest.sqrt_()


def _axes(
    squared_axis_distance: AxisDistance, order: Tensor, shape: tuple[int, int], x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Return both axes' squared distances, ready to be added to Tensor[M, rows, columns]."""
    down = squared_axis_distance(1, y, order)
    return (
        squared_axis_distance(0, x, order).unsqueeze(1),
        down.unsqueeze(2) if shape[0] == len(y) else down.unsqueeze(1),
    )


def _rounds(groups: Tensor, number_of_groups: int) -> tuple[Tensor, Tensor, list[int]]:
    """Return the occupied groups, largest first, the order in which boxes are taken, and the boxes in each round."""
    sizes = torch.bincount(groups, minlength=number_of_groups)
    largest_first = sizes.argsort(descending=True, stable=True)
    place = torch.empty_like(largest_first)
    place[largest_first] = torch.arange(number_of_groups, device=groups.device)
    by_group = groups.argsort(stable=True)
    turn = torch.empty_like(groups)
    turn[by_group] = torch.arange(len(groups), device=groups.device) - (sizes.cumsum(0) - sizes)[groups[by_group]]
    sequence = (turn * number_of_groups + place[groups]).argsort()
    rounds = torch.bincount(turn).tolist()
    return largest_first[: rounds[0]], sequence, rounds


def _levels(anchor_points: Tensor, level_shapes: Sequence[tuple[int, int]] | None) -> list[Level]:
    """Split the points into pieces.

    On a grid every row has the same x and every column the same y. Scattered points are one row whose y differs too.
    """
    if level_shapes is None:
        pieces = enumerate(anchor_points.split(SCATTERED_POINTS))
        return [(i * SCATTERED_POINTS, (1, len(piece)), piece[:, 0], piece[:, 1]) for i, piece in pieces]
    levels = []
    start = 0
    for rows, columns in level_shapes:
        stop = start + rows * columns
        if stop > start:
            grid = anchor_points[start:stop].view(rows, columns, 2)
            levels.append((start, (rows, columns), grid[0, :, 0], grid[:, 0, 1]))
        start = stop
    return levels

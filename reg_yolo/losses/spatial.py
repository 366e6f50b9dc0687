"""Spatial-contextual weight and the distances it is a function of (REG §2.3, proof A.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reg_yolo.losses.checks import check_range
from reg_yolo.losses.class_minimum import minimum_over_class_boxes


def spatial_context_weight(distance: Tensor, beta: float, delta: float, floor: float = 0.0) -> Tensor:
    """Return the spatial-contextual weight g = sigmoid(beta (d - delta)) (REG §2.3), not below `floor`.

    Args:
        distance: Tensor of any shape, >= 0; infinity where the image has no object of the class.
        beta: Slope. > 0 grows with distance (§2.3), < 0 falls with it (the order claimed in A.4), 0 gives 0.5.
        delta: Distance at which g = 0.5, in the unit of `distance`.
        floor: Smallest weight, in [0, 1]. With beta < 0 an absent class would otherwise never be pushed down.

    Returns:
        Tensor of the shape of `distance`, in [floor, 1].

    Raises:
        ValueError: If `floor` is out of range, or beta or delta is not finite.

    Example:
        >>> spatial_context_weight(torch.tensor([0.0, 1.0, 4.0]), beta=3.0, delta=1.0, floor=0.1)
        tensor([0.1000, 0.5000, 0.9999])
    """
    check_range("floor", floor, 0.0, 1.0)
    for name, value in (("beta", beta), ("delta", delta)):
        check_range(name, value, -1e9, 1e9)
    # beta = 0 apart: 0 x infinity is NaN
    weight = (distance - delta).mul_(beta).sigmoid_() if beta != 0.0 else torch.full_like(distance, 0.5)
    return weight.clamp(min=floor) if floor > 0.0 else weight


def center_distance(
    anchor_points: Tensor,
    boxes_xyxy: Tensor,
    labels: Tensor,
    valid: Tensor,
    num_classes: int,
    *,
    level_shapes: Sequence[tuple[int, int]] | None = None,
) -> Tensor:
    """Return the distance of each anchor point to the nearest box centre of each class, over half the box's diagonal.

    1.0 is the distance of a corner, whatever the box's size. The minimum is over the *normalised* distances.

    Args:
        anchor_points: Tensor[A, 2], x and y in pixels.
        boxes_xyxy: Tensor[B, N, 4], ground truth in pixels, padded.
        labels: Integer Tensor[B, N] (or [B, N, 1]), classes in [0, num_classes); padding may hold anything.
        valid: Boolean Tensor[B, N] (or [B, N, 1]), False on padding.
        num_classes: C.
        level_shapes: (rows, columns) of each feature level, if the anchor points are regular grids level after level,
            rows first, as in YOLO heads. The result is the same and comes several times faster.

    Returns:
        Tensor[B, A, C] >= 0, infinity where the image has no box of the class. Without gradient. Its memory is laid
        out as [B, C, A], as a head's raw scores are: `.contiguous()` where that matters.

    Raises:
        ValueError: If a shape does not fit.

    Example:
        >>> points, boxes = torch.tensor([[10.0, 10.0], [30.0, 10.0]]), torch.tensor([[[0.0, 0.0, 20.0, 20.0]]])
        >>> center_distance(points, boxes, torch.tensor([[0]]), torch.tensor([[True]]), num_classes=1).flatten()
        tensor([0.0000, 1.4142])
    """
    boxes, groups = _valid_boxes(anchor_points, boxes_xyxy, labels, valid, num_classes)
    size = boxes[:, 2:] - boxes[:, :2]
    # A box of no size gets a diagonal of one pixel: zero over zero would be NaN at its centre.
    inverse = 2.0 / size.square().sum(1, keepdim=True).sqrt().clamp_min(1.0)
    center = (boxes[:, :2] + boxes[:, 2:]) * 0.5

    def squared_axis_distance(axis: int, coordinates: Tensor, order: Tensor) -> Tensor:
        return (coordinates - center[order, axis, None]).mul_(inverse[order]).square_()

    return minimum_over_class_boxes(
        anchor_points.detach().float(), groups, len(labels), num_classes, squared_axis_distance, level_shapes
    )


def edge_distance(
    anchor_points: Tensor,
    boxes_xyxy: Tensor,
    labels: Tensor,
    valid: Tensor,
    num_classes: int,
    strides: Tensor,
    *,
    level_shapes: Sequence[tuple[int, int]] | None = None,
) -> Tensor:
    """Return the distance of each anchor point to the border of the nearest box of each class, in strides; 0 inside.

    Args:
        anchor_points, boxes_xyxy, labels, valid, num_classes, level_shapes: As for `center_distance`.
        strides: Tensor[A] or [A, 1], pixels per cell of each anchor point's level, > 0.

    Returns:
        Tensor[B, A, C], as `center_distance`.

    Raises:
        ValueError: If a shape does not fit.

    Example:
        >>> points, boxes = torch.tensor([[10.0, 10.0], [36.0, 10.0]]), torch.tensor([[[0.0, 0.0, 20.0, 20.0]]])
        >>> edge_distance(points, boxes, torch.tensor([[0]]), torch.tensor([[True]]), 1, torch.full((2,), 8.0))[0, :, 0]
        tensor([0., 2.])
    """
    strides = strides.detach().float().reshape(-1)
    if strides.shape != anchor_points.shape[:1]:
        raise ValueError(f"strides must have shape ({len(anchor_points)},), got {tuple(strides.shape)}")
    boxes, groups = _valid_boxes(anchor_points, boxes_xyxy, labels, valid, num_classes)

    def squared_axis_distance(axis: int, coordinates: Tensor, order: Tensor) -> Tensor:
        low, high = boxes[order, axis, None], boxes[order, axis + 2, None]
        return torch.maximum(low - coordinates, coordinates - high).clamp_(min=0.0).square_()

    pixels = minimum_over_class_boxes(
        anchor_points.detach().float(), groups, len(labels), num_classes, squared_axis_distance, level_shapes
    )
    return pixels.div_(strides.view(1, -1, 1))


def _valid_boxes(
    anchor_points: Tensor, boxes_xyxy: Tensor, labels: Tensor, valid: Tensor, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Return the valid boxes Tensor[M, 4] and their group, image x C + class, Tensor[M]."""
    if anchor_points.ndim != 2 or anchor_points.shape[1] != 2:
        raise ValueError(f"anchor_points must have shape (A, 2), got {tuple(anchor_points.shape)}")
    if boxes_xyxy.ndim != 3 or boxes_xyxy.shape[2] != 4:
        raise ValueError(f"boxes_xyxy must have shape (B, N, 4), got {tuple(boxes_xyxy.shape)}")
    batch, count = boxes_xyxy.shape[:2]
    for name, tensor in (("labels", labels), ("valid", valid)):
        if tuple(tensor.shape) not in ((batch, count), (batch, count, 1)):
            raise ValueError(f"{name} must have shape ({batch}, {count}), got {tuple(tensor.shape)}")
    image, index = valid.reshape(batch, count).bool().nonzero(as_tuple=True)
    classes = labels.reshape(batch, count)[image, index].long()
    if len(classes):
        # one read-back from a GPU; an index out of range would fall into another image's classes
        lowest, highest = torch.stack(torch.aminmax(classes)).tolist()
        if lowest < 0 or highest >= num_classes:
            raise ValueError(f"labels must be in [0, {num_classes}), got {lowest} to {highest}")
    return boxes_xyxy.detach()[image, index].float(), image * num_classes + classes

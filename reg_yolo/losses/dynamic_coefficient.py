"""Classification weights from localisation quality: the dynamic coefficient of CLE (eq. 2-4)."""

from __future__ import annotations

import torch
from torch import Tensor

from reg_yolo.losses.box_geometry import SMALLEST_AREA, checked_pair
from reg_yolo.losses.checks import at_least_float32, check_choice, check_range, check_same_shape
from reg_yolo.losses.reduction import reduce_loss

UNITS = ("stride", "diagonal", "pixels")


@torch.no_grad()
def dynamic_coefficient(
    pred_boxes: Tensor,
    target_boxes: Tensor,
    unit: str = "stride",
    strides: Tensor | None = None,
    eps: float = 1e-6,
) -> Tensor:
    """Return the dynamic coefficient lambda = 1 / (sigmoid(rho^2) + tanh(abs(w/h - w_gt/h_gt)) + eps) (CLE eq. 2).

    Large where the box fits: the class loss of a well-placed box counts more.

    Args:
        pred_boxes: Tensor[N, 4], xyxy in pixels.
        target_boxes: Tensor[N, 4], xyxy in pixels.
        unit: What rho, the distance of the centres, is measured in. The paper names none. "stride": cells of the
            anchor point's level. "diagonal": the target box's diagonal, which leaves the term nearly constant.
            "pixels": the printed numbers, saturated from about 2 pixels on.
        strides: Tensor[N] or [N, 1], pixels per cell, > 0; needed for "stride", unused otherwise.
        eps: >= 0, the paper's guard of the denominator.

    Returns:
        Tensor[N] in (1/2, 2], without gradient.

    Raises:
        ValueError: If a shape does not fit, `unit` is unknown, eps is negative, or strides are missing.

    Example:
        >>> dynamic_coefficient(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([[0.0, 0, 10, 20]]), unit="diagonal")
        tensor([1.0260])
    """
    pred, target = checked_pair(pred_boxes, target_boxes)
    check_choice("unit", unit, UNITS)
    check_range("eps", eps, 0.0)
    offset = (pred[:, :2] + pred[:, 2:] - target[:, :2] - target[:, 2:]) * 0.5
    squared = offset.square().sum(1)
    target_size = target[:, 2:] - target[:, :2]
    if unit == "stride":
        if strides is None or strides.numel() != len(pred):
            got = "none" if strides is None else str(tuple(strides.shape))
            raise ValueError(f'strides must have shape ({len(pred)},) with unit "stride", got {got}')
        squared = squared / strides.reshape(-1).to(squared.dtype).square()
    elif unit == "diagonal":
        squared = squared / target_size.square().sum(1).clamp(min=SMALLEST_AREA)
    # tanh takes the ratio of a box without height, however large, to 1
    pred_size = pred[:, 2:] - pred[:, :2]
    ratio_error = _aspect_ratio(pred_size) - _aspect_ratio(target_size)
    return 1.0 / (squared.sigmoid() + ratio_error.abs().tanh() + eps)


def equilibrated_loss(class_losses: Tensor, coefficients: Tensor, reduction: str = "none") -> Tensor:
    """Return the class losses of the positives weighted by normalised coefficients lambda'_i L_i (CLE eq. 3-4).

    lambda'_i = lambda_i sum_j L_j / sum_j lambda_j L_j leaves the sum's value as it was and moves its gradient to the
    boxes that fit. Neither lambda nor the ratio carries a gradient: with a live ratio the gradient of the sum is that
    of the unweighted loss and nothing happens.

    Args:
        class_losses: Tensor[N] >= 0, the class loss of each positive anchor point, after all other weights.
        coefficients: Tensor[N] > 0, from `dynamic_coefficient`.
        reduction: "none", "mean" (over N) or "sum".

    Raises:
        ValueError: If shapes differ.

    Example:
        >>> equilibrated_loss(torch.tensor([1.0, 1.0]), torch.tensor([3.0, 1.0]))
        tensor([1.5000, 0.5000])
    """
    check_same_shape("class_losses", class_losses, "coefficients", coefficients)
    losses = at_least_float32(class_losses)
    with torch.no_grad():
        weight = coefficients.to(losses.dtype)
        weighted = (weight * losses).sum()
        # All losses zero: any ratio will do, and zero over zero will not.
        empty = weighted <= 0
        weight = weight * (losses.sum() / weighted.masked_fill(empty, 1.0)).masked_fill(empty, 1.0)
    return reduce_loss(weight * losses, reduction)


def _aspect_ratio(size: Tensor) -> Tensor:
    return size[:, 0] / size[:, 1].clamp(min=SMALLEST_AREA)

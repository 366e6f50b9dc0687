"""The pixels of instance masks that a loss looks at: the window of each object's box, and the loss over it.

Upstream computes every positive's mask over the whole picture and then throws away what lies outside its box. Here one
object at a time is computed in the window of its box, for all anchor points that answer for it, and the gradient is
formed at once: nothing of the picture's size is kept until the way back. On a GPU, where many small steps cost more
than few large ones, one picture at a time is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Logits and targets Tensor[n, h, w] and the distances of the same shape, if asked for -> loss of each pixel
PixelLoss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class MaskWindow:
    """Pixels of one picture in which some positives' masks are compared with their objects' masks.

    Attributes:
        image: Index of the picture in the batch.
        rows: Slice of the positives.
        top, bottom, left, right: The window in mask pixels, `bottom` and `right` exclusive.
        target: Tensor[1 or n, h, w], 1 on the object, 0 beside it.
        inside: Tensor[n, h, w], 1 inside each positive's own box; None where the window is the box.
        distance: Tensor like `target`, pixels to the object's nearest pixel; None where it is not asked for.
    """

    image: int
    rows: slice
    top: int
    bottom: int
    left: int
    right: int
    target: Tensor
    inside: Tensor | None
    distance: Tensor | None


def object_windows(
    image: Tensor,
    boxes: Tensor,
    objects: Tensor,
    mask_of: Callable[[int, int], Tensor],
    size: tuple[int, int],
    *,
    with_distance: bool,
) -> list[MaskWindow]:
    """Return one window for each object: the pixels that its box contains.

    Args:
        image: Tensor[P], ascending; positives of an object stand side by side.
        boxes: Tensor[P, 4], xyxy in mask pixels; the same for all positives of an object.
        objects: Tensor[P], the object within its image.
        mask_of: Returns the mask of an object, given image and object, Tensor[H, W], 1 on the object.
        size: H and W.
        with_distance: Measure each pixel's distance to the mask as well.
    """  # fmt: skip
    _, counts = torch.stack((image, objects)).unique_consecutive(return_counts=True, dim=1)
    windows, start = [], 0
    corners = _pixel_bounds(boxes, size).tolist()
    images, indices = image.tolist(), objects.tolist()
    for count in counts.tolist():
        left, top, right, bottom = corners[start]
        if right > left and bottom > top:
            whole = mask_of(images[start], indices[start])
            target = whole[top:bottom, left:right].float().unsqueeze(0)
            distance = distance_to_mask(whole)[None, top:bottom, left:right] if with_distance else None
            window = (top, bottom, left, right)
            windows.append(MaskWindow(images[start], slice(start, start + count), *window, target, None, distance))
        start += count
    return windows


def picture_windows(
    image: Tensor,
    boxes: Tensor,
    objects: Tensor,
    mask_of: Callable[[int, int], Tensor],
    size: tuple[int, int],
    *,
    with_distance: bool,
) -> list[MaskWindow]:
    """Return one window for each picture, the whole of it; arguments as for `object_windows`."""  # fmt: skip
    height, width = size
    left, top, right, bottom = boxes.float().unsqueeze(-1).unbind(1)
    columns = torch.arange(width, device=boxes.device)
    rows = torch.arange(height, device=boxes.device)
    within_columns = (columns >= left) & (columns < right)
    within_rows = (rows >= top) & (rows < bottom)
    numbers, counts = image.unique_consecutive(return_counts=True)
    windows, start = [], 0
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        members = slice(start, start + count)
        distinct, place = objects[members].unique(return_inverse=True)
        masks = torch.stack([mask_of(number, index) for index in distinct.tolist()])
        distance = torch.stack([distance_to_mask(mask) for mask in masks])[place] if with_distance else None
        inside = within_rows[members].unsqueeze(2) & within_columns[members].unsqueeze(1)
        windows.append(MaskWindow(number, members, 0, height, 0, width, masks.float()[place], inside.float(), distance))
        start += count
    return windows


def distance_to_mask(mask: Tensor) -> Tensor:
    """Return each pixel's Euclidean distance to the nearest pixel of the mask, Tensor[H, W]; infinity without any."""
    pixels = (mask == 0).cpu().numpy().astype(np.uint8)
    if pixels.all():
        return torch.full(mask.shape, math.inf, device=mask.device)
    distance = cv2.distanceTransform(pixels, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return torch.from_numpy(distance).to(mask.device)


def summed_mask_loss(
    coefficients: Tensor, prototypes: Tensor, windows: Sequence[MaskWindow], weight: Tensor, pixel_loss: PixelLoss
) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of all windows' pixel losses, and the unweighted loss of each positive, detached.

    Args:
        coefficients: Tensor[P, K], one for each prototype.
        prototypes: Tensor[B, K, H, W].
        windows: What is compared with what.
        weight: Tensor[P], factor on each positive's sum over its pixels.
        pixel_loss: The loss of single pixels.

    Returns:
        A scalar with gradient to coefficients and prototypes, and Tensor[P].
    """
    total, each = _SummedMaskLoss.apply(coefficients, prototypes, windows, weight, pixel_loss)
    return total, each


class _SummedMaskLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        coefficients: Tensor,
        prototypes: Tensor,
        windows: Sequence[MaskWindow],
        weight: Tensor,
        pixel_loss: PixelLoss,
    ) -> tuple[Tensor, Tensor]:
        wants_gradient = any(ctx.needs_input_grad[:2])
        kind = torch.float64 if coefficients.dtype == torch.float64 else torch.float32
        each = torch.zeros(len(coefficients), dtype=kind, device=coefficients.device)
        slopes = [torch.zeros_like(t, dtype=kind) for t in (coefficients, prototypes)] if wants_gradient else []
        weight = weight.to(kind)
        with torch.autocast(device_type=coefficients.device.type, enabled=False):
            for window in windows:
                area = (window.image, slice(None), slice(window.top, window.bottom), slice(window.left, window.right))
                of_object = coefficients[window.rows].to(kind)
                basis = prototypes[area].to(kind)
                logits = torch.einsum("pk,khw->phw", of_object, basis)
                with torch.set_grad_enabled(wants_gradient):
                    logits.requires_grad_(wants_gradient)
                    entries = pixel_loss(logits, window.target.to(kind).expand_as(logits), window.distance)
                    if window.inside is not None:
                        entries = entries * window.inside
                    sums = entries.sum((1, 2))
                each[window.rows] = sums.detach()
                if wants_gradient:
                    (slope,) = torch.autograd.grad(sums, logits, weight[window.rows])
                    slopes[0][window.rows] = torch.einsum("phw,khw->pk", slope, basis)
                    slopes[1][area] += torch.einsum("phw,pk->khw", slope, of_object)
        ctx.mark_non_differentiable(each)
        if wants_gradient:
            # In full precision until the loss scaler's factor is in.
            ctx.save_for_backward(*slopes)
            ctx.kinds = coefficients.dtype, prototypes.dtype
        return (each * weight).sum(), each

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _each: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        by_coefficients, by_prototypes = (
            (slope * gradient).to(kind) for slope, kind in zip(ctx.saved_tensors, ctx.kinds, strict=True)
        )
        return by_coefficients, by_prototypes, None, None, None


def _pixel_bounds(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return left, top, right, bottom of the pixels whose corner lies in [x1, x2) x [y1, y2), as upstream crops."""
    height, width = size
    upper = torch.tensor([width, height, width, height], device=boxes.device)
    return torch.minimum(boxes.float().ceil().clamp_min(0).long(), upper)

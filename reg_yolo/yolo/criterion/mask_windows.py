"""The pixels of instance masks that a loss looks at: the window of each object's box, and the loss over it.

Upstream computes every positive's mask over the whole image and then throws away what lies outside its box. Here one
object at a time is computed in the window of its box, for all anchor points that answer for it, and the gradient is
formed at once: of the image's size only the slope of the prototypes is kept until the way back. On a GPU, where many
small steps cost more than few large ones, one image at a time is computed.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Logits and targets Tensor[n, h, w] and the distances of the same shape, if asked for -> loss of each pixel
PixelLoss = Callable[[Tensor, Tensor, Tensor | None], Tensor]

# Pixels times positives that are computed in one go on a GPU; some ten tensors of that size live at a time.
IMAGE_WINDOW_PIXELS = 2**22


@dataclass(frozen=True)
class MaskWindow:
    """Pixels of one image in which some positives' masks are compared with their objects' masks.

    Attributes:
        image: Index of the image in the batch.
        rows: Slice of the positives.
        top, bottom, left, right: The window in mask pixels, `bottom` and `right` exclusive.
        target: Tensor[1 or n, h, w], 1 on the object, 0 beside it.
        inside: bool Tensor[n, h, w], the pixels in each positive's own box; None where the window is the box.
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
    masks_of: Callable[[int, Tensor], Tensor],
    size: tuple[int, int],
    *,
    with_distance: bool,
    reach: float = math.inf,
) -> Iterator[MaskWindow]:
    """Yield one window for each object: the pixels that its box contains.

    Args:
        image: Tensor[P], ascending; positives of an object stand side by side.
        boxes: Tensor[P, 4], xyxy in mask pixels; the same for all positives of an object.
        objects: Tensor[P], the object within its image.
        masks_of: Returns the masks of an image's objects, given the image and Tensor[n]: bool Tensor[n, H, W].
        size: H and W.
        with_distance: Measure each pixel's distance to the mask as well.
        reach: Of the distances, as for `distance_to_mask`.
    """  # fmt: skip
    _, counts = torch.stack((image, objects)).unique_consecutive(return_counts=True, dim=1)
    corners, images = _pixel_bounds(boxes, size).tolist(), image.tolist()
    start = 0
    for count in counts.tolist():
        left, top, right, bottom = corners[start]
        if right > left and bottom > top:
            whole = masks_of(images[start], objects[start : start + 1])
            target = whole[:, top:bottom, left:right].float()
            distance = distance_to_mask(whole, reach)[:, top:bottom, left:right] if with_distance else None
            rows = slice(start, start + count)
            yield MaskWindow(images[start], rows, top, bottom, left, right, target, None, distance)
        start += count


def image_windows(
    image: Tensor,
    boxes: Tensor,
    objects: Tensor,
    masks_of: Callable[[int, Tensor], Tensor],
    size: tuple[int, int],
    *,
    with_distance: bool,
    reach: float = math.inf,
) -> Iterator[MaskWindow]:
    """Yield a window for the positives of each image, the whole of it; arguments as for `object_windows`.

    A image with very many positives comes in several windows, so that what one takes in memory has a bound.
    """  # fmt: skip
    height, width = size
    left, top, right, bottom = boxes.float().unsqueeze(-1).unbind(1)
    columns = torch.arange(width, device=boxes.device)
    rows = torch.arange(height, device=boxes.device)
    within_columns = (columns >= left) & (columns < right)
    within_rows = (rows >= top) & (rows < bottom)
    images, indices = image.tolist(), objects.tolist()
    most = max(1, IMAGE_WINDOW_PIXELS // (height * width))
    members: list[slice] = []
    while (start := members[-1].stop if members else 0) < len(images):
        members.append(slice(start, min(start + most, bisect_right(images, images[start]))))
    objects_of = [sorted(set(indices[each])) for each in members]
    places = [[found.index(i) for i in indices[each]] for each, found in zip(members, objects_of, strict=True)]
    # In one copy for the whole batch: the processor waits for the device at each.
    numbers = torch.tensor(list(chain(*objects_of, *places)), dtype=torch.long, device=boxes.device)
    pieces = numbers.split([len(each) for each in (*objects_of, *places)])
    for each, found, place in zip(members, pieces[: len(members)], pieces[len(members) :], strict=True):
        masks = masks_of(images[each.start], found)
        distance = distance_to_mask(masks, reach)[place] if with_distance else None
        inside = within_rows[each].unsqueeze(2) & within_columns[each].unsqueeze(1)
        yield MaskWindow(images[each.start], each, 0, height, 0, width, masks.float()[place], inside, distance)


def distance_to_mask(masks: Tensor, reach: float = math.inf) -> Tensor:
    """Return each pixel's Euclidean distance to the nearest pixel of its mask; infinity where a mask has none.

    Args:
        masks: bool Tensor[n, H, W].
        reach: A distance above this may come out larger than it is, though never as small as this: on a GPU the work
            grows with it.

    Returns:
        float32 Tensor[n, H, W].
    """
    if masks.is_cuda:
        return distance_on_device(masks, reach)
    outside = (~masks).numpy().astype(np.uint8)
    distance = np.full(outside.shape, np.inf, dtype=np.float32)
    for pixels, into in zip(outside, distance, strict=True):
        if not pixels.all():
            into[:] = cv2.distanceTransform(pixels, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return torch.from_numpy(distance)


def distance_on_device(masks: Tensor, reach: float = math.inf) -> Tensor:
    """Return what `distance_to_mask` does, computed where the masks are, in a few tensors of their size.

    Down the columns the nearest pixel of a mask is the last one seen from above or from below. Along the rows the
    squared distance grows by 1, 3, 5, ... a step, and the sum of the first k of them is k squared: one minimum of both
    neighbours for each step, as many steps as `reach` (Huang and Mitchell 1994).
    """
    height, width = masks.shape[-2:]
    rows = torch.arange(height, device=masks.device, dtype=torch.float32).unsqueeze(1)
    above = torch.where(masks, rows, -math.inf).cummax(-2).values
    below = torch.where(masks, rows, math.inf).flip(-2).cummin(-2).values.flip(-2)
    squared = torch.minimum(rows - above, below - rows).square_()
    for step in range(1, min(width - 1, math.ceil(min(reach, width))) + 1):
        from_left, from_right = squared[..., :-1] + (2 * step - 1), squared[..., 1:] + (2 * step - 1)
        torch.minimum(squared[..., 1:], from_left, out=squared[..., 1:])
        torch.minimum(squared[..., :-1], from_right, out=squared[..., :-1])
    return squared.sqrt_()


def summed_mask_loss(
    coefficients: Tensor, prototypes: Tensor, windows: Iterable[MaskWindow], weight: Tensor, pixel_loss: PixelLoss
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
        windows: Iterable[MaskWindow],
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

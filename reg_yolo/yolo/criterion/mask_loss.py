"""The mask branch: class weights from mask counts, focusing, and the distance to the object's own mask (REG §2.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn import functional as F

from reg_yolo import losses
from reg_yolo.config.reg import RegSettings
from reg_yolo.yolo.criterion.class_loss import class_weights
from reg_yolo.yolo.criterion.mask_windows import MaskWindow, object_windows, picture_windows, summed_mask_loss
from reg_yolo.yolo.criterion.targets import Assignment


class MaskLossTerms:
    """State and switches of the mask loss: alpha (fixed or dual) and its scale.

    An instance's mask is learned by the positives of its object, so alpha weighs all pixels of an instance, whatever
    `alpha.on` says; g weighs the pixels that `spatial.scope` names, with d in mask pixels.

    Attributes:
        alpha: Tensor[C] on the device of the model, or None where classes are not weighted.
        scale: Factor that brings the loss to the stock scale; None until a training batch has set it.
    """

    def __init__(
        self, settings: RegSettings, mask_counts: Sequence[int], device: torch.device, stored: Mapping[str, Any]
    ) -> None:
        """Take the settings, count the class weights, and restore what a resumed run had learned."""
        self.settings = settings
        self.is_stock = settings.is_neutral_on_masks
        self.dual: losses.DualClassWeights | None = None
        weights = None
        if not self.is_stock:
            if settings.alpha.scheme == "dual" and settings.alpha.weights is None:
                dual = settings.alpha.dual
                self.dual = losses.DualClassWeights(
                    mask_counts, step_size=dual.step, pull=dual.pull, momentum=dual.momentum
                )
                if stored.get("mask_dual"):
                    self.dual.load_state_dict(stored["mask_dual"])
            weights = class_weights(settings, mask_counts) if self.dual is None else self.dual.weights()
        self.alpha = None if weights is None else weights.to(device=device, dtype=torch.float32)
        self.scale = self._fixed_scale(stored)

    def _fixed_scale(self, stored: Mapping[str, Any]) -> float | None:
        if self.is_stock or self.settings.focal.form == "printed":
            return 1.0 if self.is_stock or self.settings.scale == "auto" else self.settings.scale
        if self.settings.scale != "auto":
            return float(self.settings.scale)
        return float(stored["mask_scale"]) if stored.get("mask_scale") else None

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs, as plain Python data."""
        return {
            "mask_scale": self.scale,
            "mask_class_weights": None if self.alpha is None else self.alpha.tolist(),
            "mask_dual": None if self.dual is None else self.dual.state_dict(),
        }

    def loss(
        self,
        coefficients: Tensor,
        prototypes: Tensor,
        masks: Tensor,
        overlap: bool,
        assignment: Assignment,
        image_size: Tensor,
        first_rows: Tensor,
        *,
        training: bool,
    ) -> Tensor:
        """Return the mask loss over its normaliser, the positives that have a mask.

        Args:
            coefficients: Tensor[B, A, K].
            prototypes: Tensor[B, K, H, W].
            masks: Tensor[B, H, W], i + 1 on the i-th object of an image; without `overlap` Tensor[N, H, W], 1 on it.
            overlap: Whether the masks of an image share one map.
            assignment: Positives, with those that have a mask.
            image_size: Tensor[2], height and width in pixels.
            first_rows: Tensor[B], the first of each image's N labels.
            training: Whether the batch fixes the scale and teaches the dual weights.
        """  # fmt: skip
        assert assignment.has_mask is not None, "a criterion with masks tells which positives have one"
        positives = assignment.positives
        chosen = assignment.has_mask.nonzero().squeeze(1)
        if not len(chosen):
            # Several GPUs need every parameter in the graph, and every rank in what they add up.
            if training:
                zero = prototypes.new_zeros((), dtype=torch.float32)
                self._fix_scale(zero, zero)
                self._learn(prototypes.new_zeros(0), positives.label[:0])
            return (prototypes * 0).sum() + (coefficients * 0).sum()
        objects = positives.object[chosen]
        # Grouped by image and object.
        chosen = chosen[(positives.image[chosen] * (objects.max() + 1) + objects).argsort(stable=True)]
        image, objects, label = positives.image[chosen], positives.object[chosen], positives.label[chosen]
        height, width = masks.shape[-2:]
        boxes = assignment.target_boxes[chosen] / image_size[[1, 0, 1, 0]]
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1).clamp_min(torch.finfo(torch.float32).tiny)
        boxes = boxes * torch.tensor([width, height, width, height], device=boxes.device)

        def masks_of(number: int, indices: Tensor) -> Tensor:
            if overlap:
                return masks[number] == (indices + 1)[:, None, None]
            return masks[first_rows[number].to(indices) + indices] > 0.5

        def windows() -> Iterator[MaskWindow]:
            each_of = picture_windows if prototypes.is_cuda else object_windows
            spatial = self.settings.spatial.enabled
            return each_of(image, boxes, objects, masks_of, (height, width), with_distance=spatial)

        of_positives = coefficients[positives.image[chosen], positives.anchor[chosen]]
        share = 1.0 / (area.float() * (height * width))
        weight = share if self.alpha is None else share * self.alpha[label]
        total, each = summed_mask_loss(of_positives, prototypes, windows(), weight, self._pixel_loss)
        count = self._normalizer(assignment, len(chosen))
        if training:
            if self.scale is None:
                stock, _ = summed_mask_loss(of_positives.detach(), prototypes.detach(), windows(), share, _stock_pixels)
                self._fix_scale(stock, total.detach())
            self._learn(each * share, label)
        loss, scale = total / count, self.scale or 1.0
        return loss if scale == 1.0 else loss * scale

    def _normalizer(self, assignment: Assignment, with_mask: int) -> int:
        if self.settings.focal.form == "printed" and not self.is_stock:
            return with_mask + int((assignment.positives.score > 0).sum())
        return with_mask

    def _pixel_loss(self, logits: Tensor, target: Tensor, distance: Tensor | None) -> Tensor:
        """Return abs(y - p)^gamma BCE g of each pixel; printed keeps the object's own pixels alone (REG A.10.2)."""
        if self.is_stock:
            return _stock_pixels(logits, target, distance)
        spatial = self.settings.spatial
        entries = losses.quality_focal_loss(logits, target, self.settings.focal.gamma)
        if distance is not None:
            g = losses.spatial_context_weight(distance.to(logits), spatial.beta, spatial.delta, spatial.floor)
            entries = entries * (g if spatial.scope == "all" else torch.where(target > 0, 1.0, g))
        return entries * target if self.settings.focal.form == "printed" else entries

    def _fix_scale(self, stock: Tensor, ours: Tensor) -> None:
        """Keep stock over ours, both without divisor, as the factor on the mask loss, unless there is one already.

        The sums are those over all ranks; a batch without masks, or whose loss is no number, does not fix it.
        """
        if self.scale is not None:
            return
        values = torch.stack((stock.float(), ours.float()))
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(values)
        stock_value, our_value = values.tolist()
        if math.isfinite(stock_value) and math.isfinite(our_value) and our_value > 0.0:
            self.scale = stock_value / our_value

    @torch.no_grad()
    def _learn(self, each: Tensor, label: Tensor) -> None:
        """Let the dual class weights ascend on the batch's mean mask loss by class (REG §2.6.2)."""
        if self.dual is None or self.alpha is None:
            return
        sums = torch.zeros(2, len(self.alpha), device=each.device)
        sums[0].index_add_(0, label, each.float())
        sums[1].index_add_(0, label, torch.ones_like(each, dtype=torch.float32))
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(sums)
        self.dual.ascend(sums[0], sums[1])
        self.alpha = self.dual.weights()


def _stock_pixels(logits: Tensor, target: Tensor, _distance: Tensor | None) -> Tensor:
    """Return upstream's loss of each pixel."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")

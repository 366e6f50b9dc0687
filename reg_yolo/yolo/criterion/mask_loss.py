"""The mask branch: class weights from mask counts, focusing, and the distance to the object's own mask (REG §2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from reg_yolo import losses
from reg_yolo.config.reg import RegSettings
from reg_yolo.yolo.criterion.class_alpha import ClassAlpha
from reg_yolo.yolo.criterion.mask_windows import MaskWindow, image_windows, object_windows, summed_mask_loss
from reg_yolo.yolo.criterion.stock_scale import StockScale
from reg_yolo.yolo.criterion.targets import Assignment, joint_normalizer

# Beyond this argument a sigmoid is within 1e-8 of its limit.
FLAT_SIGMOID = 18.5


class MaskLossTerms:
    """State and switches of the mask loss: alpha (fixed or dual) and its scale.

    An instance's mask is learned by the positives of its object, so alpha weighs all pixels of an instance, whatever
    `alpha.on` says; g has values of its own (`mask.spatial`) and weighs the pixels that its scope names, with d in mask
    pixels.

    Attributes:
        stock_scale: The factor on the mask loss.
    """

    def __init__(
        self, settings: RegSettings, mask_counts: Sequence[int], device: torch.device, stored: Mapping[str, Any]
    ) -> None:
        """Take the settings, count the class weights, and restore what a resumed run had learned."""
        self.settings = settings
        self.is_stock = settings.is_neutral_on_masks
        self.class_alpha: ClassAlpha | None = None
        if not self.is_stock:
            self.class_alpha = ClassAlpha(settings.alpha, mask_counts, device, stored.get("mask_dual"))
        self.stock_scale = StockScale(settings.mask_scale, stored.get("mask_scale"))

    @property
    def alpha(self) -> Tensor | None:
        """Weights of the classes, Tensor[C] on the device of the model, or None where classes are not weighted."""
        return None if self.class_alpha is None else self.class_alpha.weights

    @property
    def scale(self) -> float | None:
        """Factor on the mask loss; None until a training batch has fixed it."""
        return self.stock_scale.value

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs, as plain Python data."""
        return {
            "mask_scale": self.scale,
            "mask_class_weights": None if self.class_alpha is None else self.class_alpha.to_list(),
            "mask_dual": None if self.class_alpha is None else self.class_alpha.dual_state(),
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
        count = self._normalizer(assignment, len(chosen))
        if not len(chosen):
            # Several GPUs need every parameter in the graph, and every rank in what they add up.
            if training:
                zero = prototypes.new_zeros((), dtype=torch.float32)
                if self.scale is None:
                    self.stock_scale.fix(zero, zero, zero)
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
            each_of = image_windows if prototypes.is_cuda else object_windows
            spatial = self.settings.mask.spatial
            # Where the sigmoid is flat in float32 no distance matters.
            reach = abs(spatial.delta) + FLAT_SIGMOID / abs(spatial.beta) if spatial.beta else 0.0
            return each_of(
                image, boxes, objects, masks_of, (height, width),
                with_distance=spatial.enabled and not self.is_stock, reach=reach,
            )  # fmt: skip

        of_positives = coefficients[positives.image[chosen], positives.anchor[chosen]]
        share = 1.0 / (area.float() * (height * width))
        weight = share if self.alpha is None else share * self.alpha[label]
        total, each = summed_mask_loss(of_positives, prototypes, windows(), weight, self._pixel_loss)
        scale = self.stock_scale.factor
        if training:
            if self.scale is None:
                stock, _ = summed_mask_loss(of_positives.detach(), prototypes.detach(), windows(), share, _stock_pixels)
                scale = self.stock_scale.fix(stock, total.detach(), torch.full_like(stock, float(len(chosen))))
            self._learn(each * share, label)
        loss = total / count
        return loss if scale == 1.0 else loss * scale

    def _normalizer(self, assignment: Assignment, with_mask: int) -> int | Tensor:
        if self.settings.focal.form == "printed" and not self.is_stock:
            with_mask += int((assignment.positives.score > 0).sum())
        if assignment.ranks == 1:
            return with_mask
        # Also of a rank without a mask.
        return joint_normalizer(assignment.positives.score.new_tensor(float(with_mask)), assignment.ranks)

    def _pixel_loss(self, logits: Tensor, target: Tensor, distance: Tensor | None) -> Tensor:
        """Return abs(y - p)^gamma BCE g of each pixel; printed keeps the object's own pixels alone (REG A.10.2)."""
        if self.is_stock:
            return _stock_pixels(logits, target, distance)
        spatial = self.settings.mask.spatial
        entries = losses.quality_focal_loss(logits, target, self.settings.focal.gamma)
        if distance is not None:
            g = losses.spatial_context_weight(distance.to(logits), spatial.beta, spatial.delta, spatial.floor)
            entries = entries * (g if spatial.scope == "all" else torch.where(target > 0, 1.0, g))
        return entries * target if self.settings.focal.form == "printed" else entries

    def _learn(self, each: Tensor, label: Tensor) -> None:
        """Let the dual class weights ascend on the batch's mean mask loss by class (REG §2.6.2)."""
        if self.class_alpha is not None:
            self.class_alpha.learn(each, torch.ones_like(each), label)


def _stock_pixels(logits: Tensor, target: Tensor, _distance: Tensor | None) -> Tensor:
    """Return upstream's loss of each pixel."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")

"""The REG criterion for YOLOv8 detection heads: Ultralytics' criterion with each term of the papers behind a switch.

With every term neutral it equals the stock criterion bit for bit. It is a plain object, not a module (strict reloads
of a model's state would miss its keys), and it is shared by the live model and its EMA: copying the model copies a
reference. Validation changes nothing in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from ultralytics.utils.loss import v8DetectionLoss
from ultralytics.utils.tal import make_anchors

from reg_yolo.config.reg import RegSettings
from reg_yolo.errors import ConfigError
from reg_yolo.losses import dynamic_coefficient, equilibrated_loss
from reg_yolo.yolo.box_terms import box_and_distribution_loss
from reg_yolo.yolo.class_terms import ClassLossTerms
from reg_yolo.yolo.epoch_terms import EpochTerms


@dataclass(frozen=True)
class HeadOutput:
    """What the head predicts for a batch of B images at A anchor points, C classes, R bins a side.

    Attributes:
        distances: Tensor[B, A, 4 R], logits of the box distribution.
        logits: Tensor[B, A, C].
        boxes: Tensor[B, A, 4], xyxy in strides.
        anchor_points: Tensor[A, 2], in strides.
        strides: Tensor[A, 1], pixels.
        image_size: Tensor[2], height and width in pixels.
        level_shapes: rows and columns of each feature level.
    """

    distances: Tensor
    logits: Tensor
    boxes: Tensor
    anchor_points: Tensor
    strides: Tensor
    image_size: Tensor
    level_shapes: list[tuple[int, int]]


@dataclass(frozen=True)
class Assignment:
    """Ground truth of a batch (N objects an image at most) and what the task-aligned assigner made of it.

    Attributes:
        labels: Tensor[B, N, 1]; boxes: Tensor[B, N, 4], xyxy in pixels; valid: Tensor[B, N, 1].
        target_labels: Tensor[B, A]; target_boxes: Tensor[B, A, 4], xyxy in pixels.
        target_scores: Tensor[B, A, C], soft targets in [0, 1].
        positive: Tensor[B, A], which anchor points have an object.
        object_index: Tensor[B, A].
        normalizer: max(sum of the targets, 1).
    """

    labels: Tensor
    boxes: Tensor
    valid: Tensor
    target_labels: Tensor
    target_boxes: Tensor
    target_scores: Tensor
    positive: Tensor
    object_index: Tensor
    normalizer: Tensor


class RegDetectionLoss(v8DetectionLoss):
    """Refined Generalized Focal Loss on the class branch, a choice of losses on the box branch (REG §2, EIOU, CLE).

    Attributes:
        settings: The `reg:` block.
        scale: Factor on the classification loss; None until the first training batch has set it.
        training_calls: Batches seen with gradients.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: RegSettings,
        class_counts: Sequence[int],
        *,
        stored: Mapping[str, Any] | None = None,
        learned_deviation: nn.Parameter | None = None,
    ) -> None:
        """Build the criterion for an unwrapped YOLOv8 model.

        Args:
            model: Its `args` hold Ultralytics' gains, its last layer the head.
            settings: The `reg:` block.
            class_counts: Labelled boxes of each class in the training split.
            stored: `state()` of the run that is resumed.
            learned_deviation: Tensor[C], the logarithm of the deviation, if it is learned per class.

        Raises:
            ConfigError: If explicit class weights do not fit the number of classes.
        """
        super().__init__(model)
        stored = stored or {}
        self.settings = settings
        self.class_terms = ClassLossTerms(settings, class_counts, self.device, stored, learned_deviation)
        if len(class_counts) != self.nc:
            raise ConfigError(
                f"the model has {self.nc} classes, the training labels are counted for {len(class_counts)}"
            )
        self.scale: float | None = self._fixed_scale(stored)
        self.training_calls = 0
        self.terms = EpochTerms()

    def __deepcopy__(self, memo: dict[int, Any]) -> RegDetectionLoss:
        """Return itself: the EMA's copy of a model validates with the very criterion that trains."""
        return self

    def _fixed_scale(self, stored: Mapping[str, Any]) -> float | None:
        settings = self.settings
        if settings.is_neutral or settings.focal.form == "printed":
            return 1.0 if settings.scale == "auto" else settings.scale
        if settings.scale != "auto":
            return float(settings.scale)
        return float(stored["scale"]) if stored.get("scale") else None

    # What survives ----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return scale, class weights and what has been learned, as plain Python data."""
        return {"scale": self.scale, **self.class_terms.state()}

    def class_weights_list(self) -> list[float]:
        """Return alpha of each class, 1 where classes are not weighted."""
        return self.class_terms.weights_list(self.nc)

    def describe(self) -> str:
        """Return the preset and its switches in a line."""
        return f"{type(self).__name__}, preset {self.settings.preset}: {self.class_terms.describe()}"

    def epoch_terms(self, names: Mapping[int, str]) -> dict[str, float]:
        """Return the means of the logged terms since the last call, and the class weights in force."""
        means = self.terms.take()
        weights = {f"reg/weight/{names[i]}": w for i, w in enumerate(self.class_weights_list())}
        return {**means, "reg/scale": self.scale or 1.0, **weights}

    # The loss ---------------------------------------------------------------------------------------------------

    def get_assigned_targets_and_loss(
        self, preds: dict[str, Tensor], batch: dict[str, Any], **assign_kwargs: Any
    ) -> tuple[Any, Tensor, dict[str, Tensor]]:
        """Return upstream's triple: assigned targets, the gain-scaled losses (box, cls, dfl) and their items."""
        head = self._read_head(preds)
        assignment = self._assign(head, batch, **assign_kwargs)
        class_loss = self._class_loss(head, assignment)
        box_loss, distribution_loss = box_and_distribution_loss(self.bbox_loss, self.settings.box, head, assignment)
        if head.logits.requires_grad:
            self.training_calls += 1
        loss = torch.stack(
            (
                box_loss.float() * self.hyp.box,
                class_loss.float() * self.hyp.cls,
                distribution_loss.float() * self.hyp.dfl,
            )
        )
        targets = (
            assignment.positive, assignment.object_index, assignment.target_boxes, head.anchor_points, head.strides,
        )  # fmt: skip
        return targets, loss, dict(zip(self.loss_names, loss.detach(), strict=True))

    def _read_head(self, preds: dict[str, Tensor]) -> HeadOutput:
        distances = preds["boxes"].permute(0, 2, 1).contiguous()
        logits = preds["scores"].permute(0, 2, 1).contiguous()
        anchor_points, strides = make_anchors(preds["feats"], self.stride, 0.5)
        level_shapes = [(int(f.shape[2]), int(f.shape[3])) for f in preds["feats"]]
        size = torch.tensor(level_shapes[0], device=self.device, dtype=logits.dtype) * self.stride[0]
        boxes = self.bbox_decode(anchor_points, distances)
        return HeadOutput(distances, logits, boxes, anchor_points, strides, size, level_shapes)

    def _assign(self, head: HeadOutput, batch: dict[str, Any], **assign_kwargs: Any) -> Assignment:
        rows = torch.cat((batch["batch_idx"].view(-1, 1), batch["cls"].view(-1, 1), batch["bboxes"]), 1)
        truth = self.preprocess(rows.to(self.device), len(head.logits), scale_tensor=head.image_size[[1, 0, 1, 0]])
        labels, boxes = truth.split((1, 4), 2)
        valid = boxes.sum(2, keepdim=True).gt_(0.0)
        target_labels, target_boxes, target_scores, positive, object_index = self.assigner(
            head.logits.detach().sigmoid(),
            (head.boxes.detach() * head.strides).type(boxes.dtype),
            head.anchor_points * head.strides,
            labels,
            boxes,
            valid,
            **assign_kwargs,
        )
        return Assignment(
            labels, boxes, valid, target_labels, target_boxes, target_scores.to(head.logits.dtype), positive,
            object_index, target_scores.sum().clamp_(min=1),
        )  # fmt: skip

    def _class_loss(self, head: HeadOutput, assignment: Assignment) -> Tensor:
        """Return the classification loss over its normaliser, on the stock scale."""
        training = head.logits.requires_grad
        if self.settings.is_neutral:
            entries = F.binary_cross_entropy_with_logits(head.logits, assignment.target_scores, reduction="none")
            normalizer = assignment.normalizer
        else:
            entries = self.class_terms.entries(head, assignment, self.terms if training else None)
            normalizer = self.class_terms.normalizer(assignment)
        if self.class_weights is not None:
            entries = entries * self.class_weights
        total = entries.sum()
        image, anchor = assignment.positive.nonzero(as_tuple=True)
        if training:
            label = assignment.target_labels[image, anchor].long()
            positive_part = entries.detach()[image, anchor, label].sum()
            self.class_terms.learn(head, assignment, image, anchor, label)
        if self.settings.dynamic_coefficient.enabled and len(image):
            total = self._shift_between_positives(
                total, entries[image, anchor].sum(-1), head, assignment, image, anchor
            )
        scale = self._scale_on(head, assignment, total.detach() / normalizer) if training else self.scale or 1.0
        loss = total / normalizer
        if scale != 1.0:
            loss = loss * scale
        if training:
            share = scale * self.hyp.cls / normalizer
            self.terms.add("reg/class_positive", positive_part * share)
            self.terms.add("reg/class_negative", (total.detach() - positive_part) * share)
            self.terms.add("reg/positives", float(len(image)))
        return loss

    def _shift_between_positives(
        self,
        total: Tensor,
        anchor_losses: Tensor,
        head: HeadOutput,
        assignment: Assignment,
        image: Tensor,
        anchor: Tensor,
    ) -> Tensor:
        """Replace sum L_i over positives by sum lambda'_i L_i: the same value, another gradient (CLE eq. 2-4)."""
        strides = head.strides[anchor]
        coefficient = dynamic_coefficient(
            head.boxes.detach()[image, anchor] * strides,
            assignment.target_boxes[image, anchor],
            unit=self.settings.dynamic_coefficient.unit,
            strides=strides,
        )
        return total - anchor_losses.sum() + equilibrated_loss(anchor_losses, coefficient, reduction="sum")

    @torch.no_grad()
    def _scale_on(self, head: HeadOutput, assignment: Assignment, ours: Tensor) -> float:
        """Return the factor on the classification loss; the first training batch fixes it as stock over ours.

        Batches whose targets sum to less than 1, over all ranks, do not fix it: a network that overlaps nothing yet has
        targets near 0, where a focusing exponent makes any loss vanish and the ratio says nothing about later batches.
        """
        if self.scale is not None:
            return self.scale
        stock = F.binary_cross_entropy_with_logits(head.logits, assignment.target_scores, reduction="none")
        values = torch.stack((stock.sum() / assignment.normalizer, ours, assignment.target_scores.sum())).float()
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(values)
        stock_value, our_value, targets = values.tolist()
        scale = stock_value / our_value if our_value > 0.0 else 1.0
        if targets >= 1.0:
            self.scale = scale
        return scale

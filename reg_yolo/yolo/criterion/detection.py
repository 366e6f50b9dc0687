"""The REG criterion for YOLOv8 detection heads: Ultralytics' criterion with each term of the papers behind a switch.

With every term neutral it equals the stock criterion bit for bit. It is a plain object, not a module (strict reloads
of a model's state would miss its keys), and it is shared by the live model and its EMA: copying the model copies a
reference. Validation changes nothing in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from ultralytics.utils.loss import v8DetectionLoss

from reg_yolo.config.reg import RegSettings
from reg_yolo.errors import ConfigError
from reg_yolo.losses import dynamic_coefficient, equilibrated_loss
from reg_yolo.yolo.criterion.assigner import SparseTaskAlignedAssigner
from reg_yolo.yolo.criterion.box_loss import box_and_distribution_loss
from reg_yolo.yolo.criterion.class_loss import ClassLossTerms
from reg_yolo.yolo.criterion.far_entries import BatchTruth
from reg_yolo.yolo.criterion.gradient_balance import gradient_shares, watch_gradients
from reg_yolo.yolo.criterion.head_output import BoxPredictions, HeadOutput
from reg_yolo.yolo.criterion.iac_assigner import assigner_for
from reg_yolo.yolo.criterion.logged_means import FAR_AFTER, FAR_BEFORE, EpochTerms
from reg_yolo.yolo.criterion.precision import in_float32, without_bfloat16
from reg_yolo.yolo.criterion.stock_scale import StockScale
from reg_yolo.yolo.criterion.targets import Assignment, GroundTruth, Positives, ignored_entries, joint_normalizer


class RegDetectionLoss(v8DetectionLoss):
    """Refined Generalized Focal Loss on the class branch, a choice of losses on the box branch (REG §2, EIOU, CLE).

    Attributes:
        settings: The `reg:` block.
        stock_scale: The factor on the classification loss.
        training_calls: Batches seen with gradients.
        last_batch: The truth of the last of them, where a proximal step needs it.
        ranks: Processes whose images are normalised together; 1 leaves each to itself, as upstream does.
    """

    assigner: SparseTaskAlignedAssigner
    ranks: int = 1

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
            ConfigError: If counts or explicit class weights do not fit the number of classes.
        """
        super().__init__(model)
        if len(class_counts) != self.nc:
            raise ConfigError(
                f"the model has {self.nc} classes, the training labels are counted for {len(class_counts)}"
            )
        stored = stored or {}
        self.settings = settings
        self.assigner = assigner_for(self.assigner, settings.assign)
        self.class_terms = ClassLossTerms(settings, class_counts, self.device, stored, learned_deviation)
        self.stock_scale = StockScale(settings.class_scale, stored.get("scale"))
        self.training_calls = 0
        self.last_batch: BatchTruth | None = None
        # A first epoch without a step of the optimizer must not leave a column out of results.csv.
        self.terms = EpochTerms((FAR_BEFORE, FAR_AFTER) if settings.proximal.enabled else ())

    def __deepcopy__(self, memo: dict[int, Any]) -> RegDetectionLoss:
        """Return itself: the EMA's copy of a model validates with the very criterion that trains."""
        return self

    @property
    def scale(self) -> float | None:
        """Factor on the classification loss; None until a training batch has fixed it."""
        return self.stock_scale.value

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
        """Return the logged terms since the last call, and scale and class weights as they stand now.

        Each term is a mean over the training batches that this process has seen. `reg/class_positive` and
        `reg/class_negative` add up to `cls_loss`: the entries of the positives' own classes, before the dynamic
        coefficient shifts weight between them, and all others. `reg/positives` counts anchor points a batch,
        `reg/spatial_mean` and `reg/deviation_mean` are over all entries. `reg/class_divergence` comes on top of both
        parts, with the free energy. With a proximal step, `reg/far_probability_before` and `_after` are G on the
        batches before it. The two ratios of gradients are of summed absolute values by class and box logits,
        `reg/gradient_ratio` of a class is what the equalized form goes by. `reg/scale` is 1 until a batch has fixed it.
        """
        means = self.terms.take()
        means |= gradient_shares(means)
        # A comma would begin another column in results.csv.
        by_class = {"weight": self.class_weights_list(), "gradient_ratio": self.class_terms.gradient_ratios()}
        of_classes = {
            f"reg/{term}/{names[i].replace(',', ' ')}": value
            for term, values in by_class.items()
            for i, value in enumerate(values)
        }
        return {**means, "reg/scale": self.stock_scale.factor, **of_classes}

    # The loss ---------------------------------------------------------------------------------------------------

    def __call__(self, preds: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the gain-scaled losses times the batch size, and their items; computed in float32 under bfloat16."""
        with without_bfloat16(self.device):
            result: tuple[Tensor, dict[str, Tensor]] = super().__call__(in_float32(preds), batch)
        return result

    def get_assigned_targets_and_loss(
        self, preds: dict[str, Tensor], batch: dict[str, Any], **assign_kwargs: Any
    ) -> tuple[Any, Tensor, dict[str, Tensor]]:
        """Return upstream's triple: assigned targets, the gain-scaled losses (box, cls, dfl) and their items."""
        head, assignment, loss = self.detection_losses(preds, batch, **assign_kwargs)
        images, _, anchors = head.class_logits.shape
        targets = (*assignment.dense(images, anchors), head.anchor_points, head.strides)
        # A criterion with more losses names more than these three, and upstream lets the names run over.
        return targets, loss, dict(zip(self.loss_names, loss.detach(), strict=False))

    def detection_losses(
        self, preds: dict[str, Tensor], batch: dict[str, Any], **assign_kwargs: Any
    ) -> tuple[HeadOutput, Assignment, Tensor]:
        """Return the head's output, what its anchor points answer for, and the gain-scaled losses (box, cls, dfl)."""
        head = HeadOutput.read(preds, self.stride, self.bbox_decode)
        # In memory as upstream has them, which decides how sums round.
        logits = head.logits.contiguous()
        assignment = self._assign(head, logits, batch, **assign_kwargs)
        predicted = head.at(assignment.positives.image, assignment.positives.anchor)
        class_loss = self._class_loss(head, logits, assignment, predicted)
        box_loss, distribution_loss = box_and_distribution_loss(
            self.bbox_loss, self.settings.box, predicted, assignment, head.image_size
        )
        if head.is_training:
            self.training_calls += 1
            watch_gradients(head, assignment.positives, self.terms)
            if self.settings.proximal.enabled:
                self.last_batch = BatchTruth(head.grid, assignment)
        loss = torch.stack(
            (
                box_loss.float() * (self.hyp.box if self.settings.box.gain is None else self.settings.box.gain),
                class_loss.float() * self.hyp.cls,
                distribution_loss.float() * self.hyp.dfl,
            )
        )
        return head, assignment, loss

    def _assign(self, head: HeadOutput, logits: Tensor, batch: dict[str, Any], **assign_kwargs: Any) -> Assignment:
        rows = torch.cat((batch["batch_idx"].view(-1, 1), batch["cls"].view(-1, 1), batch["bboxes"]), 1)
        padded = self.preprocess(rows.to(self.device), len(logits), scale_tensor=head.image_size[[1, 0, 1, 0]])
        labels, boxes = padded.split((1, 4), 2)
        truth = GroundTruth(labels, boxes, boxes.sum(2, keepdim=True).gt_(0.0))
        points = head.anchor_points * head.strides
        scores = logits.detach().sigmoid()
        positives = None
        if not assign_kwargs:
            positives = self.assigner.assign(scores, head.boxes_in_pixels, points, truth, head.level_shapes)
        if positives is None:
            positives = self._assign_densely(head, scores, points, truth, **assign_kwargs)
        targets = self._dense_targets(head, positives)
        annotated = batch.get("annotated")
        ignored = ignored_entries(None if annotated is None else annotated.to(self.device), positives.ignored)
        ranks = self.ranks if head.is_training else 1
        return Assignment(
            truth, positives, targets, joint_normalizer(targets.sum(), ranks),
            self._masked_positives(positives, batch), ignored, ranks,
        )  # fmt: skip

    def _dense_targets(self, head: HeadOutput, positives: Positives) -> Tensor:
        """Return the soft targets, Tensor[B, A, C], in the memory order that the loss reads."""
        if self.settings.is_neutral:
            # As upstream has them, which decides how sums round.
            return positives.dense_scores(head.logits.shape)
        targets = positives.score.new_zeros(head.class_logits.shape)
        targets[positives.image, positives.label, positives.anchor] = positives.score
        return targets.transpose(1, 2)

    def _masked_positives(self, _positives: Positives, _batch: dict[str, Any]) -> Tensor | None:
        """Return which positives answer for an object with a mask; None in a task without masks."""
        return None

    @torch.no_grad()
    def _assign_densely(
        self, head: HeadOutput, scores: Tensor, points: Tensor, truth: GroundTruth, **assign_kwargs: Any
    ) -> Positives:
        """Return what upstream's own computation assigns, with every anchor point's box decoded."""
        rows = head.box_logits.transpose(1, 2).contiguous()
        boxes = (self.bbox_decode(head.anchor_points, rows) * head.strides).type(truth.boxes.dtype)
        return self.assigner.assign_densely(scores, boxes, points, truth, **assign_kwargs)

    def _class_loss(
        self, head: HeadOutput, logits: Tensor, assignment: Assignment, predicted: BoxPredictions
    ) -> Tensor:
        """Return the classification loss over its normaliser, on the stock scale."""
        training = head.is_training
        divergence = None
        if self.settings.is_neutral:
            entries = self._stock_entries(logits, assignment)
            normalizer = assignment.normalizer
        else:
            entries, divergence = self.class_terms.entries(head, assignment, self.terms if training else None)
            normalizer = self.class_terms.normalizer(assignment)
            if self.class_weights is not None:
                entries = entries * self.class_weights
        entries = assignment.without_ignored(entries)
        total = entries.sum()
        positives = assignment.positives
        if self.settings.dynamic_coefficient.enabled and len(positives.label):
            anchor_losses = entries[positives.image, positives.anchor].sum(-1)
            total = self._shift_between_positives(total, anchor_losses, assignment, predicted)
        scale = self._scale_on(head, assignment, total.detach() / normalizer) if training else self.stock_scale.factor
        if training:
            self._record(entries.detach(), positives, scale * self.hyp.cls / normalizer)
            own_logits = head.logits.detach()[positives.image, positives.anchor, positives.label]
            self.class_terms.learn(own_logits, positives)
        loss = total / normalizer
        # Without a factor the stock loss keeps its bits.
        loss = loss if scale == 1.0 else loss * scale
        return loss if divergence is None else loss + self._divergence(divergence, normalizer, training)

    def _divergence(self, divergence: Tensor, normalizer: Tensor, training: bool) -> Tensor:
        """Return the divergence from the prior over the normaliser: a term of its own, which no factor touches."""
        share = divergence / normalizer
        if training:
            self.terms.add("reg/class_divergence", share.detach() * self.hyp.cls)
        return share

    def _record(self, entries: Tensor, positives: Positives, share: Tensor) -> None:
        """Log what the positives' own classes and all other entries contribute to `cls_loss`."""
        positive_part = entries[positives.image, positives.anchor, positives.label].sum()
        self.terms.add("reg/class_positive", positive_part * share)
        self.terms.add("reg/class_negative", (entries.sum() - positive_part) * share)
        self.terms.add("reg/positives", float(len(positives.label)))

    def _stock_entries(self, logits: Tensor, assignment: Assignment) -> Tensor:
        targets = assignment.target_scores.to(logits.dtype)
        entries = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return entries if self.class_weights is None else entries * self.class_weights

    def _shift_between_positives(
        self, total: Tensor, anchor_losses: Tensor, assignment: Assignment, predicted: BoxPredictions
    ) -> Tensor:
        """Replace sum L_i over positives by sum lambda'_i L_i: the same value, another gradient (CLE eq. 2-4)."""
        coefficient = dynamic_coefficient(
            predicted.boxes.detach() * predicted.strides,
            assignment.target_boxes,
            unit=self.settings.dynamic_coefficient.unit,
            strides=predicted.strides,
        )
        return total - anchor_losses.sum() + equilibrated_loss(anchor_losses, coefficient, reduction="sum")

    @torch.no_grad()
    def _scale_on(self, head: HeadOutput, assignment: Assignment, ours: Tensor) -> float:
        """Return the factor on the classification loss, which the first training batch may have to fix."""
        if self.stock_scale.value is not None:
            return self.stock_scale.value
        entries = self._stock_entries(head.logits, assignment)
        stock = assignment.without_ignored(entries).sum() / assignment.normalizer
        return self.stock_scale.fix(stock, ours, assignment.target_scores.sum())

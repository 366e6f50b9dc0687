"""Training with instance masks: the criterion gets the number of masks of each class beside that of objects."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from reg_yolo.yolo.criterion.segmentation import RegSegmentationLoss
from reg_yolo.yolo.training.mixin import RegTraining
from reg_yolo.yolo.validation.segmentation import RegSegmentationValidator
from reg_yolo.yolo.validation.validators import RegDetectionValidator


class SegmentationTraining(RegTraining):
    """Mix-in for an Ultralytics segmentation trainer: every object has a mask."""

    task_name: ClassVar[str] = "segment"
    validator_class: ClassVar[type[RegDetectionValidator]] = RegSegmentationValidator
    lambda_seg: float = 1.0

    @property
    def mask_counts(self) -> list[int]:
        """Objects of each class in the training split that have a mask."""
        return self.class_counts

    def build_criterion(self, model: nn.Module) -> RegSegmentationLoss:
        """Return the criterion for `model`, with what a resumed run had learned."""
        return RegSegmentationLoss(
            model,
            self.reg,
            self.class_counts,
            self.mask_counts,
            lambda_seg=self.lambda_seg,
            stored=self.stored,
            learned_deviation=self.learned_deviation,
        )

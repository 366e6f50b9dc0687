"""What training on the classes of pixels adds to `RegTraining`: their counts, their criterion and their report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from ultralytics.utils import LOGGER
from ultralytics.utils.patches import torch_load

from reg_yolo.data.dataset.pixel_classes import BACKGROUND
from reg_yolo.losses import pixel_counts
from reg_yolo.yolo.criterion.semantic import RegSemanticLoss
from reg_yolo.yolo.training.mixin import RegTraining
from reg_yolo.yolo.validation.semantic import RegSemanticValidator
from reg_yolo.yolo.weights.checkpoints import metadata_of, set_metadata, write_checkpoint


class SemanticTraining(RegTraining):
    """Mix-in for an Ultralytics semantic segmentation trainer."""

    task_name: ClassVar[str] = "semantic"
    validator_class: ClassVar[type[Any]] = RegSemanticValidator
    counted: ClassVar[str] = "pixels"
    criterion: RegSemanticLoss  # type: ignore[assignment]

    def get_class_counts(self, max_masks: int | None = None) -> np.ndarray:
        """Return the pixels of each class in the training images, or in `max_masks` of them spread over the split.

        Upstream adds them up in float32, which loses single pixels above 16.8 million, and leaves out a mask that
        cannot be read.
        """
        dataset = self.train_loader.dataset
        images = len(dataset.labels)
        chosen = np.arange(images)
        if max_masks and images > max_masks:
            chosen = np.linspace(0, images - 1, max_masks).astype(int)
        counts = np.zeros(self.data["nc"], dtype=np.int64)
        for index in chosen:
            mask = dataset.load_mask(index, image_shape=tuple(dataset.labels[index]["shape"]))
            if dataset.include_class is not None:
                mask[~np.isin(mask, dataset.include_class)] = 255
            counts += pixel_counts(torch.from_numpy(mask), self.data["nc"]).numpy()
        return counts

    def build_criterion(self, model: nn.Module) -> RegSemanticLoss:  # type: ignore[override]
        """Return the criterion for `model`, with what a resumed run had learned."""
        background = background_of(self.data["names"])
        return RegSemanticLoss(model, self.reg, self.class_counts, background, stored=self.stored)

    def _store_report(self) -> None:
        """Write the report of the final validation; a pixel has the most probable class, so there is no threshold."""
        (self.report,) = self.validator.write_reports(self.save_dir, self.best.name)
        checkpoint = torch_load(self.best, map_location="cpu")
        set_metadata(checkpoint, {**metadata_of(checkpoint), "measured": True})
        write_checkpoint(checkpoint, [self.best])
        LOGGER.info(self.report.as_text())


def background_of(names: Mapping[int, str]) -> int | None:
    """Return the index of the class background, or None where every class is one of objects."""
    return next((index for index, name in names.items() if name.lower() == BACKGROUND), None)

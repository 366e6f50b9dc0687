"""Validators that keep, image by image, what was found and what is labelled, in pixels of the images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn
from ultralytics.utils import ops

from reg_yolo.evaluation.image_results import ImageResult
from reg_yolo.yolo.validation.validators import RegDetectionValidator

if TYPE_CHECKING:
    # Stands before one of our validators, whose attributes it uses.
    from reg_yolo.yolo.validation.validators import RegDetectionValidator as Host
else:
    Host = object


class ResultKeeping(Host):
    """Mix-in for our validators; `image_results` reads out the last validation.

    Detections are those that the figures are computed from: of the joint task without the classes that an image's set
    does not annotate.
    """

    _results: list[ImageResult]

    def init_metrics(self, model: nn.Module) -> None:
        """Start with nothing kept."""
        super().init_metrics(model)
        self._results = []

    def _process_batch(self, preds: dict[str, Tensor], batch: dict[str, Any]) -> dict[str, np.ndarray]:
        stats = super()._process_batch(preds, batch)
        height, width = (int(side) for side in batch["ori_shape"])
        found, true = (
            ops.scale_boxes(batch["imgsz"], boxes.float().clone(), (height, width), ratio_pad=batch["ratio_pad"]).cpu()
            for boxes in (preds["bboxes"], batch["bboxes"].reshape(-1, 4))
        )
        detections = (found, preds["conf"].cpu(), preds["cls"].cpu())
        self._results.append(
            ImageResult.of(Path(batch["im_file"]), (width, height), detections, (true, batch["cls"].cpu()))
        )
        return stats

    def image_results(self) -> list[ImageResult]:
        """Return what the last validation found on each image, in the order of the paths."""
        return sorted(self._results, key=lambda result: str(result.path))


def keeping_results(validator: type[RegDetectionValidator]) -> Any:
    """Return a subclass of one of our validators that keeps what it finds."""
    return type(validator.__name__, (ResultKeeping, validator), {"__module__": validator.__module__})

"""Validation of pixels: upstream's IoU and accuracy with boundary F1, read out as a per-class report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed
from ultralytics.models.yolo.semantic import SemanticSegmentationValidator
from ultralytics.utils import RANK

from reg_yolo.evaluation.boundary import BoundaryCounts
from reg_yolo.evaluation.per_pixel import PixelClassResult, PixelReport
from reg_yolo.yolo.validation.validators import REPORT_NAMES


class RegSemanticValidator(SemanticSegmentationValidator):
    """Upstream's validator; afterwards `pixel_report` reads out its result.

    Maps are compared at the size that the network saw, as upstream does. Outlines are compared where the figures are
    reported, not between the epochs of a training.

    Attributes:
        leave_if_asked: Called between batches; a training run leaves through it when a signal has asked for that.
        boundaries: Outline pixels of the last validation.
    """

    leave_if_asked: Callable[[], None] | None = None
    boundaries: BoundaryCounts

    def init_metrics(self, model: Any) -> None:
        """Start from nothing."""
        super().init_metrics(model)
        self.boundaries = BoundaryCounts(self.nc)

    def preprocess(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Prepare a batch as upstream does."""
        if self.leave_if_asked is not None:
            self.leave_if_asked()
        prepared: dict[str, Any] = super().preprocess(batch)
        return prepared

    def update_metrics(self, preds: Tensor, batch: dict[str, Any]) -> None:
        """Add a batch."""
        super().update_metrics(preds, batch)
        if not self.training:
            for predicted, labelled in zip(preds.cpu().numpy(), batch["semantic_mask"].cpu().numpy(), strict=True):
                self.boundaries.add(predicted, labelled)

    def gather_stats(self) -> None:
        """Add up over all ranks what upstream adds up, and the outlines."""
        super().gather_stats()
        if RANK != -1 and distributed.is_available() and distributed.is_initialized():
            counts = torch.from_numpy(self.boundaries.counts).float().to(self.device)
            distributed.reduce(counts, dst=0)
            self.boundaries.counts = counts.double().cpu().numpy()

    def reports(self, title: str = "") -> list[PixelReport]:
        """Return the per-class results of the last validation."""
        return [self.pixel_report(title)]

    def write_reports(self, folder: Path, title: str = "") -> list[PixelReport]:
        """Write the report into `folder`, and return it."""
        report = self.pixel_report(title)
        report.write(folder, REPORT_NAMES["box"])
        return [report]

    def pixel_report(self, title: str = "") -> PixelReport:
        """Return the per-class results of the last validation."""
        metrics, outlines = self.metrics, self.boundaries.f1()
        results = []
        for index in range(self.nc):
            pixels = int(metrics.nt_per_class[index])
            values = (metrics.per_class_iou[index], metrics.per_class_pixel_accuracy[index], outlines[index])
            figures = tuple(float(value) for value in values) if pixels else ()
            results.append(PixelClassResult(self.names[index], int(metrics.nt_per_image[index]), pixels, *figures))
        return PixelReport(self.args.split, tuple(results), self.seen, float(metrics.pixel_accuracy), title)

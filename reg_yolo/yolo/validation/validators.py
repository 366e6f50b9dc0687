"""Validation: upstream's metrics, read out as a per-class report and per-class thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.models.yolo.segment import SegmentationValidator

from reg_yolo.config.suppression import SuppressionSettings
from reg_yolo.data.dataset.coco_ids import image_ids
from reg_yolo.evaluation.per_class import DetectionReport, build_report
from reg_yolo.evaluation.thresholds import ClassThresholds, best_f1_thresholds, min_precision_thresholds
from reg_yolo.yolo.suppression.box_spread import SIGMA_COLUMNS, widened_output
from reg_yolo.yolo.suppression.suppression import Suppression

# File names of the reports, without suffix.
REPORT_NAMES = {"box": "per_class", "mask": "per_class_masks"}


class RegDetectionValidator(DetectionValidator):
    """Upstream's validator; afterwards `detection_report` and `class_thresholds` read out its result.

    Attributes:
        leave_if_asked: Called between batches; a training run leaves through it when a signal has asked for that.
        minimum_precision: Choose thresholds that reach this precision instead of those of the best F1.
        ranking: How raw boxes become detections, in a validation of its own as well as between epochs.
        suppression: What suppresses in the validation that runs, with what it has counted.
    """

    leave_if_asked: Callable[[], None] | None = None
    minimum_precision: float | None = None
    ranking: SuppressionSettings = SuppressionSettings()
    suppression: Suppression
    _largest_stride: int = 32
    _input_size: Sequence[int] = (0, 0)
    _image_ids: dict[Path, int] | None = None

    def init_metrics(self, model: nn.Module) -> None:
        """Start with nothing counted."""
        super().init_metrics(model)
        self.suppression = Suppression(self.ranking.kind)
        self._largest_stride = int(torch.as_tensor(model.stride).max())

    def preprocess(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Prepare a batch as upstream does."""
        if self.leave_if_asked is not None:
            self.leave_if_asked()
        batch = super().preprocess(batch)
        self._input_size = batch["img"].shape[-2:]
        return batch

    def postprocess(self, preds: Any) -> list[dict[str, Tensor]]:
        """Suppress as `ranking` says, without upstream's time limit where the figures are reported.

        Upstream stops after 2 s + 50 ms an image and counts the images that are left as empty, so that metrics depend
        on the machine's load. Between the epochs of a training the limit stays: an untrained network has thousands of
        candidates in every image, and nobody reports those figures.

        Returns:
            For each image `bboxes` Tensor[K, 4] xyxy in network pixels, `conf`, `cls`, `extra` Tensor[K, M], and with
            `ranking.sigma` also `sigma` Tensor[K, 4] in network pixels.
        """
        if self.args.task == "detect":
            preds = self.widened(preds)
        kept = self.suppression(
            preds,
            self.args.conf,
            self.args.iou,
            nc=self.nc,
            multi_label=True,
            agnostic=self.args.single_cls or self.args.agnostic_nms,
            max_det=self.args.max_det,
            max_time_img=0.05 if self.training else math.inf,
            end2end=self.end2end,
        )
        found = [{"bboxes": x[:, :4], "conf": x[:, 4], "cls": x[:, 5], "extra": x[:, 6:]} for x in kept]
        if self.ranking.sigma:
            for image in found:
                image["sigma"] = image["extra"][:, -SIGMA_COLUMNS:]
                image["extra"] = image["extra"][:, :-SIGMA_COLUMNS]
        return found

    def widened(self, preds: Any) -> Any:
        """Return the network's output with what `ranking` takes from the box distributions."""
        return widened_output(preds, self.ranking, self.nc, self._largest_stride, self._input_size)

    def pred_to_json(self, predn: dict[str, Tensor], pbatch: dict[str, Any]) -> None:
        """Add an image's predictions to predictions.json, with the id that `convert --to coco` gives the image."""
        before = len(self.jdict)
        super().pred_to_json(predn, pbatch)
        if not (self.is_coco or self.is_lvis):
            number = self.image_ids()[Path(pbatch["im_file"])]
            for entry in self.jdict[before:]:
                entry["image_id"] = number

    def image_ids(self) -> dict[Path, int]:
        """Return the id of every image of the split by its path."""
        if self._image_ids is None:
            self._image_ids = image_ids([Path(image) for image in self.dataloader.dataset.im_files])
        return self._image_ids

    def class_thresholds(self) -> ClassThresholds:
        """Return the confidence threshold of every class: best F1, or the lowest with the minimum precision."""
        box, names = self.metrics.box, self.class_names()
        index = [int(i) for i in box.ap_class_index]
        # Without a single labelled object upstream keeps no curves.
        empty = np.zeros((0, 0))
        grid = np.asarray(box.px) if index else np.zeros(0)
        if self.minimum_precision is None:
            return best_f1_thresholds(grid, box.f1_curve if index else empty, names, index)
        precision, recall = (box.p_curve, box.r_curve) if index else (empty, empty)
        return min_precision_thresholds(grid, precision, recall, self.minimum_precision, names, index)

    def reports(self, title: str = "") -> list[DetectionReport]:
        """Return the per-class results of the last validation: boxes first, then masks where the task has them."""
        return [self.detection_report(title)]

    def write_reports(self, folder: Path, title: str = "") -> list[DetectionReport]:
        """Write every report into `folder`, and return them."""
        reports = self.reports(title)
        for report in reports:
            report.write(folder, REPORT_NAMES[report.kind])
        return reports

    def detection_report(self, title: str = "") -> DetectionReport:
        """Return the per-class results of the last validation for boxes."""
        box = self.metrics.box
        return build_report(
            self.class_names(),
            split=self.args.split,
            images=self.seen,
            image_counts=self.metrics.nt_per_image,
            instance_counts=self.metrics.nt_per_class,
            class_index=[int(i) for i in box.ap_class_index],
            precision=box.p,
            recall=box.r,
            f1=box.f1,
            ap50=box.ap50,
            ap=box.ap,
            thresholds=self.class_thresholds().values,
            title=title,
        )

    def class_names(self) -> list[str]:
        """Return the class names in the order of their indices."""
        return [self.names[i] for i in range(len(self.names))]


class RegSegmentationValidator(SegmentationValidator, RegDetectionValidator):
    """Upstream's validator; afterwards `reports` reads out boxes and masks. Thresholds are those of the boxes."""

    def postprocess(self, preds: Any) -> list[dict[str, Tensor]]:
        """Suppress as `ranking` says; masks follow their boxes."""
        return super().postprocess(self.widened(preds))

    def reports(self, title: str = "") -> list[DetectionReport]:
        """Return the per-class results of the last validation: boxes, then masks."""
        return [self.detection_report(title), self.mask_report(title)]

    def mask_report(self, title: str = "") -> DetectionReport:
        """Return the per-class results of the last validation for masks."""
        seg = self.metrics.seg
        return build_report(
            self.class_names(),
            split=self.args.split,
            images=self.seen,
            image_counts=self.metrics.nt_per_image,
            instance_counts=self.metrics.nt_per_class,
            class_index=[int(i) for i in seg.ap_class_index],
            precision=seg.p,
            recall=seg.r,
            f1=seg.f1,
            ap50=seg.ap50,
            ap=seg.ap,
            kind="mask",
            title=title,
        )

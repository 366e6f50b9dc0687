"""Validation of boxes and masks: upstream's metrics of both, read out as per-class reports."""

from __future__ import annotations

from ultralytics.models.yolo.segment import SegmentationValidator

from reg_yolo.evaluation.per_class import DetectionReport, build_report
from reg_yolo.yolo.validation.validators import RegDetectionValidator


class RegSegmentationValidator(SegmentationValidator, RegDetectionValidator):
    """Upstream's validator; afterwards `reports` reads out boxes and masks. Thresholds are those of the boxes."""

    def reports(self, title: str = "") -> list[DetectionReport]:
        """Return the per-class results of the last validation: boxes, then masks."""
        return [self.detection_report(title), self.mask_report(title)]

    def mask_report(self, title: str = "") -> DetectionReport:
        """Return the per-class results of the last validation for masks."""
        seg = self.metrics.seg
        return build_report(
            self._class_names(),
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

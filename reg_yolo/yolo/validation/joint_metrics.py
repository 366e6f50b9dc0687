"""Metrics of the joint task: boxes over all classes, masks over those that have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ultralytics.utils.metrics import DetMetrics, SegmentMetrics, ap_per_class

# What masks have of their own, besides `tp_m`: the boxes' predictions and objects are more than theirs.
MASK_STATS = ("conf_m", "pred_cls_m", "target_cls_m", "target_img_m")


class JointMetrics(SegmentMetrics):
    """Upstream's metrics with separate lists for masks.

    Attributes:
        mask_nt_per_class: Objects with a mask by class.
        mask_nt_per_image: Images that hold such an object, by class.
    """

    def __init__(self, names: dict[int, str] | None = None) -> None:
        """Start with nothing recorded."""
        super().__init__(names)
        self.stats.update({key: [] for key in MASK_STATS})
        self.mask_nt_per_class = np.zeros(len(self.names), int)
        self.mask_nt_per_image = np.zeros(len(self.names), int)

    def update_stats(self, stat: dict[str, Any]) -> None:
        """Append what one image brings."""
        DetMetrics.update_stats(self, stat)
        self.seg.update_image_metrics(stat["tp_m"], stat["target_cls_m"], stat["pred_cls_m"], stat["im_name"])

    def process(self, save_dir: Path = Path(), plot: bool = False, on_plot: Any = None) -> dict[str, np.ndarray]:
        """Compute the figures of boxes and of masks from what has been recorded."""
        stats = DetMetrics.process(self, save_dir, plot, on_plot=on_plot)
        if not stats:
            return stats
        results = ap_per_class(
            stats["tp_m"], stats["conf_m"], stats["pred_cls_m"], stats["target_cls_m"],
            plot=plot, on_plot=on_plot, save_dir=save_dir, names=self.names, prefix="Mask",
        )[2:]  # fmt: skip
        self.seg.nc = len(self.names)
        self.seg.update(results)
        count = len(self.names)
        self.mask_nt_per_class = np.bincount(stats["target_cls_m"].astype(int), minlength=count)
        self.mask_nt_per_image = np.bincount(stats["target_img_m"].astype(int), minlength=count)
        return stats

    def class_result(self, i: int) -> list[float]:
        """Return P, R, mAP50 and mAP50-95 of the i-th class that has boxes, for boxes and masks; NaN without masks."""
        return [*DetMetrics.class_result(self, i), *self._mask_values(i, ("p", "r", "ap50", "ap"))]

    def summary(self, normalize: bool = True, decimals: int = 5) -> list[dict[str, Any]]:
        """Return one row for each class that has boxes; masks are NaN where there are none."""
        rows = DetMetrics.summary(self, normalize, decimals)
        for i, row in enumerate(rows):
            values = [round(value, decimals) for value in self._mask_values(i, ("p", "r", "f1"))]
            row.update(zip(("Mask-P", "Mask-R", "Mask-F1"), values, strict=True))
        return rows

    def _mask_values(self, i: int, names: tuple[str, ...]) -> list[float]:
        found = [int(index) for index in self.seg.ap_class_index]
        wanted = int(self.box.ap_class_index[i])
        if wanted not in found:
            return [float("nan")] * len(names)
        return [float(getattr(self.seg, name)[found.index(wanted)]) for name in names]

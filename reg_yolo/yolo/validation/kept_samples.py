"""Validators that keep what calibration is measured on: confidence, box, sigma, and how far a right box is off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn
from ultralytics.utils import ops
from ultralytics.utils.metrics import box_iou

from reg_yolo.evaluation.calibration import LEAST_CONFIDENCE, CalibrationSample
from reg_yolo.yolo.validation.validators import RegDetectionValidator

if TYPE_CHECKING:
    # Stands before one of our validators, whose attributes it uses.
    from reg_yolo.yolo.validation.validators import RegDetectionValidator as Host
else:
    Host = object


class SampleKeeping(Host):
    """Mix-in for our validators; `calibration_sample` reads out the last validation."""

    _kept: list[tuple[str, dict[str, np.ndarray]]]

    def init_metrics(self, model: nn.Module) -> None:
        """Start with nothing kept."""
        super().init_metrics(model)
        self._kept = []

    def _process_batch(self, preds: dict[str, Tensor], batch: dict[str, Any]) -> dict[str, np.ndarray]:
        stats = super()._process_batch(preds, batch)
        self._kept.append((str(batch["im_file"]), _of_image(preds, batch, stats["tp"][:, 0])))
        return stats

    def calibration_sample(self) -> CalibrationSample:
        """Return the detections of the last validation from a confidence of 0.05 on."""
        ordered = sorted(self._kept, key=lambda kept: kept[0])
        columns = {
            key: np.concatenate([kept[key] for _, kept in ordered] or [np.zeros((0, 4))])
            for key in ("class_id", "confidence", "correct", "boxes", "off", "sigma")
        }
        counts = [len(kept["confidence"]) for _, kept in ordered]
        return CalibrationSample(
            tuple(name for name, _ in ordered), np.repeat(np.arange(len(ordered)), counts), **columns
        )


def _of_image(preds: dict[str, Tensor], batch: dict[str, Any], correct: np.ndarray) -> dict[str, np.ndarray]:
    """Return what is kept of an image; lengths in pixels of the image as it lies on disk."""
    rows = (preds["conf"] >= LEAST_CONFIDENCE).nonzero().squeeze(1)
    right = correct[rows.cpu().numpy()]
    shape = batch["ori_shape"]
    found, true = (
        ops.scale_boxes(batch["imgsz"], boxes.float().clone(), shape, ratio_pad=batch["ratio_pad"]).cpu()
        for boxes in (preds["bboxes"][rows], batch["bboxes"].reshape(-1, 4))
    )
    off = np.full((len(rows), 4), np.nan)
    classes = preds["cls"][rows].cpu()
    if right.any():
        # The object that a right box answers for is the one of its class that it overlaps most.
        overlap = box_iou(found[right], true) * (classes[right][:, None] == batch["cls"].cpu()[None])
        off[right] = (found[right] - true[overlap.argmax(1)]).numpy()
    sigma = np.full((len(rows), 4), np.nan)
    if "sigma" in preds:
        sigma = preds["sigma"][rows].cpu().numpy().astype(np.float64) / batch["ratio_pad"][0][0]
    return {
        "class_id": classes.numpy().astype(np.int64),
        "confidence": preds["conf"][rows].cpu().numpy().astype(np.float64),
        "correct": right,
        "boxes": ops.xyxy2xywh(found).numpy().astype(np.float64) / np.array([shape[1], shape[0]] * 2),
        "off": off,
        "sigma": sigma,
    }


def keeping_samples(validator: type[RegDetectionValidator]) -> Any:
    """Return a subclass of one of our validators that keeps what calibration is measured on."""
    return type(validator.__name__, (SampleKeeping, validator), {"__module__": validator.__module__})

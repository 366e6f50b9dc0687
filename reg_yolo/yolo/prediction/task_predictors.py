"""The predictor of each task, made for given weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reg_yolo.yolo.prediction.predictors import RegDetectionPredictor
from reg_yolo.yolo.prediction.segmentation_predictor import RegSegmentationPredictor
from reg_yolo.yolo.weights.detector import Detector


def make_predictor(detector: Detector, settings: Mapping[str, Any], thresholds: Sequence[float]) -> Any:
    """Return a predictor that has not opened its network yet.

    Args:
        detector: The weights.
        settings: Ultralytics' arguments. Masks are computed at the frame's own size unless `retina_masks` says else.
        thresholds: Confidence in [0, 1] of each class in index order.
    """
    if detector.task == "detect":
        boxes = RegDetectionPredictor(overrides=dict(settings))
        boxes.class_thresholds = list(thresholds)
        return boxes
    masks = RegSegmentationPredictor(overrides={"retina_masks": True, **settings, "task": "segment"})
    masks.class_thresholds = list(thresholds)
    masks.with_masks = [name in detector.mask_classes for name in detector.class_names]
    masks.keeps_detections_without_mask = detector.task == "joint"
    return masks

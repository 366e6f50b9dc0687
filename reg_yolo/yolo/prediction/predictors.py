"""The predictor of each task: a confidence threshold for each class, and no detection lost for want of a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from ultralytics.engine.results import Results
from ultralytics.models.yolo.detect import DetectionPredictor
from ultralytics.models.yolo.segment import SegmentationPredictor
from ultralytics.utils import ops

from reg_yolo.yolo.weights.detector import Detector


class RegDetectionPredictor(DetectionPredictor):
    """Upstream's predictor; scores below their class's threshold are dropped before suppression.

    One threshold for all classes drops the rare ones. Dropping before suppression keeps a box that is not reported
    from suppressing one that is.

    Attributes:
        class_thresholds: Confidence in [0, 1] of each class in index order, or None for one threshold for all.
    """

    class_thresholds: list[float] | None = None

    def postprocess(self, preds: Any, img: Tensor, orig_imgs: Any, **kwargs: Any) -> Any:
        """Drop scores below their class's threshold, then suppress as upstream does."""
        if self.class_thresholds is not None:
            preds = drop_scores(preds, self.class_thresholds)
        return super().postprocess(preds, img, orig_imgs, **kwargs)


def drop_scores(preds: Any, thresholds: list[float]) -> Any:
    """Set scores below their class's threshold to 0 in a raw prediction Tensor[B, 4 + C + extra, A] (or its tuple)."""
    if isinstance(preds, (list, tuple)):
        return type(preds)((drop_scores(preds[0], thresholds), *preds[1:]))
    limits = torch.tensor(thresholds, device=preds.device, dtype=preds.dtype).view(1, -1, 1)
    scores = preds[:, 4 : 4 + len(thresholds)]
    kept = torch.where(scores >= limits, scores, torch.zeros_like(scores))
    return torch.cat((preds[:, :4], kept, preds[:, 4 + len(thresholds) :]), 1)


class RegSegmentationPredictor(SegmentationPredictor, RegDetectionPredictor):
    """Upstream's predictor of masks with a confidence threshold for each class.

    Attributes:
        with_masks: By class index, whether the class has masks; a detection of another class gets an empty one.
        keeps_detections_without_mask: Whether a detection stays whose mask has no pixel; upstream drops it. So it is
            in the joint task, where every class has boxes and some have masks; `with_masks` counts there alone.
    """

    with_masks: Sequence[bool] = ()
    keeps_detections_without_mask: bool = False

    def construct_result(
        self, pred: Tensor, img: Tensor, orig_img: NDArray[np.uint8], img_path: str, proto: Tensor
    ) -> Results:
        """Return the result of one image.

        Args:
            pred: Tensor[N, 6 + K], boxes in network pixels, confidence, class, mask coefficients.
            img: Tensor[B, 3, H, W], the network's input.
            orig_img: The image.
            img_path: Its name.
            proto: Tensor[K, h, w], mask prototypes.
        """
        if not self.keeps_detections_without_mask:
            return super().construct_result(pred, img, orig_img, img_path, proto)
        boxes, coefficients = pred[:, :6].clone(), pred[:, 6:]
        has_mask = torch.tensor(self.with_masks, device=pred.device)[pred[:, 5].long()]
        height, width = orig_img.shape[:2]
        network_size = (img.shape[2], img.shape[3])
        boxes[:, :4] = ops.scale_boxes(network_size, boxes[:, :4], orig_img.shape)
        masks = None
        if has_mask.any():
            if self.args.retina_masks:
                found = ops.process_mask_native(proto, coefficients[has_mask], boxes[has_mask, :4], (height, width))
            else:
                found = ops.process_mask(proto, coefficients[has_mask], pred[has_mask, :4], network_size, upsample=True)
            # Upstream wants one mask a row: those without one are empty.
            masks = torch.zeros((len(pred), *found.shape[1:]), dtype=found.dtype, device=found.device)
            masks[has_mask] = found
        return Results(orig_img, path=img_path, names=self.model.names, boxes=boxes, masks=masks)


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

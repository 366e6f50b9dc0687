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

from reg_yolo.config.suppression import SuppressionSettings
from reg_yolo.yolo.suppression.box_spread import SIGMA_COLUMNS, widened_output
from reg_yolo.yolo.suppression.suppression import Suppression
from reg_yolo.yolo.weights.detector import Detector


class RegDetectionPredictor(DetectionPredictor):
    """Upstream's predictor; scores below their class's threshold are dropped before suppression.

    One threshold for all classes drops the rare ones. Dropping before suppression keeps a box that is not reported
    from suppressing one that is.

    Attributes:
        class_thresholds: Confidence in [0, 1] of each class in index order, or None for one threshold for all.
        ranking: How raw boxes become detections.
        suppression: What suppresses, with what it has counted so far.
        temperatures: Of each class in index order, which calibrate the confidences of results; None leaves them.
    """

    class_thresholds: list[float] | None = None
    ranking: SuppressionSettings = SuppressionSettings()
    suppression: Suppression
    temperatures: list[float] | None = None

    def inference(self, im: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Run the network; its output gets what `ranking` takes from the box distributions."""
        return widened_output(
            super().inference(im, *args, **kwargs), self.ranking, len(self.model.names), int(self.model.stride),
            im.shape[-2:],
        )  # fmt: skip

    def postprocess(self, preds: Any, img: Tensor, orig_imgs: Any, **kwargs: Any) -> list[Results]:
        """Drop scores below their class's threshold, suppress as `ranking` says, and give the results their sigma.

        Each result has an attribute `sigma_xyxy`: Tensor[N, 4] in pixels of the image, None where nobody asked.
        """
        if self.class_thresholds is not None:
            preds = drop_scores(preds, self.class_thresholds)
        if self.ranking.is_stock:
            return super().postprocess(preds, img, orig_imgs, **kwargs)
        kept = self.suppression(
            preds,
            self.args.conf,
            self.args.iou,
            classes=self.args.classes,
            agnostic=self.args.agnostic_nms,
            max_det=self.args.max_det,
            nc=len(self.model.names),
            end2end=getattr(self.model, "end2end", False),
        )
        return self.construct_results(kept, img, orig_imgs, **kwargs)

    def construct_result(self, pred: Tensor, img: Tensor, orig_img: NDArray[np.uint8], img_path: str) -> Results:
        """Return the result of one image; arguments as upstream's, with sigma in the last columns of `pred`."""
        self.calibrate(pred)
        result = super().construct_result(pred, img, orig_img, img_path)
        result.sigma_xyxy = self.sigma_in_image(pred, img, orig_img)
        return result

    def calibrate(self, pred: Tensor) -> None:
        """Replace the confidences of detections Tensor[N, 6 + K] by sigmoid(logit(p) / T), in place."""
        if self.temperatures is not None:
            power = 1.0 / torch.tensor(self.temperatures, device=pred.device)[pred[:, 5].long()]
            up, down = pred[:, 4] ** power, (1.0 - pred[:, 4]) ** power
            pred[:, 4] = up / (up + down)

    def sigma_in_image(self, pred: Tensor, img: Tensor, orig_img: NDArray[np.uint8]) -> Tensor | None:
        """Return sigma of each side in pixels of the image, Tensor[N, 4]; None where nobody asked for it."""
        if not self.ranking.sigma:
            return None
        height, width = orig_img.shape[:2]
        return pred[:, -SIGMA_COLUMNS:] / min(img.shape[2] / height, img.shape[3] / width)


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

    def construct_result(  # type: ignore[override]
        self, pred: Tensor, img: Tensor, orig_img: NDArray[np.uint8], img_path: str, proto: Tensor
    ) -> Results:
        """Return the result of one image.

        Args:
            pred: Tensor[N, 6 + K (+ 4)], boxes in network pixels, confidence, class, mask coefficients, sigma.
            img: Tensor[B, 3, H, W], the network's input.
            orig_img: The image.
            img_path: Its name.
            proto: Tensor[K, h, w], mask prototypes.
        """
        self.calibrate(pred)
        sigma = self.sigma_in_image(pred, img, orig_img)
        if sigma is None and not self.keeps_detections_without_mask:
            result = SegmentationPredictor.construct_result(self, pred, img, orig_img, img_path, proto)
            result.sigma_xyxy = None
            return result
        boxes, coefficients = pred[:, :6].clone(), pred[:, 6 : 6 + proto.shape[0]]
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
        if masks is not None and not self.keeps_detections_without_mask:
            seen = masks.amax((-2, -1)) > 0
            boxes, masks, sigma = boxes[seen], masks[seen], None if sigma is None else sigma[seen]
        result = Results(orig_img, path=img_path, names=self.model.names, boxes=boxes, masks=masks)
        result.sigma_xyxy = sigma
        return result


def make_predictor(
    detector: Detector,
    settings: Mapping[str, Any],
    thresholds: Sequence[float],
    ranking: SuppressionSettings | None = None,
) -> Any:
    """Return a predictor that has not opened its network yet.

    Args:
        detector: The weights.
        settings: Ultralytics' arguments. Masks are computed at the frame's own size unless `retina_masks` says else.
        thresholds: Confidence in [0, 1] of each class in index order.
        ranking: How raw boxes become detections; None for Ultralytics' way.
    """
    ranking = ranking or SuppressionSettings()
    if detector.task == "detect":
        predictor: Any = RegDetectionPredictor(overrides=dict(settings))
    else:
        predictor = RegSegmentationPredictor(overrides={"retina_masks": True, **settings, "task": "segment"})
        predictor.with_masks = [name in detector.mask_classes for name in detector.class_names]
        predictor.keeps_detections_without_mask = detector.task == "joint"
    predictor.class_thresholds = list(thresholds)
    predictor.ranking = ranking
    predictor.suppression = Suppression(ranking.kind)
    return predictor

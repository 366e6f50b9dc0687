"""Prediction with a confidence threshold for each class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from ultralytics.models.yolo.detect import DetectionPredictor


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

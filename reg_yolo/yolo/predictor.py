"""Prediction with a confidence threshold for each class."""

from __future__ import annotations

from collections import deque
from typing import Any

import cv2
import torch
from torch import Tensor
from ultralytics.models.yolo.detect import DetectionPredictor


class RegDetectionPredictor(DetectionPredictor):
    """Upstream's predictor; scores below their class's threshold are dropped before suppression.

    One threshold for all classes drops the rare ones. Dropping before suppression keeps a box that is not reported
    from suppressing one that is.

    Attributes:
        class_thresholds: Confidence in [0, 1] of each class in index order, or None for one threshold for all.
        clock: Index and timestamp of the frames that upstream's loader has read from a video; None for images.
    """

    class_thresholds: list[float] | None = None
    clock: FrameClock | None = None

    def setup_source(self, source: Any, stride: int | None = None) -> None:
        """Open the source as upstream does, and note the container's timestamp of every frame of a video."""
        super().setup_source(source, stride)
        capture = getattr(self.dataset, "cap", None)
        self.clock = None
        if isinstance(capture, cv2.VideoCapture):
            self.clock = FrameClock(capture)
            self.dataset.cap = self.clock

    def postprocess(self, preds: Any, img: Tensor, orig_imgs: Any, **kwargs: Any) -> Any:
        """Drop scores below their class's threshold, then suppress as upstream does."""
        if self.class_thresholds is not None:
            preds = drop_scores(preds, self.class_thresholds)
        return super().postprocess(preds, img, orig_imgs, **kwargs)


class FrameClock:
    """A `cv2.VideoCapture` that remembers which frames were taken from it, and their timestamps in the container.

    Upstream's loader counts frames and divides by a nominal rate, which is wrong with a variable frame rate.
    """

    def __init__(self, capture: cv2.VideoCapture) -> None:
        """Wrap an opened capture."""
        self._capture = capture
        self._grabbed = 0
        self._taken: deque[tuple[int, float]] = deque()

    def grab(self) -> bool:
        """Step to the next frame."""
        success = bool(self._capture.grab())
        self._grabbed += success
        return success

    def retrieve(self, *arguments: Any) -> Any:
        """Decode the frame that was stepped to, and note its index and time."""
        result = self._capture.retrieve(*arguments)
        if result[0]:
            self._taken.append((self._grabbed - 1, self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0))
        return result

    def next_frame(self) -> tuple[int, float]:
        """Return index and timestamp in seconds of the next frame in the order they were taken."""
        return self._taken.popleft()

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on to the capture."""
        return getattr(self._capture, name)


def drop_scores(preds: Any, thresholds: list[float]) -> Any:
    """Set scores below their class's threshold to 0 in a raw prediction Tensor[B, 4 + C + extra, A] (or its tuple)."""
    if isinstance(preds, (list, tuple)):
        return type(preds)((drop_scores(preds[0], thresholds), *preds[1:]))
    limits = torch.tensor(thresholds, device=preds.device, dtype=preds.dtype).view(1, -1, 1)
    scores = preds[:, 4 : 4 + len(thresholds)]
    kept = torch.where(scores >= limits, scores, torch.zeros_like(scores))
    return torch.cat((preds[:, :4], kept, preds[:, 4 + len(thresholds) :]), 1)

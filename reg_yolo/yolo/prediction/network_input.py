"""From pictures to the network's input: upstream's letterbox and numbers, bit for bit, in fewer passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from ultralytics.data.loaders import SourceTypes
from ultralytics.utils.checks import check_imgsz

Picture = NDArray[np.uint8]
# Planes red, green, blue out of OpenCV's blue, green, red.
_TO_RGB_PLANES = [2, 0, 1, 1, 0, 2]


def set_up(predictor: Any) -> None:
    """Bring a predictor with a model into the state in which upstream's loop takes its steps.

    Args:
        predictor: Upstream's predictor of any task, after `setup_model`.
    """
    # Upstream's suppression takes torchvision's where it is imported.
    import torchvision  # noqa: F401

    model = predictor.model
    if hasattr(model, "imgsz") and not getattr(model, "dynamic", False):
        predictor.args.imgsz = model.imgsz
    predictor.imgsz = check_imgsz(predictor.args.imgsz, stride=model.stride, min_dim=2)
    predictor.source_type = SourceTypes()


def prepare(predictor: Any, pictures: Sequence[Picture]) -> Tensor:
    """Return the input Tensor[B, 3, H, W] of a batch: RGB, in [0, 1], on the model's device.

    The same as upstream's `preprocess`, which turns channels and reorders them in separate passes over the batch.

    Args:
        predictor: Upstream's predictor after `set_up`.
        pictures: BGR, shape (H, W, 3), uint8.
    """
    boxed = predictor.pre_transform(list(pictures))
    height, width = boxed[0].shape[:2]
    planes = np.empty((len(boxed), 3, height, width), np.uint8)
    for picture, target in zip(boxed, planes, strict=True):
        cv2.mixChannels([picture], list(target), _TO_RGB_PLANES)
    batch = torch.from_numpy(planes).to(predictor.device)
    return (batch.half() if predictor.model.fp16 else batch.float()).div_(255)

"""What is private in an image, for those who store images and know no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.yolo.prediction.blurring import Box, blur_digest, find_all, open_finders

__all__ = ["blur_digest", "private_boxes"]


def private_boxes(
    blur: Sequence[str | Path], *, device: Any = None, trust: bool = False
) -> tuple[Callable[[NDArray[np.uint8]], list[Box]], tuple[str, ...]]:
    """Return a function of a BGR image that gives x1, y1, x2, y2 in pixels of what is private, and what it looks for.

    The second is a text for each of the weights, their file's name and the classes, such as `yolov8n.pt:person,car`.

    The function raises BlurError where nobody knows what is private.

    Args:
        blur: Weights, each as WEIGHTS or WEIGHTS:CLASS,CLASS.
        device: As Ultralytics takes it.
        trust: Load checkpoints that run code of their own.

    Raises:
        ConfigError: If a class is not one of the weights'.
        WeightsError: If weights cannot be read.
    """
    finders = open_finders(blur, device=device, trust=trust)
    return partial(find_all, finders), tuple(finder.stated for finder in finders)

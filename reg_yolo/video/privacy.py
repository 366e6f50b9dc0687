"""What may be stored: every image passes `release` on its way to a file.

The writers in `reg_yolo.video.writer` take nothing but a `ReleasedPicture`, and `release` alone makes one, so that no
pixel reaches a disk past it. Images are encoded from bare pixels: position, time and device that a camera wrote into
a file's metadata are not copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Box = Sequence[float]

# A detector's box may cut an ear or the first letter off.
MARGIN = 0.15
# Cells along the longer side of a blurred box; a face or a plate cannot be told from so few.
MOST_CELLS = 6


@dataclass(frozen=True, slots=True)
class ReleasedPicture:
    """An image that may be stored; only `release` makes one.

    Attributes:
        pixels: BGR, shape (H, W, 3), uint8.
    """

    pixels: Picture


def release(picture: Picture, private_boxes: Sequence[Box] = (), *, in_place: bool = False) -> ReleasedPicture:
    """Return the image with everything private made unrecognisable.

    Args:
        picture: BGR, shape (H, W, 3), uint8.
        private_boxes: x1, y1, x2, y2 in pixels, of faces and plates; each grows by `MARGIN` of its sides.
        in_place: Blur in `picture` itself, where nobody needs it any more.

    Raises:
        ValueError: If a box is not finite, so that nobody knows what to blur.
    """
    pixels = picture if in_place and picture.flags.writeable else picture.copy()
    for box in private_boxes:
        _pixelate(pixels, box)
    return ReleasedPicture(pixels)


def not_blurred(stated: Sequence[str], given: Sequence[str]) -> str | None:
    """Return the first of what earlier images were blurred by that would not be blurred now; None where all would.

    Args:
        stated: As a detections file states it: `WEIGHTS:CLASS,CLASS`, or of earlier versions the weights alone, whose
            classes nobody knows any more.
        given: What is blurred now, likewise.

    Example:
        >>> not_blurred(["yolov8n.pt:person,car"], ["yolov8n.pt:person"])
        'yolov8n.pt:person,car'
        >>> not_blurred(["yolov8n.pt:person"], ["yolov8n.pt:person,car"])
    """
    now: dict[str, set[str]] = {}
    for word in given:
        weights, classes = _weights_and_classes(word)
        now.setdefault(weights, set()).update(classes)
    for word in stated:
        weights, classes = _weights_and_classes(word)
        if weights not in now or not classes <= now[weights]:
            return word
    return None


def _weights_and_classes(word: str) -> tuple[str, set[str]]:
    weights, colon, classes = word.rpartition(":")
    return (weights, set(classes.split(","))) if colon else (word, set())


def _pixelate(pixels: Picture, box: Box) -> None:
    x1, y1, x2, y2 = (float(value) for value in box)
    if not np.isfinite((x1, y1, x2, y2)).all():
        raise ValueError(f"private box must be finite, got {(x1, y1, x2, y2)}")
    height, width = pixels.shape[:2]
    margin_x, margin_y = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
    left, right = max(0, int(x1 - margin_x)), min(width, int(np.ceil(x2 + margin_x)))
    top, bottom = max(0, int(y1 - margin_y)), min(height, int(np.ceil(y2 + margin_y)))
    if left >= right or top >= bottom:
        return
    part = pixels[top:bottom, left:right]
    cell = max(right - left, bottom - top) / MOST_CELLS
    cells = max(1, round((right - left) / cell)), max(1, round((bottom - top) / cell))
    # Each cell is the mean of its pixels, so nothing finer is left to be sharpened.
    coarse = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
    part[...] = cv2.resize(coarse, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)

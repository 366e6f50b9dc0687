"""What of an object is seen, whether a person could name it, and its label row."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.labelling.polygons import outline
from reg_yolo.scenes.rendering.camera import Camera
from reg_yolo.scenes.world import catalogue

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class LabelRule:
    """What must be seen of an object before it is labelled: too small or too hidden to name means no label.

    Args:
        long_side_px: smallest longer side of the visible part's box.
        short_side_px: smallest shorter side.
        pixels: smallest count of visible pixels.
        visible: smallest share of the object's own silhouette, hidden and cut-off parts included, that is seen.
        visible_large: the same for an object that fills at least `large_px` pixels of the image.
        large_px: see `visible_large`.
        visible_long: the same for guardrails and bridges, which are longer than any image.
        arm: smallest share of the silhouette's width that is seen of a lamp pole: without its arm it is just a post.
        contrast: smallest difference in grey levels between the object, its parts and what surrounds it.
        facing: smallest cosine between the front of a sign and the line to the camera: backs have no class.
    """

    long_side_px: float = 18.0
    short_side_px: float = 7.0
    pixels: int = 70
    visible: float = 0.3
    visible_large: float = 0.14
    large_px: int = 1500
    visible_long: float = 0.06
    arm: float = 0.6
    contrast: float = 7.5
    facing: float = 0.35


@dataclass(frozen=True)
class Label:
    """The visible part of one asset in one image.

    Args:
        number: value of its pixels in the number buffer.
        class_id: index of its class.
        box: left, top, right, bottom in pixels; the right and lower borders are exclusive.
        visible_pixels: how many pixels show it.
        visible_share: those pixels over its whole silhouette.
        asset_id: identity in the world.
    """

    number: int
    class_id: int
    box: tuple[int, int, int, int]
    visible_pixels: int
    visible_share: float
    asset_id: str = ""


def visible_boxes(numbers: NDArray[np.uint8], count: int) -> list[tuple[tuple[int, int, int, int], int]]:
    """Tight box and pixel count of object numbers 1 to `count`; ((0, 0, 0, 0), 0) for what is not seen."""
    found: list[tuple[tuple[int, int, int, int], int]] = []
    histogram = np.bincount(numbers.ravel(), minlength=256)
    for number in range(1, count + 1):
        if not histogram[number]:
            found.append(((0, 0, 0, 0), 0))
            continue
        x, y, w, h = cv2.boundingRect((numbers == number).view(np.uint8))
        found.append(((x, y, x + w, y + h), int(histogram[number])))
    return found


def contrast(grey: NDArray[np.uint8], numbers: NDArray[np.uint8], number: int, box: tuple[int, int, int, int]) -> float:
    """How far an object stands out, in grey levels: from its surroundings, or within itself."""
    height, width = grey.shape
    x0, y0, x1, y1 = max(box[0] - 4, 0), max(box[1] - 4, 0), min(box[2] + 4, width), min(box[3] + 4, height)
    own = numbers[y0:y1, x0:x1] == number
    around = cv2.dilate(own.view(np.uint8), np.ones((7, 7), np.uint8)).astype(bool) & ~own
    values = grey[y0:y1, x0:x1]
    inside = values[own].astype(np.float64)
    apart = abs(float(inside.mean()) - float(values[around].mean())) if around.any() else 0.0
    return max(apart, float(inside.std()))


def yolo_row(numbers: NDArray[np.uint8], label: Label, camera: Camera, *, boxes_only: bool) -> str:
    """One line of a YOLO label file: a polygon for classes with masks, else `class cx cy w h`, all from 0 to 1."""
    if not boxes_only and label.class_id in catalogue.MASK_CLASSES:
        x0, y0, x1, y1 = label.box
        points = outline((numbers[y0:y1, x0:x1] == label.number).view(np.uint8)) + np.array([x0, y0])
        scaled = points / np.array([camera.width, camera.height])
        return f"{label.class_id} " + " ".join(f"{v:.5f}" for v in scaled.ravel())
    x0, y0, x1, y1 = label.box
    values = (
        (x0 + x1) / 2 / camera.width,
        (y0 + y1) / 2 / camera.height,
        (x1 - x0) / camera.width,
        (y1 - y0) / camera.height,
    )
    return f"{label.class_id} " + " ".join(f"{v:.6f}" for v in values)

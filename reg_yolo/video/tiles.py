"""Parts of the frame that the network sees: a region without bonnet and sky, and tiles for small objects."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError

# Neighbouring tiles share this part of their sides, so that an object up to that size is whole in one of them.
OVERLAP = 0.2
# A box on a cut that lies in another one by this part is a piece of the same object.
_SAME_OBJECT = 0.6
_SMALLEST_PX = 32


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle of whole pixels; right and bottom are the first ones outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top

    def of(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return this part of an image of shape (H, W, 3), as a view of its pixels."""
        return picture[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle x1, y1, x2, y2 in pixels, or in fractions of the frame's sides."""

    corners: tuple[float, float, float, float]
    fractions: bool

    def crop(self, width: int, height: int) -> Crop:
        """Return the region of a frame of the given size.

        Raises:
            ConfigError: If less than 32 pixels of it lie in the frame.
        """
        left, top, right, bottom = self.corners
        if self.fractions:
            left, top, right, bottom = left * width, top * height, right * width, bottom * height
        crop = Crop(round(left), round(top), min(round(right), width), min(round(bottom), height))
        if min(crop.right - crop.left, crop.bottom - crop.top) < _SMALLEST_PX:
            raise ConfigError(
                f"`roi`: leaves less than {_SMALLEST_PX} pixels of a frame of {width}x{height}: "
                f"{crop.left},{crop.top},{crop.right},{crop.bottom}"
            )
        return crop


def parse_region(text: str) -> Region:
    """Read ``x1,y1,x2,y2``: fractions of the frame if none is above 1, pixels otherwise.

    Raises:
        ConfigError: If it is not a rectangle.
    """
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4 or not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise ConfigError(f"`roi`: got {text!r}, expected x1,y1,x2,y2 such as 0,0.3,1,0.9 or 0,200,1920,980")
    x1, y1, x2, y2 = numbers
    if x1 >= x2 or y1 >= y2:
        raise ConfigError(f"`roi`: got {text!r}, expected x1 < x2 and y1 < y2 (left, top, right, bottom)")
    return Region((x1, y1, x2, y2), fractions=max(numbers) <= 1)


def parse_tiles(text: str) -> tuple[int, int]:
    """Read the size of a tile, ``960`` or ``WIDTHxHEIGHT``, and return width and height in pixels.

    Raises:
        ConfigError: If it is none, or below 32 pixels.
    """
    match = re.match(r"^\s*(\d+)(?:\s*[xX×]\s*(\d+))?\s*$", text)
    width, height = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if min(width, height) < _SMALLEST_PX:
        raise ConfigError(f"`tiles`: got {text!r}, expected pixels from {_SMALLEST_PX} such as 960 or 960x540")
    return width, height


@dataclass(frozen=True, slots=True)
class View:
    """What the network sees of every frame.

    Attributes:
        region: Cuts bonnet and sky; None for the whole frame.
        tile: Width and height of tiles in pixels, in addition to the whole region; None for none.
    """

    region: Region | None = None
    tile: tuple[int, int] | None = None

    def whole(self, width: int, height: int) -> Crop:
        """Return the region in a frame of the given width and height in pixels."""
        return Crop(0, 0, width, height) if self.region is None else self.region.crop(width, height)

    def crops(self, width: int, height: int) -> list[Crop]:
        """Return what the network sees of a frame: the whole region, then the tiles that cover it.

        Tiles that are not smaller than the region are left out.

        Args:
            width: Of the frame in pixels.
            height: Of the frame in pixels.
        """
        whole = self.whole(width, height)
        if self.tile is None:
            return [whole]
        columns = _starts(whole.left, whole.right, self.tile[0])
        rows = _starts(whole.top, whole.bottom, self.tile[1])
        tiles = [
            Crop(left, top, min(left + self.tile[0], whole.right), min(top + self.tile[1], whole.bottom))
            for top in rows
            for left in columns
        ]
        return [whole, *tiles] if len(tiles) > 1 else [whole]


def _starts(begin: int, end: int, side: int) -> list[int]:
    """Return where tiles begin that cover a stretch evenly, all inside it and with `OVERLAP` at least."""
    if end - begin <= side:
        return [begin]
    count = math.ceil((end - begin - side * OVERLAP) / (side * (1 - OVERLAP)))
    return [begin + round(step * (end - begin - side) / (count - 1)) for step in range(count)]


def on_a_cut(boxes_xyxy: NDArray[np.float64], crop: Crop, whole: Crop, margin: float = 2.0) -> NDArray[np.bool_]:
    """Return which boxes, Tensor-like of shape (N, 4) in frame pixels, end at a side of `crop` inside `whole`."""
    cut = np.zeros(len(boxes_xyxy), bool)
    if crop.left > whole.left:
        cut |= boxes_xyxy[:, 0] <= crop.left + margin
    if crop.top > whole.top:
        cut |= boxes_xyxy[:, 1] <= crop.top + margin
    if crop.right < whole.right:
        cut |= boxes_xyxy[:, 2] >= crop.right - margin
    if crop.bottom < whole.bottom:
        cut |= boxes_xyxy[:, 3] >= crop.bottom - margin
    return cut


def merge_tiles(
    boxes_xyxy: NDArray[np.float64],
    confidences: NDArray[np.float64],
    class_ids: NDArray[np.int64],
    crops: Sequence[Crop],
    crop_ids: NDArray[np.int64],
    iou: float,
) -> NDArray[np.int64]:
    """Return which of the boxes from all crops of a frame stay: suppression class by class, whole objects first.

    A box that a tile's side cuts off goes when most of it lies in a box of the same class that is kept, however little
    of the other it covers; among the others, the surer box goes first, as everywhere.

    Args:
        boxes_xyxy: Shape (N, 4), pixels of the full frame.
        confidences: Shape (N,).
        class_ids: Shape (N,).
        crops: The frame's crops, the whole region first.
        crop_ids: Shape (N,), the crop that each box is from.
        iou: Boxes that overlap by more are one object.

    Returns:
        Indices, surest first.
    """
    if not len(boxes_xyxy):
        return np.zeros(0, np.int64)
    cut = np.zeros(len(boxes_xyxy), bool)
    for number, crop in enumerate(crops):
        from_it = crop_ids == number
        cut[from_it] = on_a_cut(boxes_xyxy[from_it], crop, crops[0])
    areas = np.prod(np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 1e-9), axis=1)
    kept: list[int] = []
    for index in np.lexsort((-confidences, cut)):
        others = np.array([other for other in kept if class_ids[other] == class_ids[index]], np.int64)
        corner = np.minimum(boxes_xyxy[others, 2:], boxes_xyxy[index, 2:])
        sides = np.maximum(corner - np.maximum(boxes_xyxy[others, :2], boxes_xyxy[index, :2]), 0)
        shared = np.prod(sides, axis=1)
        if np.any(shared > iou * (areas[others] + areas[index] - shared)):
            continue
        if cut[index] and np.any(shared > _SAME_OBJECT * areas[index]):
            continue
        kept.append(int(index))
    kept.sort(key=lambda index: -confidences[index])
    return np.array(kept, np.int64)

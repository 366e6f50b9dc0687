"""Images side by side under titles, and detections that follow when an image is made smaller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.masks import decode_mask, encode_mask
from reg_yolo.drawing.text_tiles import TextTiles

Frame = NDArray[np.uint8]

GAP_PX = 8
_TITLE_PX, _CAPTION_PX, _SMALLEST_PX = 26, 17, 9


def resized_image(picture: Frame, width: int, height: int) -> Frame:
    """Return a BGR image of another size; areas are averaged when it gets smaller."""
    smaller = width < picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def resized_detections(detections: FrameDetections, width: int, height: int) -> FrameDetections:
    """Return the detections of an image for the same image of another size in pixels."""
    across, down = width / detections.width, height / detections.height
    moved = []
    for detection in detections.detections:
        left, top, right, bottom = detection.box_xyxy
        box = (left * across, top * down, right * across, bottom * down)
        moved.append(replace(detection, box_xyxy=box, mask=_resized_mask(detection, across, down, width, height)))
    return replace(detections, width=width, height=height, detections=tuple(moved))


def image_grid(
    rows: Sequence[Sequence[Frame]],
    titles: Sequence[str],
    captions: Sequence[str] | None = None,
    *,
    font_path: Path | None = None,
) -> Frame:
    """Return images in rows and columns on white, a title over each column and a caption over each row.

    Args:
        rows: BGR images, as many in each row as there are titles. Within a row they have one size; rows may differ.
        titles: One for each column.
        captions: One for each row.
        font_path: Another font than the one that is shipped.

    Raises:
        ValueError: If a row has another number of images than there are titles.
    """
    wrong = next((row for row in rows if len(row) != len(titles)), None)
    if wrong is not None or not rows:
        raise ValueError(f"every row must have {len(titles)} images as there are titles, got {len(wrong or ())}")
    column = max(picture.shape[1] for row in rows for picture in row)
    width = len(titles) * (column + GAP_PX) + GAP_PX
    heading = [_line_of_text(title, column, _TITLE_PX, font_path) for title in titles]
    strips = [np.full((GAP_PX, width, 3), 255, np.uint8), _side_by_side(heading, column, width)]
    for index, row in enumerate(rows):
        if captions is not None:
            line = _line_of_text(captions[index], width - 2 * GAP_PX, _CAPTION_PX, font_path, centred=False)
            strips.append(_side_by_side([line], width - 2 * GAP_PX, width))
        strips.append(_side_by_side(row, column, width))
    return np.concatenate(strips)


def _resized_mask(detection: Detection, across: float, down: float, width: int, height: int) -> dict[str, Any] | None:
    mask = detection.mask
    if mask is None:
        return None
    if "counts" in mask:
        whole = decode_mask(mask).astype(np.uint8)
        return encode_mask(cv2.resize(whole, (width, height), interpolation=cv2.INTER_NEAREST))
    return {"polygons": [(np.reshape(p, (-1, 2)) * (across, down)).ravel().tolist() for p in mask["polygons"]]}


def _line_of_text(text: str, width: int, size_px: int, font_path: Path | None, *, centred: bool = True) -> Frame:
    """Return black text on white, smaller where it is too long, and cut off where even that does not fit."""
    coverage = TextTiles(size_px, [text], font_path).render(text)
    while coverage.shape[1] > width and size_px > _SMALLEST_PX:
        size_px -= 1
        coverage = TextTiles(size_px, [text], font_path).render(text)
    coverage = coverage[:, :width]
    spare = width - coverage.shape[1]
    before = spare // 2 if centred else 0
    padded = np.pad(coverage, ((0, 0), (before, spare - before)))
    return np.repeat((255 - padded)[..., None], 3, axis=2)


def _side_by_side(pictures: Sequence[Frame], column: int, width: int) -> Frame:
    """Return one strip of the grid, each image centred in its column, with a gap under it."""
    height = max(picture.shape[0] for picture in pictures)
    strip = np.full((height + GAP_PX, width, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        left = GAP_PX + index * (column + GAP_PX) + (column - picture.shape[1]) // 2
        top = (height - picture.shape[0]) // 2
        strip[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return strip

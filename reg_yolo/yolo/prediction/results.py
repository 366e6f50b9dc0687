"""Masks of upstream's results as our detections carry them: run lengths of the full frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from ultralytics.engine.results import Results
from ultralytics.utils import ops

from reg_yolo.detections.masks import encode_masks, mask_polygons


def masks_of(
    result: Results,
    corner: tuple[int, int],
    size: tuple[int, int],
    *,
    polygons: bool = False,
) -> list[dict[str, Any] | None]:
    """Return the mask of every row of a result; None where it has no pixel, as that of a class without masks.

    Args:
        result: What was found on a picture, or on a part of one.
        corner: Left and top of that part in pixels of the full frame.
        size: Height and width of the full frame.
        polygons: Add the outlines of the masks' parts.
    """
    rows = len(result.boxes)
    found: list[dict[str, Any] | None] = [None] * rows
    if result.masks is None or not rows:
        return found
    masks = result.masks.data
    height, width = result.orig_shape
    if masks.shape[1:] != (height, width):
        masks = ops.scale_masks(masks[None].float(), (height, width))[0] > 0.5
    pixels = masks.cpu().numpy().astype(np.uint8, copy=False)
    boxes = result.boxes.xyxy.cpu().numpy()
    low = np.floor(boxes[:, :2]).astype(int).clip(0)
    high = np.ceil(boxes[:, 2:]).astype(int)
    chosen, crops = [], []
    for row in range(rows):
        crop = pixels[row, low[row, 1] : high[row, 1], low[row, 0] : high[row, 0]]
        if crop.any():
            chosen.append(row)
            crops.append(crop)
    encoded = encode_masks(crops, corners=low[chosen].reshape(-1, 2) + np.asarray(corner), size=size)
    for row, mask in zip(chosen, encoded, strict=True):
        found[row] = {**mask, "polygons": mask_polygons(mask)} if polygons else mask
    return found

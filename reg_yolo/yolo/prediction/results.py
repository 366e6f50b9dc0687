"""Upstream's results as our detections: boxes in pixels of the full frame, masks as its run lengths, tiles merged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ultralytics.engine.results import Results
from ultralytics.utils import ops

from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.masks import encode_masks, mask_polygons
from reg_yolo.video.reading import SourceFrame
from reg_yolo.video.tiles import Crop, merge_tiles


def detections_of(
    pieces: Sequence[tuple[Crop, Results]],
    frame: SourceFrame,
    class_names: list[str],
    iou: float = 0.7,
    *,
    polygons: bool = False,
) -> FrameDetections:
    """Return upstream's results for one frame as our detections, boxes and masks in pixels of the full frame.

    Args:
        pieces: What was found on each part of the frame that the network saw, the whole region first.
        frame: The frame.
        class_names: In the order of their indices.
        iou: Boxes of different pieces that overlap by more are one object.
        polygons: Whether masks are given as polygons too.
    """
    height, width = frame.picture.shape[:2]
    rows: list[NDArray[np.float64]] = []
    masks: list[dict[str, Any] | None] = []
    sigmas: list[NDArray[np.float64]] = []
    for crop, result in pieces:
        data = result.boxes.data.cpu().numpy().astype(np.float64)
        data[:, [0, 2]] += crop.left
        data[:, [1, 3]] += crop.top
        rows.append(data)
        if result.sigma_xyxy is not None:
            sigmas.append(result.sigma_xyxy.cpu().numpy().astype(np.float64))
        masks += masks_of(result, (crop.left, crop.top), (height, width), polygons=polygons)
    table, sigma = rows[0], np.concatenate(sigmas) if sigmas else None
    if len(pieces) > 1:
        table = np.concatenate(rows)
        crop_ids = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        ids = table[:, 5].astype(np.int64)
        kept = merge_tiles(table[:, :4], table[:, 4], ids, [crop for crop, _ in pieces], crop_ids, iou)
        table, masks = table[kept], [masks[index] for index in kept]
        sigma = None if sigma is None else sigma[kept]
    return FrameDetections.from_arrays(
        str(frame.path), frame.index, frame.time_s, width, height,
        boxes_xyxy=table[:, :4], confidences=table[:, 4], class_ids=table[:, 5], class_names=class_names,
        masks=masks, sigmas_xyxy=sigma,
    )  # fmt: skip


def masks_of(
    result: Results,
    corner: tuple[int, int],
    size: tuple[int, int],
    *,
    polygons: bool = False,
) -> list[dict[str, Any] | None]:
    """Return the mask of every row of a result; None where it has no pixel, as that of a class without masks.

    Args:
        result: What was found on an image, or on a part of one.
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

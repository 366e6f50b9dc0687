"""From detections to objects that a person can correct: a few corners instead of every pixel's edge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from reg_yolo.data.objects.annotations import ObjectAnnotation, Ring
from reg_yolo.data.objects.fitting import fit_object
from reg_yolo.data.objects.outlines import mask_rings, ring_area
from reg_yolo.data.prelabel.frames import DetectedFrame
from reg_yolo.detections.masks import decode_mask

# Outlines follow a mask to this many pixels: with every step of its border a person could not move them.
OUTLINE_PX = 1.0
BAD_MASK = "mask that cannot be read: kept as a box"
BELOW = "object below the threshold"
_LEAST_AREA = 1.0


def detected_objects(frame: DetectedFrame, skipped: Counter[str]) -> list[tuple[ObjectAnnotation, int | None]]:
    """Return the objects of a frame that count as found, within its borders, each with its track.

    Args:
        frame: The frame.
        skipped: Counts what is left out or changed, by reason.
    """
    kept: list[tuple[ObjectAnnotation, int | None]] = []
    for number, found in enumerate(frame.detections):
        # Files hold five decimals.
        if found.confidence + 5e-6 < frame.thresholds.get(found.class_name, 0.0):
            skipped[BELOW] += 1
            continue
        item = ObjectAnnotation(found.class_name, f"object {number}", found.box_xyxy, score=found.confidence)
        if found.mask is not None:
            try:
                item.parts, item.holes = _outline(found.mask, frame.size)
            except ValueError:
                skipped[BAD_MASK] += 1
            if item.parts:
                # The network's own box and the one around its mask differ by some pixels.
                item.box = None
        reason, _ = fit_object(item, *frame.size)
        if reason:
            skipped[f"object: {reason}"] += 1
        else:
            kept.append((item, found.track))
    return kept


def _outline(mask: Mapping[str, Any], size: tuple[int, int]) -> tuple[list[Ring], list[Ring]]:
    if "counts" not in mask:
        rings = [np.reshape(polygon, (-1, 2)).astype(np.float64) for polygon in mask["polygons"]]
        return [ring for ring in rings if len(ring) >= 3], []
    pixels = decode_mask(mask, (size[1], size[0]))
    parts, holes, _ = mask_rings(pixels.view(np.uint8))
    return _simplified(parts), _simplified(holes)


def _simplified(rings: list[Ring]) -> list[Ring]:
    """Thin rings; specks that have no area left fall away."""
    thinned = [
        cv2.approxPolyDP(ring.astype(np.float32)[:, None, :], OUTLINE_PX, True)[:, 0, :].astype(np.float64)
        for ring in rings
    ]
    return [ring for ring in thinned if len(ring) >= 3 and abs(ring_area(ring)) >= _LEAST_AREA]

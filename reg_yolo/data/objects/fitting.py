"""What of an object can be trained on: finite, inside the image, with an area."""

from __future__ import annotations

import numpy as np

from reg_yolo.data.objects.annotations import Box, ObjectAnnotation, Ring
from reg_yolo.data.objects.outlines import MOST_CORNERS, MOST_RINGS, bounds, clip_ring, ring_area

# Square pixels under which an outline counts as a line, and pixels under which a side counts as none.
_LEAST_AREA = 1e-3
_LEAST_SIDE = 1e-3
# Cutting less than this off is rounding.
_CUT_PX = 1.0
# Tools differ by a pixel in whether the last one counts, and round.
_OTHER_BOX_PX = 2.0
NOT_FINITE = "coordinates are not finite numbers"
NO_AREA = "no area"
OUTSIDE = "outside of the image"
TWICE = "the same object a second time"
NOTHING = "neither box nor outline"
BOX_KEPT = "outline without area: kept as a box"
CUT = "cut at the border of the image"
SPECKS = f"more than {MOST_RINGS} parts: the smallest left out"
SIMPLIFIED = f"outline of a mask simplified (over {MOST_CORNERS} corners or {MOST_RINGS} parts)"
OTHER_BOX = "box is not the one around the outline: the outline is taken"


def fit_object(item: ObjectAnnotation, width: float, height: float) -> tuple[str, list[str]]:
    """Cut an object at the borders of its image, in place; an outline wins over a box.

    Args:
        item: The object, in pixels.
        width: Width of the image.
        height: Height of the image.

    Returns:
        Why it cannot be used ("" where it can), and what was changed.
    """
    if not _finite(item):
        return NOT_FINITE, []
    changed = [SIMPLIFIED] if item.simplified else []
    if item.parts:
        before = [ring for ring in item.parts if _has_area(ring)]
        parts = [ring for ring in (clip_ring(ring, width, height) for ring in before) if _has_area(ring)]
        if parts:
            if _sticks_out(bounds(before), width, height):
                changed.append(CUT)
            # Before or after both are cut: some tools cut the one and not the other.
            if item.box is not None and not (
                _agree(item.box, bounds(before)) or _agree(_clipped(item.box, width, height), bounds(parts))
            ):
                changed.append(OTHER_BOX)
            if len(parts) > MOST_RINGS:
                parts = sorted(parts, key=lambda ring: -abs(ring_area(ring)))[:MOST_RINGS]
                changed.append(SPECKS)
            holes = [clip_ring(ring, width, height) for ring in item.holes if _has_area(ring)]
            item.parts, item.holes = parts, [ring for ring in holes if _has_area(ring)]
            item.box = None
            return "", changed
        if before:
            return OUTSIDE, []
        if item.box is None:
            return NO_AREA, []
        item.parts, item.holes, changed = [], [], [BOX_KEPT]
    if item.box is None:
        return NOTHING, []
    left, top, right, bottom = item.box
    if right - left < _LEAST_SIDE or bottom - top < _LEAST_SIDE:
        return NO_AREA, []
    box = _clipped(item.box, width, height)
    if box[2] - box[0] < _LEAST_SIDE or box[3] - box[1] < _LEAST_SIDE:
        return OUTSIDE, []
    if _sticks_out(item.box, width, height):
        changed.append(CUT)
    item.box = box
    return "", changed


def _finite(item: ObjectAnnotation) -> bool:
    rings = [*item.parts, *item.holes]
    return all(np.isfinite(ring).all() for ring in rings) and (
        item.box is None or bool(np.isfinite(np.array(item.box)).all())
    )


def _has_area(ring: Ring) -> bool:
    return len(ring) >= 3 and abs(ring_area(ring)) >= _LEAST_AREA


def _clipped(box: Box, width: float, height: float) -> Box:
    return max(box[0], 0.0), max(box[1], 0.0), min(box[2], width), min(box[3], height)


def _agree(box: Box, other: Box) -> bool:
    return all(abs(a - b) <= _OTHER_BOX_PX for a, b in zip(box, other, strict=True))


def _sticks_out(box: Box, width: float, height: float) -> bool:
    return box[0] < -_CUT_PX or box[1] < -_CUT_PX or box[2] > width + _CUT_PX or box[3] > height + _CUT_PX

"""Shapes that several formats have: ellipses, turned boxes, pixel masks, and outlines that are parts of one object."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.objects.annotations import Box, ObjectAnnotation, Ring
from reg_yolo.data.objects.outlines import bounds, mask_rings, ring_area, split_at_bridges

_ELLIPSE_CORNERS = 36


def rotated(ring: Ring, degrees: float) -> Ring:
    """Turn a ring about the middle of its box, clockwise on the screen."""
    if not degrees or not math.isfinite(degrees):
        return ring
    left, top, right, bottom = bounds([ring])
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.asarray((ring - centre) @ np.array([[cosine, sine], [-sine, cosine]]) + centre)


def turned_box(box: Box, parts: Sequence[Ring], degrees: float) -> tuple[Box, Sequence[Ring]]:
    """Return the upright box around a box that is turned about its middle, and the outline that goes with it.

    Args:
        box: Left, top, right, bottom before the turn.
        parts: Outline of the object; one that only repeats the box is left out, any other is taken as it stands.
        degrees: Clockwise on the screen.
    """
    if not degrees or not math.isfinite(degrees):
        return box, parts
    left, top, right, bottom = box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    around = bounds([rotated(corners, degrees)])
    if not parts:
        return around, parts
    area = (right - left) * (bottom - top)
    if len(parts) == 1 and np.allclose(bounds(parts), box, atol=1) and abs(abs(ring_area(parts[0])) - area) < 1:
        return around, ()
    return box, parts


def ellipse(centre: Ring, radii: Ring) -> Ring:
    """Corners `[36, 2]` of an ellipse."""
    turn = np.arange(_ELLIPSE_CORNERS) * (2 * np.pi / _ELLIPSE_CORNERS)
    return np.asarray(centre + radii * np.stack([np.cos(turn), np.sin(turn)], axis=1))


def polygon_object(class_name: str, place: str, ring: Ring) -> ObjectAnnotation:
    """Return the object of one polygon; parts and holes that we have joined by bridges are taken apart again."""
    parts, holes = split_at_bridges(ring)
    return ObjectAnnotation(class_name, place, parts=parts, holes=holes)


def mask_object(class_name: str, place: str, mask: NDArray[np.uint8], left: float, top: float) -> ObjectAnnotation:
    """Return the object of a mask `[H, W]` of 0 and 1 whose first pixel is at `left` and `top` of the image."""
    parts, holes, simplified = mask_rings(mask)
    corner = np.array([left, top])
    return ObjectAnnotation(
        class_name,
        place,
        parts=[ring + corner for ring in parts],
        holes=[ring + corner for ring in holes],
        simplified=simplified,
    )


def merge_groups(shapes: Sequence[tuple[str, ObjectAnnotation]]) -> list[ObjectAnnotation]:
    """Make one object of the outlines that share a group and a class; boxes stay by themselves.

    Args:
        shapes: Each with its group, "" for none.
    """
    merged: list[ObjectAnnotation] = []
    leaders: dict[tuple[str, str], ObjectAnnotation] = {}
    for group, item in shapes:
        leader = leaders.get((group, item.class_name)) if group and item.parts else None
        if leader is None:
            merged.append(item)
            if group and item.parts:
                leaders[(group, item.class_name)] = item
        else:
            leader.parts = [*leader.parts, *item.parts]
            leader.holes = [*leader.holes, *item.holes]
            leader.simplified |= item.simplified
    return merged

"""Rings of an object: from a mask, clipped to the image, joined into the one polygon of a YOLO row and taken apart.

A YOLO row holds a single polygon. Parts of one object are joined by bridges: the outline runs from a corner of one
part straight to the nearest corner of another, around it and back along the same line. The bridge has no area; a
rasteriser that paints outlines (`cv2.fillPoly`, which Ultralytics uses) leaves a line one pixel wide there. A hole is
joined in the same way and lies outside by the even-odd rule; painted outlines narrow it by one pixel all around. Since
a bridge is two equal edges in opposite directions, `split_at_bridges` finds it again, and a set that is written and
read keeps its parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.objects.annotations import Box, Ring

MOST_RINGS = 64
MOST_CORNERS = 1000
_SIMPLIFY_PX = 0.75
_CHUNK = 2048


def ring_area(ring: Ring) -> float:
    """Area inside a ring in square pixels, positive where it runs clockwise on the screen."""
    x, y = ring[:, 0] - ring[0, 0], ring[:, 1] - ring[0, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def bounds(rings: Sequence[Ring]) -> Box:
    """Left, top, right and bottom of all rings."""
    low = np.min([ring.min(axis=0) for ring in rings], axis=0)
    high = np.max([ring.max(axis=0) for ring in rings], axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def mask_rings(mask: NDArray[np.uint8]) -> tuple[list[Ring], list[Ring], bool]:
    """Trace a mask `[H, W]` of 0 and 1 along the borders of its pixels.

    Returns:
        Outer rings and holes, largest first, and whether they differ from the mask: corners of a ring with more than
        1000 are thinned within 0.75 pixels and more, and of more than 64 rings the smallest are left out.
    """
    left, top, width, height = cv2.boundingRect(mask)
    mask = mask[top : top + height, left : left + width]
    if not mask.size:
        return [], [], False
    # In the doubled mask the contour runs through pixels 2i where a border is at i on the left or top, and 2i - 1
    # where it is on the right or bottom, so that halving and rounding up gives the border itself.
    double = cv2.resize(np.pad(mask, 1), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, hierarchy = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    rings: list[tuple[float, bool, Ring]] = []
    exact = True
    for contour, links in zip(contours, hierarchy[0] if len(contours) else [], strict=True):
        ring = _without_straight_corners(((contour[:, 0, :] + 1) // 2 + (left - 1, top - 1)).astype(np.float64))
        tolerance = _SIMPLIFY_PX
        while len(ring) > MOST_CORNERS:
            exact = False
            ring = cv2.approxPolyDP(ring.astype(np.float32)[:, None, :], tolerance, True)[:, 0, :].astype(np.float64)
            tolerance *= 1.5
        if len(ring) >= 3:
            rings.append((abs(ring_area(ring)), bool(links[3] >= 0), ring))
    rings.sort(key=lambda entry: -entry[0])
    kept = rings[:MOST_RINGS]
    return (
        [ring for _, hole, ring in kept if not hole],
        [ring for _, hole, ring in kept if hole],
        not exact or len(kept) < len(rings),
    )


def _without_straight_corners(ring: Ring) -> Ring:
    ring = ring[np.any(ring != np.roll(ring, 1, axis=0), axis=1)]
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    straight = (before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0]) & ((before * after).sum(axis=1) > 0)
    return np.ascontiguousarray(ring[~straight])


def clip_ring(ring: Ring, width: float, height: float) -> Ring:
    """Cut a ring at the borders of the image (Sutherland and Hodgman, 1974); empty where nothing is left."""
    if ring.min() >= 0 and ring[:, 0].max() <= width and ring[:, 1].max() <= height:
        return ring
    for axis, limit, sign in ((0, 0.0, 1.0), (0, width, -1.0), (1, 0.0, 1.0), (1, height, -1.0)):
        if not len(ring):
            break
        distance = (ring[:, axis] - limit) * sign
        cut: list[NDArray[np.float64]] = []
        for k in range(len(ring)):
            here, there = distance[k - 1], distance[k]
            if (here < 0) != (there < 0):
                crossing = ring[k - 1] + (ring[k] - ring[k - 1]) * (here / (here - there))
                crossing[axis] = limit
                cut.append(crossing)
            if there >= 0:
                cut.append(ring[k])
        ring = np.array(cut).reshape(-1, 2)
    return ring


def join_rings(parts: Sequence[Ring], holes: Sequence[Ring]) -> Ring:
    """Join parts and holes into one ring along the shortest bridges between corners.

    Args:
        parts: At least one outer ring; the first corner of the first one stays first.
        holes: Rings inside them.
    """
    if len(parts) == 1 and not holes:
        return parts[0]
    rings = [ring if ring_area(ring) >= 0 else ring[::-1] for ring in parts]
    rings += [ring if ring_area(ring) <= 0 else ring[::-1] for ring in holes]
    children = _shortest_tree(rings)
    corners: list[NDArray[np.float64]] = []
    # Walk around a ring; at a corner with a bridge walk around the other ring first, then return to the corner.
    walks: list[tuple[int, Iterator[int]]] = [(0, iter(range(len(rings[0]))))]
    pending: list[tuple[int, int, list[tuple[int, int]]]] = []
    while walks:
        number, walk = walks[-1]
        index = next(walk, None)
        if index is None:
            walks.pop()
            if pending:
                parent, corner, left = pending[-1]
                corners.append(rings[parent][corner])
                _enter(rings, walks, pending, left)
            continue
        corners.append(rings[number][index])
        left = children.pop((number, index), [])
        if left:
            pending.append((number, index, left))
            _enter(rings, walks, pending, left)
    return np.array(corners)


def _enter(
    rings: list[Ring],
    walks: list[tuple[int, Iterator[int]]],
    pending: list[tuple[int, int, list[tuple[int, int]]]],
    left: list[tuple[int, int]],
) -> None:
    if not left:
        pending.pop()
        return
    child, start = left.pop()
    count = len(rings[child])
    walks.append((child, iter([(start + step) % count for step in range(count + 1)])))


def _shortest_tree(rings: list[Ring]) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Bridges of a minimum spanning tree: by ring and corner, the rings that hang there and their corners."""
    bridges: dict[tuple[int, int], list[tuple[int, int]]] = {}
    best = dict.fromkeys(range(1, len(rings)), (np.inf, 0, 0, 0))
    fresh = 0
    while best:
        for number, known in best.items():
            gap, own, other = _nearest_corners(rings[fresh], rings[number])
            if gap < known[0]:
                best[number] = (gap, fresh, own, other)
        number = min(best, key=lambda key: best[key][0])
        _, parent, own, other = best.pop(number)
        bridges.setdefault((parent, own), []).append((number, other))
        fresh = number
    return bridges


def _nearest_corners(first: Ring, second: Ring) -> tuple[float, int, int]:
    best = (np.inf, 0, 0)
    for start in range(0, len(first), _CHUNK):
        apart = ((first[start : start + _CHUNK, None, :] - second[None, :, :]) ** 2).sum(axis=2)
        row, column = np.unravel_index(int(apart.argmin()), apart.shape)
        if apart[row, column] < best[0]:
            best = (float(apart[row, column]), start + int(row), int(column))
    return best


def split_at_bridges(ring: Ring) -> tuple[list[Ring], list[Ring]]:
    """Take a joined ring apart into outer rings and holes; a ring without bridges comes back as it is."""
    points = [(float(x), float(y)) for x, y in ring]
    if len(set(points)) == len(points):
        return [ring], []
    stack: list[tuple[float, float]] = []
    edges: dict[tuple[tuple[float, float], tuple[float, float]], list[int]] = {}
    loops: list[list[tuple[float, float]]] = []
    for point in points:
        if stack:
            forward = edges.get((point, stack[-1]))
            if forward:
                position = forward[-1]
                loop = stack[position + 1 : -1]
                if len(set(loop)) >= 3:
                    loops.append(loop)
                    for k in range(len(stack) - 2, position - 1, -1):
                        edges[(stack[k], stack[k + 1])].pop()
                    del stack[position + 1 :]
                    continue
            edges.setdefault((stack[-1], point), []).append(len(stack) - 1)
        stack.append(point)
    if not loops or len(set(stack)) < 3:
        return [ring], []
    return _parts_and_holes([np.array(loop) for loop in [stack, *reversed(loops)]])


def _parts_and_holes(rings: list[Ring]) -> tuple[list[Ring], list[Ring]]:
    parts: list[Ring] = []
    holes: list[Ring] = []
    for number, ring in enumerate(rings):
        depth = sum(_lies_inside(ring, other) for k, other in enumerate(rings) if k != number)
        (holes if depth % 2 else parts).append(ring)
    return parts, holes


def _lies_inside(ring: Ring, other: Ring) -> bool:
    box, around = bounds([ring]), bounds([other])
    if box[0] < around[0] or box[1] < around[1] or box[2] > around[2] or box[3] > around[3]:
        return False
    # In fractions of the other ring's box, since the corners may be fractions of an image, small against float32.
    scale = 1000 / max(around[2] - around[0], around[3] - around[1], 1e-12)
    shifted = ((other - np.array(around[:2])) * scale).astype(np.float32)[:, None, :]
    votes = 0.0
    for x, y in (ring[:: 1 + len(ring) // 32] - np.array(around[:2])) * scale:
        votes += cv2.pointPolygonTest(shifted, (float(x), float(y)), False)
    if not votes:
        # Every corner lies on the other ring's outline, as a hole of one pixel's does.
        x, y = (ring.mean(axis=0) - np.array(around[:2])) * scale
        votes = cv2.pointPolygonTest(shifted, (float(x), float(y)), False)
    return votes > 0

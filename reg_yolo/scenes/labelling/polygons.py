"""One polygon around a mask that may be in several parts and have holes, because a YOLO row holds one polygon."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
FloatArray = NDArray[np.float64]

# In doubled pixels: areas and distances of the doubled mask.
_SMALLEST_HOLE = 12.0
_SMALLEST_PART_SHARE = 0.015
_TOLERANCE = 0.75
_MOST_POINTS = 1600


def outline(mask: Mask) -> FloatArray:
    """Corners `[N, 2]` of one polygon around a mask `[H, W]` of 0 and 1, in pixels from its upper left corner.

    The mask is doubled first, so that a line one pixel thin still has an area, and corners lie a quarter pixel inside
    the borders of their pixels: drawing the polygon with corners rounded down gives the mask again but for at most
    three eighths of a pixel at slanted borders. Parts that something cuts off are joined by a corridor one pixel wide,
    holes are opened by a slit half a pixel wide. Specks under 1.5 % of the object are left out, holes of three pixels
    and fewer are filled.
    """
    double = cv2.resize(np.pad(mask, 1), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, hierarchy = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if len(contours) > 1:
        _join_parts(double, [c for c, h in zip(contours, hierarchy[0], strict=True) if h[3] < 0])
        _open_holes(double)
        contours, _ = cv2.findContours(double, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    ring = max(contours, key=cv2.contourArea)
    fewer = cv2.approxPolyDP(ring, _TOLERANCE, True)
    corners = (fewer if len(fewer) >= 3 else ring)[:, 0, :].astype(np.float64)
    return np.asarray((corners + 0.5) / 2 - 1)


def _join_parts(double: Mask, outer: list[NDArray[np.int32]]) -> None:
    """Draw corridors between the parts, nearest corners first; erase specks."""
    ordered = sorted(outer, key=cv2.contourArea, reverse=True)
    total = sum(cv2.contourArea(c) for c in ordered)
    body = ordered[0][:, 0, :].astype(np.int64)
    rest = []
    for part in ordered[1:]:
        if cv2.contourArea(part) < _SMALLEST_PART_SHARE * total:
            cv2.drawContours(double, [part], -1, 0, -1)
        else:
            rest.append(part[:, 0, :].astype(np.int64))
    while rest:
        gaps = [((points[:, None, :] - body[None, :, :]) ** 2).sum(axis=2) for points in rest]
        nearest = int(np.argmin([gap.min() for gap in gaps]))
        points = rest.pop(nearest)
        a, b = np.unravel_index(int(gaps[nearest].argmin()), gaps[nearest].shape)
        cv2.line(double, _point(points[a]), _point(body[b]), 1, 2)
        body = np.concatenate([body, points])


def _open_holes(double: Mask) -> None:
    """Cut a slit from every hole to the outside or to a hole that is already open.

    The slits are a minimum spanning tree between the holes and the outside. So no slit runs through a third hole, and
    the object stays in one piece.
    """
    contours, hierarchy = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outside = [c[:, 0, :] for c, h in zip(contours, hierarchy[0], strict=True) if h[3] < 0]
    holes: list[NDArray[np.int32]] = []
    for contour, links in zip(contours, hierarchy[0], strict=True):
        if links[3] < 0:
            continue
        if cv2.contourArea(contour) < _SMALLEST_HOLE:
            cv2.drawContours(double, [contour], -1, 1, -1)
        else:
            holes.append(contour[:, 0, :])
    if not holes:
        return
    stride = 1 + (sum(map(len, outside)) + sum(map(len, holes))) // _MOST_POINTS
    points = np.concatenate([p[::stride] for p in holes]).astype(np.int64)
    region = np.concatenate([np.full(len(p[::stride]), k) for k, p in enumerate(holes)])
    fresh = np.concatenate([p[::stride] for p in outside]).astype(np.int64)
    best = np.full(len(points), np.iinfo(np.int64).max)
    partner = np.zeros((len(points), 2), np.int64)
    closed = np.ones(len(points), bool)
    while closed.any():
        index = np.flatnonzero(closed)
        apart = ((points[index][:, None, :] - fresh[None, :, :]) ** 2).sum(axis=2)
        nearest = apart.argmin(axis=1)
        smaller = apart[np.arange(len(index)), nearest] < best[index]
        best[index[smaller]] = apart[np.arange(len(index)), nearest][smaller]
        partner[index[smaller]] = fresh[nearest[smaller]]
        start = int(index[best[index].argmin()])
        # A line of four-connected pixels: through an eight-connected one the sides would still touch at corners.
        cv2.line(double, _point(points[start]), _point(partner[start]), 0, 1, cv2.LINE_4)
        opened = region == region[start]
        fresh = points[opened]
        closed &= ~opened


def _point(xy: NDArray[np.int64]) -> tuple[int, int]:
    return int(xy[0]), int(xy[1])

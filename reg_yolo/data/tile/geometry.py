"""Where tiles lie, and what of an object lies in a tile.

All coordinates are pixels of the upright image, x to the right and y down; a window reaches from `left` to `right`,
which it does not include.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import shapely

from reg_yolo.data.dataset.label_rows import LabelRow, box_row, polygon_row
from reg_yolo.data.objects.annotations import Box, Ring
from reg_yolo.data.objects.outlines import join_rings, split_at_bridges

# What rounding leaves along the edge of a tile.
_LEAST_AREA_PX = 1e-6
# Part of a window's width and height from which a piece is an object of its own to a viewer.
_LARGE = 0.25


@dataclass(frozen=True, slots=True)
class Window:
    """A tile's place in its image, in pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.bottom - self.top


@dataclass(frozen=True)
class Piece:
    """What of an object lies in a window: a box, or the ring of a polygon, both in pixels of the image."""

    class_id: int
    area: float
    box: Box | None = None
    ring: Ring | None = None

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in pixels."""
        if self.box is not None:
            return self.box[2] - self.box[0], self.box[3] - self.box[1]
        assert self.ring is not None
        width, height = np.ptp(self.ring, axis=0)
        return float(width), float(height)

    def label_row(self, window: Window) -> str:
        """The row of the tile's label file, coordinates as fractions of the tile."""
        size = window.width, window.height
        if self.box is not None:
            left, top, right, bottom = self.box
            box = left - window.left, top - window.top, right - window.left, bottom - window.top
            return box_row(self.class_id, box, size)
        assert self.ring is not None
        return polygon_row(self.class_id, np.clip(self.ring - (window.left, window.top), 0, size), size)


def tile_windows(width: int, height: int, size: int, overlap: float) -> list[Window]:
    """Cover an image with the fewest windows that overlap by at least `overlap`, row by row.

    The windows are spread evenly and the outer ones end at the border, so that none is a sliver; neighbours overlap by
    `overlap` of `size` or more. Hence every object that is no wider and no higher than the overlap is whole in some
    window. Where the image is smaller than `size`, its windows are as wide or high as it is.

    Args:
        width: Of the image.
        height: Of the image.
        size: Side of a window.
        overlap: Part of `size` that neighbours share at least, 0 to below 1.
    """
    return [
        Window(left, top, min(left + size, width), min(top + size, height))
        for top in _starts(height, size, overlap)
        for left in _starts(width, size, overlap)
    ]


def _starts(length: int, size: int, overlap: float) -> list[int]:
    if length <= size:
        return [0]
    step = max(1, size - math.ceil(overlap * size))
    steps = math.ceil((length - size) / step)
    # Rounding down both ends of a step never makes it longer than `step`, which is whole itself.
    return [(length - size) * number // steps for number in range(steps + 1)]


class CutObject:
    """An object of an image, ready to be cut."""

    def __init__(self, row: LabelRow, width: int, height: int) -> None:
        """Scale a label row to an image of `width` x `height` pixels."""
        self.class_id = row.class_id
        self._geometry: Any = None
        left, top, right, bottom = row.box_xyxy
        self.box: Box = (left * width, top * height, right * width, bottom * height)
        if row.is_polygon:
            self._ring: Ring = np.array(row.points) * (width, height)
            self._geometry = even_odd_area(self._ring)

    def is_whole_in(self, window: Window) -> bool:
        """Whether nothing of the object lies outside of a window."""
        left, top, right, bottom = self.box
        return window.left <= left and window.top <= top and right <= window.right and bottom <= window.bottom

    def piece_in(self, window: Window) -> Piece | None:
        """Return what of the object lies in a window, or None where that has no area.

        A polygon that falls into several parts stays one object: the parts, and holes, are joined to one ring by
        bridges (see `reg_yolo.data.objects.outlines`).
        """
        left, top = max(self.box[0], window.left), max(self.box[1], window.top)
        right, bottom = min(self.box[2], window.right), min(self.box[3], window.bottom)
        if right - left <= 0 or bottom - top <= 0:
            return None
        if self._geometry is None:
            return Piece(self.class_id, (right - left) * (bottom - top), box=(left, top, right, bottom))
        if self.is_whole_in(window):
            # The user's own corners stay.
            area = float(self._geometry.area)
            return Piece(self.class_id, area, ring=self._ring) if area > _LEAST_AREA_PX else None
        clipped = shapely.intersection(
            self._geometry, shapely.box(window.left, window.top, window.right, window.bottom)
        )
        polygons = _polygons(clipped)
        if not polygons:
            return None
        parts = [np.asarray(polygon.exterior.coords)[:-1] for polygon in polygons]
        holes = [np.asarray(hole.coords)[:-1] for polygon in polygons for hole in polygon.interiors]
        area = sum(float(polygon.area) for polygon in polygons)
        return Piece(self.class_id, area, ring=join_rings(parts, holes))


def labelled_pieces(cut: CutObject, windows: Sequence[Window], min_visible: float) -> list[tuple[Piece | None, bool]]:
    """Return the piece of an object in every window, and whether it is labelled there.

    An object that is whole in some window is labelled where at least `min_visible` of its area is. One that is whole in
    none would be lost that way: it is labelled where at least `min_visible` of its largest piece is, and where its
    piece is a quarter as wide and as high as the window.
    """
    pieces = [cut.piece_in(window) for window in windows]
    largest = max((piece.area for piece in pieces if piece), default=0.0)
    is_whole = any(cut.is_whole_in(window) for window in windows)
    found = []
    for piece, window in zip(pieces, windows, strict=True):
        labelled = False
        if piece is not None:
            width, height = piece.extent
            is_large = width >= _LARGE * window.width and height >= _LARGE * window.height
            # The tolerance covers what two ways of adding up the same area make differ.
            labelled = piece.area >= min_visible * largest - _LEAST_AREA_PX or (is_large and not is_whole)
        found.append((piece, labelled))
    return found


def even_odd_area(ring: Ring) -> Any:
    """Return the area that a rasteriser fills for one polygon row: bridges opened, the even-odd rule where it crosses.

    Args:
        ring: `[N, 2]` corners.

    Returns:
        A shapely geometry; empty where the row encloses nothing.
    """
    parts, holes = split_at_bridges(ring)
    areas = [shapely.make_valid(shapely.Polygon(each)) for each in (*parts, *holes) if len(each) >= 3]
    areas = [shapely.MultiPolygon(_polygons(area)) for area in areas]
    # Parts do not overlap and holes lie inside them, so that their symmetric difference is parts without holes.
    return reduce(shapely.symmetric_difference, areas) if areas else shapely.MultiPolygon()


def _polygons(geometry: Any) -> list[Any]:
    """Return the polygons of a geometry, largest first, without points and lines that a cut leaves."""
    found = [part for part in _flat(geometry) if part.geom_type == "Polygon" and part.area > _LEAST_AREA_PX]
    return sorted(found, key=lambda polygon: (-polygon.area, polygon.bounds))


def _flat(geometry: Any) -> list[Any]:
    parts: Sequence[Any] = shapely.get_parts(geometry).tolist()
    return [leaf for part in parts for leaf in (_flat(part) if hasattr(part, "geoms") else [part])]

"""Linear reference: chainage in metres and as text, offset and side, along surveyed axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.errors import DataError
from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.classes import SPAN
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.route.axis import Route

FloatArray = NDArray[np.float64]

_FAR_M = 200.0
_MEDIAN_M = 0.7
_SAME_ROAD_M = 2.0
_BEYOND_M = 50.0
"""So far beyond the end of an axis chainage still counts on, unless another axis goes on there."""


def chainage_text(metres: float) -> str:
    """Return metres as kilometre posts are written.

    Example:
        >>> chainage_text(12345.4)
        '12+345'
    """
    whole = round(metres)
    return f"{'-' if whole < 0 else ''}{abs(whole) // 1000}+{abs(whole) % 1000:03d}"


class _Axis:
    """One route in metres."""

    def __init__(self, route: Route, projection: LocalProjection) -> None:
        self.route = route
        self.points = projection.to_metres(route.degrees[:, 0], route.degrees[:, 1])
        self.line = shapely.LineString(self.points)
        self.corners = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(self.points, axis=0), axis=1))))

    def place(self, point: FloatArray) -> tuple[float, float, float]:
        """Return chainage, offset to the right, and by how far a point lies beyond the axis's end."""
        where = float(self.line.project(shapely.Point(point)))
        ways = np.diff(self.points, axis=0)
        long = np.flatnonzero(np.diff(self.corners) > 1e-6)
        piece = int(long[np.clip(np.searchsorted(self.corners[long], where, side="right") - 1, 0, len(long) - 1)])
        way = ways[piece] / (self.corners[piece + 1] - self.corners[piece])
        apart = point - self.points[piece]
        ahead = float(apart @ way) + float(self.corners[piece])
        beyond = max(-ahead, ahead - float(self.corners[-1]), 0.0) if where in (0.0, self.line.length) else 0.0
        return self._chainage(piece, ahead if beyond else where), float(apart[0] * way[1] - apart[1] * way[0]), beyond

    def _chainage(self, piece: int, where: float) -> float:
        """Chainage runs evenly between vertices; where it restarts between two, each counts up to the middle."""
        low, high = self.corners[piece], self.corners[piece + 1]
        first, last = self.route.chainage_m[piece], self.route.chainage_m[piece + 1]
        if not low <= where <= high:
            return float(first + where - low if where < low else last + where - high)
        if last < first:
            return float(first + where - low if where < (low + high) / 2 else last - (high - where))
        return float(first + (last - first) * (where - low) / (high - low))


def add_reference(
    assets: Sequence[Asset], projection: LocalProjection, routes: Sequence[Route], ways: Sequence[Sequence[FloatArray]]
) -> int:
    """Give every asset its chainage, offset and side on the nearest axis.

    Where control sections overlap, the one that stands first in the file counts, and the others are in
    `chainage_also`. An asset over 200 m away, or more than 50 m beyond the last end before a gap, has no chainage.

    Args:
        assets: What gets the columns.
        projection: What their metres mean.
        routes: Axes of one file.
        ways: The drives.

    Returns:
        How many assets have no chainage.

    Raises:
        DataError: If the routes lie farther than 200 m from the drives.
    """
    axes = [_Axis(route, projection) for route in routes]
    tree = shapely.STRtree([axis.line for axis in axes])
    middles = [shapely.Point(piece[len(piece) // 2]) for way in ways for piece in way]
    if middles:
        _, apart = tree.query_nearest(middles, return_distance=True)
        if apart.min() > _FAR_M:
            raise DataError(f"{routes[0].source} lies {apart.min():.0f} m from the drives; it is another road's route")
    without = 0
    for asset in assets:
        near = tree.query(shapely.Point(asset.middle_m), predicate="dwithin", distance=_FAR_M)
        placed = [(axes[n], *axes[n].place(asset.middle_m)) for n in sorted(near.tolist())]
        placed = [one for one in placed if one[3] <= _BEYOND_M]
        # What goes on beyond its end gives way to what is really there.
        placed = [one for one in placed if not one[3]] or placed
        if not placed:
            without += 1
            asset.values.update(dict.fromkeys(_COLUMNS))
            continue
        least = min(abs(one[2]) + one[3] for one in placed)
        same = [one for one in placed if abs(one[2]) + one[3] <= least + _SAME_ROAD_M]
        axis, chainage, offset, _ = same[0]
        others = [f"{one[0].route.name} {chainage_text(one[1])}".strip() for one in same[1:]]
        asset.values.update(
            route=axis.route.name or None,
            carriageway=axis.route.carriageway or None,
            chainage_m=round(chainage, 1),
            chainage=chainage_text(chainage),
            chainage_also=", ".join(others) or None,
            offset_m=round(offset, 2),
            side=side_of(asset.kind, offset),
        )
    return without


_COLUMNS = ("route", "carriageway", "chainage_m", "chainage", "chainage_also", "offset_m", "side")


def side_of(kind: str, offset_m: float) -> str:
    """Return the side for rising chainage."""
    if kind == SPAN:
        return "over"
    if abs(offset_m) < _MEDIAN_M:
        return "median"
    return "right" if offset_m > 0 else "left"

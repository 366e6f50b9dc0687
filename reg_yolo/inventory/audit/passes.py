"""Which of two opposite passes saw an asset, as far as the columns of an inventory tell.

The inventory counts the drives that saw an asset (`passes`) and keeps where the camera of the best view stood. Where
exactly two drives came by, in opposite directions, that is enough: two passes are both, and one is the drive in whose
direction of travel the asset lay before the camera. What faces one way, as signs do, cannot be seen from both sides and
is left out, and so is what is long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from reg_yolo.inventory.audit.assets import Listed
from reg_yolo.inventory.audit.stretches import Surveyed
from reg_yolo.inventory.projection import LocalProjection

_OPPOSITE_DEG = 120.0
BOTH, FIRST, SECOND = "both", "first", "second"


@dataclass(frozen=True)
class Pair:
    """Two drives that came by a place in opposite directions, and the first one's heading there in degrees."""

    first: int
    second: int
    heading_deg: float


class Opposite:
    """Where two drives, and no more, came by in opposite directions."""

    def __init__(self, surveyed: Sequence[Surveyed], projection: LocalProjection) -> None:
        """Prepare.

        Args:
            surveyed: Where cameras looked; a drive came by where its way lies within its range.
            projection: Around all of them.
        """
        self._projection = projection
        self._drives = len({way.drive for way in surveyed})
        parts, headings, drives, ranges = [], [], [], []
        for way in surveyed:
            points = projection.to_metres(way.line[:, 0], way.line[:, 1])
            steps = np.diff(points, axis=0)
            parts.append(np.stack([points[:-1], points[1:]], axis=1))
            headings.append(np.degrees(np.arctan2(steps[:, 0], steps[:, 1])))
            drives.append(np.full(len(steps), way.drive))
            ranges.append(np.full(len(steps), way.range_m))
        if parts:
            self._tree = shapely.STRtree(shapely.linestrings(np.concatenate(parts)))
            self._headings, self._owners, self._ranges = map(np.concatenate, (headings, drives, ranges))

    def pairs(self, places_deg: Sequence[tuple[float, float]]) -> list[Pair | None]:
        """Return the two drives of each place (longitude, latitude), None where there are not just two."""
        if self._drives < 2 or not places_deg:
            return [None] * len(places_deg)
        degrees = np.array(places_deg)
        points = shapely.points(self._projection.to_metres(degrees[:, 0], degrees[:, 1]))
        row, part = self._tree.query(points, predicate="dwithin", distance=float(self._ranges.max()))
        apart = shapely.distance(points[row], self._tree.geometries[part])
        near: list[dict[int, float]] = [{} for _ in places_deg]
        # The nearest piece of a drive's way says where it headed.
        for k in np.argsort(apart, kind="stable").tolist():
            if apart[k] <= self._ranges[part[k]]:
                near[row[k]].setdefault(int(self._owners[part[k]]), float(self._headings[part[k]]))
        return [_opposite(sorted(some.items())) for some in near]

    def seen(self, assets: Sequence[Listed]) -> list[str | None]:
        """Return `both`, `first` or `second` for each asset; None where the columns cannot tell."""
        pairs = self.pairs([asset.place_deg for asset in assets])
        return [_seen(asset, pair) for asset, pair in zip(assets, pairs, strict=True)]


def _opposite(near: Sequence[tuple[int, float]]) -> Pair | None:
    if len(near) != 2:
        return None
    (first, one), (second, other) = near
    return Pair(first, second, one) if abs((one - other + 180) % 360 - 180) > _OPPOSITE_DEG else None


def _seen(asset: Listed, pair: Pair | None) -> str | None:
    if pair is None or asset.passes is None or asset.is_line or asset.facing_deg is not None:
        return None
    if asset.passes >= 2:
        return BOTH
    if asset.camera_deg is None:
        return None
    (longitude, latitude), (camera_longitude, camera_latitude) = asset.place_deg, asset.camera_deg
    east = (longitude - camera_longitude) * math.cos(math.radians(latitude))
    bearing = math.degrees(math.atan2(east, latitude - camera_latitude))
    return FIRST if abs((bearing - pair.heading_deg + 180) % 360 - 180) < 90 else SECOND

"""Which of two opposite passes saw an asset, as far as the columns of an inventory tell.

The inventory counts the drives that saw an asset (`passes`) and keeps where the camera of the best view stood. Where
exactly two drives looked at a place, in opposite directions, that is enough: two passes are both, and one is the drive
in whose direction of travel the asset lay before the camera.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.inventory.audit.assets import Listed
from reg_yolo.inventory.audit.stretches import Surveyed
from reg_yolo.inventory.diff.known import Known
from reg_yolo.inventory.diff.surveyed import Survey
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

_OPPOSITE_DEG = 120.0
BOTH, FIRST, SECOND = "both", "first", "second"


@dataclass(frozen=True)
class _Pair:
    """Two drives that looked at one place in opposite directions, and the first one's heading there in degrees."""

    first: int
    second: int
    heading_deg: float


class Opposite:
    """Where two drives, and no more, looked in opposite directions."""

    def __init__(self, surveyed: Sequence[Surveyed], projection: LocalProjection) -> None:
        """Prepare.

        Args:
            surveyed: Where cameras looked.
            projection: Around all of them.
        """
        self.drives = sorted({way.drive for way in surveyed})
        self._surveys = {
            drive: Survey(
                tuple(way.line for way in own),
                *(np.array([getattr(way, key) for way in own]) for key in ("hfov_deg", "yaw_deg", "range_m")),
            )
            for drive in self.drives
            if (own := [way for way in surveyed if way.drive == drive])
        }
        self._projection = projection
        self._trees: dict[int, tuple[shapely.STRtree, FloatArray]] = {}
        for drive in self.drives:
            parts, headings = [], []
            for way in surveyed:
                if way.drive == drive:
                    for start, end in itertools.pairwise(projection.to_metres(way.line[:, 0], way.line[:, 1])):
                        parts.append(shapely.LineString([start, end]))
                        headings.append(math.degrees(math.atan2(*(end - start))))
            self._trees[drive] = (shapely.STRtree(parts), np.array(headings))

    def pairs(self, places: Sequence[tuple[float, float, float | None]]) -> list[_Pair | None]:
        """Return the two drives of each place (longitude, latitude, facing), None where there are not just two."""
        if len(self.drives) < 2 or not places:
            return [None] * len(places)
        known = [Known("", "", lon, lat, facing_deg=facing) for lon, lat, facing in places]
        looked = np.stack([self._surveys[drive].looked_at(known) for drive in self.drives])
        degrees = np.array([place[:2] for place in places])
        points = shapely.points(self._projection.to_metres(degrees[:, 0], degrees[:, 1]))
        headings = []
        for drive in self.drives:
            tree, own = self._trees[drive]
            headings.append(own[tree.nearest(points)])
        found: list[_Pair | None] = []
        for n in range(len(places)):
            some = np.flatnonzero(looked[:, n])
            if len(some) != 2:
                found.append(None)
                continue
            one, other = (float(headings[k][n]) for k in some)
            opposite = abs((one - other + 180) % 360 - 180) > _OPPOSITE_DEG
            found.append(_Pair(self.drives[some[0]], self.drives[some[1]], one) if opposite else None)
        return found

    def seen(self, assets: Sequence[Listed]) -> list[str | None]:
        """Return `both`, `first` or `second` for each asset; None where the columns cannot tell."""
        pairs = self.pairs([(*asset.place_deg, asset.facing_deg) for asset in assets])
        return [_seen(asset, pair) for asset, pair in zip(assets, pairs, strict=True)]


def _seen(asset: Listed, pair: _Pair | None) -> str | None:
    if pair is None or asset.passes is None or asset.is_line:
        return None
    if asset.passes >= 2:
        return BOTH
    if asset.camera_deg is None:
        return None
    (longitude, latitude), (camera_longitude, camera_latitude) = asset.place_deg, asset.camera_deg
    east = (longitude - camera_longitude) * math.cos(math.radians(latitude))
    bearing = math.degrees(math.atan2(east, latitude - camera_latitude))
    return FIRST if abs((bearing - pair.heading_deg + 180) % 360 - 180) < 90 else SECOND

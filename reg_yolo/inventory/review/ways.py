"""Where the vehicle drove, around a place: the map's only background without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import shapely

from reg_yolo.inventory.datum import WGS84, conversion
from reg_yolo.inventory.outputs.vector import import_pyogrio

_LAYER = "drive"


class Ways:
    """Reads the drives of a GeoPackage around a place.

    Args:
        path: The GeoPackage; where it has none, so has the map.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pyogrio = import_pyogrio()
        try:
            crs = self._pyogrio.read_info(path, layer=_LAYER)["crs"]
        except (self._pyogrio.errors.DataSourceError, self._pyogrio.errors.DataLayerError):
            crs = None
        self.known = crs is not None
        if self.known:
            self._there, self._back = conversion(WGS84, crs, str(path)), conversion(crs, WGS84, str(path))

    def around(self, latitude_deg: float, longitude_deg: float, reach_deg: float = 0.003) -> list[list[list[float]]]:
        """Return lines in latitude and longitude within a box around a place."""
        if not self.known:
            return []
        low, high = np.array([-reach_deg, -reach_deg]), np.array([reach_deg, reach_deg])
        corners = self._there(
            np.array([longitude_deg, latitude_deg]) + np.array([low, high, low * [1, -1], high * [1, -1]])
        )
        box = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
        if not np.isfinite(box).all():
            return []
        try:
            _, _, shapes, _ = self._pyogrio.raw.read(self._path, layer=_LAYER, bbox=box, columns=[])
        except (self._pyogrio.errors.DataSourceError, self._pyogrio.errors.DataLayerError):
            # Somebody replaces or edits it at this moment.
            return []
        cut = shapely.clip_by_rect(shapely.from_wkb(shapes), *box)
        return [self._degrees(line) for line in shapely.get_parts(cut) if not line.is_empty]

    def _degrees(self, line: Any) -> list[list[float]]:
        points = self._back(shapely.get_coordinates(line))
        return [[round(float(latitude), 6), round(float(longitude), 6)] for longitude, latitude in points]

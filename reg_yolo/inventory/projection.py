"""Metres around a drive: a transverse Mercator projection of its own, so that no zone border cuts it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reg_yolo.errors import ConfigError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LocalProjection:
    """Easting and northing in metres around a centre on WGS 84; scale 1 and grid north at the centre's meridian.

    Attributes:
        longitude_deg, latitude_deg: The centre.
    """

    longitude_deg: float
    latitude_deg: float
    _transformers: list[Any] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def around(cls, longitude_deg: FloatArray, latitude_deg: FloatArray) -> LocalProjection:
        """Return the projection around the middle of some positions, also where they lie on both sides of 180 E."""
        radians = np.radians(longitude_deg)
        middle = np.degrees(np.arctan2(np.sin(radians).mean(), np.cos(radians).mean()))
        return cls(round(float(middle), 3), round(float(np.mean(latitude_deg)), 3))

    def to_metres(self, longitude_deg: ArrayLike, latitude_deg: ArrayLike) -> FloatArray:
        """Return easting and northing, shape (N, 2)."""
        east, north = self._pair()[0].transform(np.asarray(longitude_deg), np.asarray(latitude_deg))
        return np.stack([np.atleast_1d(east), np.atleast_1d(north)], axis=-1)

    def to_degrees(self, metres: FloatArray) -> FloatArray:
        """Return longitude and latitude, shape (N, 2), of easting and northing, shape (N, 2)."""
        points = np.asarray(metres, np.float64).reshape(-1, 2)
        longitude, latitude = self._pair()[1].transform(points[:, 0], points[:, 1])
        return np.stack([np.atleast_1d(longitude), np.atleast_1d(latitude)], axis=-1)

    def true_north_rad(self, longitude_deg: FloatArray, latitude_deg: FloatArray) -> FloatArray:
        """Return the direction of true north, clockwise from grid north, shape (N,)."""
        step = np.where(np.asarray(latitude_deg) < 89, 1e-4, -1e-4)
        east, north = (
            self.to_metres(longitude_deg, latitude_deg + step) - self.to_metres(longitude_deg, latitude_deg)
        ).T
        return np.asarray(np.arctan2(east / step, north / step))

    def _pair(self) -> list[Any]:
        if not self._transformers:
            pyproj = import_pyproj()
            local = pyproj.CRS.from_proj4(
                f"+proj=tmerc +lat_0={self.latitude_deg} +lon_0={self.longitude_deg} +k=1 +x_0=0 +y_0=0 "
                "+datum=WGS84 +units=m +no_defs"
            )
            for source, target in (("EPSG:4326", local), (local, "EPSG:4326")):
                self._transformers.append(pyproj.Transformer.from_crs(source, target, always_xy=True))
        return self._transformers


def import_pyproj() -> Any:
    """Return pyproj.

    Raises:
        ConfigError: If it is missing.
    """
    try:
        import pyproj
    except ImportError:
        raise ConfigError('The inventory needs pyproj; install it with pip install "reg-yolo[inventory]"') from None
    return pyproj

"""Coordinate reference systems: what a code means, and how positions of one become positions of another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.inventory.projection import import_pyproj

FloatArray = NDArray[np.float64]

WGS84 = "EPSG:4326"
_PREFERRED = ("Indian 1975 to WGS 84 (2)",)
"""Three shifts derived at 62 stations (EPSG:1304), as maps of Thailand use them. What PROJ takes for the better one,
EPSG's cadastral (4) with seven parameters, lies some 190 m away."""
_APART_M = 20.0


@dataclass(frozen=True)
class Conversion:
    """Positions of one system turned into positions of another, longitude or easting first.

    Attributes:
        name: Of the operation.
        accuracy_m: As its source states it; NaN where unknown.
        doubt: "" or one line about a rival operation that gives other positions.
    """

    name: str
    accuracy_m: float
    doubt: str
    _operation: Any

    def __call__(self, points: FloatArray) -> FloatArray:
        """Convert points, shape (N, 2)."""
        points = np.asarray(points, np.float64).reshape(-1, 2)
        if not len(points):
            return points
        first, second = self._operation.transform(points[:, 0], points[:, 1])
        return np.stack([np.asarray(first), np.asarray(second)], axis=1)


def parse_crs(text: str, where: str) -> Any:
    """Return a pyproj CRS that stands on the earth.

    Args:
        text: A code such as `EPSG:32647`, or WKT.
        where: What is at fault if it is none, such as `--crs`.

    Raises:
        ConfigError: If it is not known, or a system without a place on the earth.
    """
    pyproj = import_pyproj()
    try:
        crs = pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError:
        raise ConfigError(f"{where}: expected a code such as EPSG:32647, got {text[:60]!r}") from None
    if not (crs.is_geographic or crs.is_projected):
        raise ConfigError(f"{where}: {crs.name} has no place on the earth; expected a code such as EPSG:32647")
    return crs


def conversion(source: str, target: str, where: str) -> Conversion:
    """Return how positions of one system become positions of another.

    Args:
        source, target: Codes such as `EPSG:24047`.
        where: What is named if one is not known.

    Raises:
        ConfigError: If a system is not known.
        DataError: If no operation between both is known.
    """
    pyproj = import_pyproj()
    one, other = parse_crs(source, where), parse_crs(target, where)
    group = pyproj.transformer.TransformerGroup(one, other, always_xy=True, allow_ballpark=False)
    if not group.transformers:
        raise DataError(f"{where}: no conversion from {one.name} to {other.name} is known")
    chosen = next((way for way in group.transformers if _is_preferred(way)), group.transformers[0])
    accuracy = float(chosen.accuracy) if chosen.accuracy >= 0 else math.nan
    return Conversion(chosen.description, accuracy, _doubt(chosen, group.transformers, one), chosen)


def _is_preferred(way: Any) -> bool:
    return any(step.name.removeprefix("Inverse of ") in _PREFERRED for step in way.operations or ())


def _doubt(chosen: Any, ways: list[Any], source: Any) -> str:
    """Name a rival operation that gives positions more than 20 m apart in the middle of the chosen one's area."""
    area = chosen.area_of_use
    if area is None or len(ways) < 2:
        return ""
    pyproj = import_pyproj()
    middle = ((area.west + area.east) / 2, (area.south + area.north) / 2)
    start = middle
    if source.is_projected:
        start = pyproj.Transformer.from_crs(source.geodetic_crs, source, always_xy=True).transform(*middle)
    ends = [way.transform(*start) for way in ways]
    scale = 111_320.0 if max(map(abs, ends[0])) <= 360 else 1.0
    here = chosen.transform(*start)
    for way, end in zip(ways, ends, strict=True):
        apart = math.hypot(end[0] - here[0], end[1] - here[1]) * scale
        if math.isfinite(apart) and apart > _APART_M:
            return f"{way.description} would give positions some {apart:.0f} m away"
    return ""

"""Linear reference: chainage in metres and as text, offset and side, along a surveyed axis."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.errors import DataError
from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.classes import SPAN
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

_FAR_M = 200.0
_MEDIAN_M = 0.7


@dataclass(frozen=True)
class Route:
    """An axis in the order of rising chainage.

    Attributes:
        name: Route and control section as text, such as `4-0101`.
        degrees: Shape (N, 2), longitude and latitude.
        chainage_m: Shape (N,).
        source: The file.
    """

    name: str
    degrees: FloatArray
    chainage_m: FloatArray
    source: str


def read_route(path: Path) -> Route:
    """Read route.geojson: a LineString with `chainage_m` (a number for each vertex), or kilometre posts on it.

    Posts are points with `chainage_m`; between two of them chainage runs evenly, however far apart they are.

    Raises:
        DataError: If it cannot be read, or chainage is neither on the axis nor on two posts.
    """
    try:
        features = json.loads(path.read_text(encoding="utf-8-sig"))["features"]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is not GeoJSON: expected a FeatureCollection") from None
    lines = [feature for feature in features if feature["geometry"]["type"] == "LineString"]
    if not lines:
        raise DataError(f"{path}: expected a LineString, the route's axis")
    axis = lines[0]
    degrees = np.array([point[:2] for point in axis["geometry"]["coordinates"]], np.float64)
    values = axis.get("properties") or {}
    stated = values.get("chainage_m")
    if isinstance(stated, list):
        if len(stated) != len(degrees):
            raise DataError(f"{path}: chainage_m has {len(stated)} numbers for an axis of {len(degrees)} points")
        chainage = np.array(stated, np.float64)
    else:
        chainage = _from_posts(path, degrees, features, values)
    name = "-".join(str(values[key]) for key in ("route", "control_section") if values.get(key))
    return Route(name, degrees, chainage, str(path))


def _from_posts(path: Path, degrees: FloatArray, features: list[Any], values: dict[str, Any]) -> FloatArray:
    projection = LocalProjection.around(degrees[:, 0], degrees[:, 1])
    line = shapely.LineString(projection.to_metres(degrees[:, 0], degrees[:, 1]))
    along = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(shapely.get_coordinates(line), axis=0), axis=1))))
    posts = []
    for feature in features:
        own = feature.get("properties") or {}
        if feature["geometry"]["type"] == "Point" and "chainage_m" in own:
            place = projection.to_metres(*feature["geometry"]["coordinates"][:2])[0]
            posts.append((line.project(shapely.Point(place)), float(own["chainage_m"])))
    if len(posts) < 2:
        start = values.get("start_chainage_m")
        if start is None:
            raise DataError(f"{path}: expected chainage_m on the axis, two kilometre posts, or start_chainage_m")
        return np.asarray(float(start) + along)
    posts.sort()
    at, metres = np.array(posts).T
    inner = np.interp(along, at, metres)
    before, after = along < at[0], along > at[-1]
    inner[before] = metres[0] - (at[0] - along[before])
    inner[after] = metres[-1] + (along[after] - at[-1])
    return np.asarray(inner)


def chainage_text(metres: float) -> str:
    """Return metres as kilometre posts are written.

    Example:
        >>> chainage_text(12345.4)
        '12+345'
    """
    whole = round(metres)
    return f"{'-' if whole < 0 else ''}{abs(whole) // 1000}+{abs(whole) % 1000:03d}"


def add_reference(
    assets: Sequence[Asset], projection: LocalProjection, route: Route, ways: Sequence[Sequence[FloatArray]]
) -> None:
    """Give every asset its chainage, offset and side.

    Raises:
        DataError: If the route lies farther than 200 m from the drives.
    """
    points = projection.to_metres(route.degrees[:, 0], route.degrees[:, 1])
    line = shapely.LineString(points)
    along = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))))
    apart = [line.distance(shapely.Point(piece[len(piece) // 2])) for way in ways for piece in way]
    if apart and min(apart) > _FAR_M:
        raise DataError(f"{route.source} lies {min(apart):.0f} m from the drives; it is another road's route")
    for asset in assets:
        where = line.project(shapely.Point(asset.middle_m))
        chainage = float(np.interp(where, along, route.chainage_m))
        base = np.array(line.interpolate(where).coords[0])
        ahead = np.array(line.interpolate(min(where + 1.0, line.length)).coords[0])
        behind = np.array(line.interpolate(max(where - 1.0, 0.0)).coords[0])
        direction = (ahead - behind) / max(float(np.linalg.norm(ahead - behind)), 1e-9)
        off = asset.middle_m - base
        offset = float(off[0] * direction[1] - off[1] * direction[0])
        side = "right" if offset > 0 else "left"
        if asset.kind == SPAN:
            side = "over"
        elif abs(offset) < _MEDIAN_M:
            side = "median"
        asset.values.update(
            route=route.name or None,
            chainage_m=round(chainage, 1),
            chainage=chainage_text(chainage),
            offset_m=round(offset, 2),
            side=side,
        )

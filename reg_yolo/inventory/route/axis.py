"""route.geojson: axes of control sections with chainage, by vertex or by surveyed kilometre posts."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.errors import DataError
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

_ONE_PLACE_M = 1.0
_DIRECTIONS = ("rising", "falling")


@dataclass(frozen=True)
class Route:
    """An axis in the order of rising chainage.

    Attributes:
        name: Route and control section as text, such as `4-0101`.
        degrees: Shape (N, 2), longitude and latitude.
        chainage_m: Shape (N,); smaller than at the vertex before where it restarts.
        source: The file.
        carriageway: What the file calls it, such as `left`; "" where it says nothing.
    """

    name: str
    degrees: FloatArray
    chainage_m: FloatArray
    source: str
    carriageway: str = ""

    def rising(self) -> list[Route]:
        """Return its pieces between restarts of chainage."""
        falls = np.flatnonzero(np.diff(self.chainage_m) < 0) + 1
        pieces = zip(np.split(self.degrees, falls), np.split(self.chainage_m, falls), strict=True)
        return [replace(self, degrees=some, chainage_m=metres) for some, metres in pieces if len(some) > 1]


def read_routes(path: Path) -> list[Route]:
    """Read route.geojson: a LineString for each control section, and kilometre posts on them.

    A LineString has `chainage_m` (a number for each vertex), posts (points with `chainage_m`, between which chainage
    runs evenly, however far apart they are), or `start_chainage_m`. Posts that state `route` or `control_section` are
    of the axis that states the same, others of the nearest one. `direction: falling` says that the axis is drawn
    against its chainage.

    Raises:
        DataError: If it cannot be read, or an axis has no chainage, or one that cannot be followed.
    """
    try:
        features = list(json.loads(path.read_text(encoding="utf-8-sig"))["features"])
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"{path} is not GeoJSON: expected a FeatureCollection; see docs/inventory.md, Linear reference"
        ) from None
    kinds = [(feature.get("geometry") or {}).get("type") for feature in features]
    if "MultiLineString" in kinds:
        number = kinds.index("MultiLineString") + 1
        raise DataError(f"{path}: feature {number} is a MultiLineString; give each piece of the axis as a LineString")
    lines = [feature for feature, kind in zip(features, kinds, strict=True) if kind == "LineString"]
    if not lines:
        raise DataError(f"{path}: expected a LineString, the route's axis")
    posts = [
        feature
        for feature, kind in zip(features, kinds, strict=True)
        if kind == "Point" and "chainage_m" in (feature.get("properties") or {})
    ]
    owners = _owners(lines, posts)
    return [_route(path, line, [posts[k] for k in owners[n]]) for n, line in enumerate(lines)]


def _owners(lines: list[Any], posts: list[Any]) -> list[list[int]]:
    """Posts of each axis: of those that state the same route and section, the nearest."""
    everything = np.concatenate([_degrees(line) for line in lines])
    projection = LocalProjection.around(everything[:, 0], everything[:, 1])
    shapes = [shapely.LineString(projection.to_metres(*_degrees(line).T)) for line in lines]
    owned: list[list[int]] = [[] for _ in lines]
    for k, post in enumerate(posts):
        place = shapely.Point(projection.to_metres(*post["geometry"]["coordinates"][:2])[0])
        stated = {key: str(post["properties"][key]) for key in _NAMED if post["properties"].get(key)}
        fit = [
            n
            for n, line in enumerate(lines)
            if all(str((line.get("properties") or {}).get(key)) == value for key, value in stated.items())
        ]
        owned[min(fit or range(len(lines)), key=lambda n: shapes[n].distance(place))].append(k)
    return owned


_NAMED = ("route", "control_section")


def _degrees(line: Any) -> FloatArray:
    return np.array([point[:2] for point in line["geometry"]["coordinates"]], np.float64)


def _route(path: Path, line: Any, posts: list[Any]) -> Route:
    degrees, values = _degrees(line), line.get("properties") or {}
    name = "-".join(str(values[key]) for key in _NAMED if values.get(key))
    where = f"{path}{f': {name}' if name else ''}"
    direction = values.get("direction", _DIRECTIONS[0])
    if direction not in _DIRECTIONS:
        raise DataError(
            f"{where}: direction must be rising or falling (against the order of points), got {direction!r}"
        )
    stated = values.get("chainage_m")
    if isinstance(stated, list):
        if len(stated) != len(degrees):
            raise DataError(f"{where}: chainage_m has {len(stated)} numbers for an axis of {len(degrees)} points")
        chainage = np.array(stated, np.float64)
        steps = np.diff(chainage)
        falls = (steps < 0).sum() > (steps > 0).sum()
    else:
        falls = direction == "falling"
    if falls:
        degrees = degrees[::-1]
    if isinstance(stated, list):
        chainage = chainage[::-1] if falls else chainage
    else:
        degrees, chainage = _measured(where, degrees, posts, values)
    return Route(name, degrees, chainage, str(path), str(values.get("carriageway") or ""))


def _measured(
    where: str, degrees: FloatArray, posts: list[Any], values: dict[str, Any]
) -> tuple[FloatArray, FloatArray]:
    """Return points, posts among them, and the chainage of each."""
    projection = LocalProjection.around(degrees[:, 0], degrees[:, 1])
    points = projection.to_metres(degrees[:, 0], degrees[:, 1])
    line = shapely.LineString(points)
    along = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))))
    places = [projection.to_metres(*post["geometry"]["coordinates"][:2])[0] for post in posts]
    known = [
        (float(line.project(shapely.Point(place))), float(post["properties"]["chainage_m"]))
        for place, post in zip(places, posts, strict=True)
    ]
    if len(known) < 2:
        start = values.get("start_chainage_m")
        if start is None:
            raise DataError(f"{where}: expected chainage_m on the axis, two kilometre posts, or start_chainage_m")
        return degrees, np.asarray(float(start) + along)
    at, metres = np.array(_in_order(where, known)).T
    # A post is a vertex, as chainage bends there; two in one place are a restart.
    inner = np.interp(along, at, metres)
    before, after = along < at[0], along > at[-1]
    inner[before] = metres[0] - (at[0] - along[before])
    inner[after] = metres[-1] + (along[after] - at[-1])
    free = ~np.isin(np.round(along, 3), np.round(at, 3))
    stations, chainage = np.concatenate([along[free], at]), np.concatenate([inner[free], metres])
    order = np.argsort(stations, kind="stable")
    vertices = shapely.get_coordinates(shapely.line_interpolate_point(line, stations[order]))
    return projection.to_degrees(vertices), chainage[order]


def _in_order(where: str, known: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Sort posts along the axis; where chainage restarts, the old one's last post comes before the new one's first."""
    known = sorted(known)
    for n in range(2, len(known)):
        (before, low), (here, high) = known[n - 1], known[n]
        if here - before < _ONE_PLACE_M and low < known[n - 2][1] <= high:
            known[n - 1], known[n] = (before, high), (here, low)
    for (before, high), (here, low) in itertools.pairwise(known):
        if here - before >= _ONE_PLACE_M and low <= high:
            raise DataError(
                f"{where}: from post to post chainage goes from {high:g} to {low:g} m; where it restarts, give both "
                "posts in one place, and where it falls along the axis, direction: falling"
            )
    return known

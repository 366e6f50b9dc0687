"""The roads that were surveyed, cut into stretches of one length: what a sample for recall is drawn from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.errors import DataError
from reg_yolo.inventory.datum import WGS84, conversion
from reg_yolo.inventory.diff.surveyed import LAYER
from reg_yolo.inventory.outputs.vector import import_pyogrio
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.route.axis import Route
from reg_yolo.inventory.route.reference import chainage_text

FloatArray = NDArray[np.float64]

_SAMPLE_M = 10.0


@dataclass(frozen=True)
class Surveyed:
    """A way that a camera looked along.

    Attributes:
        drive: Number of the drive.
        road: What the drive's file is called.
        line: Longitude and latitude, shape (N, 2), in the direction of travel.
        hfov_deg, yaw_deg, range_m: What the camera saw.
        first_seen, last_seen: ISO 8601, UTC; "" where not stated.
    """

    drive: int
    road: str
    line: FloatArray
    hfov_deg: float
    yaw_deg: float
    range_m: float
    first_seen: str = ""
    last_seen: str = ""


@dataclass(frozen=True)
class Piece:
    """A stretch of road.

    Attributes:
        stretch_id: Its name.
        road: Route, or the file of the drive.
        points_m: Shape (N, 2) in the audit's projection.
        chainage_from, chainage_to: As text; "" without a route.
    """

    stretch_id: str
    road: str
    points_m: FloatArray
    chainage_from: str = ""
    chainage_to: str = ""

    @property
    def line(self) -> Any:
        """Its line in metres."""
        return shapely.LineString(self.points_m)


def read_surveyed(path: Path) -> list[Surveyed]:
    """Read the layer `surveyed_stretches` of inventory.gpkg; empty where the file has none.

    Raises:
        DataError: If it cannot be read.
    """
    pyogrio = import_pyogrio()
    try:
        if LAYER not in [str(name) for name, _ in pyogrio.list_layers(path)]:
            return []
        meta, _, shapes, data = pyogrio.raw.read(path, layer=LAYER)
    except pyogrio.errors.DataSourceError as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    columns = dict(zip([str(name) for name in meta["fields"]], data, strict=True))
    lacking = [name for name in ("drive", "source", "hfov_deg", "yaw_deg", "range_m") if name not in columns]
    if lacking or not meta["crs"]:
        raise DataError(f"{path}: layer {LAYER}: expected a column {', '.join(lacking)} and a reference system")
    convert = conversion(meta["crs"], WGS84, str(path))
    return [
        Surveyed(
            int(columns["drive"][n]),
            Path(str(columns["source"][n]).replace("\\", "/")).stem,
            convert(shapely.get_coordinates(part)),
            float(columns["hfov_deg"][n]),
            float(columns["yaw_deg"][n]),
            float(columns["range_m"][n]),
            _time(columns, "first_seen", n),
            _time(columns, "last_seen", n),
        )
        for n, shape in enumerate(shapely.from_wkb(shapes))
        for part in shapely.get_parts(shape)
    ]


def _time(columns: Mapping[str, Any], name: str, n: int) -> str:
    return str(columns[name][n] or "") if name in columns else ""


def cut_surveyed(
    surveyed: Sequence[Surveyed], projection: LocalProjection, length_m: float, reach_m: float
) -> tuple[list[Piece], int]:
    """Cut surveyed ways into stretches; a piece along which an earlier one leads already is left out.

    Args:
        surveyed: The ways.
        projection: What the metres of the pieces mean.
        length_m: Of a piece; what is left at the end of a way is shared among its pieces.
        reach_m: A piece whose middle lies nearer to an earlier one than this is the same road.

    Returns:
        The pieces, and how many were left out.
    """
    places = _Places(reach_m)
    pieces: list[Piece] = []
    left_out = 0
    first = {way.drive: way.road for way in reversed(surveyed)}
    for way in surveyed:
        points = projection.to_metres(way.line[:, 0], way.line[:, 1])
        length = float(_along(points)[-1])
        for part in _cut(points, np.linspace(0, length, max(round(length / length_m), 1) + 1)):
            if places.is_near(part.interpolate(0.5, normalized=True)):
                left_out += 1
                continue
            places.add(part)
            pieces.append(Piece(f"s{len(pieces) + 1:05d}", first[way.drive], shapely.get_coordinates(part)))
    return pieces, left_out


def cut_route(
    route: Route,
    surveyed: Sequence[Surveyed],
    projection: LocalProjection,
    length_m: float,
    reach_m: float,
    earlier: Sequence[Piece] = (),
) -> tuple[list[Piece], int, int]:
    """Cut a route at multiples of a length of its chainage.

    Args:
        route: The axis.
        surveyed: Only pieces whose middle lies within the reach of these count; all where there are none.
        projection: What the metres of the pieces mean.
        length_m: Of a piece in chainage.
        reach_m: See `surveyed`.
        earlier: Pieces of other routes; a piece all along which one of them lies within the reach is the same road.

    Returns:
        The pieces, how many were not surveyed, and how many are of the same road as earlier ones.
    """
    points = projection.to_metres(route.degrees[:, 0], route.degrees[:, 1])
    along = _along(points)
    chainage, rising = route.chainage_m, along
    if chainage[-1] < chainage[0]:
        chainage, rising = chainage[::-1], along[::-1]
    low, high = float(chainage[0]), float(chainage[-1])
    inner = np.arange(math.floor(low / length_m) + 1, math.ceil(high / length_m)) * length_m
    ends = np.concatenate(([low], inner[(inner - low > length_m / 2) & (high - inner > length_m / 2)], [high]))
    ways = shapely.STRtree(
        [shapely.LineString(projection.to_metres(way.line[:, 0], way.line[:, 1])) for way in surveyed]
    )
    others = shapely.STRtree([piece.line for piece in earlier])
    name = route.name or Path(route.source).stem
    pieces: list[Piece] = []
    left_out = twice = 0
    for first, last in itertools.pairwise(ends):
        at = sorted(float(np.interp(value, chainage, rising)) for value in (first, last))
        part = next(_cut(points, np.array(at)))
        middle = part.interpolate(0.5, normalized=True)
        if surveyed and not len(ways.query(middle, predicate="dwithin", distance=reach_m)):
            left_out += 1
            continue
        # Both ends too: a road that only crosses is another one.
        marks = shapely.line_interpolate_point(part, (0.1, 0.5, 0.9), normalized=True)
        if len(set(others.query(marks, predicate="dwithin", distance=reach_m)[0].tolist())) == len(marks):
            twice += 1
            continue
        number = f"s{len(earlier) + len(pieces) + 1:05d}"
        pieces.append(
            Piece(number, name, shapely.get_coordinates(part), chainage_text(first), chainage_text(last))
        )  # fmt: skip
    return pieces, left_out, twice


def _along(points: FloatArray) -> FloatArray:
    """Metres from the beginning of a line to each of its points, shape (N,)."""
    return np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))))


def _cut(points: FloatArray, ends: FloatArray) -> Iterator[Any]:
    """Yield the pieces of a line between places along it; vertices between both ends stay."""
    along = _along(points)
    corners = np.stack([np.interp(ends, along, points[:, axis]) for axis in (0, 1)], axis=1)
    for n, (start, end) in enumerate(itertools.pairwise(ends)):
        inner = points[np.searchsorted(along, start, side="right") : np.searchsorted(along, end, side="left")]
        yield shapely.LineString(np.concatenate([corners[n : n + 1], inner, corners[n + 1 : n + 2]]))


class _Places:
    """Points along the pieces that were kept, in cells of a grid."""

    def __init__(self, reach_m: float) -> None:
        self.reach_m = reach_m
        self.cells: dict[tuple[int, int], list[tuple[float, float]]] = {}

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        return math.floor(x / self.reach_m), math.floor(y / self.reach_m)

    def add(self, line: Any) -> None:
        step = min(_SAMPLE_M, self.reach_m)
        marks = np.linspace(0, line.length, max(math.ceil(line.length / step), 1) + 1)
        for x, y in shapely.get_coordinates(shapely.line_interpolate_point(line, marks)).tolist():
            self.cells.setdefault(self._cell(x, y), []).append((x, y))

    def is_near(self, point: Any) -> bool:
        x, y = float(point.x), float(point.y)
        column, row = self._cell(x, y)
        return any(
            math.hypot(x - other[0], y - other[1]) < self.reach_m
            for i in (column - 1, column, column + 1)
            for j in (row - 1, row, row + 1)
            for other in self.cells.get((i, j), ())
        )

"""Assets of a file: an inventory of this package's, or a foreign one."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.config.problems import did_you_mean, with_hint
from reg_yolo.errors import DataError
from reg_yolo.inventory.datum import WGS84, conversion, parse_crs
from reg_yolo.inventory.diff.columns import ForeignColumns
from reg_yolo.inventory.outputs.vector import import_pyogrio
from reg_yolo.inventory.projection import import_pyproj

FloatArray = NDArray[np.float64]
Say = Callable[[str], None]

UNSTATED_SIGMA_M = 2.0
NO_ASSETS = (
    "drive",
    "surveyed_stretches",
    "unlocated",
    "not_static",
    "rejected",
    "decisions_not_applied",
    "layer_styles",
)
"""Layers of an inventory that hold no assets with a place."""
_GEOJSON, _TABLES, _VECTOR = (".geojson", ".json"), (".csv", ".txt", ".tsv"), (".gpkg", ".shp", ".gdb")
_PLACES = (("longitude", "latitude"), ("easting", "northing"))


@dataclass(frozen=True)
class Known:
    """An asset of a file.

    Attributes:
        asset_id: "" where it has none.
        class_name: Its class.
        longitude_deg, latitude_deg: Of its middle, WGS 84.
        sigma_along_m, sigma_across_m: Deviations; None where not stated.
        kind: What the file calls its geometry.
        route, side: Linear reference; "" where not stated.
        facing_deg: Where its face looks, clockwise from north; None where not stated.
        reviewed_by: Who has confirmed it; "" for nobody.
        chainage_m: Along the route; of what has two ends the middle; None where not stated.
        offset_m: To the right of the route; None where not stated.
        height_m, width_m, lower_edge_m: Its size, and its lower edge above the road; None where not stated.
    """

    asset_id: str
    class_name: str
    longitude_deg: float
    latitude_deg: float
    sigma_along_m: float | None = None
    sigma_across_m: float | None = None
    kind: str = ""
    route: str = ""
    side: str = ""
    facing_deg: float | None = None
    reviewed_by: str = ""
    chainage_m: float | None = None
    offset_m: float | None = None
    height_m: float | None = None
    width_m: float | None = None
    lower_edge_m: float | None = None

    @property
    def sigma_m(self) -> float:
        """Of one axis."""
        if self.sigma_along_m is None or self.sigma_across_m is None:
            return UNSTATED_SIGMA_M
        return math.hypot(self.sigma_along_m, self.sigma_across_m) / math.sqrt(2)


@dataclass(frozen=True)
class _Rows:
    """Rows of a layer: their columns, the middle of each geometry, shape (N, 2), and their system."""

    values: Sequence[Mapping[str, Any]]
    middles: FloatArray
    crs: str | None


def read_known(path: Path, columns: ForeignColumns | None = None, say: Say = lambda _line: None) -> list[Known]:
    """Read assets from GeoJSON, GeoPackage, Shapefile, FileGDB or CSV.

    Args:
        path: The file.
        columns: What its columns mean; None where they are this package's.
        say: Called with what the user should know of the conversion to WGS 84.

    Raises:
        DataError: If it cannot be read, states no coordinate reference system, or holds no asset with a class.
        ConfigError: If its system is not known.
    """
    columns = columns or ForeignColumns()
    suffix = path.suffix.lower()
    if not path.exists():
        raise DataError(f"{path} cannot be read: no such file")
    if suffix in _GEOJSON:
        layers = [_geojson_rows(path)]
    elif suffix in _TABLES:
        layers = [_table_rows(path, columns)]
    elif suffix in _VECTOR:
        layers = _vector_rows(path)
    else:
        raise DataError(f"{path}: expected an inventory as {', '.join((*_GEOJSON, *_VECTOR, *_TABLES))}")
    known = []
    for rows in layers:
        known += _known(path, rows, columns, say)
    if not known:
        names = sorted({name for rows in layers for values in rows.values[:1] for name in values})
        hint = did_you_mean(columns.column("class"), names)
        message = (
            f"{path}: no feature has a property {columns.column('class')}; say with --columns what holds the class"
        )
        raise DataError(with_hint(message, hint))
    return known


def _known(path: Path, rows: _Rows, columns: ForeignColumns, say: Say) -> list[Known]:
    used = [n for n, values in enumerate(rows.values) if columns.class_name or _text(values, columns, "class")]
    if not used:
        return []
    middles, blur = _degrees(path, rows, columns, say)
    middles = _away(path, [rows.values[n] for n in used], columns, middles[used])
    known = []
    for n, (longitude, latitude) in zip(used, middles.tolist(), strict=True):
        values = rows.values[n]
        if not (abs(longitude) <= 180 and abs(latitude) <= 90):
            raise DataError(
                f"{path}: asset {n + 1} lies at {longitude:g}, {latitude:g}, which is out of range for degrees"
            )
        name = _text(values, columns, "class") if columns.class_name is None else columns.class_name
        along, across = (_number(values.get(columns.column(key))) for key in ("sigma_along_m", "sigma_across_m"))
        if blur > 1.0:
            along, across = (math.hypot(UNSTATED_SIGMA_M if s is None else s, blur) for s in (along, across))
        known.append(
            Known(
                _text(values, columns, "asset_id"),
                columns.classes.get(name, name),
                longitude,
                latitude,
                along,
                across,
                _text(values, columns, "geometry_kind"),
                _text(values, columns, "route"),
                _text(values, columns, "side"),
                _number(values.get(columns.column("facing_deg"))),
                _text(values, columns, "reviewed_by"),
                _middle_number(values.get(columns.column("chainage_m"))),
                _number(values.get(columns.column("offset_m"))),
                *(_number(values.get(columns.column(key))) for key in ("height_m", "width_m", "lower_edge_m")),
            )
        )
    return known


def _degrees(path: Path, rows: _Rows, columns: ForeignColumns, say: Say) -> tuple[FloatArray, float]:
    """Return longitude and latitude on WGS 84, shape (N, 2), and by how many metres the conversion is unsure."""
    crs = rows.crs or columns.crs
    if crs is None:
        raise DataError(
            f"{path} states no coordinate reference system; say which it is with crs: EPSG:4326 (or another) in the "
            "file of --columns"
        )
    if parse_crs(crs, str(path)) == parse_crs(WGS84, WGS84):
        return rows.middles, 0.0
    convert = conversion(crs, WGS84, str(path))
    sure = f"accurate to {convert.accuracy_m:g} m" if math.isfinite(convert.accuracy_m) else "of unknown accuracy"
    say(f"{path}: converted to WGS 84: {convert.name}, {sure}{f'; {convert.doubt}' if convert.doubt else ''}")
    return convert(rows.middles), convert.accuracy_m if math.isfinite(convert.accuracy_m) else 0.0


def _away(path: Path, rows: Sequence[Mapping[str, Any]], columns: ForeignColumns, middles: FloatArray) -> FloatArray:
    """Go from cameras to assets where the file states bearing and distance instead of the asset's own place."""
    stated = [columns.columns.get(key) for key in ("bearing_deg", "distance_m")]
    if not any(stated):
        return middles
    if not all(stated):
        raise DataError(f"{path}: --columns must name both bearing_deg and distance_m, or neither")
    away = np.array([[_sure_number(path, n, row, str(key)) for key in stated] for n, row in enumerate(rows)])
    ends = import_pyproj().Geod(ellps="WGS84").fwd(middles[:, 0], middles[:, 1], away[:, 0], away[:, 1])
    return np.stack([np.asarray(ends[0]), np.asarray(ends[1])], axis=1)


def _geojson_rows(path: Path) -> _Rows:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        features = list(content["features"])
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is not GeoJSON: expected a FeatureCollection") from None
    # Without a member `crs`, RFC 7946 says WGS 84; `crs: null` of the older standard says that nobody knows.
    crs: str | None = WGS84
    if "crs" in content:
        stated = content["crs"]
        name = (stated.get("properties") or stated).get("name") if isinstance(stated, dict) else None
        crs = WGS84 if isinstance(name, str) and name.endswith("CRS84") else name
    values, middles = [], []
    for number, feature in enumerate(features, start=1):
        own = dict(feature.get("properties") or {})
        own.setdefault("asset_id", feature.get("id"))
        shape = shapely.from_geojson(json.dumps(feature.get("geometry")), on_invalid="ignore")
        values.append(own)
        middles.append(_middle(path, number, shape))
    return _Rows(values, np.array(middles).reshape(-1, 2), crs)


def _vector_rows(path: Path) -> list[_Rows]:
    pyogrio = import_pyogrio()
    try:
        names = [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]
        own = [name for name in names if name not in NO_ASSETS]
        tables = [pyogrio.raw.read(path, layer=name) for name in own]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    layers = []
    for meta, _, shapes, data in tables:
        fields = [str(name) for name in meta["fields"]]
        values = [dict(zip(fields, row, strict=True)) for row in zip(*data, strict=True)] if fields else []
        middles = [_middle(path, n, shape) for n, shape in enumerate(shapely.from_wkb(shapes), 1)] if fields else []
        crs = meta["crs"]
        layers.append(_Rows(values, np.array(middles).reshape(-1, 2), _placed(crs)))
    return layers


def _placed(crs: str | None) -> str | None:
    """Return a layer's system, or None where the format stands one without a place in for a missing one."""
    if not crs:
        return None
    read = import_pyproj().CRS.from_user_input(crs)
    return crs if read.is_geographic or read.is_projected else None


def _table_rows(path: Path, columns: ForeignColumns) -> _Rows:
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; save it as CSV UTF-8") from None
    if not lines:
        raise DataError(f"{path} is empty")
    separator = next((one for one in (",", ";", "\t") if one in lines[0]), None)
    # A table without any of them is separated by spaces.
    table = list(csv.reader(lines, delimiter=separator)) if separator else [line.split() for line in lines]
    header = [name.strip() for name in table[0]]
    place = next((pair for pair in _PLACES if all(columns.column(one) in header for one in pair)), None)
    if place is None:
        missing = next(name for name in map(columns.column, _PLACES[0]) if name not in header)
        message = f"{path}: no column {missing!r}; say with --columns what holds longitude and latitude"
        raise DataError(with_hint(message, did_you_mean(missing, header)))
    values, middles = [], []
    for number, cells in enumerate(table[1:], start=2):
        if len(cells) != len(header):
            raise DataError(f"{path}: row {number} has {len(cells)} cells, the header {len(header)}")
        row = dict(zip(header, cells, strict=True))
        values.append(row)
        middles.append([_sure_number(path, number - 2, row, columns.column(one)) for one in place])
    return _Rows(list(values), np.array(middles).reshape(-1, 2), None)


def _middle(path: Path, number: int, shape: Any) -> list[float]:
    if shape is None or shape.is_empty:
        raise DataError(f"{path}: feature {number} has no geometry")
    points = shapely.get_coordinates(shape)
    return [float(value) for value in (points[0] + points[-1]) / 2]


def _text(values: Mapping[str, Any], columns: ForeignColumns, meaning: str) -> str:
    value = values.get(columns.column(meaning))
    return "" if value is None else str(value).strip()


def _sure_number(path: Path, number: int, row: Mapping[str, Any], column: str) -> float:
    value = _number(row.get(column))
    if value is None:
        raise DataError(f"{path}: row {number + 2}: {column} must be a number, got {row.get(column)!r}")
    return value


def _middle_number(value: object) -> float | None:
    """Return a number, or the middle of a list of two."""
    if not isinstance(value, list):
        return _number(value)
    ends = [_number(one) for one in value]
    return None if len(ends) != 2 or ends[0] is None or ends[1] is None else (ends[0] + ends[1]) / 2


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None

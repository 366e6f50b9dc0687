"""Layers of an inventory and the files that hold them: GeoPackage with styles, GeoJSON, CSV, Shapefile, FileGDB."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.files import replace_bytes, replace_text
from reg_yolo.inventory.assets import COLUMNS, Asset
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.classes import LINE, POINT, SPAN
from reg_yolo.inventory.outputs.styles import STYLES
from reg_yolo.inventory.projection import LocalProjection, import_pyproj

FloatArray = NDArray[np.float64]

_INTEGERS = {"observations", "passes", "best_frame"}
_TEXTS = {
    "asset_id", "class", "geometry_kind", "first_seen", "last_seen", "route", "chainage", "side", "support_id",
    "source", "method", "class_votes",
}  # fmt: skip
_LAYERS = {"points": (POINT, "Point"), "lines": (LINE, "LineString"), "spans": (SPAN, "LineString")}


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        name: Its name.
        geometry: `Point` or `LineString`.
        shapes: Geometries in degrees.
        rows: Columns of each.
    """

    name: str
    geometry: str
    shapes: list[Any]
    rows: list[dict[str, Any]]


def layers_of(inventory: Inventory, mapping: Mapping[str, str] | None = None) -> list[Layer]:
    """Return points, lines, spans and the drive; `mapping` renames columns."""
    names = mapping or {}
    layers = []
    for layer, (kind, geometry) in _LAYERS.items():
        some = [asset for asset in inventory.assets if asset.kind == kind]
        rows = [{names.get(key, key): value for key, value in asset.row().items()} for asset in some]
        layers.append(Layer(layer, geometry, [shape_in_degrees(asset, inventory.projection) for asset in some], rows))
    ways = [
        (number, shapely.LineString(inventory.projection.to_degrees(piece)))
        for number, pieces in enumerate(inventory.ways)
        for piece in pieces
    ]
    layers.append(Layer("drive", "LineString", [way for _, way in ways], [{"drive": number} for number, _ in ways]))
    return layers


def shape_in_degrees(asset: Asset, projection: LocalProjection) -> Any:
    """Return an asset's geometry in longitude and latitude."""
    degrees = projection.to_degrees(asset.points_m)
    return shapely.Point(degrees[0]) if asset.kind == POINT else shapely.LineString(degrees)


def write_geojson(path: Path, inventory: Inventory) -> None:
    """Write RFC 7946: WGS 84, longitude first, seven digits, no `crs` member."""
    features = []
    for asset in inventory.assets:
        shape = shapely.set_precision(shape_in_degrees(asset, inventory.projection), 1e-7)
        geometry = json.loads(shapely.to_geojson(shape))
        features.append({"type": "Feature", "id": asset.asset_id, "geometry": geometry, "properties": asset.row()})
    content = {"type": "FeatureCollection", "features": features}
    replace_text(path, json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, inventory: Inventory) -> None:
    """Write a table that Excel opens with its Thai names: UTF-8 with byte-order mark, positions in degrees."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([*COLUMNS[:3], "longitude", "latitude", *COLUMNS[3:]])
    for asset in inventory.assets:
        longitude, latitude = inventory.projection.to_degrees(asset.middle_m)[0]
        values = ["" if value is None else value for value in asset.row().values()]
        writer.writerow([*values[:3], f"{longitude:.7f}", f"{latitude:.7f}", *values[3:]])
    replace_bytes(path, b"\xef\xbb\xbf" + stream.getvalue().encode("utf-8"))


def write_geopackage(path: Path, inventory: Inventory, crs: str, mapping: Mapping[str, str] | None = None) -> None:
    """Write all layers and their QGIS styles; the file is written under another name and renamed.

    Raises:
        ConfigError: If pyogrio is missing or the CRS is not known.
        DataError: If the file is open elsewhere or cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part.gpkg")
    temporary.unlink(missing_ok=True)
    try:
        layers = layers_of(inventory, mapping)
        for layer in layers:
            write_layer(temporary, layer, crs, "GPKG")
        _add_styles(temporary, [layer.name for layer in layers])
        _refuse_where_open(path)
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        for leftover in path.parent.glob(f"{temporary.name}*"):
            leftover.unlink(missing_ok=True)


def write_layer(path: Path, layer: Layer, crs: str, driver: str) -> None:
    """Write or append one layer with pyogrio."""
    try:
        import pyogrio
    except ImportError:
        raise ConfigError('GeoPackage needs pyogrio; install it with pip install "reg-yolo[inventory]"') from None
    columns = list(layer.rows[0]) if layer.rows else list(COLUMNS)
    fields = [column for column in columns if not column.startswith("_")]
    data, masks = [], []
    for name in fields:
        values = [row.get(name) for row in layer.rows]
        masks.append(np.array([value is None for value in values], np.bool_))
        data.append(_column(name, values))
    shapes = _projected(layer.shapes, crs)
    pyogrio.raw.write(
        str(path),
        np.array(shapely.to_wkb(np.array(shapes, dtype=object)), dtype=object),
        data,
        np.array(fields, dtype=object),
        field_mask=masks,
        layer=layer.name,
        driver=driver,
        geometry_type=layer.geometry,
        crs=crs,
        append=path.exists() and driver == "GPKG",
    )


def _column(name: str, values: Sequence[Any]) -> NDArray[Any]:
    if name in _INTEGERS or (values and all(isinstance(value, int) for value in values)):
        return np.array([0 if value is None else value for value in values], np.int64)
    if name in _TEXTS or any(isinstance(value, str) for value in values):
        return np.array(["" if value is None else str(value) for value in values], dtype=object)
    return np.array([np.nan if value is None else float(value) for value in values], np.float64)


def _projected(shapes: list[Any], crs: str) -> list[Any]:
    pyproj = import_pyproj()
    try:
        target = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError:
        raise ConfigError(f"--crs: expected a code such as EPSG:32647, got {crs!r}") from None
    if target == pyproj.CRS.from_epsg(4326) or not shapes:
        return shapes
    transformer = pyproj.Transformer.from_crs("EPSG:4326", target, always_xy=True)
    return [shapely.transform(shape, lambda xy: np.stack(transformer.transform(*xy.T), 1)) for shape in shapes]


def _refuse_where_open(path: Path) -> None:
    """Raise DataError where another program writes to the file: QGIS keeps it locked while it edits."""
    if not path.exists():
        return
    connection = sqlite3.connect(path, timeout=0)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        connection.rollback()
    except sqlite3.OperationalError as error:
        raise DataError(f"{path} is open in another program ({error}); close it there and run again") from None
    except sqlite3.DatabaseError:
        return
    finally:
        connection.close()


def _add_styles(path: Path, layers: Sequence[str]) -> None:
    """Store a default QGIS style for each layer in the table that QGIS looks for."""
    connection = sqlite3.connect(path)
    try:
        connection.execute(
            "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT, f_table_catalog TEXT, "
            "f_table_schema TEXT, f_table_name TEXT, f_geometry_column TEXT, styleName TEXT, styleQML TEXT, "
            "styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT, ui TEXT, "
            "update_time DATETIME DEFAULT CURRENT_TIMESTAMP)"
        )
        connection.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles', '', strftime('%Y-%m-%dT%H:%M:%fZ','now'))"
        )
        for layer in layers:
            connection.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
                "styleName, styleQML, styleSLD, useAsDefault, description, owner) "
                "VALUES ('', '', ?, 'geom', ?, ?, '', 1, '', '')",
                (layer, layer, STYLES[layer]),
            )
        connection.commit()
    finally:
        connection.close()

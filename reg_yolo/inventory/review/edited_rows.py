"""Rows of an edited GeoPackage: its columns by the inventory's own names, its places in degrees."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.errors import DataError
from reg_yolo.inventory.assets import COLUMNS
from reg_yolo.inventory.datum import WGS84, conversion, parse_crs
from reg_yolo.inventory.outputs.fields import FieldMapping
from reg_yolo.inventory.outputs.vector import import_pyogrio

LAYERS = ("points", "lines", "spans")
_SAME_NUMBER = 1e-6


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        where: File, layer and number, for messages.
        values: Columns by the inventory's names.
        points: Longitude and latitude of its vertices, WGS 84, shape (K, 2).
    """

    where: str
    values: Mapping[str, Any]
    points: NDArray[np.float64]

    def text(self, name: str) -> str:
        """Return a column as text; "" where it is empty."""
        value = self.values.get(name)
        return "" if value is None else str(value).strip()

    def differs(self, name: str, was: Any) -> bool:
        """Whether a column that the file has holds something else than it did."""
        if name not in self.values:
            return False
        now = self.values[name]
        if _is_empty(now) or _is_empty(was):
            return not (_is_empty(now) and _is_empty(was))
        try:
            return not math.isclose(float(now), float(was), rel_tol=_SAME_NUMBER, abs_tol=_SAME_NUMBER)
        except (TypeError, ValueError):
            return str(now) != str(was)


def read_rows(path: Path, mapping: FieldMapping) -> tuple[list[Row], set[str]]:
    """Return the rows of points, lines and spans, and which of these layers there are.

    Args:
        path: The GeoPackage.
        mapping: How the build renamed columns.

    Raises:
        DataError: If it cannot be read, or has no column of ids or classes.
    """
    pyogrio = import_pyogrio()
    try:
        names = [str(name) for name, _ in pyogrio.list_layers(path)]
        layers = [name for name in LAYERS if name in names]
        tables = [pyogrio.raw.read(path, layer=name) for name in layers]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    if not layers:
        raise DataError(f"{path} has no layer {', '.join(LAYERS)}; expected the GeoPackage of `inventory build`")
    written = mapping.written(COLUMNS)
    rows: list[Row] = []
    for layer, (meta, _, shapes, data) in zip(layers, tables, strict=True):
        fields = [str(name) for name in meta["fields"]]
        for name in ("asset_id", "class", "reviewed_by"):
            if name not in written or written[name] not in fields:
                raise DataError(
                    f"{path}: layer {layer} has no column {written.get(name, name)}; give with --fields the file that "
                    "the inventory was built with"
                )
        columns = {name: data[fields.index(new)] for name, new in written.items() if new in fields}
        rows += _rows(path, layer, columns, shapes, meta["crs"])
    return rows, set(layers)


def _rows(path: Path, layer: str, columns: Mapping[str, Any], shapes: Any, crs: str | None) -> list[Row]:
    if not crs:
        raise DataError(f"{path}: layer {layer} states no coordinate reference system; set it in QGIS")
    found = []
    for number, shape in enumerate(shapely.from_wkb(shapes), start=1):
        where = f"{path.name}, {layer}, row {number}"
        if shape is None or shape.is_empty:
            raise DataError(f"{where} has no geometry; draw it again, or delete the row")
        points = shapely.get_coordinates(shape)
        found.append(Row(where, {name: values[number - 1] for name, values in columns.items()}, points))
    if parse_crs(crs, str(path)) == parse_crs(WGS84, WGS84):
        return found
    convert = conversion(crs, WGS84, str(path))
    every = convert(np.concatenate([row.points for row in found])) if found else np.zeros((0, 2))
    cuts = np.cumsum([len(row.points) for row in found])[:-1]
    return (
        [Row(row.where, row.values, part) for row, part in zip(found, np.split(every, cuts), strict=True)]
        if found
        else []
    )


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))

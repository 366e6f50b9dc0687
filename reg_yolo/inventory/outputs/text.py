"""The inventory as GeoJSON and as a table for Excel."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.files import replacing
from reg_yolo.inventory.assets import COLUMNS
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.outputs.fields import FieldMapping
from reg_yolo.inventory.outputs.layers import NOT_STATIC_COLUMNS, AssetRows, not_static_rows, shape_in_degrees
from reg_yolo.text_tables import csv_cell

FloatArray = NDArray[np.float64]

_PLACE_AFTER = 3


def write_geojson(path: Path, inventory: Inventory) -> None:
    """Write RFC 7946: WGS 84, longitude first, seven digits, no `crs` member."""
    # One after the other: all features of a month at once would take as much memory as its assets.
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write('{"type": "FeatureCollection", "features": [')
        for number, asset in enumerate(inventory.assets):
            shape = shapely.set_precision(shape_in_degrees(asset, inventory.projection), 1e-7)
            geometry = json.loads(shapely.to_geojson(shape))
            feature = {"type": "Feature", "id": asset.asset_id, "geometry": geometry, "properties": asset.row()}
            text = json.dumps(feature, ensure_ascii=False, allow_nan=False)
            stream.write(f", {text}" if number else text)
        stream.write("]}\n")


def write_csv(path: Path, inventory: Inventory, mapping: FieldMapping | None = None) -> None:
    """Write a table that Excel opens with its Thai names: UTF-8 with byte-order mark, positions in degrees."""
    written = (mapping or FieldMapping()).written(COLUMNS)
    places = np.array([asset.middle_m for asset in inventory.assets]).reshape(-1, 2)
    _write_table(path, inventory.projection.to_degrees(places), AssetRows(inventory.assets), written)


def write_not_static(path: Path, inventory: Inventory) -> None:
    """Write what moves along the road as such a table, with where it was when it showed largest."""
    places = np.array([one.place_m for one in inventory.not_static]).reshape(-1, 2)
    names = {name: name for name in NOT_STATIC_COLUMNS}
    _write_table(path, inventory.projection.to_degrees(places), not_static_rows(inventory), names)


def _write_table(path: Path, degrees: FloatArray, rows: Iterable[dict[str, Any]], written: Mapping[str, str]) -> None:
    names = list(written.values())
    with replacing(path) as part, part.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow([*names[:_PLACE_AFTER], "longitude", "latitude", *names[_PLACE_AFTER:]])
        for (longitude, latitude), row in zip(degrees.tolist(), rows, strict=True):
            values = ["" if row[column] is None else row[column] for column in written]
            place = [f"{longitude:.7f}", f"{latitude:.7f}"]
            writer.writerow(map(csv_cell, [*values[:_PLACE_AFTER], *place, *values[_PLACE_AFTER:]]))

"""The inventory as GeoJSON and as a table for Excel."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import shapely

from reg_yolo.files import replace_bytes, replace_text
from reg_yolo.inventory.assets import COLUMNS
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.outputs.fields import FieldMapping
from reg_yolo.inventory.outputs.layers import shape_in_degrees
from reg_yolo.text_tables import csv_cell

_PLACE_AFTER = 3


def write_geojson(path: Path, inventory: Inventory) -> None:
    """Write RFC 7946: WGS 84, longitude first, seven digits, no `crs` member."""
    features = []
    for asset in inventory.assets:
        shape = shapely.set_precision(shape_in_degrees(asset, inventory.projection), 1e-7)
        geometry = json.loads(shapely.to_geojson(shape))
        features.append({"type": "Feature", "id": asset.asset_id, "geometry": geometry, "properties": asset.row()})
    content = {"type": "FeatureCollection", "features": features}
    replace_text(path, json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, inventory: Inventory, mapping: FieldMapping | None = None) -> None:
    """Write a table that Excel opens with its Thai names: UTF-8 with byte-order mark, positions in degrees."""
    written = (mapping or FieldMapping()).written(COLUMNS)
    columns = list(written)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    names = list(written.values())
    writer.writerow([*names[:_PLACE_AFTER], "longitude", "latitude", *names[_PLACE_AFTER:]])
    for asset in inventory.assets:
        longitude, latitude = inventory.projection.to_degrees(asset.middle_m)[0]
        row = asset.row()
        values = ["" if row[column] is None else row[column] for column in columns]
        place = [f"{longitude:.7f}", f"{latitude:.7f}"]
        writer.writerow(map(csv_cell, [*values[:_PLACE_AFTER], *place, *values[_PLACE_AFTER:]]))
    replace_bytes(path, b"\xef\xbb\xbf" + stream.getvalue().encode("utf-8"))

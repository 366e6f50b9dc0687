"""`inventory.gpkg`: all layers, with QGIS styles."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from reg_yolo.errors import DataError
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.outputs.fields import FieldMapping
from reg_yolo.inventory.outputs.layers import layers_of
from reg_yolo.inventory.outputs.styles import style_of
from reg_yolo.inventory.outputs.vector import new_geopackage, write_layer


def write_geopackage(path: Path, inventory: Inventory, crs: str, mapping: FieldMapping | None = None) -> None:
    """Write all layers and their QGIS styles; the file is written under another name and renamed.

    Raises:
        ConfigError: If pyogrio is missing or the CRS is not known.
        DataError: If the file is open elsewhere or cannot be written.
    """
    with new_geopackage(path) as part:
        layers = layers_of(inventory, mapping)
        for number, layer in enumerate(layers):
            write_layer(part, layer, crs, "GPKG", append=number > 0)
        _add_styles(part, {layer.name: style_of(layer, inventory.assets) for layer in layers if layer.geometry})
        _refuse_where_open(path)


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


def _add_styles(path: Path, styles: Mapping[str, str]) -> None:
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
        for layer, style in styles.items():
            connection.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
                "styleName, styleQML, styleSLD, useAsDefault, description, owner) "
                "VALUES ('', '', ?, 'geom', ?, ?, '', 1, '', '')",
                (layer, layer, style),
            )
        connection.commit()
    finally:
        connection.close()

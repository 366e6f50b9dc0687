"""`report.html`: the inventory on a map and in a table, in one file that needs no network."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.files import replace_text
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.outputs.layers import shape_in_degrees

FloatArray = NDArray[np.float64]

_COLUMNS = (
    "asset_id", "class", "probability", "sigma_along_m", "sigma_across_m", "observations", "passes", "chainage",
    "chainage_m", "track_m", "offset_m", "side", "height_m", "width_m", "length_m", "facing_deg", "source",
    "best_frame", "class_votes",
)  # fmt: skip
_CHI_95 = 2.4477
_CORNERS = 24


def write_report(path: Path, inventory: Inventory, tiles: str | None = None) -> None:
    """Write the report.

    Args:
        path: The HTML file.
        inventory: What is shown.
        tiles: Address of a tile server such as `https://tile.openstreetmap.org/{z}/{x}/{y}.png`; None for none.
    """
    folder = resources.files("reg_yolo.inventory.report")
    page = folder.joinpath("page.html").read_text(encoding="utf-8")
    style = folder.joinpath("leaflet", "leaflet.css").read_text(encoding="utf-8")
    script = folder.joinpath("leaflet", "leaflet.js").read_text(encoding="utf-8")
    # "</" would end the element that holds the data, whatever the text means.
    data = json.dumps(_content(inventory, tiles), ensure_ascii=False, allow_nan=False).replace("</", "<\\/")
    page = page.replace("/*LEAFLET_CSS*/", style).replace("/*LEAFLET_JS*/", script).replace("/*DATA*/", data)
    replace_text(path, page)


def _content(inventory: Inventory, tiles: str | None) -> dict[str, object]:
    projection = inventory.projection
    rows = [asset.row() for asset in inventory.assets]
    columns = [name for name in _COLUMNS if any(row[name] is not None for row in rows)] if rows else list(_COLUMNS)
    counts = [f"{value} {name}" for name, value in sorted(inventory.counts.items()) if value]
    return {
        "columns": columns,
        "rows": [[row[name] for name in columns] for row in rows],
        "shapes": [
            _latitude_first(shapely.get_coordinates(shape_in_degrees(asset, projection))) for asset in inventory.assets
        ],
        "ellipses": [
            _latitude_first(projection.to_degrees(ellipse(asset.middle_m, asset.covariance)))
            for asset in inventory.assets
        ],
        "ways": [
            _latitude_first(shapely.get_coordinates(shapely.LineString(projection.to_degrees(piece)).simplify(1e-5)))
            for pieces in inventory.ways
            for piece in pieces
        ],
        "notes": [*inventory.notes, *counts],
        "tiles": tiles,
    }


def ellipse(middle_m: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return the corners of the ellipse that holds the truth with 95 % probability, shape (24, 2)."""
    values, vectors = np.linalg.eigh(covariance)
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    return np.asarray(middle_m + (vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * circle)).T * _CHI_95)


def _latitude_first(degrees: FloatArray) -> list[list[float]]:
    return [[round(float(latitude), 6), round(float(longitude), 6)] for longitude, latitude in degrees]

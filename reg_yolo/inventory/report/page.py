"""`report.html`: the inventory on a map and in a table, in one file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.outputs.layers import (
    not_applied_rows,
    rejected_rows,
    shape_in_degrees,
    stretch_rows,
    unlocated_rows,
)
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.report.labels import column_labels, labels, shown_date, shown_side
from reg_yolo.inventory.report.template import write_page
from reg_yolo.inventory.review.embedded import embedded_review

FloatArray = NDArray[np.float64]

_COLUMNS = (
    "thumbnail", "asset_id", "class", "probability", "sigma_along_m", "sigma_across_m", "observations", "passes",
    "chainage", "chainage_m", "track_m", "offset_m", "side", "height_m", "width_m", "length_m", "facing_deg", "source",
    "best_frame", "first_seen", "last_seen", "class_votes", "reviewed_by", "decisions",
)  # fmt: skip
_CHI_95 = 2.4477
_CORNERS = 24


def write_report(path: Path, inventory: Inventory, tiles: str | None = None, language: str = "en") -> None:
    """Write the report.

    Args:
        path: The HTML file.
        inventory: What is shown.
        tiles: Address of a tile server such as `https://tile.openstreetmap.org/{z}/{x}/{y}.png`; None for none.
        language: `en`, or `th` for Thai labels, the time of Thailand and years of the Buddhist era.
    """
    write_page(path, _content(inventory, tiles, language), language)


def _content(inventory: Inventory, tiles: str | None, language: str) -> dict[str, object]:
    projection = inventory.projection
    rows = [_shown(asset, language) for asset in inventory.assets]
    counts = [f"{value} {name}" for name, value in sorted(inventory.counts.items()) if value]
    words = labels(language)

    def date(time_s: float) -> str:
        return shown_date(time_s, language)

    tables = [
        _table(words["stretches"], stretch_rows(inventory, date)),
        _table(words["unlocated"], unlocated_rows(inventory, date)),
        _table(words["rejected"], rejected_rows(inventory)),
        _table(words["not_applied"], not_applied_rows(inventory)),
    ]
    return {
        "by": "class",
        **_filled(rows, _COLUMNS),
        "shapes": [
            _latitude_first(shapely.get_coordinates(shape_in_degrees(asset, projection))) for asset in inventory.assets
        ],
        "ellipses": [
            _latitude_first(projection.to_degrees(ellipse(asset.middle_m, asset.covariance)))
            for asset in inventory.assets
        ],
        "ways": [_drawn(piece, projection) for pieces in inventory.ways for piece in pieces],
        "stretches": [_drawn(stretch.points_m, projection) for stretch in inventory.stretches],
        "notes": [*inventory.notes, *counts],
        "tables": [table for table in tables if table["rows"]],
        "column_labels": column_labels(language),
        "tiles": tiles,
        "review": embedded_review(inventory.assets, language) if rows else None,
    }


def _shown(asset: Asset, language: str) -> dict[str, Any]:
    """Columns of an asset as the page writes them."""
    row = asset.row()
    for name in ("first_seen", "last_seen"):
        if row[name]:
            row[name] = shown_date(datetime.fromisoformat(row[name]).timestamp(), language)
    row["side"] = shown_side(row["side"], language)
    return row


def _table(title: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"title": f"{title}: {len(rows)}", **_filled(rows, tuple(rows[0]) if rows else ())}


def _filled(rows: list[dict[str, Any]], columns: Sequence[str]) -> dict[str, Any]:
    """Columns that hold something, and the rows' values in them."""
    filled = [name for name in columns if any(row[name] is not None for row in rows)] if rows else list(columns)
    return {"columns": filled, "rows": [[row[name] for name in filled] for row in rows]}


def _drawn(points_m: FloatArray, projection: LocalProjection) -> list[list[float]]:
    line = shapely.LineString(projection.to_degrees(points_m)).simplify(1e-5)
    return _latitude_first(shapely.get_coordinates(line))


def ellipse(middle_m: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return the corners of the ellipse that holds the truth with 95 % probability, shape (24, 2)."""
    values, vectors = np.linalg.eigh(covariance)
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    return np.asarray(middle_m + (vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * circle)).T * _CHI_95)


def _latitude_first(degrees: FloatArray) -> list[list[float]]:
    return [[round(float(latitude), 6), round(float(longitude), 6)] for longitude, latitude in degrees]

"""`report.html`: the inventory on a map and in a table, in files that need no network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.outputs.layers import (
    not_applied_rows,
    not_static_rows,
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
    "thumbnail", "asset_id", "class", "route", "chainage", "side", "probability", "sigma_along_m", "sigma_across_m",
    "observations", "passes", "carriageway", "chainage_m", "chainage_also", "track_m", "offset_m", "height_m",
    "width_m", "length_m", "ends_seen", "facing_deg", "source", "best_frame", "first_seen", "last_seen", "class_votes",
    "reviewed_by", "decisions",
)  # fmt: skip
MOST_ON_A_PAGE = 20_000
_FEW = 100
_CHI_95 = 2.4477
_CORNERS = 24


@dataclass(frozen=True)
class Basemap:
    """Tiles that a page loads from a network.

    Attributes:
        tiles: Address with `{z}`, `{x}` and `{y}`, such as `https://tile.openstreetmap.org/{z}/{x}/{y}.png`.
        attribution: Whose they are; shown as text.

    Raises:
        ConfigError: If the address is none.
    """

    tiles: str
    attribution: str = ""

    def __post_init__(self) -> None:
        parts = ("{z}", "{x}", "{y}")
        if not self.tiles.startswith(("https://", "http://")) or not all(part in self.tiles for part in parts):
            raise ConfigError(f"--tiles: expected https://... with {', '.join(parts)}, got {self.tiles!r}")


def write_report(
    path: Path, inventory: Inventory, basemap: Basemap | None = None, language: str = "en", most: int = MOST_ON_A_PAGE
) -> list[Path]:
    """Write the report: one page, or where there are more assets than `most` an index and pages by route next to it.

    Args:
        path: The HTML file.
        inventory: What is shown.
        basemap: Online map below; None for a page that needs no network.
        language: `en`, or `th` for Thai labels, the time of Thailand and years of the Buddhist era.
        most: Assets on a page.

    Returns:
        The pages besides `path`. Those that an earlier report left are removed.
    """
    names = re.compile(rf"{re.escape(path.stem)}_\d+{re.escape(path.suffix)}")
    for old in path.parent.iterdir():
        if names.fullmatch(old.name):
            old.unlink()
    around = _around(inventory, basemap, language)
    if len(inventory.assets) <= most:
        write_page(path, {**_assets_content(inventory.assets, inventory, language), **around}, language)
        return []
    pages: list[Path] = []
    rows: list[dict[str, Any]] = []
    shapes: list[Any] = []
    for route, some in _by_route(inventory.assets, most):
        page = path.with_name(f"{path.stem}_{len(pages) + 1:03d}{path.suffix}")
        quiet = {"notes": [], "tables": [], "title": f"{labels(language)['title']}: {route} ({len(pages) + 1})"}
        write_page(page, {**_assets_content(some, inventory, language), **around, **quiet}, language)
        ends = (some[0], some[-1])
        chainages = [one.values.get("chainage") for one in ends]
        rows.append({"page": page.name, "route": route, "assets": len(some), "chainage_from": chainages[0],
                     "chainage_to": chainages[1]})  # fmt: skip
        # The way of a page in a few points: its assets stand to both sides of the road.
        few = np.unique(np.linspace(0, len(some) - 1, _FEW).astype(np.int64))
        middles = np.array([some[n].middle_m for n in few])
        shapes.append(_latitude_first(inventory.projection.to_degrees(middles)))
        pages.append(page)
    columns = ("page", "route", "assets", "chainage_from", "chainage_to")
    index = {"by": "route", **_filled(rows, columns), "shapes": shapes, "ellipses": []}
    write_page(path, {**index, **around}, language)
    return pages


def _by_route(assets: Sequence[Asset], most: int) -> list[tuple[str, list[Asset]]]:
    """Assets of each route along it, at most so many at a time; without a route along the drives."""

    def place(asset: Asset) -> float:
        chainage = asset.values.get("chainage_m")
        return float(asset.values.get("track_m") or 0.0) if chainage is None else float(chainage)

    routes: dict[str, list[Asset]] = {}
    for asset in assets:
        routes.setdefault(str(asset.values.get("route") or "-"), []).append(asset)
    return [
        (route, some[start : start + most])
        for route in sorted(routes)
        for some in [sorted(routes[route], key=place)]
        for start in range(0, len(some), most)
    ]


def _around(inventory: Inventory, basemap: Basemap | None, language: str) -> dict[str, object]:
    """What a page shows besides assets."""
    words = labels(language)

    def date(time_s: float) -> str:
        return shown_date(time_s, language)

    tables = [
        _table(words["stretches"], stretch_rows(inventory, date)),
        _table(words["unlocated"], unlocated_rows(inventory, date)),
        _table(words["not_static"], not_static_rows(inventory, date)),
        _table(words["rejected"], rejected_rows(inventory)),
        _table(words["not_applied"], not_applied_rows(inventory)),
    ]
    counts = [f"{value} {name}" for name, value in sorted(inventory.counts.items()) if value]
    projection = inventory.projection
    return {
        "ways": [_drawn(piece, projection) for pieces in inventory.ways for piece in pieces],
        "stretches": [_drawn(stretch.points_m, projection) for stretch in inventory.stretches],
        "notes": [*inventory.notes, *counts],
        "tables": [table for table in tables if table["rows"]],
        "column_labels": column_labels(language),
        "tiles": basemap.tiles if basemap else None,
        "attribution": basemap.attribution if basemap else "",
    }


def _assets_content(assets: Sequence[Asset], inventory: Inventory, language: str) -> dict[str, object]:
    projection = inventory.projection
    return {
        "by": "class",
        **_filled([_shown(asset, language) for asset in assets], _COLUMNS),
        "shapes": [_latitude_first(shapely.get_coordinates(shape_in_degrees(one, projection))) for one in assets],
        "ellipses": [_latitude_first(projection.to_degrees(ellipse(one.middle_m, one.covariance))) for one in assets],
        "review": embedded_review(assets, language) if assets else None,
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

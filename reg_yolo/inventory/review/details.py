"""What the page is told of an asset."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reg_yolo.inventory.report.labels import shown_date, shown_side
from reg_yolo.inventory.review.catalogue import Catalogue, Entry
from reg_yolo.inventory.review.index import points_of
from reg_yolo.inventory.review.naming import naming

SHOWN = (
    "probability", "sigma_along_m", "sigma_across_m", "class_votes", "observations", "passes", "route", "chainage",
    "track_m", "side", "height_m", "width_m", "length_m", "facing_deg", "source", "best_frame", "first_seen",
    "reviewed_by", "decisions",
)  # fmt: skip
"""Columns that a reviewer sees."""
NEAR_M, MOST_NEAR = 25.0, 8
"""Other assets that are shown with one, and may be merged with it."""
_MOST_SEEN = 400


def details(catalogue: Catalogue, entry: Entry, language: str = "en") -> dict[str, Any]:
    """Return an asset with what names it, what it was seen by, and what stands near it.

    Args:
        catalogue: The inventory.
        entry: The asset.
        language: Of the columns' dates and sides, as in report.html.
    """
    record = catalogue.observed(entry.asset_id)
    assert record is not None
    near = [
        {**_brief(catalogue, other), "distance_m": round(distance, 1)}
        for distance, other in catalogue.near(entry, NEAR_M, MOST_NEAR)
    ]
    values = entry.feature["properties"]
    return {
        **_brief(catalogue, entry),
        "rank": entry.rank,
        "doubt": round(entry.doubt, 3),
        "camera": _camera(values),
        "columns": {name: _shown(name, values[name], language) for name in SHOWN if values.get(name) is not None},
        "observations": [_seen(one) for one in record["observations"][:_MOST_SEEN]],
        "near": near,
    }


def _shown(name: str, value: Any, language: str) -> Any:
    if name == "first_seen" and value:
        return shown_date(datetime.fromisoformat(value).timestamp(), language)
    return shown_side(value, language) if name == "side" else value


def _brief(catalogue: Catalogue, entry: Entry) -> dict[str, Any]:
    record = catalogue.observed(entry.asset_id)
    assert record is not None
    return {
        "id": entry.asset_id,
        "class": entry.class_name,
        "state": entry.state,
        "shape": [[latitude, longitude] for longitude, latitude, *_ in points_of(entry.feature["geometry"])],
        "thumbnail": entry.feature["properties"].get("thumbnail"),
        "seen": [_seen(one) for one in naming(record)],
    }


def _seen(one: Any) -> dict[str, Any]:
    return {name: one[name] for name in ("source", "frame", "xyxy", "class", "confidence")}


def _camera(values: Any) -> list[float] | None:
    place = [values.get("camera_latitude"), values.get("camera_longitude")]
    return None if None in place else place

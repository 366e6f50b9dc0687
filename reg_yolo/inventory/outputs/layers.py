"""The layers of an inventory as tables with geometries in degrees."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import shapely

from reg_yolo.inventory.assets import COLUMNS, Asset, utc_text
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.classes import LINE, POINT, SPAN
from reg_yolo.inventory.decisions.decision import NotApplied
from reg_yolo.inventory.drive.not_static import NotStatic
from reg_yolo.inventory.drive.unlocated import Unlocated
from reg_yolo.inventory.outputs.fields import FieldMapping
from reg_yolo.inventory.projection import LocalProjection

ASSET_LAYERS = {"points": (POINT, "Point"), "lines": (LINE, "LineString"), "spans": (SPAN, "LineString")}
"""Layers of assets: kind of asset, and geometry."""
STRETCH_COLUMNS = (
    "drive", "source", "frames", "length_m", "first_seen", "last_seen", "track_from_m", "track_to_m", "chainage_from",
    "chainage_to", "hfov_deg", "yaw_deg", "range_m",
)  # fmt: skip
UNLOCATED_COLUMNS = (
    "class", "drive", "source", "first_frame", "last_frame", "first_seen", "last_seen", "observations", "confidence",
    "box_px", "class_votes", "last_longitude", "last_latitude",
)  # fmt: skip
NOT_STATIC_COLUMNS = (
    "class", "drive", "source", "first_frame", "last_frame", "first_seen", "last_seen", "observations", "confidence",
    "speed_kmh", "travelled_m", "best_frame", "box_px", "class_votes",
)  # fmt: skip
REJECTED_COLUMNS = (
    "asset_id", "class", "geometry_kind", "observations", "source", "best_frame", "class_votes", "reviewed_by",
)  # fmt: skip
NOT_APPLIED_COLUMNS = (
    "reason", "action", "who", "when", "why", "source", "frame", "box_px", "class", "decision", "read_from",
)  # fmt: skip


class AssetRows(Iterable[dict[str, Any]]):
    """Columns of assets, made one asset after the other: those of a month take as much memory as its assets.

    Args:
        assets: Whose columns.
    """

    def __init__(self, assets: Sequence[Asset]) -> None:
        self._assets = assets

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (asset.row() for asset in self._assets)


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        name: Its name.
        geometry: `Point`, `LineString`, or None for a table without geometry.
        columns: Names of its columns, in their order.
        shapes: Geometries in degrees.
        rows: Columns of each, by the names that the inventory uses.
        written: The names that the file gets, by column; the inventory's own where it names none.
    """

    name: str
    geometry: str | None
    columns: tuple[str, ...]
    shapes: list[Any]
    rows: Iterable[dict[str, Any]]
    written: dict[str, str] = field(default_factory=dict)


def layers_of(inventory: Inventory, mapping: FieldMapping | None = None) -> list[Layer]:
    """Return points, lines, spans, the drive, the stretches that were surveyed, what has no position, and what moves.

    Where decisions were given, also what reviewers rejected, and the decisions that are not followed.

    Args:
        inventory: What is written.
        mapping: Columns of the assets' layers.
    """
    projection = inventory.projection
    written = (mapping or FieldMapping()).written(COLUMNS)
    layers = []
    for layer, (kind, geometry) in ASSET_LAYERS.items():
        some = [asset for asset in inventory.assets if asset.kind == kind]
        shapes = [shape_in_degrees(asset, projection) for asset in some]
        layers.append(Layer(layer, geometry, tuple(written), shapes, AssetRows(some), written))
    ways = [
        (number, shapely.LineString(projection.to_degrees(piece)))
        for number, pieces in enumerate(inventory.ways)
        for piece in pieces
    ]
    rows = [{"drive": number} for number, _ in ways]
    layers.append(Layer("drive", "LineString", ("drive",), [way for _, way in ways], rows))
    lines = [shapely.LineString(projection.to_degrees(stretch.points_m)) for stretch in inventory.stretches]
    layers.append(Layer("surveyed_stretches", "LineString", STRETCH_COLUMNS, lines, stretch_rows(inventory)))
    layers.append(Layer("unlocated", None, UNLOCATED_COLUMNS, [], unlocated_rows(inventory)))
    moving = [shapely.Point(projection.to_degrees(one.place_m)[0]) for one in inventory.not_static]
    layers.append(Layer("not_static", "Point", NOT_STATIC_COLUMNS, moving, not_static_rows(inventory)))
    if inventory.rejected is not None:
        middles = [projection.to_degrees(asset.middle_m)[0] for asset in inventory.rejected]
        places = [shapely.Point(middle) for middle in middles]
        layers.append(Layer("rejected", "Point", REJECTED_COLUMNS, places, rejected_rows(inventory)))
        layers.append(Layer("decisions_not_applied", None, NOT_APPLIED_COLUMNS, [], not_applied_rows(inventory)))
    return layers


def shape_in_degrees(asset: Asset, projection: LocalProjection) -> Any:
    """Return an asset's geometry in longitude and latitude."""
    degrees = projection.to_degrees(asset.points_m)
    return shapely.Point(degrees[0]) if asset.kind == POINT else shapely.LineString(degrees)


def stretch_rows(inventory: Inventory, date: Callable[[float], str] = utc_text) -> list[dict[str, Any]]:
    """Return the columns of the surveyed stretches; `date` writes POSIX times."""
    chainages: Sequence[tuple[str | None, str | None]] = inventory.stretch_chainages
    return [
        {
            "drive": stretch.drive,
            "source": stretch.source,
            "frames": stretch.frames,
            "length_m": round(stretch.length_m, 1),
            "first_seen": date(stretch.first_s),
            "last_seen": date(stretch.last_s),
            "track_from_m": round(stretch.track_from_m, 1),
            "track_to_m": round(stretch.track_to_m, 1),
            "chainage_from": chainages[number][0] if chainages else None,
            "chainage_to": chainages[number][1] if chainages else None,
            "hfov_deg": round(stretch.hfov_deg, 2),
            "yaw_deg": round(stretch.yaw_deg, 2),
            "range_m": stretch.range_m,
        }
        for number, stretch in enumerate(inventory.stretches)
    ]


def unlocated_rows(inventory: Inventory, date: Callable[[float], str] = utc_text) -> list[dict[str, Any]]:
    """Return the columns of what has no position; `date` writes POSIX times."""
    return [_unlocated_row(one, inventory.projection, date) for one in inventory.unlocated]


def not_static_rows(inventory: Inventory, date: Callable[[float], str] = utc_text) -> list[dict[str, Any]]:
    """Return the columns of what moves along the road; `date` writes POSIX times."""
    return [_not_static_row(one, date) for one in inventory.not_static]


def rejected_rows(inventory: Inventory) -> list[dict[str, Any]]:
    """Return the columns of the assets that reviewers rejected."""
    rows = [asset.row() for asset in inventory.rejected or []]
    return [{name: row[name] for name in REJECTED_COLUMNS} for row in rows]


def not_applied_rows(inventory: Inventory) -> list[dict[str, Any]]:
    """Return the columns of the decisions that are not followed; of their observations the first one."""
    return [_not_applied_row(one) for one in inventory.not_applied or []]


def _not_applied_row(one: NotApplied) -> dict[str, Any]:
    decision = one.decision
    row: dict[str, Any] = dict.fromkeys(NOT_APPLIED_COLUMNS) | {"reason": one.reason, "read_from": one.read_from}
    if decision is None:
        return row
    row |= {"action": decision.action, "who": decision.who, "when": decision.when, "why": decision.why or None}
    row |= {"class": decision.class_name, "decision": decision.decision_id}
    if decision.parts:
        seen = decision.parts[0][0]
        row |= {"source": seen.source, "frame": seen.frame, "box_px": _box_text(seen.xyxy)}
    return row


def _not_static_row(one: NotStatic, date: Callable[[float], str]) -> dict[str, Any]:
    return {
        "class": one.class_name,
        "drive": one.drive,
        "source": one.source,
        "first_frame": one.first_frame,
        "last_frame": one.last_frame,
        "first_seen": date(one.first_s),
        "last_seen": date(one.last_s),
        "observations": one.observations,
        "confidence": round(one.confidence, 3),
        "speed_kmh": round(one.speed_kmh, 1),
        "travelled_m": round(one.travelled_m, 1),
        "best_frame": one.best_frame,
        "box_px": _box_text(one.xyxy),
        "class_votes": _votes_text(one.votes),
    }


def _box_text(xyxy: Sequence[float]) -> str:
    return " ".join(f"{side:.0f}" for side in xyxy)


def _votes_text(votes: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in sorted(votes.items(), key=lambda vote: -vote[1]))


def _unlocated_row(one: Unlocated, projection: LocalProjection, date: Callable[[float], str]) -> dict[str, Any]:
    place = None if one.last_place_m is None else projection.to_degrees(one.last_place_m)[0]
    return {
        "class": one.class_name,
        "drive": one.drive,
        "source": one.source,
        "first_frame": one.first_frame,
        "last_frame": one.last_frame,
        "first_seen": date(one.first_s) if math.isfinite(one.first_s) else None,
        "last_seen": date(one.last_s) if math.isfinite(one.last_s) else None,
        "observations": one.observations,
        "confidence": round(one.confidence, 3),
        "box_px": _box_text(one.xyxy),
        "class_votes": _votes_text(one.votes),
        "last_longitude": None if place is None else round(float(place[0]), 7),
        "last_latitude": None if place is None else round(float(place[1]), 7),
    }

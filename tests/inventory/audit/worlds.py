"""A road of two kilometres, driven both ways, and an inventory of it whose faults are known."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import shapely

from reg_yolo.inventory.assets import Asset
from reg_yolo.inventory.audit.forms import KIND
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.drive.stretches import Stretch
from reg_yolo.inventory.outputs.geopackage import write_geopackage
from reg_yolo.inventory.outputs.text import write_geojson
from reg_yolo.inventory.projection import LocalProjection

PROJECTION = LocalProjection(102.0, 14.0)
LENGTH_M = 2000.0
POLE, SIGN, RAIL = "เสา", "sign", "rail"
AUDITORS = {"a": "สมชาย", "b": "Malee", "c": "สุดา"}


def degrees(x: float, y: float) -> tuple[float, float]:
    """Return longitude and latitude of a place in metres."""
    longitude, latitude = PROJECTION.to_degrees(np.array([[x, y]]))[0]
    return float(longitude), float(latitude)


def _asset(name: str, kind: str, points: list[list[float]], **values: object) -> Asset:
    made = Asset(name, kind, np.array(points), np.eye(2), 0.9, {"passes": 2, "observations": 9, **values})
    made.asset_id = f"{name}-{int(points[0][0]):04d}"
    return made


def world() -> Inventory:
    """Return 40 poles 50 m apart, of which four were seen by one drive only, 20 signs, and a guardrail of 300 m."""
    poles = []
    for n in range(40):
        x = 20.0 + 50 * n
        camera = degrees(x + 15 if n == 20 else x - 15, 0.0)
        one = {"passes": 1 if n % 10 == 0 else 2, "camera_longitude": camera[0], "camera_latitude": camera[1]}
        poles.append(_asset(POLE, "point", [[x, 6.0]], **one))
    signs = [_asset(SIGN, "point", [[45.0 + 100 * n, -6.0]], passes=1, facing_deg=90.0) for n in range(20)]
    rail = _asset(RAIL, "line", [[500.0, 8.0], [800.0, 8.0]], length_m=300.0)
    there, back = np.array([[0.0, -2.0], [LENGTH_M, -2.0]]), np.array([[LENGTH_M, 2.0], [0.0, 2.0]])
    stretches = [
        Stretch(n, f"ไป{n}.mp4", line, 400, 0.0, 100.0, 0.0, LENGTH_M, 60.0, 0.0)
        for n, line in enumerate((there, back))
    ]
    return Inventory(PROJECTION, [*poles, *signs, rail], [[there], [back]], stretches=stretches)


def write_world(folder: Path) -> Path:
    """Write inventory.gpkg and inventory.geojson, and return the folder."""
    folder.mkdir()
    write_geopackage(folder / "inventory.gpkg", world(), "EPSG:32647")
    write_geojson(folder / "inventory.geojson", world())
    return folder


def write_truth(path: Path, *, more: list[tuple[str, float, float]] | None = None) -> Path:
    """Write what stands there as GeoJSON: what the inventory has, and more."""
    write_geojson(path, world())
    content = json.loads(path.read_text(encoding="utf-8"))
    for number, (name, x, y) in enumerate(more or []):
        content["features"].append(
            {"type": "Feature", "id": f"more-{number}", "properties": {"class": name, "geometry_kind": "point"},
             "geometry": json.loads(shapely.to_geojson(shapely.Point(degrees(x, y))))}
        )  # fmt: skip
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


Row = dict[str, str]


def rows_of(path: Path) -> list[Row]:
    """Return the rows of a form."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def fill(path: Path, out: Path, change: Callable[[Row], list[Row]], kind: str) -> Path:
    """Write a form whose rows are changed."""
    rows = [new for row in rows_of(path) for new in change(row)]
    with out.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, KIND[kind].columns)
        writer.writeheader()
        writer.writerows(rows)
    return out


def asset_filler(
    wrong: Mapping[str, str] | None = None, far: Mapping[str, float] | None = None
) -> Callable[[Row], list[Row]]:
    """Return what fills a form for assets: all right and half a metre off, but for those that are named."""

    def change(row: Row) -> list[Row]:
        item = row["asset_id"]
        if item in (wrong or {}):
            return [{**row, "correct": (wrong or {})[item], "auditor": AUDITORS[row["form"]]}]
        error = str((far or {}).get(item, 0.5))
        return [{**row, "correct": "yes", "error_m": error, "auditor": AUDITORS[row["form"]]}]

    return change


def stretch_filler(
    hidden: tuple[str, ...] = (), more: list[tuple[str, float, float]] | None = None
) -> Callable[[Row], list[Row]]:
    """Return what fills a form for stretches with all that the inventory has, less some assets and with others."""
    things = [(one.class_name, *one.middle_m.tolist()) for one in world().assets if one.asset_id not in hidden]
    things = [thing for thing in things if thing[0] != RAIL] + (more or [])

    def change(row: Row) -> list[Row]:
        ends = [(float(row[f"{end}_longitude"]), float(row[f"{end}_latitude"])) for end in ("from", "to")]
        low, high = sorted(float(PROJECTION.to_metres(*end)[0, 0]) for end in ends)
        rows = []
        for name, x, y in things:
            if low <= x < high:
                longitude, latitude = degrees(x, y)
                rows.append({**row, "class": name, "longitude": f"{longitude:.7f}", "latitude": f"{latitude:.7f}"})
        if high > 510 and low < 790:
            # The guardrail, anywhere along it.
            longitude, latitude = degrees(min(max(low + 30, 505.0), 795.0), 8.0)
            rows.append({**row, "class": RAIL, "longitude": f"{longitude:.7f}", "latitude": f"{latitude:.7f}"})
        return rows or [{**row, "class": "none"}]

    return change

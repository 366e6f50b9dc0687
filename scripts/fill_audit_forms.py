"""Fill the forms of an audit as two people would who know the truth: for trying the audit on the embedded highway.

    python scripts/fill_audit_forms.py AUDIT TRUTH.geojson --out filled

TRUTH is `assets.geojson` of `reg-yolo scenes --drive`. Both people see what stands there but for a few things, measure
places to half a metre, and err now and then; person A fills tables, person B GeoPackages.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from reg_yolo.inventory.audit.assets import Listed, read_assets
from reg_yolo.inventory.audit.forms import ASSETS, GEOPACKAGES, KIND, LAYERS, LISTED, NOTHING, STRETCHES
from reg_yolo.inventory.audit.plan import Plan, SampledAsset, SampledStretch, Twin, read_plan
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

MEASURED_M, WITHIN_M = 0.5, 10.0


@dataclass(frozen=True)
class Person:
    """Somebody who fills forms.

    Attributes:
        form: `a` or `b`.
        name: What is written into `auditor`.
        overlooked, mistaken: How often something is not seen along a stretch, and an asset judged wrongly.
        rng: Source of chance.
    """

    form: str
    name: str
    overlooked: float
    mistaken: float
    rng: np.random.Generator


class Truth:
    """What stands where, in metres."""

    def __init__(self, assets: list[Listed], plan: Plan) -> None:
        """Prepare.

        Args:
            assets: All that stand.
            plan: The audit.
        """
        points = np.array([point for stretch in plan.stretches for point in stretch.line])
        self.projection = LocalProjection.around(points[:, 0], points[:, 1])
        self.assets = assets
        self.plan = plan
        self.shapes = [self.metres(shapely.get_coordinates(asset.shape)) for asset in assets]

    def metres(self, degrees: FloatArray) -> Any:
        """Return points in degrees, shape (N, 2), as a shape in metres."""
        places = self.projection.to_metres(degrees[:, 0], degrees[:, 1])
        return shapely.Point(places[0]) if len(places) == 1 else shapely.LineString(places)

    def along(self, stretch: SampledStretch) -> list[tuple[str, FloatArray]]:
        """Return class and place in metres of everything along a stretch, between its ends and within its reach."""
        line = self.metres(np.array(stretch.line))
        area = line.buffer(self.plan.terms.reach_m, cap_style="flat")
        found = []
        for asset, shape in zip(self.assets, self.shapes, strict=True):
            middle = _middle(shape) if not asset.is_line else shape
            if middle.intersects(area):
                place = _middle(middle.intersection(area))
                found.append((asset.class_name, np.array(place.coords[0])))
        return found

    def right(self, sampled: SampledAsset) -> float | None:
        """Return how far an asset lies from the true one of its class that it is, None where it is none."""
        place = self._place(sampled)
        others = [(twin.asset_id, self._place(twin)) for twin in sampled.twins or ()]
        nearest = np.inf
        for asset, shape in zip(self.assets, self.shapes, strict=True):
            if asset.class_name != sampled.class_name:
                continue
            where = shape if asset.is_line else _middle(shape)
            away = float(where.distance(place))
            # Of several that are listed for one real thing the nearest is right; long things come in pieces.
            own = (away, sampled.asset_id)
            if asset.is_line or not any((float(where.distance(other)), name) < own for name, other in others):
                nearest = min(nearest, away)
        return nearest if nearest <= WITHIN_M else None

    def _place(self, one: SampledAsset | Twin) -> Any:
        return self.metres(np.array([[one.longitude, one.latitude]]))


def _middle(shape: Any) -> Any:
    """The point between both ends, as the inventory places things that are not long."""
    points = shapely.get_coordinates(shape)
    return shapely.Point((points[0] + points[-1]) / 2)


def listed(person: Person, truth: Truth, stretch: SampledStretch) -> list[tuple[str, float, float]]:
    """Return class, longitude and latitude of what a person lists along a stretch."""
    rows = []
    for name, place in truth.along(stretch):
        if person.rng.random() >= person.overlooked:
            seen = place + person.rng.normal(0, MEASURED_M, 2)
            longitude, latitude = truth.projection.to_degrees(seen)[0]
            rows.append((name, float(longitude), float(latitude)))
    return rows


def judged(person: Person, truth: Truth, asset: SampledAsset) -> dict[str, str]:
    """Return what a person writes about an asset."""
    error = truth.right(asset)
    right = (error is not None) != (person.rng.random() < person.mistaken)
    measured = abs((error or 0.0) + person.rng.normal(0, MEASURED_M))
    return {"correct": "yes" if right else "no", "error_m": f"{measured:.1f}" if right else "", "auditor": person.name}


def fill_tables(person: Person, truth: Truth, audit: Path, out: Path) -> list[Path]:
    """Fill both tables of a person's form."""
    stretches = {stretch.stretch_id: stretch for stretch in truth.plan.stretches}
    sampled = {asset.asset_id: asset for asset in truth.plan.assets}

    def of_stretch(row: dict[str, str]) -> list[dict[str, str]]:
        rows = listed(person, truth, stretches[row["stretch_id"]])
        signed = {**row, "auditor": person.name}
        if not rows:
            return [{**signed, "class": NOTHING}]
        return [{**signed, "class": name, "longitude": f"{x:.7f}", "latitude": f"{y:.7f}"} for name, x, y in rows]

    def of_asset(row: dict[str, str]) -> list[dict[str, str]]:
        return [{**row, **judged(person, truth, sampled[row["asset_id"]])}]

    written = []
    fillers: dict[str, Callable[[dict[str, str]], list[dict[str, str]]]] = {STRETCHES: of_stretch, ASSETS: of_asset}
    for kind, fill in fillers.items():
        name = f"form_{person.form}_{kind}.csv"
        with (audit / name).open(encoding="utf-8-sig", newline="") as stream:
            rows = [filled for row in csv.DictReader(stream) for filled in fill(row)]
        with (out / name).open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.DictWriter(stream, KIND[kind].columns)
            writer.writeheader()
            writer.writerows(rows)
        written.append(out / name)
    return written


def fill_geopackages(person: Person, truth: Truth, audit: Path, out: Path) -> list[Path]:
    """Fill both GeoPackages of a person's form."""
    plan = truth.plan
    given = {"audit": plan.audit, "form": person.form}
    checked = [
        {**given, "stretch_id": stretch.stretch_id, "checked": "yes", "auditor": person.name}
        for stretch in plan.stretches
    ]
    drawn = [
        ({**given, "stretch_id": stretch.stretch_id, "class": name, "auditor": person.name}, shapely.Point(x, y))
        for stretch in plan.stretches
        for name, x, y in listed(person, truth, stretch)
    ]
    answers = [{**given, "asset_id": asset.asset_id, **judged(person, truth, asset)} for asset in plan.assets]
    layers = {
        STRETCHES: (checked, [shapely.LineString(stretch.line) for stretch in plan.stretches]),
        LISTED: ([row for row, _ in drawn], [point for _, point in drawn]),
        ASSETS: (answers, [shapely.Point(asset.longitude, asset.latitude) for asset in plan.assets]),
    }
    paths = {kind: out / f"form_{person.form}_{kind}.gpkg" for kind in GEOPACKAGES}
    for path in paths.values():
        shutil.copy(audit / path.name, path)
    for kind, name in ((kind, name) for kind, names in GEOPACKAGES.items() for name in names):
        rows, shapes = layers[name]
        geometry, before, answered = LAYERS[name]
        columns = [*before, *answered]
        data = [np.array([str(row.get(column, "")) for row in rows], dtype=object) for column in columns]
        pyogrio.raw.write(
            str(paths[kind]), np.array(shapely.to_wkb(np.array(shapes, dtype=object)), dtype=object), data,
            np.array(columns, dtype=object), layer=name, driver="GPKG", geometry_type=geometry, crs="EPSG:4326",
        )  # fmt: skip
    return list(paths.values())


def fill_forms(audit: Path, truth: Path, out: Path, *, mistaken: float = 0.02, seed: int = 0) -> list[Path]:
    """Fill the forms of both people.

    Args:
        audit: Folder of the audit.
        truth: GeoJSON of what stands there.
        out: Folder of the filled forms.
        mistaken: How often each person overlooks or misjudges something.
        seed: Of all chance.
    """
    out.mkdir(parents=True, exist_ok=True)
    known = Truth(read_assets(truth), read_plan(audit))
    first, second = (
        Person(form, name, mistaken, mistaken, np.random.default_rng([seed, number]))
        for number, (form, name) in enumerate((("a", "สมชาย"), ("b", "Malee")))
    )
    return [*fill_tables(first, known, audit, out), *fill_geopackages(second, known, audit, out)]


def main() -> None:
    """Fill and name the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audit", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--out", type=Path, default=Path("filled"))
    parser.add_argument("--mistaken", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for path in fill_forms(given.audit, given.truth, given.out, mistaken=given.mistaken, seed=given.seed):
        print(path)


if __name__ == "__main__":
    main()

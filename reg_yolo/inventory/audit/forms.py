"""Forms for two people: tables for a spreadsheet and layers for a GIS.

They are blind: a form for recall shows the stretch and nothing of what the inventory has there; one for assets shows
place and class, and nothing of how sure the inventory is.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely

from reg_yolo.files import replace_bytes, replace_text
from reg_yolo.inventory.audit.plan import Plan, SampledAsset, SampledStretch
from reg_yolo.inventory.datum import WGS84
from reg_yolo.inventory.outputs.layers import Layer
from reg_yolo.inventory.outputs.vector import new_geopackage, write_layer
from reg_yolo.text_tables import csv_cell

ASSETS, STRETCHES, LISTED, DISPUTED = "assets", "stretches", "listed", "disputed"
PEOPLE = ("a", "b")
DECIDER = "c"
NOTHING = "none"
SAME_CLASS = "same_class_near"
_SIGNED = ("auditor", "checked_on", "remark")
_COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


@dataclass(frozen=True)
class Kind:
    """A kind of form.

    Attributes:
        name: `assets`, `stretches`, `listed` (a layer of a GeoPackage) or `disputed`.
        key: The column that names what a row is about.
        given: Columns that are filled in already.
        answers: Columns that a person fills in.
        asked: The answer that makes a row a filled one.
    """

    name: str
    key: str
    given: tuple[str, ...]
    answers: tuple[str, ...]
    asked: str

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, in their order."""
        return (*self.given, *self.answers)


KINDS = (
    Kind(
        ASSETS,
        "asset_id",
        ("audit", "form", "asset_id", "road", "chainage", "side", "class", "length_m", SAME_CLASS, "longitude",
         "latitude"),
        ("correct", "true_class", "error_m", "true_longitude", "true_latitude", *_SIGNED),
        "correct",
    ),
    Kind(
        DISPUTED,
        "listed_id",
        ("audit", "form", "listed_id", "stretch_id", "class", "longitude", "latitude"),
        ("stands", *_SIGNED),
        "stands",
    ),
    Kind(
        STRETCHES,
        "stretch_id",
        ("audit", "form", "stretch_id", "road", "chainage_from", "chainage_to", "length_m", "reach_m",
         "from_longitude", "from_latitude", "to_longitude", "to_latitude"),
        ("class", "longitude", "latitude", "along_m", "offset_m", *_SIGNED),
        "class",
    ),
)  # fmt: skip
KIND = {kind.name: kind for kind in KINDS}
LAYERS = {
    STRETCHES: (
        "LineString", KIND[STRETCHES].given[:8], ("checked", *_SIGNED)
    ),
    LISTED: ("Point", ("audit", "form", "stretch_id"), ("class", *_SIGNED)),
    ASSETS: ("Point", KIND[ASSETS].given[:9], ("correct", "true_class", "error_m", *_SIGNED)),
}  # fmt: skip
"""Layers of the GeoPackages: geometry, given columns, answers."""
GEOPACKAGES = {STRETCHES: (STRETCHES, LISTED), ASSETS: (ASSETS,)}
"""Layers of each of a person's two GeoPackages."""


def people(plan: Plan) -> tuple[str, ...]:
    """Return the forms of those who check: `a`, and `b` unless one person was planned."""
    return PEOPLE[: plan.terms.checkers]


def write_forms(folder: Path, plan: Plan) -> list[Path]:
    """Write the forms of all people, and how to fill them; the folder is new."""
    written = []
    for form in people(plan):
        for kind, rows in ((STRETCHES, _stretch_rows(plan, form)), (ASSETS, asset_rows(plan, form, plan.assets))):
            path = folder / f"form_{form}_{kind}.csv"
            write_table(path, KIND[kind], rows)
            written.append(path)
        written += _write_geopackages(folder, plan, form)
    path = folder / "instructions.md"
    replace_text(path, _instructions(plan))
    return [*written, path]


def write_table(path: Path, kind: Kind, rows: Sequence[Mapping[str, object]]) -> None:
    """Write a form that Excel opens with its Thai names: UTF-8 with byte-order mark."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(kind.columns)
    for row in rows:
        cells = [row.get(name) for name in kind.columns]
        writer.writerow(["" if cell is None else csv_cell(cell) for cell in cells])
    replace_bytes(path, b"\xef\xbb\xbf" + stream.getvalue().encode("utf-8"))


def asset_rows(plan: Plan, form: str, assets: Sequence[SampledAsset]) -> list[dict[str, object]]:
    """Return the rows of a form for assets, not yet filled."""
    return [
        {
            "audit": plan.audit,
            "form": form,
            "asset_id": asset.asset_id,
            "road": asset.road,
            "chainage": asset.chainage,
            "side": asset.side,
            "class": asset.class_name,
            "length_m": asset.length_m,
            SAME_CLASS: _twins(asset),
            "longitude": f"{asset.longitude:.7f}",
            "latitude": f"{asset.latitude:.7f}",
        }
        for asset in assets
    ]


def _twins(asset: SampledAsset) -> str | None:
    """The others that may be the same thing, such as `sign-1a6ebaa1 3.2 m NE (100.1234567 14.1234567)`."""
    if asset.twins is None:
        return None
    said = []
    for twin in asset.twins:
        east = (twin.longitude - asset.longitude) * math.cos(math.radians(asset.latitude))
        bearing = math.degrees(math.atan2(east, twin.latitude - asset.latitude))
        way = _COMPASS[round(bearing / 45) % len(_COMPASS)]
        said.append(f"{twin.asset_id} {twin.apart_m:g} m {way} ({twin.longitude:.7f} {twin.latitude:.7f})")
    return "; ".join(said) or NOTHING


def _stretch_rows(plan: Plan, form: str) -> list[dict[str, object]]:
    rows = []
    for stretch in plan.stretches:
        (first_x, first_y), (last_x, last_y) = stretch.line[0], stretch.line[-1]
        rows.append(
            {
                **_stretch_given(plan, form, stretch),
                "from_longitude": f"{first_x:.7f}",
                "from_latitude": f"{first_y:.7f}",
                "to_longitude": f"{last_x:.7f}",
                "to_latitude": f"{last_y:.7f}",
            }
        )
    return rows


def _stretch_given(plan: Plan, form: str, stretch: SampledStretch) -> dict[str, object]:
    return {
        "audit": plan.audit,
        "form": form,
        "stretch_id": stretch.stretch_id,
        "road": stretch.road,
        "chainage_from": stretch.chainage_from,
        "chainage_to": stretch.chainage_to,
        "length_m": stretch.length_m,
        "reach_m": plan.terms.reach_m,
    }


def _write_geopackages(folder: Path, plan: Plan, form: str) -> list[Path]:
    """Two files: assets on the map would tell who lists what stands along a stretch."""
    tables: dict[str, tuple[list[Any], list[dict[str, object]]]] = {
        STRETCHES: (
            [shapely.LineString(stretch.line) for stretch in plan.stretches],
            [_stretch_given(plan, form, stretch) for stretch in plan.stretches],
        ),
        LISTED: ([], []),
        ASSETS: (
            [shapely.Point(asset.longitude, asset.latitude) for asset in plan.assets],
            asset_rows(plan, form, plan.assets),
        ),
    }
    written = []
    for kind, names in GEOPACKAGES.items():
        path = folder / f"form_{form}_{kind}.gpkg"
        with new_geopackage(path) as part:
            for number, name in enumerate(names):
                geometry, given, answers = LAYERS[name]
                columns = (*given, *answers)
                shapes, rows = tables[name]
                layer = Layer(name, geometry, columns, shapes, [{key: row.get(key) for key in columns} for row in rows])
                texts = set(columns) - {"length_m", "reach_m"}
                write_layer(part, layer, WGS84, "GPKG", append=number > 0, texts=texts)
        written.append(path)
    return written


_WHO = {
    1: "One person checks the sample, without the inventory, and fills form_a,",
    2: "Two people check the same sample, each alone, without the inventory and without each other's form: one fills "
    "form_a, the\nother form_b,",
}
_SAME_NAME = {1: "", 2: ", both of you under the same name"}


def _instructions(plan: Plan) -> str:
    terms = plan.terms
    whose = "the inventory and the contract" if terms.contract_classes else "the inventory"
    return f"""# How to fill the forms of audit {plan.audit}

{_WHO[terms.checkers]} as tables (form_a_stretches.csv and form_a_assets.csv, in a spreadsheet) or as layers
(form_a_stretches.gpkg and form_a_assets.gpkg, in QGIS). Fill and hand in the stretches before you open the assets,
which show what the inventory has. Save tables as CSV. Leave the columns `audit`, `form` and the ids as they are. Write
your name into `auditor`, and the day into `checked_on`.

What you hand in again replaces what you said of the same rows before. A row that you empty does not: the earlier answer
still counts, which `record` says. To take an answer about an asset back write `unsure`; to change a stretch hand in its
list as a whole.

## Stretches: what stands there?

List everything that stands between the ends of a stretch, up to {terms.reach_m:g} m to both sides of its line: a row
each, with the stretch's id, the `class`, and its place: `longitude` and `latitude`, or `along_m` (metres from the first
end along the line) and `offset_m` (metres to the right of it; to the left negative). Copy the row of a stretch as often
as it takes. Something long, such as a guardrail, is listed once for each stretch and side, at any place along it.

Where nothing stands, write `{NOTHING}` as class. A stretch whose class is empty counts as not checked.

In QGIS: draw a point in the layer `listed` for each, with its class, and write `yes` into `checked` of every stretch
whose list is complete, also where nothing stands. A stretch whose `checked` is empty, `no` or `unsure` counts as not
checked, and its points are left out, which is said when the form is handed in.

Classes of {whose}: {", ".join(plan.all_classes)}. Write these as they stand here.
List everything else that the contract asks for, too{_SAME_NAME[terms.checkers]}: what the inventory lacks altogether
counts as missed.

## Assets: is it right?

For each asset write into `correct`: `yes` where one of this class stands there (within {terms.within_m:g} m), `no`
otherwise, `unsure` where it cannot be told. `true_class` says what stands there instead. Of right ones measure
where they stand: `error_m` (metres between the place stated and the true one), or `true_longitude` and `true_latitude`,
or in QGIS move the point. A row whose `correct` is empty counts as not checked.

One real thing makes one asset right. `{SAME_CLASS}` names all other assets of the inventory of this class that may
be the same thing, in the sample or not, each with its distance, direction and place (longitude, latitude). Where
several are listed for one real thing write `no` for each but the one nearest to it (as near: the one whose id comes
first). Something long that is listed in pieces, end to end, is right in each; where two list the same piece, the one
farther from it is `no`.
"""

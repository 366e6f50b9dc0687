"""Everything that `inventory build` writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reg_yolo.errors import ConfigError
from reg_yolo.files import make_folder
from reg_yolo.inventory.assets import Asset, mark_supports, name_assets
from reg_yolo.inventory.building import Inventory, build_inventory
from reg_yolo.inventory.classes import POINT
from reg_yolo.inventory.datum import WGS84, conversion
from reg_yolo.inventory.diff.differences import match_known
from reg_yolo.inventory.diff.known import Known, read_known
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.outputs.exchange import check_formats, write_filegdb, write_shapefiles
from reg_yolo.inventory.outputs.fields import FieldMapping, read_fields
from reg_yolo.inventory.outputs.geopackage import write_geopackage
from reg_yolo.inventory.outputs.text import write_csv, write_geojson
from reg_yolo.inventory.report.labels import LANGUAGES
from reg_yolo.inventory.report.page import write_report
from reg_yolo.inventory.route.reference import Route, add_reference, read_route


@dataclass(frozen=True)
class Outputs:
    """What is written, and how.

    Attributes:
        crs: Of GeoPackage, Shapefile and FileGDB.
        fields: YAML file that renames and chooses columns of GeoPackage, CSV, Shapefile and FileGDB.
        formats: `shapefile`, `filegdb`.
        language: Of the report: `en` or `th`.
    """

    crs: str = WGS84
    fields: Path | None = None
    formats: tuple[str, ...] = ()
    language: str = "en"


def build_into(
    options: BuildOptions,
    out: Path,
    *,
    outputs: Outputs | None = None,
    route: Path | None = None,
    previous: Path | None = None,
    say: Callable[[str], None] = lambda _line: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Inventory:
    """Build an inventory and write it.

    Args:
        options: What from.
        out: Folder; older files of the same names are replaced.
        outputs: What is written.
        route: Axis with chainage.
        previous: Earlier inventory, GeoJSON or GeoPackage, whose ids and `reviewed_by` are kept.
        say: Called with each line that the user should read.
        progress: Called with the drives done and to do.
    """
    outputs = outputs or Outputs()
    mapping = _checked(outputs, say)
    axis = read_route(route) if route else None
    known = read_known(previous) if previous else []
    inventory = build_inventory(options, say, progress)
    if axis is not None:
        add_reference(inventory.assets, inventory.projection, axis, inventory.ways)
        _refer_stretches(inventory, axis)
    if known:
        kept = _kept(inventory, known)
        ids = {n: one.asset_id for n, one in kept.items() if one.asset_id}
        name_assets(inventory.assets, inventory.projection, ids)
        for number, one in kept.items():
            inventory.assets[number].values["reviewed_by"] = one.reviewed_by or None
        mark_supports(inventory.assets, inventory.shapes)
        say(f"{len(ids)} of {len(inventory.assets)} assets keep the id of {previous}")
    make_folder(out)
    write_geopackage(out / "inventory.gpkg", inventory, outputs.crs, mapping)
    if "shapefile" in outputs.formats:
        for line in write_shapefiles(out / "shapefile", inventory, outputs.crs, mapping):
            say(line)
    if "filegdb" in outputs.formats:
        write_filegdb(out / "inventory.gdb", inventory, outputs.crs, mapping)
    write_geojson(out / "inventory.geojson", inventory)
    write_csv(out / "inventory.csv", inventory, mapping)
    write_report(out / "report.html", inventory, language=outputs.language)
    say(f"Inventory: {out}")
    return inventory


def _checked(outputs: Outputs, say: Callable[[str], None]) -> FieldMapping:
    """Refuse what cannot be written before anything is built."""
    check_formats(outputs.formats)
    if outputs.language not in LANGUAGES:
        raise ConfigError(f"--language: expected {' or '.join(LANGUAGES)}, got {outputs.language!r}")
    doubt = conversion(WGS84, outputs.crs, "--crs").doubt
    if doubt:
        say(f"--crs {outputs.crs}: {doubt}")
    return read_fields(outputs.fields) if outputs.fields else FieldMapping()


def _refer_stretches(inventory: Inventory, axis: Route) -> None:
    """Give both ends of every surveyed stretch their chainage."""
    for stretch in inventory.stretches:
        ends = [Asset("", POINT, end[None], np.eye(2), 1.0) for end in (stretch.points_m[0], stretch.points_m[-1])]
        add_reference(ends, inventory.projection, axis, [])
        inventory.stretch_chainages.append((ends[0].values["chainage"], ends[1].values["chainage"]))


def _kept(inventory: Inventory, known: list[Known]) -> dict[int, Known]:
    """What the earlier inventory knew, for the assets that stand where one of its class stood."""
    degrees = [inventory.projection.to_degrees(asset.middle_m)[0] for asset in inventory.assets]
    new = [
        Known(
            "", asset.class_name, float(place[0]), float(place[1]), asset.values["sigma_along_m"],
            asset.values["sigma_across_m"],
        )
        for asset, place in zip(inventory.assets, degrees, strict=True)
    ]  # fmt: skip
    return {j: known[i] for i, j in match_known(known, new, 10.0).items()}

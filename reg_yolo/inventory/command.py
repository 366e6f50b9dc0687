"""Everything that `inventory build` writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from reg_yolo.errors import DataError
from reg_yolo.files import make_folder
from reg_yolo.inventory.assets import mark_supports, name_assets
from reg_yolo.inventory.building import BuildOptions, Inventory, build_inventory
from reg_yolo.inventory.diff.differences import Known, match_known, read_known
from reg_yolo.inventory.outputs.layers import write_csv, write_geojson, write_geopackage
from reg_yolo.inventory.report.page import write_report
from reg_yolo.inventory.route.reference import add_reference, read_route


def build_into(
    options: BuildOptions,
    out: Path,
    *,
    crs: str = "EPSG:4326",
    route: Path | None = None,
    previous: Path | None = None,
    mapping: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Inventory:
    """Build an inventory and write it.

    Args:
        options: What from.
        out: Folder; older files of the same names are replaced.
        crs: Of the GeoPackage.
        route: Axis with chainage.
        previous: Earlier inventory whose ids are kept.
        mapping: New column names for the GeoPackage.
        say: Called with each line that the user should read.
    """
    axis = read_route(route) if route else None
    known = read_known(previous) if previous else []
    inventory = build_inventory(options, say)
    if axis is not None:
        add_reference(inventory.assets, inventory.projection, axis, inventory.ways)
    if known:
        kept = _kept_ids(inventory, known)
        name_assets(inventory.assets, inventory.projection, kept)
        mark_supports(inventory.assets, inventory.shapes)
        say(f"{len(kept)} of {len(inventory.assets)} assets keep the id of {previous}")
    make_folder(out)
    write_geopackage(out / "inventory.gpkg", inventory, crs, mapping)
    write_geojson(out / "inventory.geojson", inventory)
    write_csv(out / "inventory.csv", inventory)
    write_report(out / "report.html", inventory)
    say(f"Inventory: {out}")
    return inventory


def _kept_ids(inventory: Inventory, known: list[Known]) -> dict[int, str]:
    """Ids of the earlier inventory for the assets that stand where one of its class stood."""
    degrees = [inventory.projection.to_degrees(asset.middle_m)[0] for asset in inventory.assets]
    new = [
        Known(
            "", asset.class_name, float(place[0]), float(place[1]), asset.values["sigma_along_m"],
            asset.values["sigma_across_m"], "",
        )
        for asset, place in zip(inventory.assets, degrees, strict=True)
    ]  # fmt: skip
    pairs = match_known(known, new, 10.0)
    return {j: known[i].asset_id for i, j in pairs.items() if known[i].asset_id}


def read_json(path: Path) -> dict[str, object]:
    """Read a JSON object.

    Raises:
        DataError: If it cannot be read or is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object")
    return content

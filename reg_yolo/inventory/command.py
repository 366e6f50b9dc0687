"""Everything that `inventory build` writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError
from reg_yolo.files import make_folder
from reg_yolo.inventory.assets import Asset, mark_supports, name_assets
from reg_yolo.inventory.building import Inventory, build_from_folders, build_inventory
from reg_yolo.inventory.classes import POINT
from reg_yolo.inventory.datum import WGS84, conversion
from reg_yolo.inventory.diff.differences import match_known
from reg_yolo.inventory.diff.known import Known, read_known
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.outputs.exchange import check_formats, write_filegdb, write_shapefiles
from reg_yolo.inventory.outputs.fields import FieldMapping, read_fields
from reg_yolo.inventory.outputs.folders import new_folder, remove_leftovers
from reg_yolo.inventory.outputs.geopackage import write_geopackage
from reg_yolo.inventory.outputs.observed import write_observations
from reg_yolo.inventory.outputs.project import write_project
from reg_yolo.inventory.outputs.text import write_csv, write_geojson, write_not_static
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.report.labels import LANGUAGES
from reg_yolo.inventory.report.page import Basemap, write_report
from reg_yolo.inventory.review.index import write_index
from reg_yolo.inventory.route.axis import Route, read_routes
from reg_yolo.inventory.route.reference import add_reference
from reg_yolo.inventory.thumbnails.making import FOLDER, ThumbnailOptions, check_thumbnails, make_thumbnails, said
from reg_yolo.inventory.work.folders import Place

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Outputs:
    """What is written, and how.

    Attributes:
        crs: Of GeoPackage, Shapefile and FileGDB.
        fields: YAML file that renames and chooses columns of GeoPackage, CSV, Shapefile and FileGDB.
        formats: `shapefile`, `filegdb`.
        language: Of the report: `en` or `th`.
        thumbnails: How thumbnails are made; None for none.
        basemap: Online map of the report; None for none.
    """

    crs: str = WGS84
    fields: Path | None = None
    formats: tuple[str, ...] = ()
    language: str = "en"
    thumbnails: ThumbnailOptions | None = None
    basemap: Basemap | None = None


def build_into(
    options: BuildOptions,
    out: Path,
    *,
    outputs: Outputs | None = None,
    route: Path | None = None,
    previous: Path | None = None,
    folders: tuple[Path, Place] | None = None,
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
        folders: Folder whose folders are the drives, and where they are processed; then `options` say what the
            drives share.
        say: Called with each line that the user should read.
        progress: Called with the drives done and to do, then with the thumbnails.

    Returns:
        The inventory; `is_partial` where decisions are not applied or thumbnails are missing.
    """
    outputs = outputs or Outputs()
    mapping = _checked(outputs, say)
    if outputs.thumbnails is not None:
        check_thumbnails(outputs.thumbnails, options.detections)
    axes = read_routes(route) if route else []
    known = read_known(previous) if previous else []
    if folders is None:
        inventory = build_inventory(options, say, progress)
    else:
        inventory = build_from_folders(folders[0], options, out, folders[1], say, progress)
    if axes:
        without = add_reference(inventory.assets, inventory.projection, axes, inventory.ways)
        inventory.counts["assets without a chainage"] = without
        if without:
            say(f"{without} assets have no chainage: they are off {route}, or in a gap of it")
        _refer_stretches(inventory, axes)
    if known:
        kept = _kept(inventory, known)
        everything = [*inventory.assets, *(inventory.rejected or [])]
        ids = {n: one.asset_id for n, one in kept.items() if one.asset_id}
        name_assets(everything, inventory.projection, ids)
        for number, one in kept.items():
            # What is decided now counts more than what an earlier inventory was told.
            everything[number].values.setdefault("reviewed_by", one.reviewed_by or None)
        mark_supports(inventory.assets, inventory.shapes)
        same = sum(number < len(inventory.assets) for number in ids)
        say(f"{same} of {len(inventory.assets)} assets keep the id of {previous}")
    make_folder(out)
    if outputs.thumbnails is None:
        _write(out, inventory, outputs, mapping, say)
        remove_leftovers(out / FOLDER)
        if (out / FOLDER).exists():
            say(f"{out / FOLDER} is of an earlier build and stays; nothing refers to it any more")
    else:
        # The folder is put in place with the rest, or not at all.
        with new_folder(out / FOLDER) as part:
            _add_thumbnails(part, inventory, outputs.thumbnails, say, progress)
            _write(out, inventory, outputs, mapping, say)
    say(f"Inventory: {out}")
    return inventory


def _write(
    out: Path, inventory: Inventory, outputs: Outputs, mapping: FieldMapping, say: Callable[[str], None]
) -> None:
    write_geopackage(out / "inventory.gpkg", inventory, outputs.crs, mapping)
    if "shapefile" in outputs.formats:
        for line in write_shapefiles(out / "shapefile", inventory, outputs.crs, mapping):
            say(line)
    if "filegdb" in outputs.formats:
        write_filegdb(out / "inventory.gdb", inventory, outputs.crs, mapping)
    write_geojson(out / "inventory.geojson", inventory)
    write_csv(out / "inventory.csv", inventory, mapping)
    write_project(out / "inventory.qgs", inventory, outputs.crs, mapping)
    write_not_static(out / "not_static.csv", inventory)
    write_observations(out / "observations.jsonl", inventory)
    write_index(out)
    pages = write_report(out / "report.html", inventory, outputs.basemap, outputs.language)
    if pages:
        say(f"report.html is an index of {len(pages)} pages")


def _add_thumbnails(
    folder: Path,
    inventory: Inventory,
    options: ThumbnailOptions,
    say: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> None:
    failed = make_thumbnails(folder, inventory.assets, inventory.media, options, progress)
    blurred = f"blurred by {', '.join(options.blurred_by)}" if options.private else "not blurred; --blur does that"
    for line in [*said(failed, len(inventory.assets)), f"thumbnails are {blurred}"]:
        inventory.notes.append(line)
        say(line)
    inventory.counts["assets without a thumbnail"] = sum(one.assets for one in failed)


def _checked(outputs: Outputs, say: Callable[[str], None]) -> FieldMapping:
    """Refuse what cannot be written before anything is built."""
    check_formats(outputs.formats)
    if outputs.language not in LANGUAGES:
        raise ConfigError(f"--language: expected {' or '.join(LANGUAGES)}, got {outputs.language!r}")
    doubt = conversion(WGS84, outputs.crs, "--crs").doubt
    if doubt:
        say(f"--crs {outputs.crs}: {doubt}")
    return read_fields(outputs.fields) if outputs.fields else FieldMapping()


def _refer_stretches(inventory: Inventory, axes: Sequence[Route]) -> None:
    """Give both ends of every surveyed stretch their chainage."""
    for stretch in inventory.stretches:
        ends = [Asset("", POINT, end[None], np.eye(2), 1.0) for end in (stretch.points_m[0], stretch.points_m[-1])]
        add_reference(ends, inventory.projection, axes, [])
        inventory.stretch_chainages.append((ends[0].values["chainage"], ends[1].values["chainage"]))


def _kept(inventory: Inventory, known: Sequence[Known]) -> dict[int, Known]:
    """What the earlier inventory knew, for the assets, then the rejected ones, that stand where one of its class stood.

    Where a reviewer has moved or reclassified an asset, the earlier inventory may hold what it was before. What is
    rejected comes last, so that it takes no other asset's id.
    """
    everything = [*inventory.assets, *(inventory.rejected or [])]
    listed = range(len(inventory.assets))
    rounds = [
        {n: (everything[n].class_name, everything[n].middle_m) for n in listed},
        {n: found for n in listed if (found := everything[n].found_as) is not None},
        {n: (one.class_name, one.middle_m) for n, one in enumerate(everything) if n not in listed},
    ]
    kept: dict[int, Known] = {}
    left = list(known)
    for places in rounds:
        numbers = [n for n in places if n not in kept]
        new = [_as_known(everything[n], inventory.projection, *places[n]) for n in numbers]
        pairs = match_known(left, new, 10.0)
        kept |= {numbers[j]: left[i] for i, j in pairs.items()}
        left = [one for i, one in enumerate(left) if i not in pairs]
    return kept


def _as_known(asset: Asset, projection: LocalProjection, class_name: str, middle_m: FloatArray) -> Known:
    longitude, latitude = projection.to_degrees(middle_m)[0]
    sigmas = asset.values["sigma_along_m"], asset.values["sigma_across_m"]
    return Known("", class_name, float(longitude), float(latitude), *sigmas)

"""The package: one zip with the inventory and a README of what is what."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from reg_yolo import __version__
from reg_yolo.files import replacing
from reg_yolo.survey.preflight import Preflight
from reg_yolo.text_tables import how_many

PACKAGE = "survey.zip"
_CONTENT = {
    "inventory.gpkg": "for QGIS and other GIS: assets, the way, surveyed stretches, what has no position",
    "inventory.geojson": "the assets in WGS 84",
    "inventory.csv": "the assets as a table; opens in Excel",
    "inventory.qgs": "a QGIS project of the GeoPackage's layers, with their styles; keep both in one folder",
    "report.html": "map, table and counts, and a button Review; opens offline in a browser",
    "thumbnails/": "a crop of each asset",
    "not_static.csv": "what moves along the road, such as signs on lorries; no assets",
    "observations.jsonl": "for each asset the boxes that it was seen by, to which decisions of reviewers refer",
    "review.sqlite": "an index that lets a review open at once; it may be deleted",
    "preflight.json": "what was found on the card before anything else",
}


def pack(
    target: Path,
    folder: Path,
    files: Sequence[Path],
    preflight_file: Path,
    preflight: Preflight,
    drives: int,
    left_out: Mapping[str, str],
    assets: Mapping[str, int],
) -> None:
    """Write the zip, whole or not at all.

    Args:
        target: The zip.
        folder: The inventory.
        files: Its files.
        preflight_file: preflight.json.
        preflight: What it says.
        drives: How many the card holds.
        left_out: Why drives are missing, by name.
        assets: How many of each class.
    """
    names = {path: path.relative_to(folder).as_posix() for path in files}
    with replacing(target) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", readme(sorted(names.values()), preflight, drives, left_out, assets))
        archive.write(preflight_file, "preflight.json")
        for path, name in names.items():
            archive.write(path, name)


def readme(
    names: Sequence[str], preflight: Preflight, drives: int, left_out: Mapping[str, str], assets: Mapping[str, int]
) -> str:
    """Return the text that says what is what."""
    tops = {f"{top}/" if rest else top for top, _, rest in (name.partition("/") for name in names)} | {"preflight.json"}
    lines = [
        f"Inventory of road assets, made by reg_yolo {__version__} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "",
        f"Drives: {drives}, of which {len(left_out)} are left out or not whole",
        *(f"  {name}: {why}" for name, why in left_out.items()),
        f"Assets: {sum(assets.values())}",
        *(f"  {name}: {count}" for name, count in sorted(assets.items())),
        "",
        "Files",
        *(f"  {name}: {text}" for name, text in _CONTENT.items() if name in tops),
        *(f"  {name}" for name in sorted(tops - _CONTENT.keys())),
        "",
        "Nobody has reviewed what has no name in the column reviewed_by. To review, unpack all of it into one folder.",
        "Either open report.html, press Review, write your name, and hand in what Download decisions gives; or run",
        "  reg-yolo inventory review FOLDER",
        "which keeps decisions in FOLDER/decisions_NAME.jsonl. The next build follows them: reg-yolo survey with",
        "the same --out and --decisions FILE, or without that where they lie in its inventory folder.",
        "Whether the inventory is good enough says an acceptance audit:",
        "  reg-yolo inventory audit plan FOLDER --out audit",
        "",
        f"Preflight: {how_many(preflight.count('problem'), 'problem')}, "
        f"{how_many(preflight.count('warning'), 'warning')}",
        *(f"  {item.line}" for item in preflight.items if item.verdict != "ok"),
        "",
    ]
    return "\n".join(lines)

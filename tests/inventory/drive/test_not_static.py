"""Signs on lorries: told apart from static ones, listed apart, and no assets."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyogrio
import pytest

from scripts.bench_inventory import write_detections
from scripts.bench_lorries import PREFIX, add_lorries
from tests.inventory.simulated import build_of


@pytest.fixture(scope="module")
def with_lorries(drive: Path) -> Path:
    """Return the folder of an inventory of the drive with two signs that move with the camera."""
    write_detections(drive / "forward" / "frames.jsonl", drive / "lorries.jsonl", "T", 0, 2)
    out = drive / "lorries"
    assert build_of(drive, out, detections="lorries.jsonl") == 0
    return out


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


def test_what_moves_with_us_is_listed_with_its_speed_and_is_no_asset(
    drive: Path, built: Path, with_lorries: Path
) -> None:
    with (drive / "forward" / "frames.jsonl").open() as stream:
        head = json.loads(next(stream))
        records = [json.loads(line) for line in stream]
    add_lorries(records, head["calibration"], head["names"], 2, 0)
    seen = [one["asset_id"] for record in records for one in record["objects"] if one["asset_id"].startswith(PREFIX)]
    moving = table(with_lorries / "not_static.csv")
    assert sum(int(row["observations"]) for row in moving) >= 0.8 * len(seen) > 15
    assert all(60 < float(row["speed_kmh"]) < 84 for row in moving)
    assert all(float(row["travelled_m"]) > 40 for row in moving)
    assert {row["asset_id"] for row in table(built / "inventory.csv")} == {
        row["asset_id"] for row in table(with_lorries / "inventory.csv")
    }


def test_every_output_says_what_moves(built: Path, with_lorries: Path) -> None:
    rows = table(with_lorries / "not_static.csv")
    meta, _, _, data = pyogrio.raw.read(with_lorries / "inventory.gpkg", layer="not_static")
    assert data[meta["fields"].tolist().index("speed_kmh")].tolist() == [float(row["speed_kmh"]) for row in rows]
    page = (with_lorries / "report.html").read_text(encoding="utf-8")
    assert f"{len(rows)} objects that move along the road are listed as not_static" in page
    assert f"{len(rows)} objects that are not static" in page
    assert table(built / "not_static.csv") == []

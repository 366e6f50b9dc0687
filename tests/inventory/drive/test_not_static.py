"""Signs on lorries: told apart from static ones, listed apart, and no assets."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest

from reg_yolo.inventory.building import build_inventory
from reg_yolo.inventory.decisions.decision import Decision, Seen
from reg_yolo.inventory.decisions.files import DecisionLog
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.projection import LocalProjection
from scripts.bench_inventory import write_detections
from scripts.bench_lorries import PREFIX, add_lorries, board_box
from tests.inventory.simulated import START, build_of

CAMERA = {"width": 640, "height": 384, "focal_px": 532.0, "cx": 320.0, "cy": 192.0}
STATIC = 24
LORRIES = 3


def board(place: np.ndarray, pose: dict[str, float]) -> list[float] | None:
    """Return the box of a static sign of 1 m, 5 m to the side, from 6 to 60 m ahead."""
    apart = place - [pose["easting_m"], pose["northing_m"]]
    heading = np.radians(pose["heading_deg"])
    ahead = float(apart @ [np.sin(heading), np.cos(heading)])
    return board_box(pose, CAMERA, place, 0.3, 0.9, 1.0) if 6 < ahead < 60 else None


def write_road(root: Path) -> list[dict[str, Any]]:
    """Write a road of 600 m that bends, with signs along it, and return its frames."""
    (root / "forward").mkdir(parents=True)
    projection = LocalProjection(100.0, 14.0)
    heading = 0.002 * 5.0 * np.arange(120)
    place = np.cumsum(np.stack([np.sin(heading), np.cos(heading)], 1) * 5.0, axis=0)
    side = np.stack([np.cos(heading), -np.sin(heading)], 1) * 5.0
    static = [place[n] + side[n] * (1 if n % 2 else -1) for n in range(4, 116, 112 // STATIC)][:STATIC]
    records, fixes = [], []
    for k, (east, north) in enumerate(place.tolist()):
        pose = {"easting_m": east, "northing_m": north, "height_m": 0.0, "heading_deg": float(np.degrees(heading[k]))}
        pose |= {"pitch_deg": 0.0, "roll_deg": 0.0}
        objects = [
            {"asset_id": f"sign-{n}", "class_id": 0, "class": "warning_sign", "xyxy": box}
            for n, sign in enumerate(static)
            if (box := board(sign, pose)) is not None
        ]
        records.append({"frame": k, "time_s": 0.25 * k, "pose": pose, "objects": objects})
        longitude, latitude = projection.to_degrees(place[k])[0]
        when = (datetime(2024, 5, 1, 3, tzinfo=UTC) + timedelta(seconds=0.25 * k)).isoformat()
        fixes.append(f'<trkpt lat="{latitude:.9f}" lon="{longitude:.9f}"><time>{when}</time></trkpt>')
    head = {"calibration": CAMERA, "names": ["warning_sign", "pole"]}
    lines = [json.dumps(one) for one in (head, *records)]
    (root / "forward" / "frames.jsonl").write_text("\n".join(lines) + "\n")
    (root / "forward" / "track_clean.gpx").write_text(
        '<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>'
        + "".join(fixes) + "</trkseg></trk></gpx>"
    )  # fmt: skip
    (root / "camera.yaml").write_text("".join(f"{key}: {value}\n" for key, value in CAMERA.items()))
    return records


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """Return inventories `without` and `with` signs on lorries, and in how many frames each of these was seen."""
    root = tmp_path_factory.mktemp("lorries")
    records = write_road(root)
    for name, lorries in (("without", 0), ("with", LORRIES)):
        write_detections(root / "forward" / "frames.jsonl", root / f"{name}.jsonl", "T", 0, lorries)
        assert build_of(root, root / name, detections=f"{name}.jsonl") == 0
    add_lorries(records, CAMERA, ["warning_sign", "pole"], LORRIES, 0)
    names = [one["asset_id"] for record in records for one in record["objects"] if one["asset_id"].startswith(PREFIX)]
    return root, sorted(names.count(name) for name in set(names))


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))


def test_what_moves_with_us_is_listed_with_its_speed_and_is_no_asset(road: tuple[Path, list[int]]) -> None:
    root, seen = road
    moving = table(root / "with" / "not_static.csv")
    assert len(moving) == len(seen) == LORRIES
    assert 0.9 * sum(seen) <= sum(int(row["observations"]) for row in moving) <= sum(seen)
    # The camera drives 72 km/h; two lorries are as fast, one is a tenth slower.
    assert all(60 < float(row["speed_kmh"]) < 78 for row in moving)
    for row in moving:
        # Five metres a frame.
        driven = 5.0 * (int(row["last_frame"]) - int(row["first_frame"]))
        assert float(row["travelled_m"]) == pytest.approx(driven, rel=0.02)
    assert len(table(root / "without" / "inventory.csv")) == STATIC
    # A few looks at the edge of what fits may be left over.
    assert len(table(root / "with" / "inventory.csv")) <= STATIC + 1


def test_every_output_says_what_moves(road: tuple[Path, list[int]]) -> None:
    folder = road[0] / "with"
    rows = table(folder / "not_static.csv")
    meta, _, _, data = pyogrio.raw.read(folder / "inventory.gpkg", layer="not_static")
    assert data[meta["fields"].tolist().index("speed_kmh")].tolist() == [float(row["speed_kmh"]) for row in rows]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"{len(rows)} objects that move along the road are listed as not_static" in page
    assert f"{len(rows)} objects that are not static" in page
    assert table(road[0] / "without" / "not_static.csv") == []


def decide(root: Path, file: str, row: dict[str, str], *actions: tuple[str, str]) -> Path:
    """Write what people decided on an object of not_static.csv, and return the file."""
    seen = Seen(row["source"], int(row["best_frame"]), tuple(map(float, row["box_px"].split())))  # type: ignore[arg-type]
    with DecisionLog(root / file) as log:
        for who, action in actions:
            log.append(Decision(who, action, ((seen,),)))
    return root / file


def test_what_somebody_accepts_is_an_asset_again(road: tuple[Path, list[int]]) -> None:
    root = road[0]
    first, *others = table(root / "with" / "not_static.csv")
    file = decide(root, "accepted.jsonl", first, ("suda", "accept"))
    assert build_of(root, root / "accepted", "--decisions", str(file), detections="with.jsonl") == 0
    left = table(root / "accepted" / "not_static.csv")
    assert [row["first_seen"] for row in left] == [row["first_seen"] for row in others]
    reviewed = [row for row in table(root / "accepted" / "inventory.csv") if row["reviewed_by"]]
    assert [(row["decisions"], row["reviewed_by"], row["probability"]) for row in reviewed] == [
        ("accept", "suda", "1.0")
    ]
    assert int(reviewed[0]["observations"]) == int(first["observations"])
    assert reviewed[0]["first_seen"] == first["first_seen"]
    assert len(table(root / "accepted" / "inventory.csv")) == len(table(root / "with" / "inventory.csv")) + 1


def test_an_accept_that_another_person_rejects_changes_nothing(road: tuple[Path, list[int]]) -> None:
    root = road[0]
    first = table(root / "with" / "not_static.csv")[0]
    file = decide(root, "disputed.jsonl", first, ("suda", "accept"), ("somchai", "reject"))
    options = BuildOptions(
        (root / "with.jsonl",), (root / "forward" / "track_clean.gpx",), (root / "camera.yaml",), (START,),
        decisions=(file,),
    )  # fmt: skip
    built = build_inventory(options)
    assert len(built.not_static) == LORRIES
    assert len(built.not_applied or []) == 2

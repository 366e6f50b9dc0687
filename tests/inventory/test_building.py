"""From a drive's files to an inventory, on the command line, without torch."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reg_yolo.cli.app import main
from reg_yolo.inventory.score.scoring import score_files
from reg_yolo.scenes import write_drive
from scripts.bench_inventory import write_detections

START = "2024-05-01T03:00:00Z"


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a drive of 300 m with true boxes as detections.jsonl and a calibration as camera.yaml."""
    root = tmp_path_factory.mktemp("drive")
    write_drive(root, km=0.3, size=(640, 384), seed=2, every_m=5.0, truth_only=True)
    write_detections(root / "forward" / "frames.jsonl", root / "detections.jsonl", "T", 0)
    calibration = json.loads((root / "forward" / "calibration_clean.json").read_text())
    values = {key: calibration[key] for key in ("width", "height", "focal_px", "cx", "cy")} | calibration["mount"]
    (root / "camera.yaml").write_text(yaml.safe_dump(values))
    return root


def build(drive: Path, out: Path, *more: str) -> int:
    """Run `inventory build` and return its exit code."""
    words = ["inventory", "build", str(drive / "detections.jsonl"), "--camera", str(drive / "camera.yaml")]
    words += ["--gnss", str(drive / "forward" / "track_clean.gpx"), "--out", str(out), *more]
    with pytest.raises(SystemExit) as end:
        main(words)
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def built(drive: Path) -> Path:
    """Return the folder of an inventory of the drive."""
    out = drive / "out"
    assert build(drive, out, "--start", START, "--route", str(drive / "route.geojson"), "--crs", "EPSG:32647") == 0
    return out


def labelled_twice(drive: Path) -> set[str]:
    """Return the assets that two frames or more show."""
    counts = write_detections(drive / "forward" / "frames.jsonl", drive / "detections.jsonl", "T", 0)
    return {name for name, count in counts.items() if count >= 2}


def test_true_boxes_give_every_asset_once_where_it_stands(drive: Path, built: Path) -> None:
    score = score_files(built / "inventory.geojson", drive / "assets.geojson", seen=labelled_twice(drive))
    assert score.true >= 4
    assert score.recall == 1.0
    assert score.double == 0
    assert float(sorted(score.errors_m)[len(score.errors_m) // 2]) < 1.0


def test_the_files_hold_the_same_assets(built: Path) -> None:
    features = json.loads((built / "inventory.geojson").read_text(encoding="utf-8"))["features"]
    raw = (built / "inventory.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert [row["asset_id"] for row in rows] == [feature["id"] for feature in features]
    assert len({row["asset_id"] for row in rows}) == len(rows)
    assert all(0 <= float(row["chainage_m"]) <= 400 and row["side"] for row in rows)
    with sqlite3.connect(built / "inventory.gpkg") as connection:
        tables = {name for (name,) in connection.execute("SELECT table_name FROM gpkg_contents")}
        assert {"points", "lines", "spans", "drive", "layer_styles"} <= tables
        stored = sum(
            connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("points", "lines", "spans")
        )
        assert stored == len(rows)
        assert connection.execute("SELECT srs_id FROM gpkg_contents WHERE table_name='points'").fetchone() == (32647,)


def test_ids_survive_a_rebuild_and_a_file_given_twice_changes_nothing(drive: Path, built: Path, tmp_path: Path) -> None:
    previous = str(built / "inventory.geojson")
    code = build(drive, tmp_path, str(drive / "detections.jsonl"), "--start", START, "--previous", previous)
    assert code == 0
    ids = [
        {feature["id"] for feature in json.loads(path.read_text(encoding="utf-8"))["features"]}
        for path in (built / "inventory.geojson", tmp_path / "inventory.geojson")
    ]
    assert ids[0] == ids[1]


def test_no_overlap_names_the_offset(drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(drive, tmp_path / "out", "--start", "2024-05-01T10:00:00Z") == 2
    assert "-25200.0 s would make both start together, which is -7 h" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_camera_of_another_size_is_refused(drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "camera.yaml").write_text("width: 1280\nheight: 720\n")
    words = ["inventory", "build", str(drive / "detections.jsonl"), "--camera", str(tmp_path / "camera.yaml")]
    words += ["--gnss", str(drive / "forward" / "track_clean.gpx"), "--start", START, "--out", str(tmp_path / "o")]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert "is for frames of 1280x720" in capsys.readouterr().err


def test_the_room_needs_neither_torch_nor_ultralytics() -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['ultralytics'] = None\n"
        "import reg_yolo.detections.files, reg_yolo.inventory.command, reg_yolo.inventory.score.scoring\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)

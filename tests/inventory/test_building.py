"""From a drive's files to an inventory, on the command line, without torch."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reg_yolo.cli.app import main
from reg_yolo.errors import DataError
from reg_yolo.inventory.drive.looks import read_drive
from reg_yolo.inventory.score.scoring import Score, score_files
from scripts.bench_inventory import write_detections
from tests.inventory.simulated import START, build_of


def labelled_twice(drive: Path) -> set[str]:
    """Return the assets that two frames or more show."""
    counts = write_detections(drive / "forward" / "frames.jsonl", drive / "detections.jsonl", "T", 0)
    return {name for name, count in counts.items() if count >= 2}


def with_weak_boxes(drive: Path, *, thresholds: bool) -> Path:
    """Return the drive's detections with ten weak boxes in every frame, as `predict --for-inventory` keeps them."""
    rng = np.random.default_rng(7)
    records = [json.loads(line) for line in (drive / "detections.jsonl").read_text().splitlines()]
    names = records[0]["classes"]
    if thresholds:
        records[0]["stored_thresholds"] = dict.fromkeys(names, 0.4)
    for record in records:
        for _ in range(10 if record["record"] == "frame" else 0):
            x, y = rng.uniform(0, 560), rng.uniform(60, 200)
            box = [x, y, x + rng.uniform(12, 60), y + rng.uniform(20, 90)]
            class_id = int(rng.integers(len(names)))
            record["detections"].append(
                {"class": names[class_id], "class_id": class_id, "confidence": float(rng.uniform(0.05, 0.3)),
                 "xyxy": box, "mask": None, "track": None}
            )  # fmt: skip
    path = drive / f"weak_{thresholds}.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_weak_boxes_found_no_assets(drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def scored(file: Path) -> Score:
        words = ["inventory", "build", str(file), "--gnss", str(drive / "forward" / "track_clean.gpx")]
        with pytest.raises(SystemExit) as end:
            main([*words, "--start", START, "--hfov", "62", "--out", str(tmp_path / file.stem)])
        assert end.value.code in (None, 0)
        return score_files(tmp_path / file.stem / "inventory.geojson", drive / "assets.geojson")

    strong = scored(drive / "detections.jsonl")
    weak = scored(with_weak_boxes(drive, thresholds=True))
    assert weak.recall >= strong.recall - 0.05 and weak.precision >= strong.precision - 0.05
    focal = [
        int(line.split("focal ")[1].split()[0]) for line in capsys.readouterr().out.splitlines() if "focal " in line
    ]
    # Drives hardly tell the focal length: what is far from what was known is not believed.
    assert len(focal) == 2 and all(abs(one / 532.5 - 1) < 0.13 for one in focal)
    # Where nothing says which are weak, all count alike.
    assert scored(with_weak_boxes(drive, thresholds=False)).precision < weak.precision - 0.1


def test_thresholds_that_are_none_are_one_line(drive: Path, tmp_path: Path) -> None:
    lines = (drive / "detections.jsonl").read_text().splitlines()
    header = json.loads(lines[0]) | {"stored_thresholds": {"pole": "high"}}
    (tmp_path / "bad.jsonl").write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    with pytest.raises(DataError, match="stored_thresholds must give a number for each class"):
        read_drive([tmp_path / "bad.jsonl"])


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
    code = build_of(drive, tmp_path, str(drive / "detections.jsonl"), "--previous", previous)
    assert code == 0
    ids = [
        {feature["id"] for feature in json.loads(path.read_text(encoding="utf-8"))["features"]}
        for path in (built / "inventory.geojson", tmp_path / "inventory.geojson")
    ]
    assert ids[0] == ids[1]


def test_no_overlap_names_the_offset(drive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build_of(drive, tmp_path / "out", start="2024-05-01T10:00:00Z") == 2
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

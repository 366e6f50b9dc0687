"""A short drive in both directions: its files agree with each other and with its images."""

from __future__ import annotations

import json
import re
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.scenes import CLASS_NAMES, NoiseModel, write_drive
from reg_yolo.scenes.drives.geography import UtmZone
from reg_yolo.scenes.rendering.camera import Camera, Pose, project_world

Drive = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    """300 m there and back at 5 frames a second, in chapters of 4 s."""
    out = tmp_path_factory.mktemp("drive") / "d"
    write_drive(out, 0.3, (320, 192), seed=8, fps=5, both_directions=True, chapter_s=4.0, gps_hz=10)
    return out, json.loads((out / "drive.json").read_text(encoding="utf-8"))


def frames(out: Path, direction: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    lines = (out / direction / "frames.jsonl").read_text(encoding="utf-8").splitlines()
    return json.loads(lines[0]), [json.loads(line) for line in lines[1:]]


def assets(out: Path) -> dict[str, dict[str, Any]]:
    collection = json.loads((out / "assets.geojson").read_text(encoding="utf-8"))
    return {f["id"]: f for f in collection["features"]}


def projected(header: dict[str, Any], record: dict[str, Any], points: list[list[float]]) -> np.ndarray:
    """Pixels of UTM points, from the file's numbers alone."""
    c, p = header["calibration"], record["pose"]
    camera = Camera(c["width"], c["height"], c["focal_px"], c["cx"], c["cy"])
    pose = Pose(p["easting_m"], p["northing_m"], p["height_m"], p["heading_deg"], p["pitch_deg"], p["roll_deg"])
    return project_world(camera, pose, np.array(points))[0]


def test_every_file_names_its_schema(drive: Drive) -> None:
    out, header = drive
    assert header["schema"] == "reg-yolo/scenes-drive/1"
    for name in ("assets.geojson", "route.geojson", "forward/calibration_clean.json", "forward/calibration_noisy.json"):
        assert json.loads((out / name).read_text(encoding="utf-8"))["schema"].startswith("reg-yolo/scenes-")
    assert frames(out, "backward")[0]["schema"] == "reg-yolo/scenes-frames/1"


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_asset_positions_land_in_their_boxes_in_every_frame(drive: Drive, direction: str) -> None:
    """Identity and position are consistent: the file's pose projects the file's point into the frame's box."""
    out, _ = drive
    known = assets(out)
    header, records = frames(out, direction)
    checked: dict[str, int] = {}
    for record in records:
        for seen in record["objects"]:
            asset = known[seen["asset_id"]]
            assert asset["properties"]["class"] == seen["class"] == CLASS_NAMES[seen["class_id"]]
            x0, y0, x1, y1 = seen["xyxy"]
            if asset["properties"]["geometry_kind"] != "point" or seen["visible_share"] < 0.93:
                continue
            ((u, v),) = projected(header, record, [asset["properties"]["position_utm"]])
            assert x0 - 1.5 <= u <= x1 + 1.5, seen
            assert y0 - 1.5 <= v <= y1 + 1.5, seen
            checked[seen["class"]] = checked.get(seen["class"], 0) + 1
    assert sum(checked.values()) > 20


def test_lines_and_spans_run_through_their_boxes(drive: Drive) -> None:
    out, _ = drive
    known = assets(out)
    kinds = {k: f["properties"]["geometry_kind"] for k, f in known.items()}
    assert {kinds[k] for k in kinds if k.startswith("concrete_guardrail")} == {"line"}
    assert {kinds[k] for k in kinds if k.startswith("pedestrian_bridge")} <= {"span"}
    checked = 0
    for direction in ("forward", "backward"):
        header, records = frames(out, direction)
        for record in records:
            for seen in record["objects"]:
                if kinds[seen["asset_id"]] == "point" or seen["class"] == "information_sign":
                    continue
                points = np.array(known[seen["asset_id"]]["properties"]["geometry_utm"])
                dense = np.concatenate([np.linspace(a, b, 30) for a, b in pairwise(points)])
                pixels = projected(header, record, dense.tolist())
                x0, y0, x1, y1 = seen["xyxy"]
                inside = (
                    (pixels[:, 0] > x0 - 2)
                    & (pixels[:, 0] < x1 + 2)
                    & (pixels[:, 1] > y0 - 2)
                    & (pixels[:, 1] < y1 + 2)
                )
                assert inside.any(), seen
                checked += 1
    assert checked > 5


def test_masks_fill_their_boxes(drive: Drive) -> None:
    out, _ = drive
    _, records = frames(out, "forward")
    count = 0
    for record in records[::7]:
        for seen in record["objects"]:
            mask = coco_mask.decode(seen["mask"])
            assert mask.shape == (192, 320)
            x, y, w, h = cv2.boundingRect(mask)
            assert seen["xyxy"] == [x, y, x + w, y + h]
            assert seen["visible_pixels"] == int(mask.sum())
            count += 1
    assert count > 5


def test_chapters_hold_the_frames_that_the_records_name(drive: Drive) -> None:
    out, header = drive
    _, records = frames(out, "forward")
    assert header["directions"]["forward"]["frames"] == len(records) == 75
    videos = header["directions"]["forward"]["videos"]
    assert videos == [f"chapter_{k:03d}.mp4" for k in range(4)]
    for number, name in enumerate(videos):
        capture = cv2.VideoCapture(str(out / "forward" / name))
        assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(5.0)
        held = 0
        while capture.read()[0]:
            held += 1
        own = [r for r in records if r["chapter"] == number]
        assert held == len(own)
        assert [r["chapter_frame"] for r in own] == list(range(held))
        assert {r["file"] for r in own} == {name}
    assert [r["time_s"] for r in records] == pytest.approx([k / 5 for k in range(75)])


def test_opposite_directions_see_the_same_poles_and_other_signs(drive: Drive) -> None:
    out, _ = drive
    seen = {d: {o["asset_id"] for r in frames(out, d)[1] for o in r["objects"]} for d in ("forward", "backward")}
    poles = [{a for a in seen[d] if a.startswith("single_arm")} for d in seen]
    assert poles[0] & poles[1]
    roadside = [{a for a in seen[d] if a.startswith("warning")} for d in seen]
    assert roadside[0] | roadside[1]
    assert not roadside[0] & roadside[1], "a sign has one front"


def track(path: Path) -> tuple[np.ndarray, np.ndarray]:
    text = path.read_text(encoding="utf-8")
    points = re.findall(r'lat="([-\d.]+)" lon="([-\d.]+)".*?<time>([^<]+)</time>', text)
    grid = np.array([UtmZone(47).from_lon_lat(float(lon), float(lat)) for lat, lon, _ in points])
    times = np.array([datetime.fromisoformat(t.replace("Z", "+00:00")).timestamp() for _, _, t in points])
    return times, grid


def test_the_clean_track_is_the_cameras_path(drive: Drive) -> None:
    out, _ = drive
    header, records = frames(out, "forward")
    times, grid = track(out / "forward" / "track_clean.gpx")
    assert np.diff(times) == pytest.approx(0.1, abs=2e-3)
    start = datetime.fromisoformat(header["start_utc"].replace("Z", "+00:00")).timestamp()
    for record in records[::10]:
        fix = grid[np.abs(times - start - record["time_s"]).argmin()]
        assert fix == pytest.approx([record["pose"]["easting_m"], record["pose"]["northing_m"]], abs=2e-3)
    assert np.hypot(*np.diff(grid, axis=0).T).mean() == pytest.approx(2.0, rel=0.02), "20 m/s at 10 Hz"


def test_the_noisy_files_differ_by_the_errors_that_the_truth_states(drive: Drive) -> None:
    out, header = drive
    errors = header["directions"]["forward"]["true_errors"]
    clean, noisy = (
        json.loads((out / "forward" / f"calibration_{k}.json").read_text(encoding="utf-8")) for k in ("clean", "noisy")
    )
    assert noisy["focal_px"] / clean["focal_px"] == pytest.approx(errors["focal_factor"], abs=1e-5)
    assert noisy["mount"]["pitch_deg"] - clean["mount"]["pitch_deg"] == pytest.approx(errors["pitch_deg"], abs=1e-3)
    (clean_times, clean_grid), (noisy_times, noisy_grid) = (
        track(out / "forward" / f"track_{k}.gpx") for k in ("clean", "noisy")
    )
    assert (noisy_times - clean_times) == pytest.approx(errors["clock_s"], abs=2e-3)
    assert 0.1 < np.abs(noisy_grid - clean_grid).mean() < 8
    assert np.abs(np.diff(noisy_grid - clean_grid, axis=0)).max() < 1.5, "errors drift, they do not jump"


def test_positions_agree_in_both_coordinate_systems(drive: Drive) -> None:
    out, header = drive
    zone = UtmZone.parse(header["crs"]["utm_zone"])
    for asset in assets(out).values():
        coordinates = asset["geometry"]["coordinates"]
        first = coordinates if asset["geometry"]["type"] == "Point" else coordinates[0]
        assert zone.from_lon_lat(first[0], first[1]) == pytest.approx(
            asset["properties"]["geometry_utm"][0][:2], abs=2e-3
        )
    route = json.loads((out / "route.geojson").read_text(encoding="utf-8"))["features"]
    assert route[0]["properties"]["chainage_m"][-1] == 300.0
    assert [f["properties"]["kind"] for f in route] == ["axis", "kilometre_post"]
    axis = np.array(route[0]["properties"]["geometry_utm"])
    assert np.hypot(*np.diff(axis[:, :2], axis=0).T) == pytest.approx(10.0, abs=0.02)


def test_the_same_seed_gives_the_same_truth_and_pictures(tmp_path: Path) -> None:
    for name, workers in (("a", 1), ("b", 2)):
        write_drive(tmp_path / name, 0.05, (128, 96), seed=2, every_m=10.0, workers=workers)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path / "b") for p in (tmp_path / "b").rglob("*") if p.is_file())
    assert sum(p.suffix == ".jpg" for p in files) == 5
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_single_frames_are_every_n_metres(tmp_path: Path) -> None:
    summary = write_drive(tmp_path / "d", 0.06, (128, 96), seed=2, every_m=15.0, noise=NoiseModel(0, 1, 0, 0, 0, 0))
    _, records = frames(tmp_path / "d", "forward")
    assert [r["chainage_m"] for r in records] == [0.0, 15.0, 30.0, 45.0]
    assert [r["file"] for r in records] == [f"frames/{k:06d}.jpg" for k in range(4)]
    assert summary.frames == {"forward": 4}
    assert cv2.imread(str(tmp_path / "d" / "forward" / records[-1]["file"])).shape == (96, 128, 3)
    clean, noisy = (
        (tmp_path / "d" / "forward" / f"track_{k}.gpx").read_text(encoding="utf-8") for k in ("clean", "noisy")
    )
    assert clean == noisy, "no noise asked for, none given"


def test_wrong_arguments_are_named(tmp_path: Path, drive: Drive) -> None:
    for arguments, word in (
        ({"km": 0.0}, "length"),
        ({"size": (321, 192)}, "even"),
        ({"fps": 0.0}, "frame rate"),
        ({"utm_zone": "99N"}, "UTM zone"),
        ({"every_m": 0.0}, "distance between frames"),
        ({"codec": "mpeg4"}, "codec"),
        ({"chapter_s": 0.0}, "chapter"),
    ):
        with pytest.raises(ConfigError, match=word):
            write_drive(tmp_path / "x", **{"km": 0.05, "size": (128, 96), **arguments})  # type: ignore[arg-type]
    with pytest.raises(DataError, match="already holds"):
        write_drive(drive[0], 0.1)


def test_a_drive_of_truth_only_has_the_same_truth(tmp_path: Path) -> None:
    for name, truth_only in (("full", False), ("truth", True)):
        write_drive(tmp_path / name, km=0.03, size=(320, 192), seed=4, every_m=10.0, truth_only=truth_only)
    for file in ("forward/frames.jsonl", "assets.geojson", "forward/track_noisy.gpx"):
        assert (tmp_path / "full" / file).read_bytes() == (tmp_path / "truth" / file).read_bytes()
    assert not list((tmp_path / "truth").rglob("*.jpg"))
    assert json.loads((tmp_path / "truth" / "drive.json").read_text())["truth_only"] is True
    assert "truth_only" not in json.loads((tmp_path / "full" / "drive.json").read_text())

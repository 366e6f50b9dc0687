"""Features of drives: each shows in frames, in positions and in the truth, and without them nothing changes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reg_yolo.cli.app import main
from reg_yolo.errors import ConfigError
from reg_yolo.inventory.camera import read_camera
from reg_yolo.scenes import DriveFeatures, write_drive
from reg_yolo.scenes.drives.features import DISTORTION
from reg_yolo.scenes.drives.frames import DriveOptions, DrivePlan, plan_drive, render_frame
from reg_yolo.scenes.drives.motion import plan_motion
from reg_yolo.scenes.rendering.camera import Camera, Pose, project_world
from reg_yolo.scenes.rendering.lens import lens_of
from reg_yolo.scenes.rendering.painting import number_of_pixels
from tests.scenes.drives.test_drive import assets, frames, track

# Of a drive as it was before there were features. Its images are not in it: their last bits depend on the processor.
TRUTH_SHA256 = "d927fc0e86a817153f68d8d301c6243490750b6248d8e1293e8e44b26f7b1443"


def test_a_drive_without_features_is_what_it_was(tmp_path: Path) -> None:
    write_drive(tmp_path / "d", 0.06, (320, 192), seed=6, every_m=15.0, both_directions=True)
    found = hashlib.sha256()
    for path in sorted((tmp_path / "d").rglob("*")):
        if path.is_file() and path.suffix != ".jpg":
            found.update(path.relative_to(tmp_path / "d").as_posix().encode())
            found.update(path.read_bytes())
    assert found.hexdigest() == TRUTH_SHA256


def test_names_are_parsed_and_wrong_ones_named() -> None:
    assert DriveFeatures.parse("stops, tunnel").names == ("stops", "tunnel")
    assert len(DriveFeatures.parse("all").names) == 9
    assert DriveFeatures.parse("") == DriveFeatures()
    with pytest.raises(ConfigError, match="unknown name 'tunnels', expected speed, stops"):
        DriveFeatures.parse("tunnels")
    with pytest.raises(ConfigError, match=r"hidden, tunnel need a drive of at least 0\.41 km, got 0\.2"):
        planned("tunnel,hidden", km=0.2)


def test_the_command_refuses_features_of_stills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["scenes", str(tmp_path / "x"), "--features", "stops"])
    assert end.value.code == 2
    assert "--features: is for --drive" in capsys.readouterr().err


def planned(features: str, km: float = 0.3, size: tuple[int, int] = (320, 192), **options: Any) -> DrivePlan:
    return plan_drive(DriveOptions(km, size, seed=3, features=DriveFeatures.parse(features), **options))


def test_a_car_slows_down_and_stops_within_what_brakes_allow() -> None:
    motion = plan_motion(np.random.default_rng(1), DriveFeatures(speed=True, stops=True), 20.0, 900.0)
    times = np.arange(0.0, motion.time_at(900.0), 0.1)
    way = motion.distances_at(times)
    speeds = np.diff(way) / 0.1
    assert len(motion.stops) == 2
    assert (speeds > -1e-9).all() and speeds.max() < 20.001
    assert np.abs(np.diff(speeds)).max() / 0.1 < 3.0
    for stop in motion.stops:
        standing = (times > stop.from_s) & (times < stop.to_s)
        assert way[standing] == pytest.approx(stop.distance_m, abs=0.01)
        assert 4 <= stop.to_s - stop.from_s <= 9
        assert motion.time_at(stop.distance_m) == pytest.approx(stop.from_s, abs=0.3)
    rolling = plan_motion(np.random.default_rng(1), DriveFeatures(speed=True), 20.0, 900.0)
    kept = [rolling.speed_at(t) for t in range(1, 50)]
    assert 7.9 < min(kept) < 9 and 19 < max(kept) < 20.1


def test_frames_of_a_stop_show_the_same_place() -> None:
    plan = planned("stops", fps=2)
    (stop,) = plan.motion["forward"].stops
    standing = [frame for frame in plan.frames["forward"] if stop.from_s + 0.1 < frame.time_s < stop.to_s]
    assert len(standing) >= 7
    assert {round(frame.s, 3) for frame in standing} == {round(stop.distance_m, 3)}
    assert len(plan.frames["forward"]) > 30, "more than the 30 frames of a drive without a stop"


def test_a_lens_moves_points_to_where_opencv_puts_them() -> None:
    camera = replace(Camera.from_field_of_view(320, 192, 70.0), distortion=DISTORTION)
    lens = lens_of(camera)
    assert lens is not None and lens.pinhole.width > 340
    assert lens_of(Camera.from_field_of_view(320, 192, 70.0)) is None
    for point in ([0.0, 0.0, 10.0], [5.5, 2.0, 10.0], [-5.0, -3.0, 10.0]):
        buffer = np.zeros((2 * lens.pinhole.height, 2 * lens.pinhole.width, 4), np.uint8)
        u, v = lens.pinhole.project(np.array(point))
        cv2.circle(buffer, (round(2 * u - 0.5), round(2 * v - 0.5)), 4, (0, 0, 0, 1), -1)
        rows, columns = np.nonzero(number_of_pixels(lens.bend(buffer)))
        matrix = np.array([[camera.focal_px, 0, camera.cx], [0, camera.focal_px, camera.cy], [0, 0, 1]])
        expected = cv2.projectPoints(np.array([[point]]), np.zeros(3), np.zeros(3), matrix, np.array(DISTORTION))[0]
        assert [columns.mean() + 0.5, rows.mean() + 0.5] == pytest.approx(expected.ravel(), abs=0.6)


def test_a_lorry_hides_a_sign_for_three_seconds() -> None:
    plan = planned("hidden", size=(640, 384), truth_only=True)
    (hidden,) = plan.stage.hidden
    assert hidden.to_s - hidden.from_s == pytest.approx(3.0, abs=1.0)

    def sees(time_s: float) -> bool:
        frame = min(plan.frames["forward"], key=lambda one: abs(one.time_s - time_s))
        return hidden.sign.asset_id in {label.asset_id for label in render_frame(plan, frame).labels}

    assert not any(sees(t) for t in np.linspace(hidden.from_s + 0.1, hidden.to_s - 0.1, 4))
    assert sees(hidden.from_s - 1.5) and sees(hidden.to_s + 0.6)


def test_a_tunnel_closes_the_sky() -> None:
    plan, open_road = planned("tunnel"), planned("")
    ((start, end),) = plan.stage.tunnels
    frame = min(plan.frames["forward"], key=lambda one: abs(one.s - (start + 40)))
    inside, outside = (render_frame(one, frame) for one in (plan, open_road))
    assert inside.picture[:40].mean() < 60 < 150 < outside.picture[:40].mean()
    own = {group[0].asset_id for group in plan.stage.groups}
    assert own <= {asset.asset_id for asset in plan.world.assets}
    within = [asset for asset in plan.world.assets if start - 5 < asset.s < end + 5]
    assert {asset.asset_id for asset in within} == own and len(own) == 3


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A drive with all features, every 28 m."""
    out = tmp_path_factory.mktemp("features") / "d"
    features = DriveFeatures.parse("all")
    write_drive(out, 0.65, (320, 192), seed=5, every_m=28.0, gps_hz=2, truth_only=True, features=features)
    return out, json.loads((out / "drive.json").read_text(encoding="utf-8"))


def test_files_have_version_two_of_their_schemas(everything: tuple[Path, dict[str, Any]]) -> None:
    out, header = everything
    assert header["schema"] == "reg-yolo/scenes-drive/2"
    assert frames(out, "forward")[0]["schema"] == "reg-yolo/scenes-frames/2"
    for name, file in (("assets", "assets.geojson"), ("calibration", "forward/calibration_noisy.json")):
        assert json.loads((out / file).read_text())["schema"] == f"reg-yolo/scenes-{name}/2"
    assert "<name>reg-yolo/scenes-drive/2 seed 5" in (out / "forward" / "track_clean.gpx").read_text()


def test_no_fix_lies_in_the_tunnel(everything: tuple[Path, dict[str, Any]]) -> None:
    out, header = everything
    about = header["directions"]["forward"]
    ((first, last),) = [hole["seconds"] for hole in about["fix_holes"]]
    times, grid = track(out / "forward" / "track_clean.gpx")
    times = times - np.datetime64(about["start_utc"][:-1]).astype("datetime64[ms]").astype(float) / 1000
    assert not ((times > first + 0.01) & (times < last - 0.01)).any()
    assert np.diff(times).max() == pytest.approx(last - first, abs=1.1)
    assert len(grid) > 20
    (low, high) = header["tunnels"][0]["chainage_m"]
    for record in frames(out, "forward")[1]:
        assert record["has_fix"] == (not low <= record["chainage_m"] <= high)


def test_clock_and_camera_are_stated(everything: tuple[Path, dict[str, Any]]) -> None:
    out, header = everything
    assert 0.5 < abs(header["directions"]["forward"]["true_errors"]["clock_s"]) < 2.5
    camera = read_camera(out / "forward" / "camera_clean.yaml")
    assert camera.distortion == DISTORTION
    clean = json.loads((out / "forward" / "calibration_clean.json").read_text())
    assert (camera.focal_px, camera.height_m) == (clean["focal_px"], clean["mount"]["height_m"])
    noisy = read_camera(out / "forward" / "camera_noisy.yaml")
    assert noisy.focal_px != camera.focal_px and noisy.pitch_deg != camera.pitch_deg


def test_twins_stand_a_metre_apart_and_chevrons_ten(everything: tuple[Path, dict[str, Any]]) -> None:
    out, header = everything
    known = assets(out)
    places = {name: np.array(asset["properties"]["position_utm"]) for name, asset in known.items()}
    assert len(header["twins"]) == 2
    for a, b in header["twins"]:
        assert np.linalg.norm(places[a][:2] - places[b][:2]) == pytest.approx(1.0, abs=0.03)
    chevrons = [name for name, one in known.items() if one["properties"]["attributes"].get("kind") == "chevron"]
    assert len(chevrons) == 8
    apart = [np.linalg.norm(places[b] - places[a]) for a, b in pairwise(chevrons)]
    assert apart == pytest.approx([10.0] * 7, abs=0.4)


def test_boxes_are_of_the_bent_image_and_lorries_are_no_assets(everything: tuple[Path, dict[str, Any]]) -> None:
    out, _ = everything
    known = assets(out)
    header, records = frames(out, "forward")
    c = header["calibration"]
    plain = Camera(c["width"], c["height"], c["focal_px"], c["cx"], c["cy"])
    bent = replace(plain, distortion=tuple(c["distortion"]))
    moved, carried = [], set()
    for record in records:
        p = record["pose"]
        pose = Pose(p["easting_m"], p["northing_m"], p["height_m"], p["heading_deg"], p["pitch_deg"], p["roll_deg"])
        for seen in record["objects"]:
            if seen.get("on_vehicle"):
                assert seen["asset_id"] not in known
                carried.add(seen["asset_id"])
                place = seen["position_utm"]
            else:
                place = known[seen["asset_id"]]["properties"]["position_utm"]
                if known[seen["asset_id"]]["properties"]["geometry_kind"] != "point":
                    continue
            if seen["visible_share"] < 0.93:
                continue
            (pixel,), (straight,) = (project_world(camera, pose, np.array([place]))[0] for camera in (bent, plain))
            x0, y0, x1, y1 = seen["xyxy"]
            assert x0 - 1.5 <= pixel[0] <= x1 + 1.5 and y0 - 1.5 <= pixel[1] <= y1 + 1.5, seen
            moved.append(float(np.linalg.norm(pixel - straight)))
    assert len(moved) > 8 and max(moved) > 5
    assert carried and all(name.startswith("lorry-") for name in carried)

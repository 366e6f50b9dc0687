"""Heading and roll that a survey vehicle measures, and its pitch, which is not used."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import yaml

from reg_yolo.errors import DataError
from reg_yolo.inventory.building import build_inventory
from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.opening import BuildOptions
from reg_yolo.inventory.positions.attitude import measured_attitude
from reg_yolo.inventory.positions.fixes import Fixes
from reg_yolo.inventory.positions.reading import read_positions
from reg_yolo.inventory.positions.smoothing import Drift
from reg_yolo.inventory.positions.table import read_table
from reg_yolo.inventory.positions.trajectory import build_trajectory
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.scenes import write_drive
from scripts.bench_inventory import write_detections


def northward(count: int = 200, step_s: float = 0.2, longitude: float = 100.0, **angles: list[float]) -> Fixes:
    """Return fixes of a vehicle that goes north at 20 m/s."""
    time_s = np.arange(count) * step_s
    latitude = 14.0 + time_s * 20 / 110_600
    return Fixes.from_columns("t", time_s.tolist(), [longitude] * count, latitude.tolist(), **angles)


def test_a_table_may_hold_angles(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time_s,lon,lat,Heading,pitch_deg,roll\n0,100,14,359.5,-1.5,2\n1,100,14.001,,,\n")
    fixes = read_positions(path)
    assert (fixes.heading_deg[0], fixes.pitch_deg[0], fixes.roll_deg[0]) == (359.5, -1.5, 2.0)
    assert np.isnan([fixes.heading_deg[1], fixes.pitch_deg[1], fixes.roll_deg[1]]).all()


@pytest.mark.parametrize(("cells", "said"), [("361,0", "heading must be degrees within 360"), ("0,-91", "pitch must")])
def test_an_angle_out_of_range_is_named(tmp_path: Path, cells: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(f"time_s,lon,lat,heading,pitch\n0,100,14,{cells}\n")
    with pytest.raises(DataError, match=rf"a\.csv:2: {said}"):
        read_table(tmp_path / "a.csv")


def test_the_measured_heading_is_used_and_that_of_the_way_over_its_holes() -> None:
    heading = [5.0 if number < 60 or number > 120 else float("nan") for number in range(200)]
    fixes = northward(heading_deg=heading)
    poses = build_trajectory(fixes, LocalProjection(100.0, 14.0), Drift()).at(np.array([6.0, 18.0, 30.0]))
    assert np.degrees(poses.heading_rad) == pytest.approx([5.0, 0.0, 5.0], abs=0.02)
    assert np.isfinite(poses.heading_noise_rad).tolist() == [True, False, True]


def test_headings_refer_to_true_north_and_are_turned_to_the_grids() -> None:
    """Away from the grid's meridian its lines are not the meridians: by 0.24 degrees at 1 degree and 14 N."""
    fixes = northward(longitude=101.0, heading_deg=[0.0] * 200)
    poses = build_trajectory(fixes, LocalProjection(100.0, 14.0), Drift()).at(np.array([20.0]))
    direction = np.arctan2(*poses.velocity_mps[0])
    assert poses.heading_rad[0] == pytest.approx(direction, abs=1e-5)
    assert np.degrees(poses.heading_rad[0]) == pytest.approx(-np.sin(np.radians(14.0)), abs=0.01)


def test_headings_pass_north_without_a_turn() -> None:
    heading = [(359.0 + 0.01 * number) % 360 for number in range(200)]
    poses = build_trajectory(northward(heading_deg=heading), LocalProjection(100.0, 14.0), Drift()).at(np.array([20.1]))
    assert np.degrees(poses.heading_rad[0]) == pytest.approx(360.005, abs=0.001)


def test_a_course_that_jumps_is_not_used_and_the_user_is_told() -> None:
    rng = np.random.default_rng(0)
    trajectory = build_trajectory(
        northward(heading_deg=rng.normal(180, 3, 200).tolist()), LocalProjection(100.0, 14.0), Drift()
    )
    assert np.degrees(trajectory.at(np.array([20.0])).heading_rad[0]) == pytest.approx(0.0, abs=0.05)
    (note,) = trajectory.attitude.notes()
    assert note.startswith("heading is not used, as it jumps by ")
    assert 2.5 < float(note.split("jumps by ")[1].split()[0]) < 3.5


def test_roll_is_used_and_pitch_is_said_to_be_not() -> None:
    time_s = np.arange(200) * 0.2
    fixes = northward(pitch_deg=(3.0 + 0.4 * np.sin(4 * time_s)).tolist(), roll_deg=[1.5] * 200)
    attitude = measured_attitude(fixes, LocalProjection(100.0, 14.0))
    _, roll = attitude.at(time_s)
    assert np.degrees(roll) == pytest.approx(1.5)
    assert attitude.notes() == [
        "measured roll of 200 fixes is used",
        "measured pitch of 200 fixes is not used; it is estimated with the assets",
    ]


def test_the_vehicles_roll_adds_to_the_mounts() -> None:
    pixels = np.array([[100.0, 50.0], [500.0, 300.0]])
    apart = Camera(640, 384, 500.0, pitch_deg=-1.0, roll_deg=0.5)
    found = apart.normalized(pixels, np.radians([1.5, -4.0]))
    for row, roll in enumerate([2.0, -3.5]):
        together = Camera(640, 384, 500.0, pitch_deg=-1.0, roll_deg=roll)
        assert found[row] == pytest.approx(together.normalized(pixels[row : row + 1])[0], abs=1e-12)


def test_a_drive_is_built_with_measured_angles(tmp_path: Path) -> None:
    """A vehicle that points 20 degrees off its way and leans by 5, with a camera turned back: only angles tell that."""
    write_drive(tmp_path, km=0.3, size=(640, 384), seed=2, every_m=5.0, truth_only=True)
    folder = tmp_path / "forward"
    write_detections(folder / "frames.jsonl", tmp_path / "d.jsonl", "T", 0)
    calibration = json.loads((folder / "calibration_clean.json").read_text())
    values = {key: calibration[key] for key in ("width", "height", "focal_px", "cx", "cy")} | calibration["mount"]
    turned = values | {"yaw_deg": values["yaw_deg"] - 20, "roll_deg": values["roll_deg"] - 5}
    _, *records = [json.loads(line) for line in (folder / "frames.jsonl").read_text().splitlines()]
    track = read_positions(folder / "track_clean.gpx")
    lines = ["time_s,longitude,latitude,heading,pitch,roll"]
    for record in records:
        time = datetime.fromisoformat(record["utc"]).timestamp()
        place = [np.interp(time, track.time_s, axis) for axis in (track.longitude_deg, track.latitude_deg)]
        heading = (record["pose"]["heading_deg"] - values["yaw_deg"] + 20) % 360
        pitch = record["pose"]["pitch_deg"] - values["pitch_deg"]
        lines.append(f"{time:.3f},{place[0]:.9f},{place[1]:.9f},{heading:.4f},{pitch:.4f},5.0")
    (tmp_path / "survey.csv").write_text("\n".join(lines))
    start = f"{records[0]['utc']}"
    assert records[0]["time_s"] == 0
    told: list[str] = []
    results = []
    for name, gnss, camera in (
        ("way", folder / "track_clean.gpx", values),
        ("survey", tmp_path / "survey.csv", turned),
    ):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(camera))
        options = BuildOptions((tmp_path / "d.jsonl",), (gnss,), (tmp_path / f"{name}.yaml",), starts=(start,))
        results.append(build_inventory(options, told.append))
    way, survey = results
    assert any("survey.csv: measured heading of" in line for line in told)
    assert [asset.class_name for asset in survey.assets] == [asset.class_name for asset in way.assets]
    apart = [
        survey.projection.to_metres(*way.projection.to_degrees(old.middle_m)[0])[0] - new.middle_m
        for old, new in zip(way.assets, survey.assets, strict=True)
    ]
    assert np.median(np.linalg.norm(apart, axis=1)) < 0.5

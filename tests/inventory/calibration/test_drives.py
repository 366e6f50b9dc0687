"""Cameras from drives of the embedded highway, whose mounts are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reg_yolo.cli.app import main
from reg_yolo.inventory.calibration.drives import weighted_mean
from reg_yolo.inventory.camera import read_camera
from tests.inventory.simulated import true_camera, write_true_drive

START = "2024-05-01T03:00:00Z"


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drive of 1 km with true boxes, and what is known of the camera before: lens and height."""
    root = tmp_path_factory.mktemp("drive")
    known = write_true_drive(root, 1.0)
    values = {key: known[key] for key in ("width", "height", "focal_px")} | {"height_m": known["mount"]["height_m"]}
    (root / "lens.yaml").write_text(yaml.safe_dump(values))
    return root


def calibrate(drive: Path, *words: str) -> int:
    """Run `inventory calibrate` on the drive and return its exit code."""
    track = str(drive / "forward" / "track_clean.gpx")
    command = ["inventory", "calibrate", str(drive / "detections.jsonl"), "--gnss", track, "--start", START]
    with pytest.raises(SystemExit) as end:
        main([*command, "--out", str(drive / "camera.yaml"), *words])
    return int(end.value.code or 0)


def test_yaw_and_pitch_are_found_within_their_deviations(drive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(drive, "--camera", str(drive / "lens.yaml")) == 0
    camera, mount = read_camera(drive / "camera.yaml"), true_camera(drive)["mount"]
    assert abs(mount["yaw_deg"]) > 0.3
    assert abs(camera.yaw_deg - mount["yaw_deg"]) < 2.5 * camera.yaw_sigma_deg < 0.5
    assert abs(camera.pitch_deg - mount["pitch_deg"]) < 2.5 * camera.pitch_sigma_deg < 0.6
    # The lens was known to 0.4 %: one drive, which knows it to 5.5 %, leaves it.
    assert camera.focal_px == pytest.approx(true_camera(drive)["focal_px"], rel=0.003)
    assert camera.height_m == mount["height_m"]
    said = capsys.readouterr().out
    assert "of 1 drive: focal" in said and "drives hardly constrain it" not in said


def test_a_lens_known_by_its_field_of_view_is_said_to_be_unsure(
    drive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(drive, "--hfov", "60") == 0
    said = capsys.readouterr().out
    assert "drives hardly constrain it" in said and "height_m is 1.6 as assumed" in said
    assert read_camera(drive / "camera.yaml").focal_sigma > 0.03


def test_means_are_weighted_and_widened_where_drives_differ() -> None:
    assert weighted_mean([(2.0, 0.5)]) == (2.0, 0.5)
    mean, sigma = weighted_mean([(1.0, 1.0), (1.2, 1.0)])
    assert (mean, sigma) == pytest.approx((1.1, 0.5**0.5))
    mean, sigma = weighted_mean([(0.0, 1.0), (10.0, 1.0)])
    assert (mean, sigma) == pytest.approx((5.0, 0.5**0.5 * 50**0.5))
    assert weighted_mean([(0.0, 1.0), (3.0, 2.0)])[0] == pytest.approx(0.6)

"""Pixels to rays: checked against the embedded highway's own projection, and against OpenCV's distortion."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.camera import Camera, read_camera
from reg_yolo.scenes.rendering.camera import Camera as SceneCamera
from reg_yolo.scenes.rendering.camera import Pose, project_world

POINTS = np.array([[3.0, 30.0, 4.0], [-5.0, 12.0, 0.5], [1.0, 80.0, -1.0]])


def test_tangents_are_those_of_a_level_camera() -> None:
    scene, pose = SceneCamera(640, 384, 550.0, 322.0, 190.0), Pose(0, 0, 1.5, 0.0, -2.0, 1.5)
    pixels, _ = project_world(scene, pose, POINTS)
    camera = Camera(640, 384, 550.0, 322.0, 190.0, pitch_deg=-2.0, roll_deg=1.5)
    expected = np.stack([POINTS[:, 0] / POINTS[:, 1], -(POINTS[:, 2] - 1.5) / POINTS[:, 1]], 1)
    assert camera.normalized(pixels) == pytest.approx(expected, abs=1e-9)


def test_distortion_is_taken_out() -> None:
    distortion = (-0.25, 0.08, 0.001, -0.002, 0.01)
    matrix = np.array([[550.0, 0, 320], [0, 550.0, 192], [0, 0, 1]])
    plain = np.array([[0.3, -0.2, 1.0], [-0.4, 0.25, 1.0]])
    pixels, _ = cv2.projectPoints(plain, np.zeros(3), np.zeros(3), matrix, np.array(distortion))
    camera = Camera(640, 384, 550.0, distortion=distortion)
    assert camera.normalized(pixels.reshape(-1, 2)) == pytest.approx(plain[:, :2], abs=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width: 640", "height must be a number of pixels"),
        ("width: 640\nheight: 384\nfocal: 550", "unknown key 'focal'"),
        ("width: 640\nheight: 384\nfocal_px: -1", "focal_px must be above 0"),
        ("width: 640\nheight: 384\ndistortion: 3", "distortion must be a list"),
    ],
)
def test_a_wrong_calibration_gets_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_camera(path)

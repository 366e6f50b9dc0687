"""Projection against points that were worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reg_yolo.scenes.rendering.camera import Camera, Pose, project_world

CAMERA = Camera(640, 384, 500.0, 320.0, 192.0)


def project(pose: Pose, *point: float) -> tuple[float, float]:
    pixels, _ = project_world(CAMERA, pose, np.array([point]))
    return float(pixels[0, 0]), float(pixels[0, 1])


def test_a_level_camera_that_looks_north() -> None:
    pose = Pose(0, 0, 1.5, 0.0)
    # 500 px * 2 m / 20 m = 50 px to the right; 500 * 1.5 / 20 = 37.5 px below the middle.
    assert project(pose, 2, 20, 1.5) == pytest.approx((370.0, 192.0))
    assert project(pose, 0, 20, 0) == pytest.approx((320.0, 229.5))
    assert project(pose, -4, 40, 6.5) == pytest.approx((270.0, 129.5))


def test_headings_turn_clockwise() -> None:
    assert project(Pose(10, 5, 1.5, 90.0), 30, 5, 1.5) == pytest.approx((320.0, 192.0))
    # Looking east, south is to the right.
    assert project(Pose(0, 0, 1.5, 90.0), 20, -2, 1.5) == pytest.approx((370.0, 192.0))
    assert project(Pose(0, 0, 1.5, 180.0), -2, -20, 1.5) == pytest.approx((370.0, 192.0))


def test_looking_down_lifts_the_horizon() -> None:
    u, v = project(Pose(0, 0, 1.5, 0.0, pitch_deg=-5.0), 0, 1e7, 1.5)
    assert (u, v) == pytest.approx((320.0, 192.0 - 500 * math.tan(math.radians(5))), abs=1e-3)


def test_leaning_right_lifts_the_right_end_of_the_horizon() -> None:
    # A point 100 px right of the middle turns by 10 degrees against the camera's lean.
    u, v = project(Pose(0, 0, 1.5, 0.0, roll_deg=10.0), 4, 20, 1.5)
    assert (u, v) == pytest.approx((320 + 100 * math.cos(math.radians(10)), 192 - 100 * math.sin(math.radians(10))))


def test_rotation_is_a_proper_rotation() -> None:
    rotation = Pose(0, 0, 0, 123.0, 4.0, -7.0).rotation()
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_depth_is_forward_distance_and_points_behind_have_no_pixel() -> None:
    pixels, depth = project_world(CAMERA, Pose(0, 0, 0, 0.0), np.array([[3.0, 20.0, 1.0], [0.0, -5.0, 0.0]]))
    assert depth == pytest.approx([20.0, -5.0])
    assert np.isnan(pixels[1]).all()


def test_field_of_view() -> None:
    camera = Camera.from_field_of_view(640, 384, 90.0)
    assert camera.focal_px == pytest.approx(320.0)
    assert (camera.cx, camera.cy) == (320.0, 192.0)

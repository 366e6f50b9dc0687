"""Where frames looked, and what they saw where no position is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.classes import ClassShape
from reg_yolo.inventory.drive.looks import DriveLooks
from reg_yolo.inventory.drive.stretches import surveyed_stretches
from reg_yolo.inventory.drive.task import DriveTask
from reg_yolo.inventory.drive.unlocated import unlocated_objects
from reg_yolo.inventory.positions.trajectory import Poses

Look = tuple[int, int, float, int, float]
"""Frame, class, confidence, track, left side."""


def drive(place_m: list[float], looks: tuple[Look, ...] = ()) -> tuple[DriveTask, Poses]:
    """Return frames along a road to the east, NaN for an unknown place, and looks from them."""
    count = len(place_m)
    of_frame, class_id, confidence, track, left = np.array(looks, float).reshape(-1, 5).T
    of_frame, class_id, track = (column.astype(np.int64) for column in (of_frame, class_id, track))
    boxes = np.stack([left + 100, np.full(len(left), 100), left + 140, np.full(len(left), 180)], 1).astype(float)
    found = DriveLooks(
        ("pole", "sign"), 640, 384, ("a.mp4",) * count, np.arange(count), np.arange(count) * 1.0, np.arange(count),
        np.arange(count) * 1.0, of_frame, class_id, track, confidence, np.ones(len(left), bool), boxes,
        np.full((len(left), 4), np.nan), ("0" * 64,), 0, ("a.jsonl",),
    )  # fmt: skip
    east = np.array(place_m)
    position = np.stack([east, east * 0], 1)
    zeros = np.zeros(count)
    poses = Poses(
        position, np.stack([zeros + 10, zeros], 1), zeros + np.pi / 2, east.copy(), zeros, zeros,
        heading_noise_rad=np.full(count, np.nan), roll_rad=zeros,
    )  # fmt: skip
    camera = Camera(640, 384, 320.0)
    task = DriveTask(0, "a", found, np.arange(count) * 1.0, None, camera, (ClassShape(),) * 2)  # type: ignore[arg-type]
    return task, poses


def test_a_hole_ends_a_stretch_and_a_lone_frame_has_a_direction() -> None:
    task, poses = drive([0, 10, 20, 100, 110, 200])
    stretches = surveyed_stretches(task, poses, np.arange(6))
    assert [(one.frames, one.length_m) for one in stretches] == [(3, 20.0), (2, 10.0), (1, pytest.approx(1.0))]
    assert stretches[2].points_m[1] == pytest.approx([201.0, 0.0])
    assert (stretches[1].first_s, stretches[1].last_s) == (3.0, 4.0)
    assert stretches[0].hfov_deg == pytest.approx(90.0)
    assert surveyed_stretches(task, poses, np.zeros(0, np.int64)) == []


def test_what_is_seen_in_a_hole_is_listed_once() -> None:
    lost = float("nan")
    task, poses = drive(
        [0, 10, lost, lost, lost, 50],
        (
            (1, 0, 0.9, 7, 0.0), (2, 0, 0.9, 7, 0.0),  # Seen from a known place, too.
            (2, 1, 0.6, 8, 300.0), (3, 0, 0.5, 8, 350.0), (4, 1, 0.8, 8, 450.0),  # One identity, however far it jumps.
            (2, 0, 0.3, -1, 200.0), (3, 0, 0.4, -1, 205.0),  # No identity: joined by overlap.
            (4, 0, 0.3, -1, 0.0),  # Once and weak.
            (4, 0, 0.7, -1, 100.0),  # Once and sure.
        ),
    )  # fmt: skip
    found, left_out = unlocated_objects(task, poses)
    assert [(one.class_name, one.observations, one.confidence) for one in found] == [
        ("sign", 3, 0.8), ("pole", 2, 0.4), ("pole", 1, 0.7),
    ]  # fmt: skip
    assert (found[0].first_frame, found[0].last_frame) == (2, 4)
    assert found[0].xyxy == (550.0, 100.0, 590.0, 180.0)
    assert found[0].last_place_m == pytest.approx([10.0, 0.0])
    assert left_out == {
        "objects without a position that were also seen from a known one": 1,
        "single weak looks without a position": 1,
    }


def test_what_grows_on_its_way_past_the_car_is_one_object_in_a_hole() -> None:
    # Two signs on the right, 10 m apart, and a frame every 5 m; 0.8 m wide, 320 px of focal length.
    task, poses = drive([float("nan")] * 5, tuple((n, 1, 0.6, -1, 0.0) for n in (0, 0, 1, 1, 2, 2, 3, 3, 4)))
    depths = np.array([30, 40, 25, 35, 20, 30, 15, 25, 20.0])
    middle = np.stack([320 + 320 * 4.0 / depths, 192 - 320 * 1.5 / depths], 1)
    half = 320 * 0.4 / depths[:, None]
    looks = replace(task.looks, xyxy=np.concatenate([middle - half, middle + half], 1))
    task = replace(task, looks=looks)
    found, _ = unlocated_objects(task, poses)
    assert [(one.observations, one.first_frame, one.last_frame) for one in found] == [(4, 0, 3), (5, 0, 4)]
    aside = replace(task, camera=replace(task.camera, yaw_deg=90.0))
    assert len(unlocated_objects(aside, poses)[0]) > 2


def test_a_drive_without_holes_has_nothing_unlocated() -> None:
    task, poses = drive([0, 10], ((0, 0, 0.9, -1, 0.0),))
    assert unlocated_objects(task, poses) == ([], {})

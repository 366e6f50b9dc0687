"""Frames in which an object must have been seen and was not."""

from __future__ import annotations

import numpy as np
import pytest

from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.drive.missed import missed_looks
from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.solve.passes import PassObjects
from reg_yolo.inventory.solve.problem import Views

FRAMES, STEP_M = 60, 5.0
CAMERA = Camera(640, 384, 500.0)
"""Sees 32 degrees to each side: what stands 6 m to the right leaves the image 9 m ahead."""


def straight(objects: dict[float, list[int]], heading: float = 0.0) -> np.ndarray:
    """Return what is missed of signs 6 m to the right of a way to the north, by metres and frames that have a look."""
    views = Views(
        np.stack([np.zeros(FRAMES), STEP_M * np.arange(FRAMES)], 1), np.full(FRAMES, heading), np.zeros(FRAMES),
        np.tile([0.0, 20.0], (FRAMES, 1)), STEP_M * np.arange(FRAMES), np.zeros(FRAMES),
    )  # fmt: skip
    looks = sorted((frame, n) for n, frames in enumerate(objects.values()) for frame in frames)
    frame, owner = np.array(looks).T
    count = len(frame)
    rays = Rays(
        frame, np.zeros((count, 4)), np.ones((count, 4), np.bool_), np.full((count, 4), np.nan), np.full(count, -1),
        np.arange(count), np.ones(count, np.bool_), np.ones((count, 1)), np.zeros(count),
    )  # fmt: skip
    values = np.array([[6.0, north, 1.5, 0.5, 1.0, 0.0] for north in objects])
    rows = [np.flatnonzero(owner == n) for n in range(len(objects))]
    votes = np.array([[float(len(some))] for some in rows])
    found = PassObjects(rows, votes, values, np.zeros((len(rows), 2, 2)), np.ones(len(rows)), None)
    return missed_looks(rays, found, views, np.arange(FRAMES), CAMERA, np.zeros(len(rows)))


def until_passed(north: float, farthest: float = 150.0) -> list[int]:
    """Return the frames that show a sign whole, from a distance on."""
    ahead = north - STEP_M * np.arange(FRAMES)
    return np.flatnonzero((ahead > 10.5) & (ahead < farthest)).tolist()


WELL_SEEN = {float(north): until_passed(north) for north in (160, 185, 210, 235)}


def test_what_is_seen_wherever_it_must_be_has_missed_nothing() -> None:
    assert straight(WELL_SEEN) == pytest.approx(np.zeros(4), abs=1e-9)


def test_what_is_seen_from_afar_only_is_missed_near_by() -> None:
    far_only = until_passed(250.0)[:4]
    *others, missed = straight({**WELL_SEEN, 250.0: far_only})
    assert others == pytest.approx([0.0] * 4, abs=1e-9)
    # What something hides for long is missed as well: more than this counts against nothing.
    assert missed == -0.7


def test_nobody_expects_what_the_drive_never_sees_at_that_size() -> None:
    """All signs are seen from 60 m on: one that is, too, has hardly missed anything before."""
    near = {float(north): until_passed(north, 60.0) for north in (160, 185, 210, 235, 250)}
    assert straight(near).min() > -0.3
    # The same looks count against it where the others are seen from 150 m on.
    assert straight({**WELL_SEEN, 250.0: until_passed(250.0, 60.0)})[-1] < -0.6


def test_frames_that_cannot_show_it_do_not_count() -> None:
    """Turned away by 60 degrees the camera has no frame with a sign in it; where all are, nothing is missed."""
    assert straight({**WELL_SEEN, 250.0: [30, 31]}, heading=np.radians(-60.0)) == pytest.approx(np.zeros(5))


def test_one_frame_of_many_says_little() -> None:
    """The last frame is missed of four that show one sign, and of 27 that show the other."""
    of_few, of_many = (straight({**WELL_SEEN, north: until_passed(north)[:-1]})[-1] for north in (30.0, 250.0))
    assert (len(until_passed(30.0)), len(until_passed(250.0))) == (4, 27)
    # Odds of 0.05 to 0.97 for it, over the frames in sight and two more.
    assert of_few == pytest.approx(np.log(0.05 / 0.97) / 6)
    assert -0.06 < of_many < -0.04

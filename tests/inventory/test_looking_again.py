"""Which looks fit a solved object: hidden parts make a box smaller, and nothing makes it larger."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.solve.looking_again import look_again
from reg_yolo.inventory.solve.problem import Anchors, Priors, Problem, Sights, Views

SIGMA = 0.004
LEFT, TOP, RIGHT, BOTTOM = range(4)


def looks_kept(*changes: tuple[int, float]) -> list[int]:
    """Return the frames whose looks are kept for a post 6 m to the right, one side of frame 3's box moved outwards."""
    frames = np.arange(6)
    track = 5.0 * frames
    views = Views(
        np.stack([np.zeros(6), track], 1), np.zeros(6), np.zeros(6), np.tile([0.0, 20.0], (6, 1)), track,
        np.full(6, math.radians(0.3)),
    )  # fmt: skip
    anchors = Anchors(np.full(1, -0.5), np.full(1, 0.5), np.zeros((1, 4)), np.zeros(1), np.ones(1), np.full(1, np.inf))
    priors = Priors(math.radians(1), math.radians(1), 0.01, 0.1)
    sights = Sights(np.zeros(6, np.int64), frames, np.zeros((6, 4)), np.full((6, 4), SIGMA), np.zeros(6))
    problem = Problem(views, sights, anchors, priors)
    x = np.concatenate([np.zeros(problem.first_object), [6.0, 50.0, 6.0, -1.5, 1.0, 0.0]])
    sides, _ = problem.predict(x)
    for side, outwards in changes:
        sides[3, side] += outwards if side in (RIGHT, BOTTOM) else -outwards
    rays = Rays(
        frames, sides, np.ones((6, 4), np.bool_), np.full((6, 4), np.nan), np.full(6, -1), frames,
        np.ones(6, np.bool_), np.ones((6, 1)), np.zeros(6),
    )  # fmt: skip
    groups = look_again(
        rays, np.full((6, 4), SIGMA), views, frames, [frames[:3]], anchors, priors, x, np.ones((1, 1)),
        np.ones(6, np.bool_),
    )  # fmt: skip
    return rays.frame[groups[0]].tolist()


def test_exact_looks_are_all_taken() -> None:
    assert looks_kept() == list(range(6))


@pytest.mark.parametrize("side", [LEFT, TOP, RIGHT, BOTTOM])
def test_a_side_may_be_hidden_but_not_lie_beyond(side: int) -> None:
    far = 8 * math.hypot(SIGMA, math.radians(0.3))
    assert looks_kept((side, -far)) == list(range(6))
    assert looks_kept((side, far)) == [0, 1, 2, 4, 5]


def test_two_hidden_sides_still_fit() -> None:
    far = 8 * math.hypot(SIGMA, math.radians(0.3))
    assert looks_kept((TOP, -far), (LEFT, -far)) == list(range(6))
    # With both sides of one direction elsewhere, nothing says that it is there.
    assert looks_kept((TOP, -far), (BOTTOM, -far)) == [0, 1, 2, 4, 5]

"""Looks joined frame by frame: the same whether a pass is one lane or many that are followed side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from reg_yolo.inventory.drive import tracklets
from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.solve.sizes import ClassSizes

FRAMES, STEP_M = 240, 2.0


def _rays(seed: int) -> tuple[Rays, np.ndarray]:
    """Return rays of posts every 14 m beside a straight road and false ones, and which post each is of, or -1."""
    rng = np.random.default_rng(seed)
    rows = []
    for frame in range(FRAMES):
        for post in range(40):
            ahead = 14.0 * post - STEP_M * frame
            if not 4 < ahead < 60 or rng.random() < 0.15:
                continue
            right = 5.0 if post % 2 else -4.0
            sides = np.array([right - 0.4, -1.5, right + 0.4, 0.8]) / ahead + rng.normal(0, 0.002, 4)
            rows.append((frame, post, sides))
        if rng.random() < 0.1:
            rows.append((frame, -1, np.concatenate([low := rng.uniform(-0.4, 0.3, 2), low + 0.05])))
    rays = _of([(frame, sides) for frame, _, sides in rows])
    return rays, np.array([post for _, post, _ in rows])


def _followed(rays: Rays, lanes: int, monkeypatch: pytest.MonkeyPatch) -> list[tracklets.Tracklet]:
    monkeypatch.setattr(tracklets, "_LANE", 10)
    monkeypatch.setattr(tracklets, "_MOST_LANES", lanes)
    track = STEP_M * np.arange(FRAMES)
    place = np.stack([np.zeros(FRAMES), track], 1)
    frames, heading = np.arange(FRAMES), np.zeros(FRAMES)
    return tracklets.follow(rays, frames, place, heading, track, track / 20, 0.002, ClassSizes.unknown(1))


@pytest.mark.parametrize("seed", [0, 1])
def test_lanes_side_by_side_find_what_one_lane_finds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rays, _ = _rays(seed)
    one, many = (_followed(rays, lanes, monkeypatch) for lanes in (1, 12))
    assert [found.rows.tolist() for found in one] == [found.rows.tolist() for found in many]
    assert np.allclose([found.position_m for found in one], [found.position_m for found in many], atol=1e-6)


@pytest.mark.parametrize("seed", [3, 4, 7])
def test_looks_at_a_post_are_joined_and_tell_where_it_stands(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rays, post = _rays(seed)
    whole = [found for found in _followed(rays, 12, monkeypatch) if len(found.rows) >= 15]
    assert sorted(int(post[found.rows[0]]) for found in whole) == list(range(3, 36))
    assert sum(_is_right(found, post) for found in whole) == 33


def test_few_posts_begin_with_looks_at_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A false box may take a look where two are near each other: which seeds have that is chance."""
    right = 0
    for seed in range(4):
        rays, post = _rays(seed)
        whole = [found for found in _followed(rays, 12, monkeypatch) if len(found.rows) >= 15]
        right += sum(_is_right(found, post) for found in whole)
    assert right >= 4 * 33 - 4


def _is_right(found: tracklets.Tracklet, post: np.ndarray) -> bool:
    """Whether looks are of one post, but for a look or two that fit as well, and tell where it stands."""
    number = int(np.median(post[found.rows]))
    pure = bool((post[found.rows] == number).mean() > 0.9)
    return pure and found.position_m == pytest.approx([5.0 if number % 2 else -4.0, 14.0 * number], abs=0.8)


def _of(looks: Sequence[tuple[int, Sequence[float]]]) -> Rays:
    frame, sides = (np.array(some) for some in zip(*looks, strict=True))
    count = len(frame)
    seen, none = np.ones((count, 4), np.bool_), np.full((count, 4), np.nan)
    numbers, votes = np.arange(count), np.full((count, 1), 0.8)
    strong = np.ones(count, np.bool_)
    return Rays(frame, sides, seen, none, np.full(count, -1), numbers, strong, votes, np.zeros(count))


@pytest.mark.parametrize("left", [-0.15, -0.05, 0.0, 0.05])
def test_a_small_box_is_not_of_what_is_about_to_be_passed(left: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """3 m before a thing its box can hardly be told: without care any box at all would be its next one."""
    seen = (0, 2, 5, 7, 10, 12, 15)
    pole = [(frame, [side / (67 - STEP_M * frame) for side in (-5.5, -10.0, -0.8, 1.6)]) for frame in seen]
    found = _followed(_of([*pole, (32, [left, -0.13, left + 0.045, -0.01])]), 1, monkeypatch)
    assert sorted(one.rows.tolist() for one in found) == [list(range(7)), [7]]


def test_pairs_that_nothing_contests_hold_and_the_others_cost_least() -> None:
    one, other = np.array([0, 1, 1, 2, 3]), np.array([0, 1, 2, 2, 4])
    cost = np.array([5.0, 1.0, 2.0, 9.0, 19.0])
    assert sorted(tracklets.cheapest_pairs(one, other, cost, 20.0).tolist()) == [0, 1, 3, 4]
    # Object 1 with look 2 alone is cheaper than both pairs, and look 1 is then left alone.
    cost = np.array([5.0, 9.0, 2.0, 9.5, 9.0])
    assert sorted(tracklets.cheapest_pairs(one, other, cost, 10.0).tolist()) == [0, 2, 4]

"""Pieces of one object that the images show to be one, and pieces of two that they do not."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.solve.handed_over import join_handed_over
from reg_yolo.inventory.solve.passes import PassObjects, _handed_over
from reg_yolo.inventory.solve.problem import Views

STEP_M, FRAMES = 5.0, 40
OBJECT_M, HEIGHT_M, WIDTH_M = (4.0, 160.0), 4.0, 3.0
Box = tuple[int, tuple[float, float, float, float]]


def views(turn_rad: float = 0.0, step_m: float = STEP_M) -> Views:
    """Return a camera that goes north, or south looking back, and turns by so much from frame to frame."""
    frames = np.arange(FRAMES)
    position = np.stack([np.zeros(FRAMES), step_m * frames], 1)
    flat = np.zeros(FRAMES)
    return Views(position, turn_rad * frames, flat, np.zeros((FRAMES, 2)), STEP_M * frames, flat)


def boxes(
    frames: Sequence[int], east_m: float = OBJECT_M[0], north_m: float = OBJECT_M[1], turn_rad: float = 0.0
) -> list[Box]:
    """Return tangents (left, top, right, bottom) of one board in some frames."""
    found = []
    for frame in frames:
        depth = north_m - STEP_M * frame
        middle = math.tan(math.atan2(east_m, depth) - turn_rad * frame)
        half = WIDTH_M / depth / 2
        found.append((frame, (middle - half, -HEIGHT_M / depth, middle + half, -1.0 / depth)))
    return found


def joined(
    *pieces: list[Box],
    classes: Sequence[int] | None = None,
    turn_rad: float = 0.0,
    cut_above: Sequence[int] = (),
    seen: bool = True,
    step_m: float = STEP_M,
    north_m: float = OBJECT_M[1],
) -> list[list[int]]:
    """Return how pieces are put together."""
    looks = [look for piece in pieces for look in piece]
    count = len(looks)
    frames = np.array([frame for frame, _ in looks])
    whole = np.full((count, 4), seen)
    whole[np.isin(frames, cut_above), 1] = False
    rays = Rays(
        frames,
        np.array([sides for _, sides in looks]),
        whole,
        np.full((count, 4), np.nan),
        np.full(count, -1),
        np.arange(count),
        np.ones(count, np.bool_),
        np.ones((count, 1)),
        np.zeros(count),
    )
    ends = np.cumsum([len(piece) for piece in pieces])[:-1]
    groups = list(np.split(np.arange(count), ends))
    main = np.array(classes or [0] * len(pieces))
    sigma = np.where(rays.seen, 0.002, np.inf)
    return join_handed_over(
        groups, rays, sigma, views(turn_rad, step_m), main, np.tile([OBJECT_M[0], north_m], (len(pieces), 1))
    )


def test_a_piece_that_begins_where_another_ends_is_of_the_same_object() -> None:
    assert joined(boxes(range(20)), boxes(range(20, 30))) == [[0, 1]]
    assert joined(boxes(range(15)), boxes(range(15, 22)), boxes(range(23, 30))) == [[0, 1, 2]]


@pytest.mark.parametrize(("sigma_m", "counts"), [(2.0, 1), (16.0, 0)], ids=["known", "unknown"])
def test_it_stands_where_the_piece_with_the_largest_box_says_if_that_knows(sigma_m: float, counts: int) -> None:
    """The far piece was solved to stand nearer than it does, so that its camera seems to have been next to it."""
    looks = [*boxes(range(20)), *boxes(range(20, 30))]
    frames, count = np.array([frame for frame, _ in looks]), len(looks)
    sides, whole = np.array([sides for _, sides in looks]), np.full((count, 4), True)
    votes, none = np.ones((count, 1)), np.full(count, -1)
    rays = Rays(
        frames, sides, whole, np.full((count, 4), np.nan), none, np.arange(count), whole[:, 0], votes, np.zeros(count)
    )
    values = np.array([[4.0, 97.0, 4.0, 1.0, 3.0, 0.0], [4.0, 160.0, 4.0, 1.0, 3.0, 0.0]])
    covariance = np.eye(2) * np.array([2.0, sigma_m])[:, None, None] ** 2
    done = PassObjects(
        [np.arange(20), np.arange(20, 30)], np.array([[20.0], [10.0]]), values, covariance, np.zeros(2), None
    )
    one = _handed_over(rays, np.full((count, 4), 0.002), views(), done)
    assert [len(rows) for rows in one.rows] == [count]
    assert one.values.tolist() == [values[counts].tolist()]


def test_pieces_that_take_turns_are_one_object() -> None:
    assert joined(boxes([*range(10), 11, 13, 15]), boxes([10, 12, 14, *range(16, 25)])) == [[0, 1]]


@pytest.mark.parametrize(
    "second",
    [
        boxes(range(20, 30), east_m=-8.0),
        boxes(range(24, 30)),
        boxes(range(19, 30)),
        boxes(range(20, 30), north_m=400.0),
    ],
    ids=["elsewhere", "after a pause", "in the same frame", "of another size"],
)
def test_other_pieces_stay_apart(second: list[Box]) -> None:
    assert joined(boxes(range(20)), second) == [[0], [1]]


def test_classes_differ() -> None:
    assert joined(boxes(range(20)), boxes(range(20, 30)), classes=[0, 1]) == [[0], [1]]


def test_the_cameras_turn_is_taken_out() -> None:
    turn = math.radians(4)
    assert joined(boxes(range(5), turn_rad=turn), boxes(range(5, 9), turn_rad=turn), turn_rad=turn) == [[0, 1]]
    assert joined(boxes(range(5), turn_rad=turn), boxes(range(5, 9), turn_rad=turn)) == [[0], [1]]


def test_what_is_passed_does_not_become_what_comes_next_behind_it() -> None:
    """A near box grows fast, and what is far does not, however alike the two boxes are in two frames."""
    passed = boxes(range(20, 30), east_m=4.0)
    _, (left, top, right, bottom) = passed[-1]
    far = [
        (frame, tuple(1.02 ** (frame - 29) * side for side in (left, top, right, bottom))) for frame in range(30, 38)
    ]
    assert joined(passed, far) == [[0], [1]]
    # The first two looks alone do not tell.
    assert joined(passed, far[:1]) == [[0, 1]]


def poles(frames: Sequence[int], east_m: float, north_m: float) -> list[Box]:
    """Return tangents of a pole with an arm over the road."""
    edge = east_m - math.copysign(3.0, east_m)
    found = []
    for frame in frames:
        depth = north_m - STEP_M * frame
        left, right = sorted((east_m / depth, edge / depth))
        found.append((frame, (left, -8.0 / depth, right, 1.4 / depth)))
    return found


@pytest.mark.parametrize("east_m", [-8.0, 8.0])
@pytest.mark.parametrize("cut", [[], [22, 23]], ids=["whole", "cut above"])
def test_the_next_pole_in_line_is_another_one(east_m: float, cut: list[int]) -> None:
    """It is seen just where the last one was, smaller: as if one had driven back."""
    last, following = poles(range(14, 24), east_m, 160.0), poles(range(26, 31), east_m, 185.0)
    assert joined(last, following, cut_above=cut) == [[0], [1]]
    # Looking back, poles become smaller, and the one after the next is the last one, larger.
    back = [[(FRAMES - 1 - frame, sides) for frame, sides in reversed(piece)] for piece in (last, following)]
    cut = [FRAMES - 1 - frame for frame in cut]
    assert joined(*back, cut_above=cut, step_m=-STEP_M) == [[0], [1]]
    assert joined(back[0][:5], back[0][5:], step_m=-STEP_M) == [[0, 1]]


def test_a_pole_that_should_have_grown_is_not_the_same_one() -> None:
    """It has the size that the last one had 15 m before, which is too small for what is about 60 m away."""
    last, following = poles(range(14, 21), 8.0, 160.0), poles(range(23, 28), 8.0, 179.0)
    assert joined(last, following) == [[0], [1]]
    assert joined(last, poles(range(23, 28), 8.0, 160.0)) == [[0, 1]]
    # Of what is far away nothing is told by 15 m.
    assert joined(last, following, north_m=600.0) == [[0, 1]]


def test_a_box_that_is_hidden_in_part_is_still_the_same_one() -> None:
    second = [
        (frame, (left, top, right, top + 0.55 * (bottom - top)))
        for frame, (left, top, right, bottom) in boxes(range(20, 30))
    ]
    assert joined(boxes(range(20)), second) == [[0, 1]]


def test_a_part_of_a_wide_thing_is_still_of_it() -> None:
    """It is smaller in both directions, but some of its sides went on outwards, as they must."""
    bridge: list[Box] = [
        (frame, (-10 / depth, -8 / depth, 10 / depth, -3 / depth)) for frame, depth in ((0, 50), (1, 45))
    ]
    part: list[Box] = [(2, (-4 / 40, -7 / 40, 10 / 40, -4 / 40))]
    assert joined(bridge, part) == [[0, 1]]


def test_a_stray_look_does_not_join_its_piece_to_another_object() -> None:
    stray = [*boxes([20]), *boxes(range(28, 36), east_m=-5.0, north_m=400.0)]
    assert joined(boxes(range(20)), stray) == [[0], [1]]


def test_boxes_cut_by_the_frame_must_lie_on_one_another() -> None:
    assert joined(boxes(range(20)), boxes(range(20, 23)), seen=False) == [[0, 1]]
    assert joined(boxes(range(20)), boxes(range(20, 23), east_m=6.5), seen=False) == [[0], [1]]


def test_no_pieces() -> None:
    assert join_handed_over([], *_nothing()) == []


def _nothing() -> tuple[Rays, np.ndarray, Views, np.ndarray, np.ndarray]:
    empty = np.zeros(0, np.int64)
    sides = np.zeros((0, 4))
    rays = Rays(empty, sides, sides > 0, sides, empty, empty, empty > 0, np.zeros((0, 1)), np.zeros(0))
    return rays, sides, views(), empty, sides[:, :2]

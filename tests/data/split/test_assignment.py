"""Handing out groups: every class on every side where that can be, shares near the wanted ones, the same every time."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.data.split.assignment import Counts, assign_groups


def tables(most_groups: int) -> st.SearchStrategy[Counts]:
    """Random tables of groups by columns; the last column, images, is never 0."""

    def build(shape: tuple[int, int], seed: int, density: float) -> Counts:
        rng = np.random.default_rng(seed)
        counts = rng.integers(1, 50, shape) * (rng.random(shape) < density)
        return np.hstack([counts, rng.integers(1, 30, (shape[0], 1))]).astype(np.float64)

    shapes = st.tuples(st.integers(2, most_groups), st.integers(1, 5))
    return st.builds(build, shapes, st.integers(0, 2**32), st.sampled_from([0.2, 0.5, 0.9]))


def off_by(counts: Counts, assignment: list[int], shares: list[float]) -> tuple[int, float]:
    """Columns that a split lacks though enough groups hold them, and the squared distance from the wanted shares."""
    chosen = np.asarray(assignment)
    lacking, distance = 0, 0.0
    for column in counts.T:
        if column.sum() == 0:
            continue
        for split, share in enumerate(shares):
            part = column[chosen == split].sum() / column.sum()
            distance += (part - share) ** 2
            lacking += bool(part == 0 and (column > 0).sum() >= len(shares))
    return lacking, distance


@settings(max_examples=60, deadline=None)
@given(tables(8), st.sampled_from([[0.8, 0.2], [0.7, 0.2, 0.1]]))
def test_no_assignment_has_more_classes_on_every_side(counts: Counts, shares: list[float]) -> None:
    if len(shares) ** len(counts) > 1000:
        counts = counts[:6]
    found = off_by(counts, assign_groups(counts, shares), shares)
    every = (off_by(counts, list(each), shares) for each in itertools.product(range(len(shares)), repeat=len(counts)))
    best = min(every)
    assert found[0] == best[0]
    assert found[1] <= best[1] + 1e-9


@settings(max_examples=25, deadline=None)
@given(tables(40), st.integers(0, 3))
def test_a_table_gives_the_same_assignment_every_time(counts: Counts, seed: int) -> None:
    first = assign_groups(counts, [0.75, 0.25], seed)
    assert first == assign_groups(counts.copy(), [0.75, 0.25], seed)
    assert len(first) == len(counts) and set(first) <= {0, 1}


def test_many_groups_come_within_a_percent_of_every_share() -> None:
    rng = np.random.default_rng(3)
    counts = (rng.random((150, 7)) < [0.9, 0.5, 0.3, 0.2, 0.1, 0.08, 0.05]) * rng.integers(1, 20, (150, 7))
    counts = np.hstack([counts, rng.integers(5, 60, (150, 1))]).astype(np.float64)
    chosen = np.asarray(assign_groups(counts, [0.7, 0.2, 0.1]))
    for split, share in enumerate([0.7, 0.2, 0.1]):
        np.testing.assert_allclose(counts[chosen == split].sum(0) / counts.sum(0), share, atol=0.02)


def test_the_rarest_class_is_parted_first() -> None:
    # Only groups 0 and 1 hold the rare class; a split by images alone would put both on one side.
    counts = np.array([[1, 10], [1, 10], [0, 40], [0, 40]], dtype=np.float64)
    assignment = assign_groups(counts, [0.8, 0.2])
    assert sorted(assignment[:2]) == [0, 1]
    assert assignment[2:] == [0, 0]


def test_another_seed_may_choose_between_equal_groups() -> None:
    counts = np.ones((10, 2))
    found = {tuple(assign_groups(counts, [0.8, 0.2], seed)) for seed in range(6)}
    assert len(found) > 1
    assert {sum(each) for each in found} == {2}


def test_thousands_of_groups_take_no_time() -> None:
    rng = np.random.default_rng(0)
    counts = np.hstack([rng.random((4000, 7)) < 0.1, np.ones((4000, 1))]).astype(np.float64)
    chosen = np.asarray(assign_groups(counts, [0.8, 0.2]))
    np.testing.assert_allclose(counts[chosen == 1].sum(0) / counts.sum(0), 0.2, atol=0.01)

"""Boundary F1 against a scalar reference, and what it leaves out."""

import math

import numpy as np
import pytest

from reg_yolo.evaluation.boundary import TOLERANCE, BoundaryCounts


def outline(rows: list[list[int]], wanted: int, ignore: int = 255) -> set[tuple[int, int]]:
    """Pixels of a class next to another class, none of whose eight neighbours is unknown."""
    height, width = len(rows), len(rows[0])
    found = set()
    for r in range(height):
        for c in range(width):
            if rows[r][c] != wanted:
                continue
            cross = [(r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)]
            inside = [(y, x) for y, x in cross if 0 <= y < height and 0 <= x < width]
            around = [
                rows[y][x]
                for y in range(max(r - 1, 0), min(r + 2, height))
                for x in range(max(c - 1, 0), min(c + 2, width))
            ]
            if any(rows[y][x] != wanted for y, x in inside) and ignore not in around:
                found.add((r, c))
    return found


def near(some: set[tuple[int, int]], others: set[tuple[int, int]], tolerance: float) -> int:
    return sum(any(math.dist(a, b) <= tolerance for b in others) for a in some)


def test_the_score_of_each_class_is_that_of_the_reference() -> None:
    rng = np.random.default_rng(0)
    labelled = np.kron(rng.integers(0, 3, (5, 6)), np.ones((9, 9), int))
    predicted = np.roll(labelled, 2, axis=1)
    labelled[30:33, 10:20] = 255
    counts = BoundaryCounts(3)
    counts.add(predicted, labelled)
    tolerance = max(1.0, TOLERANCE * math.hypot(*labelled.shape))
    given = np.where(labelled == 255, 255, predicted)
    for index, score in enumerate(counts.f1()):
        ours, truth = outline(given.tolist(), index), outline(labelled.tolist(), index)
        precision = near(ours, truth, tolerance) / len(ours)
        recall = near(truth, ours, tolerance) / len(truth)
        assert score == pytest.approx(2 * precision * recall / (precision + recall))
        assert 0 < score < 1


def test_images_are_pooled_and_an_absent_class_has_no_score() -> None:
    labelled = np.zeros((60, 60), int)
    labelled[:, 30:] = 1
    shifted = np.zeros((60, 60), int)
    shifted[:, 45:] = 1
    counts = BoundaryCounts(3)
    counts.add(labelled, labelled)
    counts.add(shifted, labelled)
    assert counts.f1()[0] == pytest.approx(0.5)
    assert math.isnan(counts.f1()[2])


def test_a_class_that_is_missed_or_invented_scores_nothing() -> None:
    labelled = np.zeros((40, 40), int)
    labelled[10:30, 10:30] = 1
    counts = BoundaryCounts(2)
    counts.add(np.zeros((40, 40), int), labelled)
    assert counts.f1().tolist() == [0.0, 0.0]

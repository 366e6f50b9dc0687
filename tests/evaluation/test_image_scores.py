"""Matches on one image, and which images are the hardest."""

from __future__ import annotations

from pathlib import Path

import pytest

from reg_yolo.evaluation.image_scores import ImageScore, hardest_images, score_image

TRUTH = [(0, 0, 10, 10), (20, 0, 30, 10)]


def test_matches_need_the_class_and_half_the_union() -> None:
    # Shifted by a third of the width the IoU is (2/3) / (4/3) = 0.5; a little farther it is less.
    boxes = [(3.33, 0, 13.33, 10), (23.4, 0, 33.4, 10)]
    assert score_image(boxes, [0.9, 0.8], ["a", "a"], TRUTH, ["a", "a"]) == ImageScore(1, 1, 1)
    assert score_image(TRUTH, [0.9, 0.8], ["a", "b"], TRUTH, ["a", "a"]) == ImageScore(1, 1, 1)


def test_an_object_is_found_once_and_the_surest_goes_first() -> None:
    # The surer box overlaps the first object only; the exact one must go without.
    boxes = [(0, 0, 10, 10), (1, 0, 11, 10)]
    assert score_image(boxes, [0.4, 0.9], ["a", "a"], TRUTH[:1], ["a"]) == ImageScore(1, 1, 0)


def test_an_unsure_detection_does_not_take_the_object_of_a_surer_one() -> None:
    # The surer box fits both objects, the first better; the other fits the first only.
    truth = [(0, 0, 10, 10), (2, 0, 12, 10)]
    boxes = [(-3, 0, 7, 10), (0.5, 0, 10.5, 10)]
    assert score_image(boxes, [0.4, 0.9], ["a", "a"], truth, ["a", "a"]) == ImageScore(1, 1, 1)


def test_the_best_free_object_is_taken() -> None:
    truth = [(0, 0, 10, 10), (2, 0, 12, 10)]
    boxes = [(2, 0, 12, 10), (0, 0, 10, 10)]
    assert score_image(boxes, [0.9, 0.8], ["a", "a"], truth, ["a", "a"]) == ImageScore(2, 0, 0)


@pytest.mark.parametrize(
    ("boxes", "truth", "score", "f1"),
    [
        ([], [], ImageScore(0, 0, 0), 1.0),
        ([], TRUTH, ImageScore(0, 0, 2), 0.0),
        (TRUTH, [], ImageScore(0, 2, 0), 0.0),
        (TRUTH[:1], TRUTH, ImageScore(1, 0, 1), 2 / 3),
        ([(5, 5, 5, 5)], [(5, 5, 5, 5)], ImageScore(0, 1, 1), 0.0),
    ],
)
def test_f1(boxes: list, truth: list, score: ImageScore, f1: float) -> None:
    found = score_image(boxes, [0.5] * len(boxes), ["a"] * len(boxes), truth, ["a"] * len(truth))
    assert found == score
    assert found.f1 == pytest.approx(f1)


def test_the_hardest_by_mean_f1_then_misses_then_wrong_ones_then_path() -> None:
    scores = {
        Path("good"): [ImageScore(5, 0, 0), ImageScore(4, 0, 1)],
        Path("empty"): [ImageScore(0, 3, 0), ImageScore(0, 9, 0)],
        Path("b"): [ImageScore(0, 0, 2), ImageScore(0, 0, 2)],
        Path("a"): [ImageScore(0, 0, 2), ImageScore(0, 0, 2)],
        Path("many"): [ImageScore(0, 0, 7), ImageScore(0, 0, 7)],
        Path("wrong"): [ImageScore(0, 1, 2), ImageScore(0, 0, 2)],
        # Easy for one run and hard for the other: the mean counts.
        Path("half"): [ImageScore(4, 0, 0), ImageScore(0, 0, 4)],
    }
    names = [path.name for path in hardest_images(scores, 10)]
    assert names == ["many", "wrong", "a", "b", "half", "good"]
    assert [path.name for path in hardest_images(scores, 2)] == names[:2]

"""Kinds of error and what they cost: as tidecv has it, and by hand."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reg_yolo.evaluation.coco_metrics import CocoMetrics
from reg_yolo.evaluation.error_kinds import KINDS, RIGHT, ErrorAnalysis, average_precision
from reg_yolo.evaluation.image_results import ImageResult, box_areas, box_overlaps
from tests.evaluation.tide_example import CLASSES, FILE

EXAMPLE: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


def result_of(image: dict[str, Any]) -> ImageResult:
    found = (image["boxes"], image["confidences"], image["classes"])
    return ImageResult.of(Path("a.jpg"), (640, 480), found, (image["truth"], image["truth_classes"]))


def results() -> list[ImageResult]:
    return [result_of(image) for image in EXAMPLE["images"]]


def test_counts_and_costs_are_tidecvs() -> None:
    analysis, expected = ErrorAnalysis.of(results(), CLASSES), EXAMPLE["tidecv"]
    assert min(expected["counts"]) > 2 and min(expected["costs"]) > 0.5
    assert analysis.map50 == pytest.approx(expected["map50"], abs=1e-9)
    assert analysis.counts() == expected["counts"]
    assert analysis.costs() == pytest.approx(expected["costs"], abs=1e-9)


def test_costs_of_a_group_are_tidecvs() -> None:
    analysis = ErrorAnalysis.of(results(), CLASSES)
    objects, of_detections = box_areas(analysis.object_boxes), box_areas(analysis.boxes)
    # An error of class or place counts where its object stands.
    about = (analysis.kind == KINDS.index("classification")) | (analysis.kind == KINDS.index("localisation"))
    of_detections[about] = objects[analysis.target[about]]
    limits = (0.0, 32.0**2, 96.0**2, np.inf)
    for (low, high), expected in zip(pairwise(limits), EXAMPLE["tidecv"]["costs_by_size"], strict=True):
        chosen = [(low < areas) & (areas <= high) for areas in (of_detections, objects)]
        assert analysis.costs(*chosen) == pytest.approx(expected, abs=1e-9)


def test_average_precision_is_cocos() -> None:
    names = [f"class {number}" for number in range(CLASSES)]
    coco = CocoMetrics.of(results(), names)
    ours = ErrorAnalysis.of(results(), CLASSES).average_precisions
    assert ours == pytest.approx([100 * figures["AP50"] for figures in coco.by_class], abs=0.7)
    assert np.nanmean(ours) == pytest.approx(100 * coco.mean["AP50"], abs=0.3)


def test_one_of_each_kind() -> None:
    objects = [[0, 0, 10, 10], [100, 0, 110, 10], [200, 0, 210, 10], [300, 0, 310, 10]]
    found = {
        "right": ([0, 0, 10, 10], 0, 0.9), "duplicate": ([0, 0, 10, 9], 0, 0.8),
        "classification": ([100, 0, 110, 10], 1, 0.7), "localisation": ([206, 0, 216, 10], 0, 0.6),
        "both": ([307, 0, 317, 10], 1, 0.5), "background": ([500, 0, 510, 10], 0, 0.4),
    }  # fmt: skip
    boxes, classes, confidences = zip(*found.values(), strict=True)
    result = ImageResult.of(Path("a.jpg"), (640, 480), (boxes, confidences, classes), (objects, [0, 0, 0, 0]))
    analysis = ErrorAnalysis.of([result], 2)
    names = ["right" if kind == RIGHT else KINDS[kind] for kind in analysis.kind]
    assert names == list(found) and analysis.target.tolist() == [0, -1, 1, 2, -1, -1]
    # What is of a wrong class or place is not missed; class 1 has no object, and counts in no mean.
    assert analysis.missed.tolist() == [False, False, False, True] and analysis.found.tolist() == [True] + [False] * 3
    assert np.isnan(analysis.average_precisions[1])
    assert analysis.map50 == pytest.approx(average_precision(np.array([True, False, False, False]), 4))
    # Put right, the confused one stands third and the displaced one fourth of class 0.
    assert analysis.costs()[0] == pytest.approx(
        average_precision(np.array([True, False, True, False, False]), 4) - analysis.map50
    )


def test_only_the_surest_finds_an_object_that_two_are_about() -> None:
    boxes = [[6, 0, 16, 10], [5.5, 0, 15.5, 10]]
    result = ImageResult.of(Path("a.jpg"), (64, 48), (boxes, [0.3, 0.8], [0, 0]), ([[0, 0, 10, 10]], [0]))
    analysis = ErrorAnalysis.of([result], 1)
    assert analysis.confidence.tolist() == [0.8, 0.3] and analysis.repairs.tolist() == [True, False]
    assert analysis.costs()[1] == pytest.approx(100.0) and analysis.counts()[-1] == 0


def test_the_hundred_surest_of_an_image_count() -> None:
    boxes = [[0, 0, 10, 10]] * 101
    confidences = [0.5 + number / 1000 for number in range(100)] + [0.1]
    result = ImageResult.of(Path("a.jpg"), (64, 48), (boxes, confidences, [0] * 101), ([[0, 0, 10, 10]], [0]))
    analysis = ErrorAnalysis.of([result, result], 1)
    assert len(analysis.kind) == 200 and analysis.confidence.min() == 0.5


def test_threshold_is_that_of_the_best_f1() -> None:
    analysis = ErrorAnalysis.of(results(), CLASSES)
    for class_id in range(CLASSES):
        own = analysis.detection_class == class_id
        objects = (analysis.object_class == class_id).sum()
        scores = {}
        for limit in analysis.confidence[own]:
            shown = own & (analysis.confidence >= limit)
            scores[limit] = 2 * (analysis.kind[shown] == RIGHT).sum() / (shown.sum() + objects)
        assert scores[analysis.thresholds[class_id]] == pytest.approx(max(scores.values()))
    shown = analysis.shown & (analysis.kind == RIGHT)
    assert analysis.found_when_shown.sum() == shown.sum() > 5
    assert not (analysis.missed_when_shown & analysis.found_when_shown).any()
    assert (analysis.missed_when_shown | ~analysis.missed).all()


@pytest.mark.parametrize(("elsewhere", "gain"), [([], 50.0), ([([500, 0, 510, 10], 0.4, 1)], 0.0)])
def test_a_class_that_is_missed_altogether(elsewhere: list[Any], gain: float) -> None:
    """As in tidecv: once none is asked for it leaves the mean, but with a wrong detection it stays at 0."""
    boxes, confidences, classes = zip(([0, 0, 10, 10], 0.9, 0), *elsewhere, strict=True)
    truth = ([[0, 0, 10, 10], [100, 0, 110, 10]], [0, 1])
    analysis = ErrorAnalysis.of([ImageResult.of(Path("a.jpg"), (640, 480), (boxes, confidences, classes), truth)], 2)
    assert analysis.map50 == pytest.approx(50.0) and analysis.costs()[-1] == pytest.approx(gain)


def test_images_without_detections_or_objects() -> None:
    empty = ImageResult.of(Path("a.jpg"), (64, 48), ([], [], []), ([], []))
    lonely = ImageResult.of(Path("b.jpg"), (64, 48), ([], [], []), ([[0, 0, 10, 10]], [1]))
    analysis = ErrorAnalysis.of([empty, lonely], 2)
    assert analysis.counts() == [0, 0, 0, 0, 0, 1] and analysis.map50 == 0.0
    with pytest.raises(ValueError, match="2 boxes, 1 confidences"):
        ImageResult.of(Path("a.jpg"), (64, 48), ([[0, 0, 1, 1]] * 2, [0.5], [0]), ([], []))


def test_overlaps() -> None:
    assert box_overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3], [2, 2, 1, 1]])).tolist() == [[1 / 7, 0.0]]

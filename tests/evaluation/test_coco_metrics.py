"""COCO's figures from results in memory."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from reg_yolo.evaluation.coco_metrics import FIGURES, CocoMetrics
from reg_yolo.evaluation.image_results import ImageResult


def image(found: list[tuple[list[float], float, int]], truth: list[tuple[list[float], int]]) -> ImageResult:
    boxes, confidences, classes = zip(*found, strict=True) if found else ((), (), ())
    objects, labels = zip(*truth, strict=True) if truth else ((), ())
    return ImageResult.of(Path("a.jpg"), (640, 480), (boxes, confidences, classes), (objects, labels))


def test_figures_by_size_and_class() -> None:
    small, large = [0.0, 0, 20, 20], [100.0, 100, 300, 300]
    results = [
        # Of the small one 18/20 are covered: right up to an IoU of 0.90.
        image([([0.0, 0, 20, 18], 0.9, 0), (large, 0.8, 1)], [(small, 0), (large, 1)]),
        image([], [(small, 0)]),
    ]
    coco = CocoMetrics.of(results, ["sign", "wall", "pole"])
    sign, wall, pole = coco.by_class
    # Half the signs are found: precision 1 at the 51 recalls up to 0.5, at 9 of the 10 overlaps.
    assert sign["AP50"] == pytest.approx(51 / 101) and sign["AP"] == pytest.approx(0.9 * 51 / 101)
    assert sign["AR100"] == pytest.approx(0.45) and sign["APs"] == sign["AP"] and math.isnan(sign["APl"])
    assert [wall[name] for name in ("AP", "APl", "AR1")] == pytest.approx([1.0] * 3) and math.isnan(wall["ARs"])
    assert all(math.isnan(value) for value in pole.values())
    assert coco.mean["AP50"] == pytest.approx((51 / 101 + 1) / 2) and coco.mean["APs"] == sign["AP"]
    lines = coco.as_text().splitlines()
    assert lines[0].split() == ["Class", *FIGURES] and lines[2].split()[:3] == ["sign", "45.4", "50.5"]


def test_ap75_is_that_at_an_overlap_of_three_quarters() -> None:
    box = [0.0, 0, 20, 20]
    found = [([0.0, 0, 20, 15.5], 0.9, 0), ([0.0, 0, 20, 14.5], 0.8, 0)]
    mean = CocoMetrics.of([image([one], [(box, 0)]) for one in found], ["sign"]).mean
    assert mean["AP75"] == pytest.approx(51 / 101) and mean["AP50"] == pytest.approx(1.0)
    assert mean["AP"] == pytest.approx((5 + 51 / 101) / 10)


def test_nothing_found_is_zero_and_nothing_labelled_is_unknown() -> None:
    coco = CocoMetrics.of([image([], [([0.0, 0, 9, 9], 1)])], ["sign", "wall"])
    assert coco.mean["AP"] == 0.0 and coco.by_class[1]["AR100"] == 0.0 and math.isnan(coco.by_class[0]["AP"])
    # One small object says nothing of large ones, whether anything was found or not.
    assert coco.by_class[1]["APs"] == 0.0 and math.isnan(coco.by_class[1]["APl"]) and math.isnan(coco.mean["ARm"])
    coco = CocoMetrics.of([image([([0.0, 0, 9, 9], 0.5, 0)], [])], ["sign"])
    assert math.isnan(coco.mean["AP"]) and coco.as_text().splitlines()[1].split()[1] == "-"

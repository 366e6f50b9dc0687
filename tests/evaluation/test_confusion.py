"""What objects are taken for, and curves, at chosen thresholds; every figure in one table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from reg_yolo.evaluation.coco_metrics import CocoMetrics
from reg_yolo.evaluation.confusion import ConfusionMatrix
from reg_yolo.evaluation.error_kinds import ErrorAnalysis
from reg_yolo.evaluation.image_results import ImageResult
from reg_yolo.evaluation.metric_files import write_metrics
from reg_yolo.evaluation.per_class import ClassResult, DetectionReport
from reg_yolo.evaluation.precision_recall import curve, draw_precision_recall

NAMES = ("sign", "wall")


@pytest.fixture(scope="module")
def results() -> list[ImageResult]:
    truth = [[0, 0, 10, 10], [50, 0, 60, 10], [100, 0, 110, 10]]
    found = (
        # The wall overlaps the first object more than the sign does, though it is less sure.
        [[0, 0, 10, 9], [0, 0, 10, 10], [50, 0, 60, 10], [200, 0, 210, 10]],
        [0.9, 0.6, 0.3, 0.8],
        [0, 1, 1, 0],
    )
    return [ImageResult.of(Path("a.jpg"), (320, 200), found, (truth, [0, 1, 0]))]


def test_the_best_overlap_goes_first_whatever_the_class(results: list[ImageResult]) -> None:
    counts = ConfusionMatrix.of(results, NAMES, {"sign": 0.5, "wall": 0.5}).counts
    assert counts.tolist() == [[0, 1, 1], [0, 0, 1], [2, 0, 0]]
    # Without a threshold 0.25 counts, so that the wall of 0.3 is found.
    assert ConfusionMatrix.of(results, NAMES, {}).counts.tolist() == [[0, 1, 1], [0, 1, 0], [2, 0, 0]]
    matrix = ConfusionMatrix.of(results, NAMES, {"sign": 0.5, "wall": 0.7})
    assert matrix.counts.tolist() == [[1, 0, 1], [0, 0, 1], [1, 0, 0]]
    assert matrix.as_csv() == "labelled,sign,wall,(nothing)\nsign,1,0,1\nwall,0,0,1\n(nothing),1,0,0\n"


def test_curve_and_figures(results: list[ImageResult]) -> None:
    analysis = ErrorAnalysis.of(results, 2)
    recall, precision, confidence = curve(analysis, 0)
    assert recall.tolist() == [0.5, 0.5] and precision.tolist() == [1.0, 0.5] and confidence.tolist() == [0.9, 0.8]
    with_dots, without = (
        draw_precision_recall(analysis, NAMES, thresholds, dots_per_inch=50)
        for thresholds in ({"sign": 0.85, "wall": 0.2}, {})
    )
    assert with_dots != without
    for png in (with_dots, ConfusionMatrix.of(results, NAMES, {}).draw(dots_per_inch=50)):
        drawn = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert drawn is not None and min(drawn.shape[:2]) > 150 and drawn.std() > 10


def test_every_figure_is_in_one_table(results: list[ImageResult], tmp_path: Path) -> None:
    report = DetectionReport(
        "val", (ClassResult("sign", 1, 2, 0.5, 0.5, 0.5, 0.25, 0.125, 0.4), ClassResult("wall", 0, 0)), 1
    )
    write_metrics(tmp_path, [report], CocoMetrics.of(results, NAMES), {"weights": "best.pt"})
    rows = list(csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()))
    found = {(row["source"], row["class"], row["metric"]): row["value"] for row in rows}
    assert found["ultralytics", "sign", "ap50_95"] == "0.125" and found["ultralytics", "sign", "threshold"] == "0.4"
    assert found["ultralytics", "wall", "ap50"] == "" and found["ultralytics", "all", "instances"] == "2"
    # The wall stands second, behind one that is wrong.
    assert float(found["coco", "wall", "AP50"]) == pytest.approx(0.5)
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["weights"] == "best.pt" and len(content["metrics"]) == len(rows)
    assert {"source": "ultralytics", "class": "wall", "metric": "ap50", "value": None} in content["metrics"]

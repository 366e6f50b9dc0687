"""Calibration errors, temperatures and coverage, against numbers worked out by hand and samples of known ones."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reg_yolo.evaluation.calibration import (
    CalibrationSample,
    ClassTemperatures,
    coverage,
    detection_calibration_error,
    expected_calibration_error,
    fit_temperature,
    with_temperature,
)
from reg_yolo.evaluation.calibration_report import CalibrationReport


def sample(temperatures: dict[int, float], size: int = 4000, images: int = 40, seed: int = 0) -> CalibrationSample:
    """Detections of classes that are right as often as their confidence with a temperature says."""
    generator = np.random.default_rng(seed)
    class_id = np.repeat(np.array(list(temperatures)), size)
    confidence = generator.uniform(0.05, 0.99, len(class_id))
    truly = np.concatenate([with_temperature(confidence[class_id == c], t) for c, t in temperatures.items()])
    sigma = generator.uniform(1, 4, (len(class_id), 4))
    return CalibrationSample(
        tuple(f"{number:03d}.jpg" for number in range(images)),
        generator.integers(0, images, len(class_id)),
        class_id,
        confidence,
        generator.uniform(size=len(class_id)) < truly,
        generator.uniform(0.41, 0.59, (len(class_id), 4)),
        generator.normal(size=(len(class_id), 4)) * sigma * np.array([1.0, 1.0, 2.0, 1.0]),
        sigma,
    )


def test_error_is_the_weighted_gap_of_the_bins() -> None:
    # Two of three right at 0.9, one of two at 0.35: 3/5 |2/3 - 0.9| + 2/5 |1/2 - 0.35|.
    found = expected_calibration_error([0.9, 0.9, 0.9, 0.35, 0.35], [1, 1, 0, 1, 0], bins=10)
    assert found == pytest.approx(0.6 * (0.9 - 2 / 3) + 0.4 * 0.15)
    assert expected_calibration_error([1.0], [True]) == 0.0 and np.isnan(expected_calibration_error([], []))


def test_d_ece_sees_what_hides_in_the_mean() -> None:
    # Right at the left border, wrong at the right one: the mean is the confidence, neither border is.
    boxes = np.array([[0.1, 0.5, 0.2, 0.2]] * 10 + [[0.9, 0.5, 0.2, 0.2]] * 10)
    confidence, correct = np.full(20, 0.5), np.repeat([True, False], 10)
    assert expected_calibration_error(confidence, correct) == 0.0
    assert detection_calibration_error(confidence, correct, boxes) == pytest.approx(0.5)
    # Each of the five counts.
    for column in range(4):
        moved = np.full((20, 4), 0.5)
        moved[10:, column] = 0.95
        assert detection_calibration_error(confidence, correct, moved) == pytest.approx(0.5)
    assert detection_calibration_error(confidence, correct, np.full((20, 4), 0.5)) == 0.0
    # Bins with few detections are left out.
    few = np.array([*confidence, 0.9]), np.array([*correct, False]), np.vstack((boxes, [[0.5] * 4]))
    assert detection_calibration_error(*few) == pytest.approx(0.5)
    assert np.isnan(detection_calibration_error([0.5], [True], [[0.5] * 4]))


@given(p=st.floats(0, 1), t=st.floats(0.06, 19))
def test_the_inverse_of_a_temperature_is_one_over_it(p: float, t: float) -> None:
    there = with_temperature(p, t)
    assert 0 <= there <= 1 and (p - 0.5) * (there - 0.5) >= -1e-12
    if 1e-4 < there < 1 - 1e-4:
        assert with_temperature(there, 1 / t) == pytest.approx(p, abs=1e-6)


def test_temperatures_are_found_again_and_lower_the_error_on_the_other_half() -> None:
    report = CalibrationReport.of(sample({0: 0.5, 1: 1.0, 2: 3.0}), ["sure", "honest", "unsure", "unseen"])
    assert [report.temperatures.values[name] for name in ("sure", "honest", "unsure")] == pytest.approx(
        [0.5, 1.0, 3.0], rel=0.12
    )
    assert report.temperatures.values["unseen"] == 1.0 and "0 detections" in report.temperatures.notes["unseen"]
    by_name = {row.name: row for row in report.classes}
    assert by_name["unsure"].ece_after < 0.04 < 0.1 < by_name["unsure"].ece_before
    assert by_name["all"].ece_after < by_name["all"].ece_before and report.d_ece[1] < report.d_ece[0]
    assert report.images == (20, 20)
    # What is fitted is not what is reported.
    whole = sample({0: 0.5, 1: 1.0, 2: 3.0})
    fitted, reported = whole.halves()
    assert not set(fitted.image) & set(reported.image) and len(fitted.image) + len(reported.image) == len(whole.image)
    assert by_name["all"].detections == len(reported.image)


def test_too_few_detections_have_no_temperature() -> None:
    assert fit_temperature([0.6] * 29, [True, False] * 14 + [True]) is None
    assert fit_temperature([0.6] * 40, [True] * 40) is None
    assert fit_temperature([0.0, 1.0] * 20, [True, False] * 20) == pytest.approx(20.0, rel=0.01)


def test_coverage_by_side() -> None:
    drawn = sample({0: 1.0}, size=20000)
    found = coverage(drawn.off, drawn.sigma)
    # The right side is twice as far off as it says.
    assert found[0] == pytest.approx([0.683, 0.683, 0.383, 0.683, 0.608], abs=0.015)
    assert found[1] == pytest.approx([0.954, 0.954, 0.683, 0.954, 0.886], abs=0.015)
    unknown = np.full((3, 4), np.nan)
    assert np.isnan(coverage(unknown, unknown)).all()
    assert coverage(np.vstack((unknown, [[1.0] * 4])), np.ones((4, 4))).tolist() == [[1.0] * 5] * 2


def test_thresholds_go_there_and_back() -> None:
    temperatures = ClassTemperatures({"a": 2.0, "b": 1.0}, {})
    there = temperatures.thresholds({"a": 0.8, "b": 0.3})
    assert there == pytest.approx({"a": 2 / 3, "b": 0.3})
    assert temperatures.thresholds(there, back=True) == pytest.approx({"a": 0.8, "b": 0.3})
    assert ClassTemperatures.from_dict(json.loads(json.dumps(temperatures.to_dict()))) == temperatures
    with pytest.raises(ValueError, match=r"temperature of a: 0\.0 is not from"):
        ClassTemperatures.from_dict({"values": {"a": 0}})


def test_files(tmp_path: Path) -> None:
    report = CalibrationReport.of(sample({0: 2.0}, size=200), ["pole", "sign"], "best.pt")
    report.write(tmp_path)
    content = json.loads((tmp_path / "calibration.json").read_text())
    assert content["classes"][-1]["name"] == "all" and content["classes"][1]["ece_before"] is None
    assert content["coverage"]["within_1_sigma"]["all"] == pytest.approx(report.covered[0, -1])
    text = (tmp_path / "calibration.txt").read_text()
    assert text == report.as_text() and "Calibration of best.pt" in text and "2 sigma" in text
    picture = cv2.imread(str(tmp_path / "reliability.png"))
    assert picture is not None and picture.shape[1] > 900
    nothing = CalibrationReport.of(sample({0: 1.0}, size=0), ["pole"])
    nothing.write(tmp_path)
    assert "sigma" not in nothing.as_text() and "-" in nothing.as_text()

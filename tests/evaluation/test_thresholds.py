"""Thresholds by class: the best F1, the lowest that is precise enough, and honest substitutes."""

import json

import numpy as np
import pytest

from reg_yolo.evaluation.thresholds import ClassThresholds, best_f1_thresholds, min_precision_thresholds

GRID = np.linspace(0, 1, 1001)


def ramp(knots: dict[float, float]) -> np.ndarray:
    """Return a curve over GRID that is linear between the given points."""
    return np.interp(GRID, list(knots), list(knots.values()))


def test_best_f1_by_class_takes_the_middle_of_a_flat_maximum() -> None:
    sharp = ramp({0: 0.2, 0.6: 0.9, 1: 0})
    flat = ramp({0: 0.1, 0.2: 0.7, 0.3: 0.7, 0.301: 0.5, 1: 0})
    thresholds = best_f1_thresholds(GRID, np.stack([sharp, flat]), ["pole", "bus_stop"])
    assert thresholds.criterion == "best_f1"
    assert thresholds.values["pole"] == pytest.approx(0.6, abs=2e-3)
    assert thresholds.values["bus_stop"] == pytest.approx(0.25, abs=2e-3)
    assert thresholds.notes == {}


def test_an_equally_good_stretch_elsewhere_is_not_averaged_in() -> None:
    two_peaks = ramp({0: 0, 0.1: 0.8, 0.2: 0.1, 0.8: 0.1, 0.9: 0.8, 1: 0})
    assert best_f1_thresholds(GRID, two_peaks[None], ["a"]).values["a"] == pytest.approx(0.1, abs=2e-3)


def test_classes_without_objects_get_the_mean_of_the_others_and_a_note() -> None:
    curves = np.stack([ramp({0: 0, 0.2: 1, 1: 0}), ramp({0: 0, 0.6: 1, 1: 0}), np.zeros_like(GRID)])
    thresholds = best_f1_thresholds(GRID, curves, ["a", "absent", "b", "missed"], class_index=[0, 2, 3])
    assert thresholds.values["absent"] == pytest.approx(0.4, abs=2e-3)
    assert thresholds.values["missed"] == thresholds.values["absent"]
    assert thresholds.notes == {
        "absent": "no object of the class in the validation split; the mean of the other classes is used",
        "missed": "no object of the class is found at any confidence; the mean of the other classes is used",
    }
    assert list(thresholds.values) == ["a", "absent", "b", "missed"]


@pytest.mark.parametrize("curves", [np.zeros((2, 1001)), np.full((2, 1001), np.nan)])
def test_without_any_usable_curve_the_default_is_used(curves: np.ndarray) -> None:
    thresholds = best_f1_thresholds(GRID, curves, ["a", "b"])
    assert thresholds.values == {"a": 0.25, "b": 0.25}
    assert "the default is used" in thresholds.notes["a"]


def test_an_empty_split_as_upstream_hands_it_over() -> None:
    thresholds = best_f1_thresholds(GRID, np.array([]), ["a"], class_index=[])
    assert thresholds.values == {"a": 0.25}
    assert thresholds.notes == {"a": "no object of the class in the validation split; the default is used"}


def test_min_precision_takes_the_lowest_confidence_that_reaches_it() -> None:
    precision = np.stack([ramp({0: 0.5, 1: 1}), ramp({0: 0.95, 1: 1})])
    recall = np.stack([ramp({0: 1, 1: 0}), ramp({0: 0.9, 1: 0})])
    thresholds = min_precision_thresholds(GRID, precision, recall, 0.9, ["pole", "wall"])
    assert thresholds.values["pole"] == pytest.approx(0.8, abs=2e-3)
    assert thresholds.values["wall"] == 0.001
    assert (thresholds.criterion, thresholds.minimum_precision, thresholds.notes) == ("min_precision", 0.9, {})


def test_precision_above_the_last_detection_does_not_count() -> None:
    # Upstream sets precision to 1 above the most confident detection, where recall is 0.
    precision = np.where(GRID > 0.7, 1.0, ramp({0: 0.3, 0.5: 0.72, 0.7: 0.4}))
    recall = np.where(GRID > 0.7, 0.0, ramp({0: 1, 0.7: 0.1}))
    thresholds = min_precision_thresholds(GRID, precision[None], recall[None], 0.9, ["sign"])
    assert thresholds.values["sign"] == pytest.approx(0.5, abs=2e-3)
    assert thresholds.notes["sign"].startswith("precision 0.9 is never reached; the best is 0.720 at this confidence")


def test_min_precision_without_any_detection_and_without_objects() -> None:
    curves = np.stack([np.ones_like(GRID), ramp({0: 0.1, 1: 1.1})])
    recall = np.stack([np.zeros_like(GRID), ramp({0: 1, 0.5: 0.5, 1: 0})])
    thresholds = min_precision_thresholds(GRID, curves, recall, 0.5, ["missed", "absent", "ok"], class_index=[0, 2])
    assert thresholds.values == {name: pytest.approx(0.4, abs=2e-3) for name in ("missed", "absent", "ok")}
    assert set(thresholds.notes) == {"missed", "absent"}


def test_plain_data_survives_json_and_unknown_classes_get_the_default() -> None:
    thresholds = min_precision_thresholds(GRID, np.zeros((1, 1001)), np.zeros((1, 1001)), 0.9, ["ป้าย"])
    again = ClassThresholds.from_dict(json.loads(json.dumps(thresholds.to_dict())))
    assert again == thresholds
    assert ClassThresholds("best_f1", {"b": 0.4}).for_classes(["a", "b"]) == [0.25, 0.4]


@pytest.mark.parametrize("minimum", [0.0, 1.01, -1.0, float("nan")])
def test_minimum_is_checked(minimum: float) -> None:
    with pytest.raises(ValueError, match=r"minimum precision must be in \(0, 1\]"):
        min_precision_thresholds(GRID, np.zeros((1, 1001)), np.zeros((1, 1001)), minimum, ["a"])


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"= \(2, 1001\) for a grid of shape \(1001,\), got \(1, 1001\)"):
        best_f1_thresholds(GRID, np.zeros((1, 1001)), ["a", "b"])
    with pytest.raises(ValueError, match="class_index must lie in 0 to 0, got"):
        best_f1_thresholds(GRID, np.zeros((1, 1001)), ["a"], class_index=[4])


def test_on_upstreams_own_curves_rare_classes_keep_their_detections() -> None:
    from ultralytics.utils.metrics import ap_per_class

    rng = np.random.default_rng(0)
    # Class 0: sure and right above 0.6. Class 1: eight objects, right between 0.15 and 0.3, false below 0.1.
    conf = np.concatenate([rng.uniform(0.6, 0.95, 200), rng.uniform(0.05, 0.5, 150), rng.uniform(0.15, 0.3, 8)])
    conf = np.concatenate([conf, rng.uniform(0.01, 0.1, 20)])
    predicted = np.array([0] * 350 + [1] * 28)
    correct = np.array([True] * 200 + [False] * 150 + [True] * 8 + [False] * 20)
    target = np.array([0] * 210 + [1] * 8)
    result = ap_per_class(np.repeat(correct[:, None], 10, 1), conf, predicted, target)
    index, f1_curve, grid = result[6], result[9], result[10]
    best = best_f1_thresholds(grid, f1_curve, ["pole", "bus_stop"], index)
    assert 0.5 <= best.values["pole"] <= 0.62
    # Interpolated curves put the maximum on the least sure true detection; one threshold for both loses all eight.
    least_sure = conf[350:358].min()
    assert 0.1 < best.values["bus_stop"] <= least_sure + 1e-3
    assert (conf[350:358] > grid[f1_curve[0].argmax()]).sum() == 0
    precise = min_precision_thresholds(grid, result[7], result[8], 0.9, ["pole", "bus_stop"], index)
    assert precise.values["bus_stop"] <= least_sure < precise.values["pole"] < 0.6

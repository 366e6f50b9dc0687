"""Matched detections: the figures are upstream's, a draw of images is the same as repeating them, nothing is lost."""

from pathlib import Path

import numpy as np
import pytest
from ultralytics.utils.metrics import ap_per_class

from reg_yolo.errors import DataError
from reg_yolo.evaluation.comparison.detection_matches import FIGURES, DetectionMatches, best_threshold, class_figures
from tests.evaluation.comparison.made_runs import NAMES, drawn_matches

CLASSES = len(NAMES)


@pytest.fixture(scope="module")
def matches() -> DetectionMatches:
    return drawn_matches(0.6, seed=1, images=40)


def by_hand(detections: list[tuple[float, bool]], objects: int) -> DetectionMatches:
    """One class on one image: confidence and whether it is right at every IoU."""
    correct = np.array([[right] * 10 for _, right in detections], bool)
    confidence = np.array([value for value, _ in detections])
    return DetectionMatches.from_images(
        ["a.png"], [correct], [confidence], [np.zeros(len(detections))], [np.zeros(objects)]
    )


def test_average_precision_is_upstreams(matches: DetectionMatches) -> None:
    order = np.argsort(-matches.confidence, kind="stable")
    upstream = ap_per_class(
        matches.correct[order], matches.confidence[order], matches.detection_class[order], matches.target_class
    )
    own = class_figures(matches, CLASSES)
    classes = upstream[6]
    np.testing.assert_allclose(own["ap"][0, classes], upstream[5].mean(1), atol=1e-12)
    np.testing.assert_allclose(own["ap50"][0, classes], upstream[5][:, 0], atol=1e-12)
    # Upstream reads its curve off a grid of 1000 confidences.
    np.testing.assert_allclose(own["f1_best"][0, classes], upstream[9].max(1), atol=2e-3)


def test_figures_of_a_case_by_hand() -> None:
    found = class_figures(by_hand([(0.9, True), (0.8, False), (0.5, True), (0.2, False)], objects=3), 1)
    # Precision 1 up to a recall of 1/3 (34 of 101 recalls), then 2/3 up to 2/3 (33 more), then 0.
    expected = (34 * 1 + 33 * 2 / 3 - 0.5) / 100
    assert found["ap50"][0, 0] == pytest.approx(expected) == found["ap"][0, 0]
    assert found["f1_best"][0, 0] == pytest.approx(2 * 2 / (3 + 3))
    assert found["f1_025"][0, 0] == pytest.approx(2 * 2 / (3 + 3))
    assert best_threshold(by_hand([(0.9, True), (0.8, False), (0.5, True), (0.2, False)], 3), 0) == pytest.approx(0.5)


def test_a_confidence_of_exactly_a_quarter_counts() -> None:
    assert class_figures(by_hand([(0.25, True)], 1), 1)["f1_025"][0, 0] == 1.0
    assert class_figures(by_hand([(0.2499, True)], 1), 1)["f1_025"][0, 0] == 0.0


def test_a_class_without_objects_has_no_figure_and_one_that_is_not_found_has_zero() -> None:
    nothing = class_figures(by_hand([(0.9, False)], objects=0), 1)
    missed = class_figures(by_hand([], objects=2), 1)
    assert all(np.isnan(nothing[name][0, 0]) and missed[name][0, 0] == 0 for name in FIGURES)
    assert np.isnan(best_threshold(by_hand([], 2), 0))


def test_a_draw_is_the_same_as_repeating_its_images(matches: DetectionMatches) -> None:
    count = len(matches.images)
    drawn = np.random.default_rng(3).multinomial(count, np.full(count, 1 / count), size=3)
    together = class_figures(matches, CLASSES, drawn)
    for row, times in enumerate(drawn):
        chosen = np.repeat(np.arange(count), times)
        parts = [
            [array[index == image] for image in chosen]
            for array, index in (
                (matches.correct, matches.detection_image),
                (matches.confidence, matches.detection_image),
                (matches.detection_class, matches.detection_image),
                (matches.target_class, matches.target_image),
            )
        ]
        repeated = class_figures(DetectionMatches.from_images([matches.images[i] for i in chosen], *parts), CLASSES)
        for name in FIGURES:
            np.testing.assert_allclose(together[name][row], repeated[name][0], atol=1e-12)


def test_detections_that_are_left_out_change_no_figure(matches: DetectionMatches) -> None:
    short = matches.without_idle()
    assert 0 < len(short.confidence) < len(matches.confidence)
    for name, values in class_figures(matches, CLASSES).items():
        np.testing.assert_array_equal(class_figures(short, CLASSES)[name], values)


def test_a_file_gives_back_what_was_written(matches: DetectionMatches, tmp_path: Path) -> None:
    matches.write(tmp_path / "m.npz")
    read = DetectionMatches.read(tmp_path / "m.npz")
    assert read.images == matches.images
    for name in ("detection_image", "detection_class", "confidence", "correct", "target_image", "target_class"):
        np.testing.assert_array_equal(getattr(read, name), getattr(matches, name))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.npz").write_bytes(b"PK no")
    with pytest.raises(DataError, match=r"m\.npz: no matched detections"):
        DetectionMatches.read(tmp_path / "m.npz")

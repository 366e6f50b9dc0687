"""Repeat factors against the papers' formulas, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reg_yolo.data.sampling.factors import (
    class_factors,
    class_frequencies,
    count_matrix,
    expected_draws,
    image_factors,
    rare_classes,
    resolve_threshold,
)

# Ten images: class 0 on eight (one object each), class 1 on two (four objects each), class 2 on one, class 3 on none.
COUNTS = count_matrix([[0]] * 6 + [[0, 1, 1, 1, 1], [0, 2], [1, 1, 1, 1], []], 4)


def test_count_matrix_takes_any_shape_of_class_ids() -> None:
    counts = count_matrix([np.array([[0.0], [2.0], [2.0]], dtype=np.float32), [], np.zeros((0, 1))], 3)
    assert counts.tolist() == [[1, 0, 2], [0, 0, 0], [0, 0, 0]]


def test_frequencies_by_images_and_by_images_and_objects() -> None:
    assert class_frequencies(COUNTS, "repeat_factor").tolist() == pytest.approx([0.8, 0.2, 0.1, 0.0])
    by_both = [math.sqrt(0.8 * 8 / 17), math.sqrt(0.2 * 8 / 17), math.sqrt(0.1 * 1 / 17), 0.0]
    assert class_frequencies(COUNTS, "instance_repeat_factor").tolist() == pytest.approx(by_both)


def test_the_median_is_over_classes_that_have_objects() -> None:
    assert resolve_threshold(class_frequencies(COUNTS, "repeat_factor"), "median") == pytest.approx(0.2)
    assert resolve_threshold(np.array([0.5, 0.1]), 0.001) == 0.001
    assert resolve_threshold(np.zeros(3), "median") == 0.0


def test_class_factors_are_the_square_root_of_the_shortfall() -> None:
    factors = class_factors(np.array([0.8, 0.2, 0.1, 0.0]), 0.4)
    assert factors.tolist() == pytest.approx([1.0, math.sqrt(2), 2.0, 1.0])


def test_an_image_takes_the_largest_factor_of_its_classes() -> None:
    factors = image_factors(COUNTS, np.array([1.0, 1.5, 2.5, 9.0]))
    assert factors.tolist() == [1.0] * 6 + [1.5, 2.5, 1.5, 1.0]


def test_expectations_keep_the_proportion_and_sum_to_the_draws() -> None:
    expected = expected_draws(np.array([1.0, 1.0, 2.0]), 3)
    assert expected.tolist() == pytest.approx([0.75, 0.75, 1.5])


def test_rare_is_under_a_third_of_the_median_count() -> None:
    assert rare_classes([90, 100, 20, 0]) == [2]
    assert rare_classes([90, 30, 90]) == []
    assert rare_classes([0, 0]) == []

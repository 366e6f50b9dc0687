"""The studentised bootstrap over images and seeds."""

import math

import numpy as np
import pytest

from reg_yolo.evaluation.comparison.image_bootstrap import bootstrap_interval, draw_images
from reg_yolo.evaluation.comparison.paired_differences import paired_difference


def test_a_draw_has_as_many_images_as_the_set_and_repeats_with_its_seed() -> None:
    drawn = draw_images(30, 50, seed=4)
    assert drawn.shape == (50, 30) and (drawn.sum(axis=1) == 30).all() and drawn.max() > 1
    np.testing.assert_array_equal(drawn, draw_images(30, 50, seed=4))
    assert (drawn != draw_images(30, 50, seed=5)).any()


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    """Differences that vary between seeds and with the images that all seeds share."""
    rng = np.random.default_rng(0)
    covered = 0
    for number in range(300):
        images = rng.normal(0, 1.0)
        seeds = rng.normal(0, 0.8, 8)
        observed = 1.0 + images + seeds
        drawn = observed + rng.normal(0, 1.0, (400, 1))
        low, high = bootstrap_interval(observed, drawn, seed=number)
        covered += low <= 1.0 <= high
    assert 0.91 <= covered / 300 <= 0.99


def test_images_widen_it_beyond_the_t_interval() -> None:
    observed = np.array([1.0, 1.1, 0.9, 1.05])
    drawn = observed + np.random.default_rng(1).normal(0, 2.0, (500, 1))
    low, high = bootstrap_interval(observed, drawn)
    by_seeds = paired_difference(dict(enumerate(observed)), dict.fromkeys(range(4), 0.0))
    assert high - low > 3 * (by_seeds.high - by_seeds.low)
    assert low < observed.mean() < high


def test_it_needs_two_seeds_and_something_that_varies() -> None:
    assert all(math.isnan(end) for end in bootstrap_interval(np.array([1.0]), np.ones((10, 1))))
    assert bootstrap_interval(np.array([1.0, 1.0]), np.ones((10, 2))) == pytest.approx((1.0, 1.0))
    assert all(math.isnan(end) for end in bootstrap_interval(np.array([1.0, 2.0]), np.full((10, 2), np.nan)))

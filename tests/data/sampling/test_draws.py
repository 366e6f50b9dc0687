"""Systematic draws: floor or ceiling in every epoch, within one of the expectation after any number of them."""

from __future__ import annotations

import numpy as np
import pytest

from reg_yolo.data.sampling.draws import SystematicDraws
from reg_yolo.data.sampling.factors import expected_draws

EPOCHS = 100


def factors_of_kind(kind: str, images: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "two values":
        return np.where(rng.random(images) < 0.1, 3.2, 1.0)
    if kind == "spread":
        return 1 + rng.exponential(1.0, images)
    # Fractions near 1, where windows overlap and a wrong order of equally due images makes one late.
    return 0.5 + rng.random(images) / 2.2


@pytest.mark.parametrize("kind", ["two values", "spread", "heavy"])
@pytest.mark.parametrize("images", [7, 50, 211])
def test_counts_never_drift_from_the_expectation(kind: str, images: int) -> None:
    for seed in range(4):
        expected = expected_draws(factors_of_kind(kind, images, np.random.default_rng(seed)), images - 2)
        draws, total = SystematicDraws(expected, seed), np.zeros(images, np.int64)
        for epoch in range(EPOCHS):
            counts = draws.counts(epoch)
            assert counts.sum() == images - 2
            assert np.all((counts == np.floor(expected)) | (counts == np.ceil(expected)))
            total += counts
            assert np.abs(total - (epoch + 1) * expected).max() < 1 + 1e-6


def test_an_epoch_is_a_function_of_seed_and_epoch_alone() -> None:
    expected = expected_draws(np.array([1.0, 2.5, 1.3, 1.0, 4.0]), 5)
    forward = SystematicDraws(expected, 3)
    orders = [forward.order(epoch).tolist() for epoch in range(9)]
    for epoch in (8, 3, 3, 0, 5):
        assert SystematicDraws(expected, 3).order(epoch).tolist() == orders[epoch]
        # Also by one that is asked out of order.
        assert forward.order(epoch).tolist() == orders[epoch]
    assert orders != [SystematicDraws(expected, 4).order(epoch).tolist() for epoch in range(9)]


def test_order_holds_every_draw_and_is_shuffled() -> None:
    draws = SystematicDraws(expected_draws(np.linspace(1, 3, 40), 40), 0)
    order = draws.order(0)
    assert np.array_equal(np.bincount(order, minlength=40), draws.counts(0))
    assert not np.array_equal(order, np.sort(order))
    assert not np.array_equal(order, draws.order(1))


def test_equally_due_images_are_chosen_by_chance() -> None:
    # 40 images that share 20 draws: which twenty come first differs from seed to seed.
    first = np.array([SystematicDraws(np.full(40, 0.5), seed).counts(0) for seed in range(200)])
    assert np.all(first.sum(axis=1) == 20)
    assert 0.35 < first.mean(axis=0).min() < first.mean(axis=0).max() < 0.65


def test_a_broken_sum_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        SystematicDraws(np.array([0.5, 0.7]), 0)

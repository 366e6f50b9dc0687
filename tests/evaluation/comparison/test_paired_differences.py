"""Paired differences: against scipy's tests and by simulation, since whole verdicts hang on them."""

import math

import numpy as np
import pytest
from scipy import stats

from reg_yolo.evaluation.comparison.paired_differences import (
    holm,
    paired_difference,
    power_of,
    seeds_needed,
    smallest_effect,
)

ARM = {0: 31.2, 1: 29.6, 2: 30.5, 3: 31.7}
REFERENCE = {0: 30.7, 1: 28.4, 2: 30.6, 3: 29.4, 7: 12.0}


def test_the_interval_and_the_p_value_are_those_of_the_paired_t_test() -> None:
    own = paired_difference(ARM, REFERENCE)
    test = stats.ttest_rel(list(ARM.values()), [REFERENCE[seed] for seed in ARM])
    assert own.seeds == (0, 1, 2, 3)
    assert own.p_value == pytest.approx(test.pvalue)
    assert (own.low, own.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert own.agreeing == 3 and not own.is_decided


def test_one_seed_gives_a_difference_and_no_interval() -> None:
    own = paired_difference({4: 2.0}, {4: 1.5})
    assert own.mean == 0.5 and math.isnan(own.low) and math.isnan(own.p_value) and not own.is_decided


def test_equal_arms_and_arms_that_differ_by_a_constant() -> None:
    assert paired_difference(ARM, ARM).p_value == 1.0
    constant = paired_difference({0: 2.0, 1: 3.0}, {0: 1.0, 1: 2.0})
    assert (constant.low, constant.high, constant.p_value) == (1.0, 1.0, 0.0) and constant.is_decided


def test_without_a_common_seed_there_is_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="no seed"):
        paired_difference({0: 1.0}, {1: 1.0})


def test_holm_by_hand() -> None:
    # 4 known: 0.01 x 4, 0.02 x 3, 0.03 x 2 (not below its predecessor), 0.9.
    assert holm([0.03, 0.01, math.nan, 0.9, 0.02]) == pytest.approx([0.06, 0.04, math.nan, 0.9, 0.06], nan_ok=True)
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def simulated(effect: float, deviation: float, seeds: int, draws: int = 1000) -> float:
    """Share of draws in which an arm is called different from a reference that varies more than their difference."""
    rng = np.random.default_rng(20)
    shared = rng.normal(30, 1.0, (draws, seeds))
    # Each arm's own part, so that the difference has the given deviation.
    own, other = rng.normal(0, deviation / math.sqrt(2), (2, draws, seeds))
    called = 0
    for row in range(draws):
        arm = dict(enumerate(shared[row] + own[row] + effect))
        called += paired_difference(arm, dict(enumerate(shared[row] + other[row]))).is_decided
    return called / draws


@pytest.mark.parametrize("seeds", [3, 8])
def test_two_equal_arms_are_called_different_in_five_percent_of_draws(seeds: int) -> None:
    assert 0.036 <= simulated(0.0, 0.8, seeds) <= 0.064


@pytest.mark.parametrize(("deviation", "seeds"), [(0.8, 8), (0.4, 4)])
def test_a_true_point_is_found_with_the_stated_power(deviation: float, seeds: int) -> None:
    # Two standard errors of a share of 1000.
    assert simulated(1.0, deviation, seeds) == pytest.approx(power_of(1.0, deviation, seeds), abs=0.026)


def test_pairing_is_what_finds_it() -> None:
    """Unpaired, the same arms differ by far less than they vary."""
    assert power_of(1.0, 0.8, 8) > 0.8 > 0.4 > power_of(1.0, math.sqrt(0.8**2 + 2 * 1.0**2), 8)


@pytest.mark.parametrize(("deviation", "seeds"), [(0.2, 2), (0.8, 3), (0.8, 16), (3.0, 5)])
def test_the_smallest_effect_has_a_power_of_80_percent(deviation: float, seeds: int) -> None:
    effect = smallest_effect(deviation, seeds)
    assert power_of(effect, deviation, seeds) == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize(("effect", "deviation"), [(1.0, 0.8), (1.0, 0.2), (0.5, 1.0), (3.0, 1.4), (1.0, 4.0)])
def test_the_seeds_needed_are_the_fewest_with_a_power_of_80_percent(effect: float, deviation: float) -> None:
    seeds = seeds_needed(effect, deviation)
    assert seeds is not None and power_of(effect, deviation, seeds) >= 0.8
    assert seeds == 2 or power_of(effect, deviation, seeds - 1) < 0.8
    assert seeds == pytest.approx(7.85 * (deviation / effect) ** 2 + 2, abs=1.3)


def test_the_ends_of_what_seeds_can_do() -> None:
    assert seeds_needed(1.0, 0.0) == 2 and smallest_effect(0.0, 3) == 0.0
    assert seeds_needed(0.01, 5.0) is None
    assert power_of(100.0, 0.1, 3) == 1.0

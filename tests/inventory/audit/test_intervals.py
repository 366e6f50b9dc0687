"""Exact limits, against enumeration and SciPy's distributions; sizes of samples, against all smaller ones."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
from scipy.stats import beta, binom, hypergeom

from reg_yolo.errors import ConfigError
from reg_yolo.inventory.audit.estimates import PASS, Group, asset_share
from reg_yolo.inventory.audit.intervals import binomial_limits, finite_limits, student_shrunk
from reg_yolo.inventory.audit.sizes import LARGEST, SampleSize, drawn_for, sample_size


@pytest.mark.parametrize(("faults", "checked"), [(0, 30), (3, 50), (50, 50), (17, 506)])
def test_clopper_pearson_is_that_of_the_beta_distribution(faults: int, checked: int) -> None:
    found = binomial_limits(faults, checked, 0.025)
    low = beta.ppf(0.025, faults, checked - faults + 1) if faults else 0.0
    high = beta.ppf(0.975, faults + 1, checked - faults) if faults < checked else 1.0
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


def test_mid_p_counts_half_of_what_was_seen() -> None:
    found = binomial_limits(4, 60, 0.025, mid_p=True)
    at_low = 1 - binom.cdf(4, 60, found.low) + binom.pmf(4, 60, found.low) / 2
    at_high = binom.cdf(3, 60, found.high) + binom.pmf(4, 60, found.high) / 2
    assert (at_low, at_high) == pytest.approx((0.025, 0.025), abs=1e-8)
    exact = binomial_limits(4, 60, 0.025)
    assert exact.low < found.low < 4 / 60 < found.high < exact.high


def test_what_is_not_whole_lies_between_its_neighbours() -> None:
    highs = [binomial_limits(faults, 40, 0.05).high for faults in (2, 2.5, 3)]
    assert highs == sorted(highs) and len(set(highs)) == 3


def test_finite_limits_never_err_more_often_than_stated_and_mid_p_as_often() -> None:
    population, checked, alpha = 60, 20, 0.05
    limits = [finite_limits(faults, checked, population, alpha) for faults in range(checked + 1)]
    middles = [finite_limits(faults, checked, population, alpha / 2, mid_p=True) for faults in range(checked + 1)]
    covered = []
    for total in range(population + 1):
        chance = hypergeom.pmf(np.arange(checked + 1), population, total, checked)
        share = total / population
        assert sum(p for p, one in zip(chance, limits, strict=True) if one.high < share - 1e-9) <= alpha + 1e-9
        assert sum(p for p, one in zip(chance, limits, strict=True) if one.low > share + 1e-9) <= alpha + 1e-9
        covered.append(
            sum(p for p, one in zip(chance, middles, strict=True) if one.low - 1e-9 <= share <= one.high + 1e-9)
        )
    assert 0.95 < np.mean(covered) < 0.975
    # Not all are needed: the limit is the sharpest that keeps its word.
    assert limits[0].high < binomial_limits(0, checked, alpha).high


def test_who_checks_all_knows_all() -> None:
    assert finite_limits(3, 50, 50, 0.05) == finite_limits(3, 50, 50, 0.001)
    assert finite_limits(3, 50, 50, 0.05).low == finite_limits(3, 50, 50, 0.05).high == 0.06


def test_few_clusters_tell_less() -> None:
    assert student_shrunk(100, 1, 0.05) == 0
    assert student_shrunk(100, 5, 0.05) < student_shrunk(100, 50, 0.05) < 100


def accepts(n: int, c: int, limit: float, expected: float, population: int | None) -> bool:
    """Whether a plan keeps both risks."""
    if population is None:
        return binom.cdf(c, n, 1 - limit) <= 0.05 and binom.cdf(c, n, 1 - expected) >= 0.9
    bad, good = int(population * (1 - limit) + 1e-9) + 1, int(population * (1 - expected) + 1e-9)
    return hypergeom.cdf(c, population, bad, n) <= 0.05 and hypergeom.cdf(c, population, good, n) >= 0.9


@pytest.mark.parametrize(("limit", "expected", "population"), [(0.9, 0.97, None), (0.8, 0.9, None), (0.9, 0.97, 150)])
def test_the_plan_is_the_smallest(limit: float, expected: float, population: int | None) -> None:
    found = sample_size(limit, expected, population=population)
    assert accepts(found.checked, found.allowed, limit, expected, population)
    smaller = itertools.product(range(1, found.checked), range(found.allowed + 1))
    assert not [one for one in smaller if accepts(*one, limit, expected, population)]


def test_known_plans_and_a_census() -> None:
    assert sample_size(0.9, 1.0) == SampleSize(29, 0)
    assert sample_size(0.95, 1.0) == SampleSize(59, 0)
    assert sample_size(0.95, 0.98, population=12) == SampleSize(12, 0, census=True)
    with pytest.raises(ConfigError, match="above the limit"):
        sample_size(0.9, 0.9)


@pytest.mark.parametrize("population", [None, 150_000])
def test_an_expectation_at_the_limit_is_refused_before_minutes_pass(population: int | None) -> None:
    began = time.process_time()
    with pytest.raises(ConfigError, match=r"over 20,000 checks, as the expected share 0\.9001 is so near to"):
        sample_size(0.9, 0.9001, population=population)
    assert time.process_time() - began < 10
    # Where there are fewer it is all of them at most.
    assert sample_size(0.9, 0.9001, population=300).checked <= 300
    assert sample_size(0.9, 0.91).checked < LARGEST


@pytest.mark.parametrize(("right", "share"), [(239, 0.95), (506, 0.975), (40, 0.7)])
def test_as_many_are_drawn_as_hold_the_right_ones_with_the_planned_power(right: int, share: float) -> None:
    drawn = drawn_for(right, share, 0.9)
    assert binom.sf(right - 1, drawn, share) >= 0.9 > binom.sf(right - 1, drawn - 1, share)
    # Without the margin it is little more than half.
    assert binom.sf(right - 1, math.ceil(right / share), share) < 0.7
    assert drawn_for(right, 1.0) == right


@pytest.mark.parametrize("population", [400, 5000])
def test_the_verdict_is_that_of_the_plan(population: int) -> None:
    plan = sample_size(0.95, 0.985, population=population)
    verdicts = [
        asset_share([Group(population, plan.checked, faults)], 0.95).verdict(0.95)
        for faults in (plan.allowed, plan.allowed + 1)
    ]
    assert verdicts[0] == PASS != verdicts[1]

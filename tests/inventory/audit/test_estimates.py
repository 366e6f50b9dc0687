"""Shares over classes and stretches, the sample they come from, agreement, recapture; and simulated audits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from reg_yolo.inventory.audit.agreement import cohens_kappa
from reg_yolo.inventory.audit.estimates import (
    FAIL,
    NOT_ENOUGH,
    PASS,
    Group,
    asset_share,
    checks_to_decide,
    design_effect,
    stretch_share,
)
from reg_yolo.inventory.audit.recapture import chapman, independence
from reg_yolo.inventory.audit.sampling import draw_assets, draw_stratified
from scripts import simulate_audit


def test_classes_weigh_as_much_as_the_inventory_has_of_them() -> None:
    # Ten of a rare class are checked, all wrong; a pooled share would be 0.9.
    found = asset_share([Group(9900, 90, 0), Group(100, 10, 10)], 0.95)
    assert found.share == pytest.approx(0.99)
    assert (found.checked, found.faults, found.effective) == (100, 10, 90)
    assert found.bound_low < found.low < found.share < found.high


def test_one_rate_is_a_plain_sample() -> None:
    whole, parts = asset_share([Group(1000, 100, 3)], 0.95), asset_share([Group(600, 60, 3), Group(400, 40, 0)], 0.95)
    assert (parts.bound_low, parts.bound_high) == (whole.bound_low, whole.bound_high)
    assert parts.effective == 100


def test_verdicts() -> None:
    assert asset_share([Group(1000, 100, 0)], 0.95).verdict(0.95) == PASS
    assert asset_share([Group(1000, 100, 15)], 0.95).verdict(0.95) == FAIL
    open_ = asset_share([Group(1000, 100, 4)], 0.95)
    assert open_.verdict(0.95) == NOT_ENOUGH
    assert (checks_to_decide(open_, 0.95, 0.95) or 0) > 300
    assert checks_to_decide(asset_share([Group(10**6, 100, 5)], 0.95), 0.95, 0.95) is None
    assert asset_share([], 0.95).verdict(0.5) == NOT_ENOUGH
    everything = asset_share([Group(40, 40, 2), Group(10, 10, 0)], 0.95)
    assert (everything.census, everything.low, everything.high) == (True, 0.96, 0.96)
    assert (everything.verdict(0.96), everything.verdict(0.961)) == (PASS, FAIL)


def test_misses_that_come_together_tell_less() -> None:
    listed = np.full(60, 5)
    spread, together = np.zeros(60), np.zeros(60)
    spread[:30], together[:6] = 1, 5
    apart = stretch_share(listed, spread, 0.1, 0.0, 0.95)
    heap = stretch_share(listed, together, 0.1, 0.0, 0.95)
    assert apart.share == heap.share == pytest.approx(0.9)
    assert heap.high - heap.low > 1.5 * (apart.high - apart.low)
    assert heap.effective < apart.effective / 3
    assert design_effect([5, 5], 0.1) == pytest.approx(1.4)
    assert stretch_share(listed, together, 1.0, 0.05, 0.95).low == pytest.approx(0.9)


def test_all_of_a_stratified_sample_have_one_probability() -> None:
    strata = ["a"] * 50 + ["b"] * 7 + ["c"] * 3 + ["d"]
    drawn = Counter[int]()
    for seed in range(1500):
        rows = draw_stratified(strata, 12, np.random.default_rng(seed))
        assert len(rows) == len(set(rows.tolist())) == 12
        parts = Counter(strata[row] for row in rows)
        assert 9 <= parts["a"] <= 10 and 1 <= parts["b"] <= 2 and parts["c"] <= 1
        drawn.update(rows.tolist())
    chance = 12 / 61
    spread = 4.5 * np.sqrt(chance * (1 - chance) / 1500)
    assert max(abs(drawn[row] / 1500 - chance) for row in range(61)) < spread


def test_rare_classes_get_what_is_asked_for() -> None:
    classes = ["pole"] * 500 + ["bridge"] * 3 + ["sign"] * 40
    rows = draw_assets(classes, ["r1", "r2", "r3"] * 181, 50, 6, np.random.default_rng(1))
    counts = Counter(classes[row] for row in rows)
    assert counts["bridge"] == 3 and counts["sign"] == 6 and 45 <= counts["pole"] <= 47


def test_kappa() -> None:
    pairs = [("yes", "yes")] * 45 + [("yes", "no")] * 15 + [("no", "yes")] * 25 + [("no", "no")] * 15
    found = cohens_kappa(pairs)
    assert (found.both, found.agreed) == (100, 60)
    assert found.kappa == pytest.approx((0.6 - 0.54) / 0.46)
    assert found.low is not None and found.high is not None and found.low < 0.1304 < found.high
    assert cohens_kappa([("yes", "yes")] * 5).kappa is None
    assert cohens_kappa([]).both == 0


def test_chapman() -> None:
    # Seber's numbers: (n1 + 1)(n2 + 1) / (m + 1) - 1.
    found = chapman(200, 150, 100)
    assert found is not None
    assert found.total == pytest.approx(201 * 151 / 101 - 1)
    assert found.completeness == pytest.approx(250 / found.total)
    assert found.low < found.completeness < found.high <= 1
    assert chapman(0, 0, 0) is None
    alone = chapman(5, 5, 5)
    # Five of five seen again: the other pass sees 0.478 of all at least.
    assert alone is not None and (alone.completeness, alone.high) == (1, 1)
    assert alone.low == pytest.approx(0.025 ** (1 / 5))
    nothing = chapman(0, 5, 0)
    assert nothing is not None and nothing.low == 0


def test_completeness_holds_for_independent_passes_only() -> None:
    rows = {row[0]: [float(cell.strip("%")) for cell in row[1:]] for row in simulate_audit.recapture(300, seed=1)}
    true, said, held = rows["independent"]
    assert abs(true - said) < 0.003 and 91 <= held <= 99
    true, said, held = rows["alike"]
    # Passes that miss the same assets claim to be more complete than they are; what the auditors find tells.
    assert said - true > 0.05 and held < 5
    assert independence(700, 30, 30, 40).p_value < 1e-6 < independence(700, 60, 60, 5).p_value


def test_the_stated_confidence_holds_on_200_inventories() -> None:
    tallies = {one.name: one for one in simulate_audit.run(200, 2, seed=3, scale=0.4)}
    assert len(tallies) == 5
    for one in tallies.values():
        # 400 audits: a deviation of 1.1 % at 95 %.
        assert 0.925 <= one.held / one.audits <= 0.985, one.name
        assert one.below > 100 and one.passed / one.below <= 0.05, one.name


def test_what_just_misses_its_limit_seldom_passes() -> None:
    for one in simulate_audit.worst_case(150, seed=2):
        assert one.below == one.audits == 150
        assert one.passed / one.below <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 150), one.name

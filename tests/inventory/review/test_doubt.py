"""Doubt, the observations that name an asset, and words in both languages."""

from __future__ import annotations

import math

import pytest

from reg_yolo.inventory.review.doubt import doubt, doubt_of
from reg_yolo.inventory.review.naming import MOST_NAMED, named_by
from reg_yolo.inventory.review.words import words


def test_each_of_the_three_doubts_counts_alone_and_together() -> None:
    sure = doubt(1.0, 0.1, "pole 3.0")
    assert sure == pytest.approx(0.0)
    assert doubt(0.5, 0.1, "pole 3.0") == 1.0
    assert doubt(0.9, 0.1, "pole 3.0") == doubt(0.1, 0.1, "pole 3.0") == pytest.approx(0.2)
    # The probability that two axes of 5 m deviation put it more than 5 m away.
    assert doubt(1.0, 5.0, "pole 3.0") == pytest.approx(math.exp(-0.5))
    assert doubt(1.0, 0.1, "ป้าย 2.0, pole 1.0, sign 0.5") == pytest.approx(0.5)
    assert doubt(0.9, 5.0, "pole 2.0, sign 1.0") == pytest.approx(1 - 0.8 * (1 - math.exp(-0.5)) * 0.5)


def test_what_was_confirmed_is_not_in_doubt() -> None:
    row = {"probability": 0.5, "sigma_along_m": 3.0, "sigma_across_m": 4.0, "class_votes": None}
    assert doubt_of(row) == 1.0
    assert doubt_of({**row, "probability": 1.0}) == pytest.approx(math.exp(-0.5 * 25 / 12.5))
    assert doubt_of({**row, "reviewed_by": "suda"}) == doubt_of({**row, "decisions": "accept"}) == 0.0


def test_the_same_observations_name_an_asset_each_time() -> None:
    records = [{"source": "a", "frame": n} for n in range(100)]
    chosen = named_by(records, {"source": "a", "frame": 51})
    assert chosen[0] == 0 and chosen[-1] == 99 and 51 in chosen and len(chosen) == MOST_NAMED + 1
    assert named_by(records) == named_by(list(records)) and len(named_by(records)) == MOST_NAMED
    assert named_by(records[:3]) == [0, 1, 2] and named_by([]) == []


def test_every_word_has_a_thai_one_and_every_key_a_word() -> None:
    assert set(words("en")) == set(words("th"))
    assert [name for name, word in words("th").items() if word == words("en")[name]] == []

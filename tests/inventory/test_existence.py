"""What an object's probability depends on, and how confidences of different detectors are made alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reg_yolo.inventory.existence import FEATURES, WEIGHTS, Usual, by_pass, probability
from reg_yolo.inventory.network.sightings import Features, Sighting

SEEN = Features(way=4.0, confidence=0.0, strong=2.2, density=0.9, purity=1.0, unsure=-0.7, rival=0.0)


def odds(probable: float) -> float:
    return probable / (1 - probable)


def test_every_feature_has_a_weight() -> None:
    assert set(WEIGHTS) == {"bias", "passes", "unseen", *FEATURES}


@pytest.mark.parametrize(
    ("name", "worse"),
    [
        ("confidence", -1.5),
        ("strong", 0.7),
        ("density", 0.2),
        ("unsure", 1.5),
        ("rival", 1.0),
        ("purity", 0.4),
        ("missed", -0.7),
    ],
)
def test_what_makes_an_object_doubtful(name: str, worse: float) -> None:
    assert probability([SEEN]) > 0.9
    assert odds(probability([replace(SEEN, **{name: worse})])) < 0.85 * odds(probability([SEEN]))


def test_a_pass_that_did_not_see_it_makes_an_object_doubtful() -> None:
    assert probability([SEEN], unseen=0.0) == probability([SEEN])
    assert odds(probability([SEEN], unseen=-3.0)) < 0.2 * odds(probability([SEEN]))


def test_one_look_that_hardly_reaches_its_threshold_is_not_enough_and_many_are() -> None:
    once = replace(SEEN, way=0.0, strong=np.log(2), density=1.0, unsure=2.0, confidence=-1.0)
    assert probability([once]) < 0.05
    assert probability([replace(SEEN, strong=np.log(11))]) > 0.95


def test_further_passes_add_to_the_best_one() -> None:
    weak = replace(SEEN, confidence=-2.0)
    assert probability([SEEN, weak]) == probability([weak, SEEN]) > probability([SEEN])


def sighting(time_s: float, features: Features, looks_back: bool = False) -> Sighting:
    return Sighting(
        0, time_s, np.zeros(2), np.eye(2), np.array([0.0, 20.0]), {"pole": 1.0}, False, 8.0, 2.0, 0.0, time_s, time_s,
        9, features, looks_back=looks_back,
    )  # fmt: skip


def test_the_same_drive_given_twice_does_not_raise_the_probability() -> None:
    weak = replace(SEEN, confidence=-0.5)
    assert by_pass([sighting(100.0, weak), sighting(101.0, SEEN), sighting(100.0, SEEN)]) == [SEEN]
    assert by_pass([sighting(100.0, weak), sighting(3700.0, SEEN)]) == [SEEN, weak]
    assert by_pass([sighting(100.0, weak), sighting(101.0, SEEN, looks_back=True)]) == [SEEN, weak]


def test_confidences_are_taken_in_terms_of_the_drive() -> None:
    """A detector whose sure boxes have 0.6 and one whose have 0.9 say the same with the same place in the order."""
    low = np.linspace(0.45, 0.75, 31)
    middle, spread = Usual.of(low)
    assert (middle, spread) == pytest.approx((0.6, 0.12))
    assert Usual.of(low * 2) == pytest.approx((1.2, 0.24))
    assert Usual.of(np.full(9, 0.8)) == pytest.approx((0.8, 0.05))
    assert Usual.of(np.zeros(0)) == (0.0, 1.0)

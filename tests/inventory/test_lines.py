"""Lines joined over holes, and the ends of what spans the road."""

from __future__ import annotations

import numpy as np
import pytest

from reg_yolo.inventory.assets import Asset, assemble, bridge_lines
from reg_yolo.inventory.network.lines import bridged
from reg_yolo.inventory.network.shifts import Shifted
from reg_yolo.inventory.network.sightings import Features, Sighting
from reg_yolo.inventory.projection import LocalProjection


def rail(start: float, end: float, beside: float = 5.0, **more: object) -> Asset:
    values = {"observations": 4, "passes": 1, "first_seen": "a", "last_seen": "b", "track_m": start} | more
    values |= {"class_votes": "guardrail 2.0, pole 0.5", "length_m": end - start}
    return Asset("guardrail", "line", np.array([[start, beside], [end, beside]]), np.eye(2), 0.6, values)


def test_holes_under_20_m_are_bridged_and_longer_ones_are_not() -> None:
    pole = Asset("pole", "point", np.zeros((1, 2)), np.eye(2), 1.0, {})
    assets = bridge_lines([pole, rail(0, 50, first_seen="b"), rail(69, 80), rail(101, 140), rail(0, 60, -5.0)])
    lines = sorted((one.points_m[0].tolist(), one.points_m[-1].tolist()) for one in assets[1:])
    assert lines == [([0.0, -5.0], [60.0, -5.0]), ([0.0, 5.0], [80.0, 5.0]), ([101.0, 5.0], [140.0, 5.0])]
    joined = next(one for one in assets if one.values.get("length_m") == 80.0)
    assert (joined.values["observations"], joined.values["first_seen"]) == (8, "a")
    assert joined.values["class_votes"] == "guardrail 4.0, pole 1.0"


def test_what_reviewers_split_stays_split_and_classes_do_not_mix() -> None:
    assert len(bridge_lines([rail(0, 50, decisions="split"), rail(60, 90, decisions="split")])) == 2
    assert len(bridged([np.array([[0.0, 0.0], [9.0, 0.0]])] * 2, ["guardrail", "fence"])) == 2


def test_passes_of_both_directions_that_overlap_are_one_line_through_a_bend() -> None:
    angle = np.linspace(0, 0.5, 30)
    arc = 200 * np.stack([np.sin(angle), 1 - np.cos(angle)], 1)
    ((members, points),) = bridged([arc[:20], arc[::-1][:16]], ["guardrail"] * 2)
    assert members == [0, 1]
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).sum() == pytest.approx(100.0, abs=0.5)


def test_a_span_has_the_ends_that_its_passes_have_shown() -> None:
    def seen(drive: int, way: float, east: float, width: float, looks: tuple[int, int]) -> Sighting:
        return Sighting(
            drive, 0.0, np.array([east, 100.0]), np.eye(2) * 0.04, np.array([0.0, 20.0 * way]),
            {"pedestrian_bridge": 3.0}, False, 2.0, width, 5.5, 0.0, 1.0, 10,
            Features(), method="rays", ends_looks=looks,
        )  # fmt: skip

    def span(*some: Sighting) -> Asset:
        shifted = Shifted(np.array([[0.0, 100.0]]), np.eye(2)[None], np.zeros((len(some), 2)), np.zeros(2), np.zeros(2))
        return assemble(some, [list(range(len(some)))], shifted, LocalProjection(102.0, 14.0), {})[0]

    both = span(seen(0, 1.0, -1.0, 22.0, (6, 0)), seen(1, -1.0, 1.0, 26.0, (4, 0)))
    # Each pass has shown the end to its left only: at -12 m, and at 1 + 13 m.
    assert both.values["ends_seen"] == "both"
    assert both.values["width_m"] == pytest.approx(26.0)
    assert both.middle_m == pytest.approx([0.0, 100.0])
    # An estimated width of 0 still gives two distinct points.
    for looks in ((6, 1), (6, 6), (0, 0)):
        assert span(seen(0, 1.0, 0.0, 0.001, looks)).points_m == pytest.approx(np.array([[-0.5, 100.0], [0.5, 100.0]]))
    one = span(seen(0, 1.0, 0.0, 22.0, (6, 1)))
    assert one.values["ends_seen"] == "left"
    assert one.points_m == pytest.approx(np.array([[-11.0, 100.0], [11.0, 100.0]]))

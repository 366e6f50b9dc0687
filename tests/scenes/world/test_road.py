"""The road's axis and its cross-section."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from reg_yolo.scenes.world.cross_section import CrossSection, random_cross_section
from reg_yolo.scenes.world.ground import ground_faces
from reg_yolo.scenes.world.road import random_road, straight_road


def test_straight_road_to_the_east_with_a_grade() -> None:
    road = straight_road(200.0, heading_deg=90.0, grade=0.03)
    np.testing.assert_allclose(road.to_world(100.0, 4.0, 2.0), [100.0, -4.0, 5.0], atol=1e-9)
    assert road.length == pytest.approx(200.0)


def test_offsets_lie_to_the_right_of_growing_chainage() -> None:
    np.testing.assert_allclose(straight_road(50.0).to_world(10.0, 3.0), [3.0, 10.0, 0.0], atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_random_roads_keep_length_radius_and_grade(seed: int) -> None:
    road = random_road(np.random.default_rng(seed), 1500.0)
    steps = np.hypot(np.diff(road.x), np.diff(road.y))
    np.testing.assert_allclose(steps, 2.0, rtol=1e-4)
    curvature = np.abs(np.diff(road.heading)) / 2.0
    assert curvature.max() <= 1 / 349
    assert np.abs(np.diff(road.z) / 2.0).max() <= 0.0401
    assert np.interp(0.0, road.chainage, road.x) == pytest.approx(0.0)


def test_roads_do_curve_and_climb() -> None:
    roads = [random_road(np.random.default_rng(seed), 1500.0) for seed in range(6)]
    assert max(np.ptp(road.heading) for road in roads) > math.radians(30)
    assert max(np.ptp(road.z) for road in roads) > 5


def test_cross_sections_are_symmetrical_and_without_gaps(rng: np.random.Generator) -> None:
    for land in ("field", "forest", "town"):
        section: CrossSection = random_cross_section(rng, land)
        bands = section.bands()
        for left, right in pairwise(bands):
            assert left.t1 == pytest.approx(right.t0)
        assert bands[0].t0 == -bands[-1].t1
        assert section.height_at(9.0) == section.height_at(-9.0)
        assert 0 < section.carriageway_edge < section.edge


def test_ground_faces_look_up_in_both_directions(flat_section: CrossSection) -> None:
    road = straight_road(600.0)
    for direction in (1, -1):
        faces = ground_faces(road, flat_section, 300.0, direction, 200.0, seed=1)
        normals = np.cross(faces.corners[:, 1] - faces.corners[:, 0], faces.corners[:, 2] - faces.corners[:, 0])
        assert (normals[:, 2] > 0).all()
        ahead = (faces.corners[:, :, 1].mean(axis=1) - 300.0) * direction
        assert ahead.max() > 150
        assert ahead.min() > -13

"""Drives fitted to each other, and one-to-one matching."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reg_yolo.inventory.assets import assemble
from reg_yolo.inventory.network import shifts
from reg_yolo.inventory.network.matching import match_drives
from reg_yolo.inventory.network.shifts import DriveErrors, fit_drives
from reg_yolo.inventory.network.sightings import Features, Sighting
from reg_yolo.inventory.projection import LocalProjection

SURE = Features(way=4.0, strong=2.5, density=1.0, purity=1.0)


def sighting(
    drive: int,
    time_s: float,
    place: tuple[float, float],
    way: float = 1.0,
    is_sign: bool = False,
    features: Features = SURE,
) -> Sighting:
    """Return a sighting of a pole along a road to the north."""
    return Sighting(
        drive, time_s, np.array(place), np.eye(2) * 0.04, np.array([0.0, 20.0 * way]), {"pole": 1.0}, is_sign, 8.0, 2.0,
        0.0, time_s, time_s, 10, features,
    )  # fmt: skip


DRIVES = [DriveErrors(0.0, 60.0, 2.5, 40.0, 0.0, 0.1), DriveErrors(1000.0, 1060.0, 2.5, 40.0, 0.0, 0.1)]


def test_two_drives_meet_in_the_middle_and_share_their_doubt() -> None:
    sightings = [sighting(0, 5.0 * n, (2.0, 100.0 * n)) for n in range(1, 11)]
    sightings += [sighting(1, 1055 - 5.0 * n, (-2.0, 100.0 * n), -1.0) for n in range(1, 11)]
    shifted = fit_drives(DRIVES, sightings, [[n, n + 10] for n in range(10)])
    assert shifted.places_m[:, 0] == pytest.approx(0.0, abs=0.05)
    # Two receivers of 2.5 m each: 1.77 m together.
    assert np.sqrt(shifted.covariances[:, 0, 0]) == pytest.approx(2.5 / np.sqrt(2), abs=0.06)
    alone = fit_drives(DRIVES, sightings, [[n] for n in range(20)])
    assert np.sqrt(alone.covariances[:, 0, 0]) == pytest.approx(2.5, abs=0.1)


def test_what_several_passes_saw_is_a_little_less_sure_than_their_fit_takes_it_to_be() -> None:
    sightings = [sighting(0, 5.0, (2.0, 100.0)), sighting(1, 1055.0, (-2.0, 100.0), -1.0)]
    shifted = fit_drives(DRIVES, sightings, [[0, 1]])
    projection = LocalProjection(102.0, 14.0)
    both, cameras = (
        assemble(sightings, [[0, 1]], shifted, projection, {}, receivers=receivers)[0]
        for receivers in ([None, 1], [4, 4])
    )
    assert (both.values["passes"], cameras.values["passes"]) == (2, 1)
    # Cameras of one vehicle are one pass.
    assert cameras.covariance == pytest.approx(shifted.covariances[0])
    assert both.covariance == pytest.approx(shifted.covariances[0] * 1.22)
    assert both.values["sigma_along_m"] == pytest.approx(np.sqrt(both.covariance[1, 1]), abs=0.006)


def test_two_objects_taken_for_one_do_not_bend_the_drives() -> None:
    """A pole on one side of the road and one on the other, whose looks were some way apart."""
    ys = np.arange(20.0, 1160.0, 20.0)
    sightings = [sighting(0, y / 20, (-1.0, y)) for y in ys] + [sighting(1, 1060 - y / 20, (1.0, y), -1.0) for y in ys]
    pairs = [[n, n + len(ys)] for n in range(len(ys))]
    wrong = [sighting(0, 25.0, (-8.0, 600.0)), sighting(1, 1035.0, (9.0, 604.0), -1.0)]
    numbers = [2 * len(ys), 2 * len(ys) + 1]
    shifted = fit_drives(DRIVES, [*sightings, *wrong], [*pairs, numbers])
    assert shifted.places_m[: len(ys), 0] == pytest.approx(0.0, abs=0.3)
    assert np.abs(shifted.moved_m[:, 0]).max() < 1.3


def test_a_stray_sighting_does_not_take_the_place_of_a_sure_one() -> None:
    first = [sighting(0, 5.0 * n, (0.0, 100.0 * n)) for n in range(1, 11)]
    second = [sighting(1, 1055 - 5.0 * n, (0.0, 100.0 * n), -1.0) for n in range(1, 11)]
    stray = sighting(1, 1030.0, (0.5, 501.0), -1.0, features=Features(unsure=1.0))
    second[4] = sighting(1, 1030.0, (0.0, 504.0), -1.0)
    groups, _ = match_drives(DRIVES, [*first, *second, stray])
    assert [4, 14] in groups
    assert [20] in groups


def test_opposite_passes_tell_a_clock_that_is_late() -> None:
    sightings = [sighting(0, 5.0 * n, (0.0, 100.0 * n - 4.0)) for n in range(1, 11)]
    sightings += [sighting(1, 1055 - 5.0 * n, (0.0, 100.0 * n), -1.0) for n in range(1, 11)]
    shifted = fit_drives(DRIVES, sightings, [[n, n + 10] for n in range(10)])
    assert shifted.clocks_s.sum() > 0.05
    assert (shifted.clock_sigmas_s < 0.1).all()


def test_neighbours_a_metre_apart_are_matched_in_their_order() -> None:
    spots = [(5.0, 100.0), (5.0, 101.0), (5.0, 160.0), (5.0, 220.0)]
    sightings = [sighting(0, y / 20, (x, y)) for x, y in spots]
    sightings += [sighting(1, 1060 - y / 20, (x + 3.0, y + 2.0), -1.0) for x, y in spots]
    groups, _ = match_drives(DRIVES, sightings)
    assert sorted(map(tuple, groups)) == [(0, 4), (1, 5), (2, 6), (3, 7)]


def test_a_signs_back_is_no_sign() -> None:
    sightings = [sighting(0, 5.0, (5.0, 100.0), 1.0, True), sighting(1, 1055.0, (5.0, 100.0), -1.0, True)]
    groups, _ = match_drives(DRIVES, sightings)
    assert len(groups) == 2


def test_drives_that_never_meet_are_solved_apart_and_get_what_they_get_together() -> None:
    drives = [*DRIVES, replace(DRIVES[0], start_s=5000.0, end_s=5060.0, receiver=7), replace(DRIVES[1], receiver=7)]
    sightings = [sighting(0, 5.0 * n, (0.0, 100.0 * n - 4.0)) for n in range(1, 11)]
    sightings += [sighting(1, 1055 - 5.0 * n, (0.0, 100.0 * n), -1.0) for n in range(1, 11)]
    sightings += [sighting(2, 5005.0 + n, (900.0 + n, 100.0 * n)) for n in range(5)]
    sightings += [sighting(3, 1005.0 + n, (900.0, 100.0 * n)) for n in range(5)]
    groups = [[25], *([n, n + 10] for n in range(10)), [20, 26], [21], [22], [23], [24], [27], [28], [29]]
    apart = fit_drives(drives, sightings, groups)
    together = shifts._fit(drives, sightings, np.array([one.drive for one in sightings]), groups)
    for name in ("places_m", "covariances", "moved_m", "clocks_s", "clock_sigmas_s"):
        assert getattr(apart, name) == pytest.approx(getattr(together, name), abs=1e-6), name
    assert shifts._parts(drives, sightings, groups).tolist() == [0, 0, 1, 1]


def test_objects_meet_over_the_borders_of_cells_however_many_lie_elsewhere() -> None:
    ys = np.arange(0.0, 900.0, 41.0)
    elsewhere = [sighting(2, 5.0 * n, (50_000.0, 100.0 * n)) for n in range(1, 11)]
    first = [sighting(0, y / 20, (-1.0, y)) for y in ys]
    second = [sighting(1, 1000 + y / 20, (2.0, y + 3.0)) for y in ys]
    drives = [*DRIVES, DriveErrors(0.0, 60.0, 2.5, 40.0, 0.0, 0.1)]
    groups, _ = match_drives(drives, [*elsewhere, *first, *second])
    pairs = [tuple(sorted(group)) for group in groups if len(group) > 1]
    assert pairs == [(n + 10, n + 10 + len(ys)) for n in range(len(ys))]

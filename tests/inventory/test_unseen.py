"""What passes say of an object that came by and did not see it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reg_yolo.inventory.building import build_inventory
from reg_yolo.inventory.drive.stretches import Stretch
from reg_yolo.inventory.network.sightings import Features, Sighting
from reg_yolo.inventory.network.unseen import unseen_odds
from reg_yolo.inventory.opening import BuildOptions
from tests.inventory.roads import ORIGIN, START, Mounted, write_road

SURE = Features(way=4.0, strong=2.5, density=1.0, purity=1.0)
NORTH_M = np.arange(100.0, 900.0, 40.0)
"""Where poles stand next to a road to the north that is a kilometre long."""


def stretch(drive: int, first_m: float = 0.0, last_m: float = 1000.0, yaw_deg: float = 0.0) -> Stretch:
    """Return a way along the road, from the first place to the last."""
    count = int(abs(last_m - first_m) / 2) + 1
    points = np.stack([np.zeros(count), np.linspace(first_m, last_m, count)], 1)
    return Stretch(drive, "a.mp4", points, count, 0.0, 100.0, 0.0, abs(last_m - first_m), 60.0, yaw_deg)


def pole(drive: int, north_m: float, east_m: float = 4.0, name: str = "pole", **more: object) -> Sighting:
    """Return a pole that is seen surely, 4 m to the right of the way."""
    plain = Sighting(
        drive, 10.0 * drive, np.array([east_m, north_m]), np.eye(2) * 0.04, np.array([0.0, 20.0]), {name: 1.0}, False,
        8.0, 2.0, 0.0, 0.0, 1.0, 10, SURE,
    )  # fmt: skip
    return replace(plain, **more)  # type: ignore[arg-type]


def odds_of(last: Sighting, *second: Stretch, receivers: list[int | None] | None = None) -> float:
    """Return what is said of an object that the first pass alone has seen, next to poles that both have seen."""
    both = [[pole(0, north), pole(1, north)] for north in NORTH_M]
    sightings = [*(one for pair in both for one in pair), last]
    groups = [[2 * n, 2 * n + 1] for n in range(len(both))] + [[2 * len(both)]]
    places = np.array([sightings[members[0]].place_m for members in groups])
    odds = unseen_odds([stretch(0), *second], sightings, groups, places, receivers)
    assert not odds[:-1].any()
    return float(odds[-1])


def test_what_one_pass_alone_has_seen_where_both_see_everything_is_doubtful() -> None:
    assert -3.0 <= odds_of(pole(0, 510.0), stretch(1)) < -1.5
    assert odds_of(pole(0, 510.0), stretch(1, 1000.0, 0.0)) < -1.5


@pytest.mark.parametrize(
    "second",
    [
        stretch(1, 0.0, 490.0),
        stretch(1, 480.0, 1000.0),
        stretch(1, 540.0, 0.0),
        stretch(1, 0.0, 540.0, yaw_deg=180.0),
    ],
    ids=["ends before it", "begins next to it", "begins next to it the other way", "looks back and ends next to it"],
)
def test_a_pass_that_cannot_have_seen_it_says_nothing(second: Stretch) -> None:
    assert odds_of(pole(0, 510.0), second) == 0.0


def test_a_camera_that_looks_back_sees_what_it_has_passed() -> None:
    assert odds_of(pole(0, 510.0), stretch(1, 500.0, 1000.0, yaw_deg=180.0)) < -1.5


@pytest.mark.parametrize(
    "last",
    [
        pole(0, 510.0, east_m=33.0),
        pole(0, 510.0, is_sign=True),
        pole(0, 510.0, ends_m=np.array([[4.0, 500.0], [4.0, 520.0]])),
    ],
    ids=["far from the way", "a sign, named from its front", "a line"],
)
def test_of_what_a_pass_need_not_see_nothing_is_said(last: Sighting) -> None:
    assert odds_of(last, stretch(1)) == 0.0


def test_cameras_of_one_vehicle_are_one_pass() -> None:
    assert odds_of(pole(0, 510.0), stretch(1), receivers=[5, 5]) == 0.0
    assert odds_of(pole(0, 510.0), stretch(1), receivers=[5, 6]) < -1.5


def test_what_is_seldom_seen_by_others_is_not_missed_by_them() -> None:
    """At 4 m another pass sees everything; at 20 m it sees one in five of what the first has seen."""
    near = [[pole(0, north), pole(1, north)] for north in NORTH_M]
    far = [[pole(0, north, 20.0)] + [pole(1, north, 20.0)] * (n % 5 == 0) for n, north in enumerate(NORTH_M)]
    sightings = [one for some in [*near, *far] for one in some]
    ends = np.cumsum([len(some) for some in [*near, *far]])
    groups = [list(range(end - len(some), end)) for some, end in zip([*near, *far], ends.tolist(), strict=True)]
    places = np.array([sightings[members[0]].place_m for members in groups])
    odds = unseen_odds([stretch(0), stretch(1)], sightings, groups, places)
    alone = [n for n, members in enumerate(groups) if len(members) == 1]
    assert (odds[alone] < 0).all()
    assert (odds[alone] > -0.5).all()


def test_many_passes_together_leave_odds_of_minus_3() -> None:
    assert odds_of(pole(0, 510.0), *(stretch(1) for _ in range(2))) == odds_of(pole(0, 510.0), stretch(1))
    sightings = [pole(drive, north) for north in NORTH_M for drive in range(5)] + [pole(0, 510.0)]
    groups = [list(range(5 * n, 5 * n + 5)) for n in range(len(NORTH_M))] + [[5 * len(NORTH_M)]]
    places = np.array([sightings[members[0]].place_m for members in groups])
    assert unseen_odds([stretch(drive) for drive in range(5)], sightings, groups, places)[-1] == -3.0


def test_one_drive_or_nothing_seen_is_no_error() -> None:
    assert unseen_odds([stretch(0)], [pole(0, 510.0)], [[0]], np.array([[4.0, 510.0]])).tolist() == [0.0]
    assert unseen_odds([stretch(0), stretch(1)], [], [], np.zeros((0, 2))).tolist() == []


def test_an_inventory_of_two_drives_doubts_what_one_of_them_did_not_see(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    truth = write_road(first, [Mounted("a")])
    write_road(second, [Mounted("b")], without=[10])
    files = [first / "a.jsonl", second / "b.jsonl"]
    tracks = [first / "track.gpx", second / "track.gpx"]

    def found(count: int) -> tuple[float, int]:
        """Return probability and passes of the pole that the second drive did not see."""
        given = tuple(files[:count]), tuple(tracks[:count]), (first / "a.yaml",), (START.isoformat(),) * count
        inventory = build_inventory(BuildOptions(*given, min_probability=0.0))
        where = ORIGIN.to_degrees(truth[10][None])
        place = inventory.projection.to_metres(*where.T)[0]
        near = min(inventory.assets, key=lambda asset: float(np.linalg.norm(asset.middle_m - place)))
        assert np.linalg.norm(near.middle_m - place) < 2.0
        return near.probability, near.values["passes"]

    (alone, _), (doubted, passes) = found(1), found(2)
    assert passes == 1
    assert doubted / (1 - doubted) < 0.3 * alone / (1 - alone)

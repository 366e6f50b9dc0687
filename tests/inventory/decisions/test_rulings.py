"""Which decisions stand, and what they mean for the assets of a build."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reg_yolo.errors import DataError
from reg_yolo.inventory.decisions.decision import Decision, NotApplied, Place, Seen
from reg_yolo.inventory.decisions.grouping import Regrouping
from reg_yolo.inventory.decisions.matching import Sources, refuse_other_drives
from reg_yolo.inventory.decisions.rulings import Ruling, rule
from reg_yolo.inventory.decisions.standing import standing_decisions
from reg_yolo.inventory.network.sightings import Features, Sighting
from reg_yolo.inventory.observations import Observations, SeenAtHand

NAMES = ("/card/a.mp4",)


def seen(asset: int, frame: int, source: str = "/card/a.mp4", shift: float = 0.0) -> Seen:
    """Return the box that asset number `asset` has in a frame."""
    left = 100.0 * asset + shift
    return Seen(source, frame, (left, 50.0, left + 40.0, 90.0))


def sighting(asset: int, frames: tuple[int, ...] = (1, 2, 3)) -> Sighting:
    """Return an object that stands `asset` metres down the road."""
    boxes = [seen(asset, frame) for frame in frames]
    observed = Observations(
        tuple(box.source for box in boxes), np.array(frames, np.int32), np.array(frames) * 0.1,
        np.array([box.xyxy for box in boxes], np.float32), np.full(len(frames), 0.9, np.float32),
        ("pole",) * len(frames),
    )  # fmt: skip
    return Sighting(
        0, 0.0, np.array([float(asset), 0.0]), np.eye(2), np.array([10.0, 0.0]), {"pole": 1.0}, False, 1.0, 0.1, 0.0,
        0.0, 1.0, len(frames), Features(), seen=SeenAtHand(observed),
    )  # fmt: skip


def decide(
    action: str, *assets: int, who: str = "a", minute: int = 0, frames: tuple[int, ...] = (1, 2, 3), **more: object
) -> Decision:
    """Return a decision about assets by all that they were seen by."""
    parts = tuple(tuple(seen(asset, frame) for frame in frames) for asset in assets)
    when = f"2024-05-02T08:{minute:02d}:00Z"
    return Decision(who, action, parts, when=when, decision_id=f"{action}-{who}-{minute}", **more)  # type: ignore[arg-type]


def ruled(*decisions: Decision, assets: int = 3) -> tuple[dict[int, Ruling], dict[str, str]]:
    """Return the rulings on assets 0, 1, ..., and the reasons by decision."""
    some = [sighting(number) for number in range(assets)]
    standing, dropped = standing_decisions(decisions)
    groups = Regrouping(standing).of_sightings(some, [[n] for n in range(assets)], Sources(NAMES))
    rulings, more = rule(standing, some, groups, Sources(NAMES), lambda name: name == "rail")
    by_first = {groups[number][0]: ruling for number, ruling in rulings.items()}
    return by_first, reasons([*dropped, *more])


def reasons(dropped: list[NotApplied]) -> dict[str, str]:
    """Return reasons by decision."""
    return {one.decision.decision_id: one.reason for one in dropped if one.decision}


def test_the_last_word_of_one_person_holds() -> None:
    rulings, dropped = ruled(
        decide("reject", 0, minute=1), decide("accept", 0, minute=2), decide("accept", 1, minute=1),
        decide("reject", 1, minute=2), decide("reclassify", 2, minute=1, class_name="sign"),
        decide("reclassify", 2, minute=2, class_name="board", frames=(2,)), decide("accept", 2, minute=3),
    )  # fmt: skip
    assert dropped == {}
    assert {n: ruling.exists for n, ruling in rulings.items()} == {0: True, 1: False, 2: True}
    assert (rulings[2].class_name, rulings[2].actions, rulings[2].reviewed_by) == ("board", "reclassify, accept", "a")


def test_an_undo_takes_back_ones_own_decision_only() -> None:
    accept, reject = decide("accept", 0), decide("reject", 1)
    undos = [
        Decision("a", "undo", undoes=accept.decision_id, decision_id="own"),
        Decision("b", "undo", undoes=reject.decision_id, decision_id="foreign"),
        Decision("a", "undo", undoes="nothing", decision_id="none"),
        Decision("a", "undo", undoes="own", decision_id="twice"),
    ]
    rulings, dropped = ruled(accept, reject, *undos)
    assert set(rulings) == {1}
    assert dropped == {
        "foreign": "it takes back a decision of a",
        "none": "it takes back nothing, which no file holds",
        "twice": "it takes back an undo; decide once more instead",
    }


def test_what_two_people_decide_differently_is_not_followed() -> None:
    rulings, dropped = ruled(
        decide("accept", 0), decide("reject", 0, who="b", minute=9),
        decide("reclassify", 1, class_name="sign"), decide("reclassify", 1, who="b", class_name="board"),
        decide("accept", 1, who="c", minute=3),
        decide("move", 2, place=Place(100.0, 14.0, 1.0)), decide("move", 2, who="b", place=Place(100.0001, 14.0, 1.0)),
    )  # fmt: skip
    assert dropped == {
        "accept-a-0": "it conflicts with reject by b on 2024-05-02T08:09:00Z",
        "reject-b-9": "it conflicts with accept by a on 2024-05-02T08:00:00Z",
        "reclassify-a-0": "it conflicts with reclassify by b on 2024-05-02T08:00:00Z",
        "reclassify-b-0": "it conflicts with reclassify by a on 2024-05-02T08:00:00Z",
        "move-a-0": "it conflicts with move by b on 2024-05-02T08:00:00Z",
        "move-b-0": "it conflicts with move by a on 2024-05-02T08:00:00Z",
    }
    # What nobody disputes holds.
    assert {n: (ruling.actions, ruling.class_name) for n, ruling in rulings.items()} == {1: ("accept", None)}


def test_what_somebody_has_thought_better_of_is_in_no_conflict() -> None:
    rulings, dropped = ruled(
        decide("reject", 0), decide("accept", 0, minute=1), decide("reject", 0, who="b", minute=2),
        decide("reject", 0, who="b", minute=3),
    )  # fmt: skip
    assert rulings == {}
    assert set(dropped) == {"accept-a-1", "reject-b-3"}


def test_two_who_agree_are_both_named() -> None:
    near = Place(100.00001, 14.0, 1.0)
    rulings, dropped = ruled(
        decide("move", 0, place=Place(100.0, 14.0, 1.0)), decide("move", 0, who="b", minute=5, place=near),
        decide("accept", 0, who="c", minute=1),
    )  # fmt: skip
    assert dropped == {}
    assert (rulings[0].place, rulings[0].reviewed_by) == (near, "c, b")


def test_merges_and_splits_are_made_in_the_order_of_time() -> None:
    rulings, dropped = ruled(decide("merge", 0, 1), decide("accept", 1, minute=2))
    assert dropped == {}
    assert {n: ruling.actions for n, ruling in rulings.items()} == {0: "merge, accept"}
    merged, parted = decide("merge", 0, 1), decide("split", 0, 1, minute=4)
    rulings, dropped = ruled(merged, parted)
    assert (sorted(rulings), dropped) == ([0, 1], {})
    _, dropped = ruled(merged, decide("split", 0, 1, who="b", minute=4))
    assert dropped == {
        "merge-a-0": "it conflicts with split by b on 2024-05-02T08:04:00Z",
        "split-b-4": "it conflicts with merge by a on 2024-05-02T08:00:00Z",
    }
    # Another pair than the one that was merged is no contradiction.
    assert ruled(merged, decide("split", 1, 2, who="b", minute=4))[1] == {}


def test_a_merge_that_meets_a_reject_is_made_but_not_taken_as_reviewed() -> None:
    rulings, dropped = ruled(decide("merge", 0, 1), decide("reject", 1, who="b", minute=1))
    assert rulings == {}
    assert dropped["merge-a-0"].startswith("what is one asset is followed, but it conflicts with reject by b")


def test_what_no_longer_fits_is_listed() -> None:
    spread = Decision("a", "accept", ((seen(0, 1), seen(1, 1)),), decision_id="spread")
    shifted = Decision("a", "accept", ((seen(0, 1, shift=8.0),),), decision_id="shifted")
    _, dropped = ruled(
        spread, shifted, decide("accept", 7, minute=1), decide("merge", 1, 7),
        Decision("a", "accept", ((seen(0, 1, source="b.mp4"),),), decision_id="elsewhere"),
        decide("reclassify", 2, class_name="rail"), decide("accept", 1, frames=(8,), minute=2),
    )  # fmt: skip
    assert dropped == {
        "spread": "its observations are those of 2 assets",
        "accept-a-1": "no asset has its observations",
        "accept-a-2": "no asset has its observations",
        "merge-a-0": "no asset has the observations of one part",
        "elsewhere": "its source b.mp4 is not among those of the detections",
        "reclassify-a-0": "rail is a line, and no line was seen here",
    }


def test_sources_that_have_moved_are_known_by_the_ends_of_their_names() -> None:
    sources = Sources(["/new/card1/a.mp4", "/new/card2/a.mp4", "/new/b.mp4"])
    assert sources.named(r"D:\card2\a.mp4") == "/new/card2/a.mp4"
    assert sources.named("/else/b.mp4") == "/new/b.mp4"
    assert sources.named("a.mp4") is None
    assert sources.named("c.mp4") is None


def test_decisions_for_another_drive_are_refused() -> None:
    other = Decision("a", "accept", ((seen(0, 1, source="z.mp4"),),), read_from="d.jsonl:1")
    with pytest.raises(DataError, match=r"d\.jsonl holds decisions for another drive: it refers to z\.mp4"):
        refuse_other_drives([Path("d.jsonl")], [other], NAMES)
    refuse_other_drives([Path("e.jsonl")], [other], NAMES)

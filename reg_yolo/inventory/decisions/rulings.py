"""What reviewers say of each asset of a build: whether it exists, where it stands, what it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from reg_yolo.inventory.decisions.decision import (
    MERGE,
    MOVE,
    RECLASSIFY,
    REGROUPING,
    REJECT,
    SPLIT,
    Decision,
    NotApplied,
    Place,
)  # fmt: skip
from reg_yolo.inventory.decisions.grouping import Observed, add_observations, main_of
from reg_yolo.inventory.decisions.matching import BoxIndex, Sources
from reg_yolo.inventory.decisions.standing import conflict_with

_SAME_PLACE_SIGMAS = 3.0
_METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True)
class Ruling:
    """What holds of one asset.

    Attributes:
        exists: Whether it exists.
        decisions: What says so, in the order of time.
        place: Where it was put; None where it stays.
        class_name: What it was called; None where its class stays.
    """

    exists: bool
    decisions: tuple[Decision, ...]
    place: Place | None = None
    class_name: str | None = None

    @property
    def reviewed_by(self) -> str:
        """Names of the reviewers."""
        return ", ".join(dict.fromkeys(decision.who for decision in self.decisions))

    @property
    def actions(self) -> str:
        """What they did."""
        return ", ".join(dict.fromkeys(decision.action for decision in self.decisions))


@dataclass
class _Rulings:
    decisions: dict[int, list[Decision]] = field(default_factory=dict)
    dropped: list[NotApplied] = field(default_factory=list)

    def give(self, number: int, decision: Decision) -> None:
        self.decisions.setdefault(number, []).append(decision)

    def drop(self, decision: Decision, reason: str) -> None:
        if all(one.decision is not decision for one in self.dropped):
            self.dropped.append(NotApplied.of(decision, reason))


def rule(
    decisions: Sequence[Decision],
    sightings: Sequence[Observed],
    groups: Sequence[Sequence[int]],
    sources: Sources,
    is_line: Callable[[str], bool],
) -> tuple[dict[int, Ruling], list[NotApplied]]:
    """Return a ruling by the number of the group, and the decisions that could not be followed.

    A decision is about the asset that holds more than half of its observations found. Within one person's decisions the
    last one in time holds; where those of two people differ, neither is followed.

    Args:
        decisions: Those that stand, in the order of time; merges and splits have been made already.
        sightings: Of all drives.
        groups: Sightings of each asset.
        sources: Of the build.
        is_line: Whether assets of a class are lines.
    """
    index: BoxIndex[int] = BoxIndex(sources, decisions)
    for number, members in enumerate(groups):
        for member in members:
            add_observations(index, sightings[member], number)
    rulings = _Rulings()
    for decision in decisions:
        _assign(decision, index, sources, rulings)
    has_ends = [any(sightings[n].ends_m is not None for n in members) for members in groups]
    result = {}
    for number, some in rulings.decisions.items():
        ruling = _ruling(some, rulings, is_line if not has_ends[number] else lambda _name: False)
        if ruling is not None:
            result[number] = ruling
    return result, rulings.dropped


def rule_one(some: Sequence[Decision]) -> tuple[Ruling | None, list[NotApplied]]:
    """Return what several decisions on one asset come to, and those that conflict with another person's.

    Args:
        some: In the order of time; merges and splits are taken as made.
    """
    rulings = _Rulings()
    ruling = _ruling(some, rulings, lambda _name: False)
    return ruling, rulings.dropped


def _assign(decision: Decision, index: BoxIndex[int], sources: Sources, rulings: _Rulings) -> None:
    referred = {seen.source for part in decision.parts for seen in part}
    if not any(map(sources.named, referred)):
        return rulings.drop(decision, f"its source {min(referred)} is not among those of the detections")
    found = [index.find(part) for part in decision.parts]
    if not all(found):
        missing = "no asset has its observations" if not any(found) else "no asset has the observations of one part"
        return rulings.drop(decision, missing)
    mains = [main_of(part) for part in found]
    if any(main is None for main in mains):
        count = max(len(set(part)) for part in found)
        return rulings.drop(decision, f"its observations are those of {count} assets")
    assets = set(mains)
    if decision.action == MERGE and len(assets) > 1:
        return rulings.drop(decision, "what it merges could not be put together")
    if decision.action == SPLIT and len(assets) < len(mains):
        return rulings.drop(decision, "what it splits could not be taken apart")
    for number in assets:
        if number is not None:
            rulings.give(number, decision)
    return None


def _ruling(some: Sequence[Decision], rulings: _Rulings, cannot_be: Callable[[str], bool]) -> Ruling | None:
    last = {decision.who: decision for decision in some}
    if len({decision.action == REJECT for decision in last.values()}) > 1:
        _drop_conflict(some, last, rulings)
        return None
    if any(decision.action == REJECT for decision in last.values()):
        return Ruling(False, tuple(last.values()))
    place = _agreed([one for one in some if one.action == MOVE], _same_place, rulings)
    known = []
    for decision in (one for one in some if one.action == RECLASSIFY):
        if cannot_be(decision.class_name or ""):
            rulings.drop(decision, f"{decision.class_name} is a line, and no line was seen here")
        else:
            known.append(decision)
    name = _agreed(known, lambda one, other: one.class_name == other.class_name, rulings)
    followed = [one for one in some if one.action not in (MOVE, RECLASSIFY, REJECT) or one in (place, name)]
    if not followed:
        return None
    return Ruling(True, tuple(followed), place.place if place else None, name.class_name if name else None)


def _drop_conflict(some: Sequence[Decision], last: dict[str, Decision], rulings: _Rulings) -> None:
    """List the last decision of each person, and what else rests on it."""
    rejects = {who for who, decision in last.items() if decision.action == REJECT}
    for decision in some:
        other = next(one for who, one in last.items() if (who in rejects) != (decision.who in rejects))
        superseded = decision is not last[decision.who] if decision.who in rejects else decision.action == REJECT
        if superseded:
            continue
        done = "what is one asset is followed, but " if decision.action in REGROUPING else ""
        rulings.drop(decision, f"{done}{conflict_with(other)}")


def _agreed(
    some: Sequence[Decision], alike: Callable[[Decision, Decision], bool], rulings: _Rulings
) -> Decision | None:
    """Return the latest of what each person decided last; None, and a line for each, where they differ."""
    last = list({decision.who: decision for decision in some}.values())
    conflicts = {n: other for n, one in enumerate(last) for other in last if one is not other and not alike(one, other)}
    for n, other in conflicts.items():
        rulings.drop(last[n], conflict_with(other))
    return None if conflicts or not last else max(last, key=lambda decision: decision.time_s)


def _same_place(one: Decision, other: Decision) -> bool:
    assert one.place is not None and other.place is not None
    scale = np.array([math.cos(math.radians(one.place.latitude_deg)), 1.0]) * _METRES_PER_DEGREE
    apart = np.array([
        one.place.longitude_deg - other.place.longitude_deg, one.place.latitude_deg - other.place.latitude_deg
    ]) * scale  # fmt: skip
    return float(np.hypot(*apart)) <= _SAME_PLACE_SIGMAS * math.hypot(one.place.sigma_m, other.place.sigma_m)

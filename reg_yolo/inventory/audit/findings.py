"""What two people found, brought together: what is right, what stands along the stretches, and what they dispute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.inventory.audit.answers import Answer
from reg_yolo.inventory.audit.forms import DECIDER, PEOPLE
from reg_yolo.inventory.audit.plan import Nearby, Plan
from reg_yolo.inventory.audit.record import Answers, name_of
from reg_yolo.inventory.diff.differences import one_to_one
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

_SAME_M = 3.0


@dataclass(frozen=True)
class Checked:
    """An asset of the sample that somebody checked.

    Attributes:
        asset_id, class_name: Which.
        right: Whether it is right; a disputed one counts as wrong until it is decided.
        disputed: Whether two people say different things, or one is unsure, and nobody has decided.
        error_m: Mean of the measured distances from its true place; None where nobody measured it.
    """

    asset_id: str
    class_name: str
    right: bool
    disputed: bool = False
    error_m: float | None = None


@dataclass(frozen=True)
class Standing:
    """Something that stands along a stretch.

    Attributes:
        listed: What was listed; the first person's where both did.
        by: Who listed it.
        found: The asset of the inventory that it is; None where the inventory lacks it.
        disputed: Whether only one of two people listed it, the inventory lacks it, and nobody has decided.
    """

    listed: Answer
    by: tuple[str, ...]
    found: Nearby | None = None
    disputed: bool = False


@dataclass(frozen=True)
class Findings:
    """What came of the checks.

    Attributes:
        assets: Those that were checked.
        stretches: Ids of those that were checked.
        standing: What stands along them.
        asset_pairs: What both people said of the assets that both checked.
        list_pairs: Whether each person listed what any of them or the inventory has along stretches that both checked.
        lists: How many each person listed along the stretches that both checked, and how many are the same.
        notes: What was left out or guessed.
    """

    assets: list[Checked]
    stretches: list[str]
    standing: list[Standing]
    asset_pairs: list[tuple[str, str]]
    list_pairs: list[tuple[bool, bool]]
    lists: tuple[int, int, int]
    notes: list[str] = field(default_factory=list)


def bring_together(plan: Plan, answers: Answers) -> Findings:
    """Return what two people found.

    Args:
        plan: The audit.
        answers: What counts of the record.
    """
    assets, pairs = _assets(plan, answers)
    field_ = _Field(plan)
    standing: list[Standing] = []
    list_pairs: list[tuple[bool, bool]] = []
    lists = [0, 0, 0]
    checked: list[str] = []
    for stretch in plan.stretches:
        who = [form for form in PEOPLE if (form, stretch.stretch_id) in answers.lists]
        if not who:
            continue
        checked.append(stretch.stretch_id)
        own = [answers.lists[form, stretch.stretch_id] for form in who]
        merged = field_.merged(own, who)
        standing += [
            Standing(one, by)
            for one, by in merged
            if answers.decided.get(name_of(one)) is not False
        ]  # fmt: skip
        if len(who) == 2:
            list_pairs += [(PEOPLE[0] in by, PEOPLE[1] in by) for _, by in merged]
            both = sum(len(by) == 2 for _, by in merged)
            lists = [lists[0] + len(own[0]), lists[1] + len(own[1]), lists[2] + both]
    standing, twice = field_.once(standing)
    notes = [f"{twice} things listed at two stretches that meet are counted once"] if twice else []
    standing = field_.matched(standing)
    of_two = {stretch for stretch in checked if all((form, stretch) in answers.lists for form in PEOPLE)}
    standing = [
        Standing(
            one.listed,
            one.by,
            one.found,
            one.found is None
            and len(one.by) == 1
            and one.listed.item in of_two
            and answers.decided.get(name_of(one.listed)) is None,
        )
        for one in standing
    ]
    list_pairs += [(False, False)] * field_.listed_by_nobody(standing, of_two)
    return Findings(assets, checked, standing, pairs, list_pairs, (lists[0], lists[1], lists[2]), notes)


def _assets(plan: Plan, answers: Answers) -> tuple[list[Checked], list[tuple[str, str]]]:
    found, pairs = [], []
    for asset in plan.assets:
        said = {form: answers.assets.get((form, asset.asset_id)) for form in (*PEOPLE, DECIDER)}
        judged = {form: one for form, one in said.items() if one is not None and one.yes is not None}
        first, second = (judged.get(form) for form in PEOPLE)
        if first is not None and second is not None:
            pairs.append(("yes" if first.yes else "no", "yes" if second.yes else "no"))
        if not judged:
            continue
        decided = judged.get(DECIDER)
        disputed = decided is None and len({one.yes for one in said.values() if one is not None}) > 1
        right = bool(decided.yes) if decided is not None else not disputed and all(one.yes for one in judged.values())
        own = [one.error_m for one in judged.values() if one.error_m is not None]
        if decided is not None and decided.error_m is not None:
            own = [decided.error_m]
        error = float(np.mean(own)) if own else None
        found.append(Checked(asset.asset_id, asset.class_name, right, disputed, error if right or disputed else None))
    return found, pairs


class _Field:
    """The sampled stretches and the inventory along them, in metres."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        points = np.array([point for stretch in plan.stretches for point in stretch.line])
        self.projection = LocalProjection.around(points[:, 0], points[:, 1])
        self.long = {one.class_name for one in plan.nearby if one.is_line}
        self.shapes = [self._shape(one.line) for one in plan.nearby]

    def _shape(self, line: Sequence[tuple[float, float]]) -> shapely.Geometry:
        metres = self.projection.to_metres(*np.array(line).T)
        return shapely.Point(metres[0]) if len(metres) == 1 else shapely.LineString(metres)

    def places(self, some: Sequence[Answer]) -> FloatArray:
        """Places in metres, shape (N, 2)."""
        if not some:
            return np.zeros((0, 2))
        return self.projection.to_metres([one.longitude or 0.0 for one in some], [one.latitude or 0.0 for one in some])

    def merged(self, lists: Sequence[Sequence[Answer]], who: Sequence[str]) -> list[tuple[Answer, tuple[str, ...]]]:
        """What one or two people list along a stretch, each thing once, with who listed it."""
        if len(lists) == 1:
            return [(one, (who[0],)) for one in lists[0]]
        first, second = lists
        places = self.places(first), self.places(second)
        pairs: dict[int, int] = {}
        for name in {one.class_name for one in first}:
            rows = [n for n, one in enumerate(first) if one.class_name == name]
            columns = [n for n, one in enumerate(second) if one.class_name == name]
            # Something long is listed at any place along it.
            within = 1e6 if name in self.long else self.plan.terms.within_m
            pairs |= one_to_one(places[0], places[1], rows, columns, within)
        both = [(one, tuple(who) if n in pairs else (who[0],)) for n, one in enumerate(first)]
        matched = set(pairs.values())
        return both + [(one, (who[1],)) for n, one in enumerate(second) if n not in matched]

    def once(self, standing: list[Standing]) -> tuple[list[Standing], int]:
        """Drop what was listed at a neighbouring stretch too; long things are listed at each.

        Who listed it there has listed it.
        """
        if not standing:
            return [], 0
        standing = list(standing)
        places = self.places([one.listed for one in standing])
        tree = shapely.STRtree(shapely.points(places))
        dropped: set[int] = set()
        for i, j in tree.query(shapely.points(places), predicate="dwithin", distance=_SAME_M).T.tolist():
            one, other = standing[i].listed, standing[j].listed
            same = one.class_name == other.class_name and one.class_name not in self.long
            if same and i < j and i not in dropped and one.item != other.item:
                dropped.add(j)
                by = tuple(form for form in PEOPLE if form in standing[i].by + standing[j].by)
                standing[i] = replace(standing[i], by=by)
        return [one for n, one in enumerate(standing) if n not in dropped], len(dropped)

    def matched(self, standing: list[Standing]) -> list[Standing]:
        """Find what stands there in the inventory: points one to one, long things by the distance to their line."""
        nearby, within = self.plan.nearby, self.plan.terms.within_m
        places = self.places([one.listed for one in standing])
        centres = np.array([shapely.get_coordinates(shape).mean(axis=0) for shape in self.shapes]).reshape(-1, 2)
        found: dict[int, int] = {}
        for name in {one.listed.class_name for one in standing}:
            rows = [n for n, one in enumerate(standing) if one.listed.class_name == name]
            points = [n for n, one in enumerate(nearby) if one.class_name == name and not one.is_line]
            lines = [n for n, one in enumerate(nearby) if one.class_name == name and one.is_line]
            if points:
                found |= one_to_one(places, centres, rows, points, within)
            for row in rows:
                if row not in found and lines:
                    place = shapely.Point(places[row])
                    best = min(lines, key=lambda n: float(self.shapes[n].distance(place)))
                    if self.shapes[best].distance(place) <= within:
                        found[row] = best
        return [
            Standing(one.listed, one.by, nearby[found[n]] if n in found else None) for n, one in enumerate(standing)
        ]

    def listed_by_nobody(self, standing: Sequence[Standing], stretches: set[str]) -> int:
        """How many assets of the inventory along some stretches nobody listed."""
        found = {one.found.asset_id for one in standing if one.found is not None}
        lines = [self._shape(one.line) for one in self.plan.stretches if one.stretch_id in stretches]
        if not lines:
            return 0
        tree = shapely.STRtree(lines)
        left = [
            shape
            for one, shape in zip(self.plan.nearby, self.shapes, strict=True)
            if not one.is_line and one.asset_id not in found
        ]
        if not left:
            return 0
        near = tree.query(left, predicate="dwithin", distance=self.plan.terms.reach_m)
        return len(set(near[0].tolist()))

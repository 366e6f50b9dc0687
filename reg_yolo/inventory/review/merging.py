"""Decisions files of several reviewers put together, and where they differ."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from reg_yolo.errors import ConfigError
from reg_yolo.files import replace_text
from reg_yolo.inventory.decisions.decision import Decision, NotApplied
from reg_yolo.inventory.decisions.files import read_decisions
from reg_yolo.inventory.decisions.matching import SAME_BOX_IOU
from reg_yolo.inventory.decisions.rulings import rule_one
from reg_yolo.inventory.decisions.standing import standing_decisions
from reg_yolo.inventory.drive.overlaps import iou
from reg_yolo.inventory.review.catalogue import Catalogue
from reg_yolo.inventory.review.resolving import resolve


@dataclass(frozen=True)
class Conflict:
    """A decision that a build would not follow.

    Attributes:
        asset: What it is about: the asset's id, or source and frame where no file names it.
        who, action, when: Of the decision.
        reason: Why, with the other person's decision.
        read_from: FILE:LINE.
    """

    asset: str
    who: str
    action: str
    when: str
    reason: str
    read_from: str

    def as_text(self) -> str:
        """Return it as a line."""
        return f"{self.asset}: {self.action} by {self.who} on {self.when} ({self.read_from}): {self.reason}"


@dataclass(frozen=True)
class Merged:
    """What came of putting files together.

    Attributes:
        file: What was written.
        decisions: How many it holds.
        people: Decisions of each person.
        conflicts: Where people differ; all of it is in the file.
        left: Damaged lines, which are not in the file, and what fits no asset of the inventory, which is.
    """

    file: Path
    decisions: int
    people: dict[str, int]
    conflicts: list[Conflict]
    left: list[str]


def merge_files(paths: Sequence[Path], out: Path, inventory: Path | None = None) -> Merged:
    """Write the decisions of several files into one, in the order of time, and list those that conflict.

    Nothing is left out for a conflict: the build lists these, too, and follows neither side.

    Args:
        paths: The files; they stay as they are.
        out: The file that is written.
        inventory: Folder of an inventory, by which assets are told apart. Without it two decisions are about one asset
            if they share an observation.

    Raises:
        ConfigError: If `out` is one of the files.
        DataError: If a file cannot be read, or is for another drive.
        OutputError: If it cannot be written.
    """
    if any(path.resolve() == out.resolve() for path in paths):
        raise ConfigError(f"--to: {out} is one of the files that are merged; name another one")
    decisions, torn = read_decisions(paths)
    decisions.sort(key=lambda decision: decision.time_s)
    with ExitStack() as stack:
        about: Mapping[str, Sequence[str]] = {}
        unfit: list[NotApplied] = []
        if inventory is not None:
            about, unfit = resolve(stack.enter_context(Catalogue(inventory)), decisions, paths)
    conflicts = find_conflicts(decisions, about)
    lines = [json.dumps(one.to_record(), ensure_ascii=False, separators=(",", ":")) + "\n" for one in decisions]
    replace_text(out, "".join(lines))
    people: dict[str, int] = defaultdict(int)
    for decision in decisions:
        people[decision.who] += 1
    left = [f"{one.read_from}: {one.reason}" for one in (*torn, *unfit)]
    return Merged(out, len(decisions), dict(people), conflicts, left)


def find_conflicts(decisions: Sequence[Decision], about: Mapping[str, Sequence[str]] | None = None) -> list[Conflict]:
    """Return the decisions on which two people differ, as a build would list them.

    Args:
        decisions: Of all files.
        about: Ids of the assets that decisions are about, by the decisions' ids; those that are not in it are compared
            by their observations.
    """
    standing, dropped = standing_decisions(decisions)
    some = [one for group in _by_asset(standing, about or {}) for one in rule_one(group)[1]]
    return [
        Conflict(_name(one.decision, about or {}), one.decision.who, one.decision.action, one.decision.when, one.reason,
                 one.read_from)
        for one in [*dropped, *some]
        if one.decision is not None
    ]  # fmt: skip


def _name(decision: Decision, about: Mapping[str, Sequence[str]]) -> str:
    ids = about.get(decision.decision_id) or decision.asset_ids
    if ids or not decision.parts:
        return ", ".join(ids) or decision.decision_id
    seen = decision.parts[0][0]
    return f"{seen.source} frame {seen.frame}"


def _by_asset(decisions: Sequence[Decision], about: Mapping[str, Sequence[str]]) -> list[list[Decision]]:
    """Decisions that are about one asset, each group in their order; what one merges is one asset."""
    first_of: dict[str, int] = {}
    boxes: dict[tuple[str, int], list[tuple[tuple[float, ...], int]]] = defaultdict(list)
    pairs = []
    for number, decision in enumerate(decisions):
        named = about.get(decision.decision_id, ())
        pairs += [(number, first_of.setdefault(asset_id, number)) for asset_id in named]
        if decision.decision_id in about:
            continue
        for seen in (seen for part in decision.parts for seen in part):
            known = boxes[seen.source, seen.frame]
            pairs += [
                (number, other)
                for box, other in known
                if iou(np.array([seen.xyxy]), np.array([box]))[0, 0] >= SAME_BOX_IOU
            ]
            known.append((seen.xyxy, number))
    count = len(decisions)
    rows, columns = np.array(pairs, np.int64).reshape(-1, 2).T
    _, labels = connected_components(coo_matrix((np.ones(len(pairs)), (rows, columns)), shape=(count,) * 2), False)
    groups: dict[int, list[Decision]] = defaultdict(list)
    for decision, label in zip(decisions, labels.tolist(), strict=True):
        groups[label].append(decision)
    return list(groups.values())

"""Which decisions stand: those that nobody took back, and that do not contradict each other in what is one asset."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from reg_yolo.inventory.decisions.decision import MERGE, REGROUPING, SPLIT, UNDO, Decision, NotApplied, Seen
from reg_yolo.inventory.decisions.matching import SAME_BOX_IOU
from reg_yolo.inventory.drive.overlaps import iou


def standing_decisions(decisions: Sequence[Decision]) -> tuple[list[Decision], list[NotApplied]]:
    """Return the decisions that stand in the order of time, and those that do not because of another one.

    An undo takes back a decision of the same person. Where a merge and a split, or two splits, contradict each other,
    the later one stands if they are one person's; those of two people are both listed.
    """
    by_id = {decision.decision_id: decision for decision in decisions}
    dropped: list[NotApplied] = []
    undone: set[str] = set()
    for undo in (decision for decision in decisions if decision.action == UNDO):
        meant = by_id.get(undo.undoes or "")
        if meant is None:
            dropped.append(NotApplied.of(undo, f"it takes back {undo.undoes}, which no file holds"))
        elif meant.who != undo.who:
            dropped.append(NotApplied.of(undo, f"it takes back a decision of {meant.who}"))
        elif meant.action == UNDO:
            dropped.append(NotApplied.of(undo, "it takes back an undo; decide once more instead"))
        else:
            undone.add(meant.decision_id)
    left = [one for one in decisions if one.action != UNDO and one.decision_id not in undone]
    left.sort(key=lambda decision: decision.time_s)
    out = set()
    for later, earlier in _contradictions([one for one in left if one.action in REGROUPING]):
        if later.who == earlier.who:
            out.add(earlier.decision_id)
            continue
        for one, other in ((later, earlier), (earlier, later)):
            if one.decision_id not in out:
                dropped.append(NotApplied.of(one, conflict_with(other)))
                out.add(one.decision_id)
    return [one for one in left if one.decision_id not in out], dropped


def conflict_with(other: Decision) -> str:
    """Return the reason to give where two people decided differently."""
    return f"it conflicts with {other.action} by {other.who} on {other.when}"


def _contradictions(decisions: Sequence[Decision]) -> list[tuple[Decision, Decision]]:
    """Pairs, the later one first, of which one puts together what the other keeps apart."""
    found = []
    by_frame: dict[tuple[str, int], set[int]] = {}
    for number, later in enumerate(decisions):
        frames = {(seen.source, seen.frame) for part in later.parts for seen in part}
        near = set[int]().union(*(by_frame.get(frame, set()) for frame in frames))
        found += [
            (later, decisions[n])
            for n in sorted(near)
            if SPLIT in (later.action, decisions[n].action) and _contradict(later, decisions[n])
        ]
        for frame in frames:
            by_frame.setdefault(frame, set()).add(number)
    return found


def _contradict(one: Decision, other: Decision) -> bool:
    for first, second in itertools.combinations(_shared_parts(one, other), 2):
        together_in_one = one.action == MERGE or first[0] == second[0]
        together_in_other = other.action == MERGE or first[1] == second[1]
        if together_in_one != together_in_other:
            return True
    return False


def _shared_parts(one: Decision, other: Decision) -> set[tuple[int, int]]:
    """Numbers of parts of both decisions that share an observation."""
    boxes: dict[tuple[str, int], list[tuple[int, Seen]]] = {}
    for number, part in enumerate(other.parts):
        for seen in part:
            boxes.setdefault((seen.source, seen.frame), []).append((number, seen))
    shared = set()
    for number, part in enumerate(one.parts):
        for seen in part:
            for other_number, known in boxes.get((seen.source, seen.frame), []):
                if iou(np.array([seen.xyxy]), np.array([known.xyxy]))[0, 0] >= SAME_BOX_IOU:
                    shared.add((number, other_number))
    return shared

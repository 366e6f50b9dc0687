"""Which assets of an inventory a decision is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reg_yolo.inventory.decisions.decision import UNDO, Decision, NotApplied
from reg_yolo.inventory.decisions.grouping import main_of
from reg_yolo.inventory.decisions.matching import BoxIndex, Sources, refuse_other_drives
from reg_yolo.inventory.review.catalogue import Catalogue

_NO_LONGER = "no asset of this inventory has its observations"


def resolve(
    catalogue: Catalogue, decisions: Sequence[Decision], files: Sequence[Path] = ()
) -> tuple[dict[str, list[str]], list[NotApplied]]:
    """Return the ids of the assets that each decision is about, by the decision's id, and what no longer fits.

    A decision that names its assets is looked up there; only where their observations are not its own, all of the
    inventory is searched, as after another build.

    Args:
        catalogue: The inventory.
        decisions: What was decided; undos are about no asset.
        files: Where the decisions were read.

    Raises:
        DataError: If a file's decisions are for another drive.
    """
    found: dict[str, list[str]] = {}
    left = []
    for decision in decisions:
        if decision.action == UNDO:
            continue
        named = as_named(catalogue, decision)
        if named is None:
            left.append(decision)
        else:
            found[decision.decision_id] = named
    if not left:
        return found, []
    searched, names = _searched(catalogue, left)
    refuse_other_drives(files, decisions, names)
    dropped = [NotApplied.of(one, _NO_LONGER) for one in left if one.decision_id not in searched]
    return found | searched, dropped


def as_named(catalogue: Catalogue, decision: Decision) -> list[str] | None:
    """Return the ids that a decision names; None where it names none, or they are not those of its observations."""
    ids = list(dict.fromkeys(decision.asset_ids))
    if not ids or not all(_is_of(catalogue, asset_id, decision) for asset_id in ids):
        return None
    return ids


def _is_of(catalogue: Catalogue, asset_id: str, decision: Decision) -> bool:
    """Whether an asset holds most observations of one of the parts of a decision."""
    record = catalogue.observed(asset_id)
    if record is None:
        return False
    index: BoxIndex[int] = BoxIndex(Sources({one["source"] for one in record["observations"]}), [decision])
    for one in record["observations"]:
        if index.wants(one["source"], one["frame"]):
            index.add(one["source"], one["frame"], one["xyxy"], 0)
    return any(2 * len(index.find(part)) > len(part) for part in decision.parts)


def _searched(catalogue: Catalogue, decisions: Sequence[Decision]) -> tuple[dict[str, list[str]], set[str]]:
    names = {one["source"] for record in catalogue.every_record() for one in record["observations"]}
    index: BoxIndex[str] = BoxIndex(Sources(names), decisions)
    for record in catalogue.every_record():
        for one in record["observations"]:
            if index.wants(one["source"], one["frame"]):
                index.add(one["source"], one["frame"], one["xyxy"], record["asset_id"])
    found = {}
    for decision in decisions:
        mains = [_main(index.find(part)) for part in decision.parts]
        if all(mains):
            found[decision.decision_id] = list(dict.fromkeys(main for main in mains if main))
    return found, names


def _main(ids: Sequence[str]) -> str | None:
    """The id that is more than half of them."""
    numbers = {asset_id: n for n, asset_id in enumerate(dict.fromkeys(ids))}
    main = main_of([numbers[asset_id] for asset_id in ids])
    return None if main is None else list(numbers)[main]

"""Whether the records of a comparison belong together: refused where they do not, said where it matters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reg_yolo.errors import DataError
from reg_yolo.evaluation.comparison.records import RunRecord, content_differences, run_name

Key = tuple[str, str, int]
_SHOWN = 3


def choose_records(
    records: Sequence[RunRecord], planned: Mapping[Key, tuple[str, Mapping[str, Any]]], defaults: Mapping[str, Any]
) -> tuple[list[RunRecord], list[str]]:
    """Choose the record of each run of a plan.

    Args:
        records: All that were found.
        planned: By set, arm and seed, the hash and the content of the run that the plan means.
        defaults: Every setting at its default.

    Returns:
        The records that are the plan's, and a sentence for those that are left out.
    """
    chosen: dict[Key, RunRecord] = {}
    notes = []
    for record in sorted(records, key=lambda each: each.finished):
        key = (record.set_name, record.arm, record.seed)
        if key not in planned:
            notes.append(f"Left out, not in the plan: {record.name} ({record.run_hash[:8]}).")
            continue
        run_hash, content = planned[key]
        differences = [] if record.run_hash == run_hash else content_differences(record.content, content, defaults)
        if not differences:
            chosen[key] = record
            continue
        shown = "; ".join(differences[:_SHOWN]) + (
            f"; {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        )
        notes.append(f"Left out, made with other settings: {record.name} ({record.run_hash[:8]}): {shown}.")
    return [chosen[key] for key in planned if key in chosen], notes


def require_comparable(records: Sequence[RunRecord]) -> None:
    """Refuse records of a set that are not paired, or were made on different devices or in different precision.

    Arms that ask for another precision than others are compared in it.

    Raises:
        DataError: With what differs.
    """
    for name in dict.fromkeys(record.set_name for record in records):
        own = [record for record in records if record.set_name == name]
        cure = "repeat one part on the other's, into a folder of its own"
        _require_one(own, lambda r: r.environment["processor"], f"{name}: runs of several devices", cure)
        # Arms that ask for another precision than others are there to be compared in it.
        for amp in {str(_amp(record)): _amp(record) for record in own}.values():
            alike = [record for record in own if _amp(record) == amp]
            _require_one(
                alike, lambda r: r.environment["precision"], f"{name}: runs of one amp in several precisions", cure
            )
        _require_one(
            own,
            lambda r: ", ".join(figures.name for figures in r.boxes),
            f"{name}: runs with different classes",
            "give all arms the same list of classes",
        )
        _require_one(
            own,
            lambda r: f"{r.images['evaluated']} images ({r.images['digest']})",
            f"{name}: the arms were evaluated on different images",
            "give them the same validation split",
        )
        _require_one(
            own,
            lambda r: f"{r.steps} steps",
            f"{name}: the arms took different numbers of optimizer steps",
            "set epochs, batch, nbs and the length of an epoch alike",
        )


def pairing_notes(records: Sequence[RunRecord], reference: str, planned: Sequence[Key]) -> list[str]:
    """Return sentences about what the runs of one seed do not share, and about what is missing."""
    notes = []
    by_key = {(record.set_name, record.arm, record.seed): record for record in records}
    unlike: tuple[tuple[Callable[[RunRecord], Any], str], ...] = (
        (lambda r: r.initial_weights, "start from other weights"),
        (lambda r: r.draws, "see other batches"),
        (lambda r: r.environment["precision"], "compute in another precision"),
    )
    for value_of, what in unlike:
        other: dict[str, set[str]] = {}
        for (set_name, arm, seed), record in by_key.items():
            base = by_key.get((set_name, reference, seed))
            if base is not None and value_of(base) != value_of(record):
                other.setdefault(set_name, set()).add(arm)
        notes += [
            f"On {name}, these arms {what} than {reference}: {', '.join(sorted(arms))}." for name, arms in other.items()
        ]
    for label, value in _PROVENANCE.items():
        found = Counter(value(record) for record in records)
        if len(found) > 1:
            notes.append(f"Runs differ in {label}: " + ", ".join(f"{v} ({n})" for v, n in found.most_common()) + ".")
    missing = [run_name(*key) for key in planned if key not in by_key]
    if missing:
        shown = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
        notes.append(f"Not finished: {len(missing)} of {len(planned)} runs: {shown}.")
    return notes


_PROVENANCE: dict[str, Callable[[RunRecord], str]] = {
    "reg_yolo's code": lambda r: f"{r.environment['versions']['reg_yolo']} {r.environment['versions']['code'][:8]}",
    "Ultralytics' version": lambda r: str(r.environment["versions"]["ultralytics"]),
    "torch's version": lambda r: str(r.environment["versions"]["torch"]),
    "threads": lambda r: str(r.environment["threads"]),
    "loader workers": lambda r: str(r.environment["workers"]),
}


def _amp(record: RunRecord) -> Any:
    return record.content.get("train", {}).get("amp")


def _require_one(records: Sequence[RunRecord], value: Callable[[RunRecord], str], problem: str, cure: str) -> None:
    found: dict[str, list[RunRecord]] = {}
    for record in records:
        found.setdefault(value(record), []).append(record)
    if len(found) > 1:
        shown = "; ".join(f"{text}: {len(own)} runs such as {own[0].name}" for text, own in found.items())
        raise DataError(f"{problem} are not compared: {shown}; {cure}")

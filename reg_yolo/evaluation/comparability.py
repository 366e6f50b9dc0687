"""Whether the rows of a table were measured on the same thing, in sentences for under the table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from reg_yolo.evaluation.per_class import DetectionReport
from reg_yolo.evaluation.run_results import RunResult

NOT_COMPARABLE = "NOT COMPARABLE"
Measured = tuple[RunResult, DetectionReport]


def comparability_notes(entries: Sequence[Measured]) -> list[str]:
    """Return what stands against comparing runs with each other; empty where nothing does.

    Args:
        entries: Each run with the report that its row is from.
    """
    classes = _grouped(entries, lambda _run, report: ", ".join(result.name for result in report.classes))
    if len(classes) > 1:
        listed = "; ".join(f"{_names(labels)}: {names}" for names, labels in classes.items())
        return [f"{NOT_COMPARABLE}, the runs have different classes. {listed}."]
    counts = _grouped(
        entries,
        lambda _run, report: json.dumps(
            [report.split, report.images, [(result.name, result.images, result.instances) for result in report.classes]]
        ),
    )
    if len(counts) > 1:
        listed = "; ".join(f"{_names(labels)}: {_counted(entries, labels)}" for labels in counts.values())
        return [f"{NOT_COMPARABLE}, the runs were validated on different data. {listed}."]
    notes = []
    places = _grouped(entries, _place)
    if len(places) > 1:
        listed = "; ".join(f"{_names(labels)}: {place or 'unknown'}" for place, labels in places.items())
        notes.append(
            "The validation images come from different places with the same counts; make sure they are the same. "
            f"{listed}."
        )
    sizes = _grouped(entries, lambda run, _report: "unknown" if run.imgsz is None else f"{run.imgsz} px")
    if len(sizes) > 1:
        listed = "; ".join(f"{_names(labels)}: {size}" for size, labels in sizes.items())
        notes.append(f"The runs see the images at different sizes. {listed}.")
    return notes


def _grouped(entries: Sequence[Measured], key: Callable[[RunResult, DetectionReport], str]) -> dict[str, list[str]]:
    """Return the labels of the runs by what `key` says of them, in the runs' order."""
    groups: dict[str, list[str]] = {}
    for run, report in entries:
        groups.setdefault(key(run, report), []).append(run.label)
    return groups


def _names(labels: Sequence[str]) -> str:
    return ", ".join(labels)


def _counted(entries: Sequence[Measured], labels: Sequence[str]) -> str:
    """Return split and counts of the first of `labels`."""
    report = next(report for run, report in entries if run.label == labels[0])
    objects = ", ".join(f"{result.name} {result.instances}" for result in report.classes)
    return f"split {report.split} with {report.images} images ({objects})"


def _place(run: RunResult, report: DetectionReport) -> str:
    images = run.data.get(report.split)
    if images is None:
        return ""
    listed = [str(images)] if isinstance(images, str) else [str(image) for image in images]
    return ", ".join(listed)

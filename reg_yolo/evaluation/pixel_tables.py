"""Tables of finished runs of task semantic: mIoU, pixel accuracy and boundary F1 of each run, and IoU by class."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reg_yolo.evaluation.comparability import NOT_COMPARABLE
from reg_yolo.evaluation.paper_tables import PaperTable, ResultRow
from reg_yolo.evaluation.per_pixel import METRICS, PixelClassResult, PixelReport
from reg_yolo.evaluation.run_results import BOX_FILE, read_settings, report_file, without_seed
from reg_yolo.stored import damage_named, read_stored_json

HEADINGS = ("mIoU", "Pixel accuracy by class", "Boundary F1", "Pixel accuracy")
_BY_CLASS = ("IoU", "Pixel accuracy", "Boundary F1")


@dataclass(frozen=True)
class PixelRun:
    """Results of one training run of task semantic.

    Attributes:
        label: What the run is called in tables.
        folder: The run directory.
        model: Name of the network, such as ``yolov8n-sem``.
        report: Per-class results of its final validation.
        settings: Content of reg.yaml.
    """

    label: str
    folder: Path
    model: str
    report: PixelReport
    settings: dict[str, Any]

    @property
    def weights(self) -> Path:
        """The weights that were validated."""
        return self.folder / "weights" / "best.pt"

    @property
    def method(self) -> str:
        """What was trained, as text that is the same for runs that differ in seed, device and workers only."""
        train = {k: v for k, v in (self.settings.get("train") or {}).items() if k not in ("seed", "device", "workers")}
        return json.dumps({**self.settings, "train": train}, sort_keys=True, default=str)


def read_pixel_run(folder: Path, label: str) -> PixelRun:
    """Read one finished run.

    Raises:
        DataError: If the folder is not a run, a file in it is damaged, or its final validation is missing.
    """
    settings = read_settings(folder)
    path = report_file(folder, BOX_FILE)
    with damage_named(path, "a report of pixels", "`reg-yolo val` writes it again"):
        report = PixelReport.from_dict(read_stored_json(path))
    return PixelRun(label, folder, Path(str(settings.get("model", ""))).stem, report, settings)


def pixel_tables(runs: Sequence[PixelRun], *, group: bool = False) -> list[PaperTable]:
    """Return the table of means and the table of IoU by class.

    Args:
        runs: Finished runs.
        group: Put runs that differ in nothing but their seed into one row, mean and standard deviation.
    """
    groups: dict[str, list[PixelRun]] = {}
    for run in runs:
        groups.setdefault(run.method if group else run.label, []).append(run)
    members = list(groups.values())
    labels = [without_seed(each[0].label) if group else each[0].label for each in members]
    if len(set(labels)) < len(labels):
        labels = [each[0].label for each in members]
    names = list(dict.fromkeys(result.name for run in runs for result in run.report.classes))
    notes = ["In percent, at the size that the network sees. Means are over the classes, background among them."]
    if group:
        notes.append("Mean ± sample standard deviation over runs that differ in nothing but their seed.")
    truths = {
        json.dumps([run.report.split, *((result.name, result.pixels) for result in run.report.classes)]) for run in runs
    }
    if len(truths) > 1:
        notes.append(f"{NOT_COMPARABLE}, the runs were validated on different pixels.")
    headings = ("Run", "Model", *(["Runs"] if group else []))
    cells = [
        (label, each[0].model or "–", *([str(len(each))] if group else []))
        for label, each in zip(labels, members, strict=True)
    ]
    reports = tuple(tuple((run.label, run.report) for run in each) for each in members)

    def table(name: str, title: str, metrics: tuple[str, ...], values: list[list[tuple[float, ...]]]) -> PaperTable:
        rows = tuple(_row(cell, each) for cell, each in zip(cells, values, strict=True))
        return PaperTable(
            name, title, headings, rows, tuple(notes), len(truths) == 1, reports, metrics, ("iou", "IoU by class")
        )

    means = [[(*_values(run.report.mean), run.report.pixel_accuracy) for run in each] for each in members]
    by_class = [[tuple(_iou_of(run.report, name) for name in names) for run in each] for each in members]
    return [
        table("table4_semantic", "Table 4: semantic segmentation, pixels", HEADINGS, means),
        table("table5_semantic_iou", "Table 5: semantic segmentation, IoU by class", tuple(names), by_class),
    ]


def pixel_class_tables(table: PaperTable) -> list[PaperTable]:
    """Return a table of the classes for each run in a table of `pixel_tables`."""
    tables = []
    for number, (label, report) in enumerate((pair for row in table.reports for pair in row), start=1):
        assert isinstance(report, PixelReport), "made by pixel_tables"
        rows = tuple(
            ResultRow((result.name, str(result.images), f"{result.pixels:,}"), _values(result))
            for result in (report.mean, *report.classes)
        )
        title, headings = f"{table.title}, by class: {label}", ("Class", "Images", "Pixels")
        name = f"{table.name}_by_class_{number}"
        tables.append(PaperTable(name, title, headings, rows, tuple(report.notes), False, metrics=_BY_CLASS))
    return tables


def _values(result: PixelClassResult) -> tuple[float, ...]:
    return tuple(float(getattr(result, metric)) for metric in METRICS)


def _iou_of(report: PixelReport, name: str) -> float:
    return next((result.iou for result in report.classes if result.name == name), float("nan"))


def _row(cells: tuple[str, ...], values: Sequence[tuple[float, ...]]) -> ResultRow:
    columns = list(zip(*values, strict=True))
    deviations = tuple(_deviation(column) for column in columns) if len(values) > 1 else ()
    return ResultRow(cells, tuple(statistics.fmean(column) for column in columns), deviations)


def _deviation(column: Sequence[float]) -> float:
    """Return the sample standard deviation; NaN where a class has no figure."""
    return statistics.stdev(column) if all(map(math.isfinite, column)) else math.nan

"""The paper's tables from finished runs: detection, segmentation masks, segmentation boxes; a row for each run.

mAP50 and mAP50-95 are COCO average precision, the mean over the classes that have objects. Precision, recall and F1
are those that the run stored, at the confidence of the best F1 (REG section 3.1). Figures are percent.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reg_yolo.evaluation.comparability import NOT_COMPARABLE, Measured, comparability_notes
from reg_yolo.evaluation.latex import bold_latex, escape_latex, latex_table
from reg_yolo.evaluation.per_class import ClassResult, DetectionReport
from reg_yolo.evaluation.per_pixel import PixelReport
from reg_yolo.evaluation.run_results import RunResult, of_classes, without_seed
from reg_yolo.text_tables import csv_text, escape_markdown, markdown_rows, text_table

METRICS = {"mAP50": "ap50", "mAP50-95": "ap", "P": "precision", "R": "recall", "F1": "f1"}
DECIMALS = 2
_DASH = "–"


@dataclass(frozen=True)
class ResultRow:
    """One row of figures.

    Attributes:
        cells: What stands left of the figures.
        values: Fractions in [0, 1] in the order of the table's metrics; NaN where there is none.
        deviations: Sample standard deviations of the values; empty for a single run.
    """

    cells: tuple[str, ...]
    values: tuple[float, ...]
    deviations: tuple[float, ...] = ()


@dataclass(frozen=True)
class PaperTable:
    """A table of figures in percent.

    Attributes:
        name: Stem of its files.
        title: Stands above it.
        headings: Of the columns left of the figures.
        rows: Its rows.
        notes: Sentences that stand under it.
        emphasised: Whether the best figure of every column is bold.
        reports: The reports that each row is from, with the runs' labels; one, but where runs are grouped.
        metrics: Headings of the figures.
        by_class: What a chart shows of each class: the attribute of its result, and the heading.
    """

    name: str
    title: str
    headings: tuple[str, ...]
    rows: tuple[ResultRow, ...]
    notes: tuple[str, ...] = ()
    emphasised: bool = True
    reports: tuple[tuple[tuple[str, DetectionReport | PixelReport], ...], ...] = field(default=(), repr=False)
    metrics: tuple[str, ...] = tuple(METRICS)
    by_class: tuple[str, str] = ("ap", "mAP50-95 by class")

    @property
    def all_headings(self) -> list[str]:
        """Headings of all columns."""
        return [*self.headings, *self.metrics]

    def as_text(self) -> str:
        """Return an aligned table for a terminal; the best figures carry an asterisk."""
        rows = self.styled(str, lambda text: f"{text}*", lambda text: f"{text} ")
        return "\n".join([self.title, text_table(self.all_headings, rows), "", *self.notes]) + "\n"

    def as_markdown(self) -> str:
        """Return a Markdown table, the title above and the notes under it."""
        rows = self.styled(escape_markdown, lambda text: f"**{text}**")
        table = markdown_rows([escape_markdown(heading) for heading in self.all_headings], rows, self.text_columns)
        notes = [escape_markdown(note) for note in self.notes]
        return "\n\n".join([f"**{escape_markdown(self.title)}**", table, *notes]) + "\n"

    def as_latex(self) -> str:
        """Return a floating table in the manner of booktabs; the notes are part of the caption."""
        # LaTeX counts the tables itself.
        title = self.title.partition(": ")[2]
        caption = " ".join([f"{title[:1].upper()}{title[1:]}.", *self.notes])
        rows = self.styled(escape_latex, bold_latex)
        label = f"tab:{self.name}"
        return latex_table(self.all_headings, rows, caption=caption, label=label, text_columns=self.text_columns)

    def as_csv(self) -> str:
        """Return CSV: percent to 6 decimals, and with groups the standard deviations in columns of their own."""
        grouped = any(row.deviations for row in self.rows)
        spread = [f"{metric} std" for metric in self.metrics] if grouped else []
        lines: list[Sequence[object]] = [[*self.headings, *self.metrics, *spread]]
        for row in self.rows:
            figures = [*row.values, *(row.deviations or [math.nan] * len(spread))]
            numbers = [f"{100 * value:.6f}" if math.isfinite(value) else "" for value in figures]
            lines.append([*("" if cell == _DASH else cell for cell in row.cells), *numbers])
        return csv_text(lines)

    def styled(
        self, plain: Callable[[str], str], best: Callable[[str], str], other: Callable[[str], str] | None = None
    ) -> list[list[str]]:
        """Return the cells of all rows.

        Args:
            plain: Applied to the cells left of the figures.
            best: Applied to the best figures of every column, as they are printed; equal ones are all best.
            other: Applied to all other figures; by default as `plain`.
        """
        winners = [self._best_of(column) for column in range(len(self.metrics))]
        rows = []
        for row in self.rows:
            figures = []
            for column, value in enumerate(row.values):
                text = printed(value)
                deviation = f" ± {printed(row.deviations[column])}" if row.deviations and text != _DASH else ""
                style = best if text == winners[column] else other or plain
                figures.append(style(text + deviation))
            rows.append([*(plain(cell) for cell in row.cells), *figures])
        return rows

    @property
    def text_columns(self) -> int:
        """How many columns from the left hold words; the rest are numbers."""
        return sum(heading in {"Run", "Class", "Model"} for heading in self.headings)

    def _best_of(self, column: int) -> str | None:
        finite = [row.values[column] for row in self.rows if math.isfinite(row.values[column])]
        return printed(max(finite)) if self.emphasised and len(finite) > 1 else None


def printed(value: float) -> str:
    """Return a fraction as percent with two decimals, as the paper prints it; a dash where there is none."""
    return f"{100 * value:.{DECIMALS}f}" if math.isfinite(value) else _DASH


def paper_tables(runs: Sequence[RunResult], *, group: bool = False) -> list[PaperTable]:
    """Return the tables that the runs' tasks belong in: 1 detection, 2 segmentation masks, 3 segmentation boxes.

    A detection run has a row in Table 1, a segmentation run in Tables 2 and 3. A joint run has one in each: boxes of
    all classes, masks, and boxes of the classes that have masks.

    Args:
        runs: Finished runs.
        group: Put runs that differ in nothing but their seed into one row, mean and standard deviation.
    """
    everything: list[tuple[str, str, list[Measured]]] = [
        ("table1_detection", "Table 1: detection, boxes", [(r, r.boxes) for r in runs if r.task != "segment"]),
        ("table2_masks", "Table 2: segmentation, masks", [(r, r.masks) for r in runs if r.masks is not None]),
        (
            "table3_segmentation_boxes",
            "Table 3: segmentation, boxes",
            [(r, of_classes(r.boxes, r.mask_classes)) for r in runs if r.masks is not None],
        ),
    ]
    return [_table(name, title, entries, group) for name, title, entries in everything if entries]


def per_class_tables(table: PaperTable) -> list[PaperTable]:
    """Return a table of the classes for each run in a table of the paper."""
    tables = []
    for number, (label, report) in enumerate((pair for row in table.reports for pair in row), start=1):
        assert isinstance(report, DetectionReport), "pixels have tables of their own"
        rows = [
            ResultRow((name, str(result.images), str(result.instances)), _values_of(result))
            for name, result in [("all", report.mean), *((_marked(r), r) for r in report.classes)]
        ]
        title = f"{table.title}, by class: {label}"
        headings = ("Class", "Images", "Instances")
        tables.append(
            PaperTable(f"{table.name}_by_class_{number}", title, headings, tuple(rows), tuple(report.notes), False)
        )
    return tables


def _table(name: str, title: str, entries: Sequence[Measured], group: bool) -> PaperTable:
    groups: dict[str, list[Measured]] = {}
    for run, report in entries:
        groups.setdefault(run.method if group else run.label, []).append((run, report))
    known = {
        "Params (M)": any(run.parameters for run, _ in entries),
        "Size (MB)": any(run.size_mb for run, _ in entries),
        "Epochs": any(run.epochs for run, _ in entries),
    }
    headings = ("Run", "Model", *(["Runs"] if group else []), *(heading for heading, shown in known.items() if shown))
    labelled = _labelled(groups, group)
    rows = tuple(_row(members, headings, label) for label, members in labelled)
    points = sorted({report.operating_point for _, report in entries})
    notes = [f"In percent. P, R and F1 at {' or '.join(points)}; F1 is the mean of the classes' F1."]
    if group:
        notes.append("Mean ± sample standard deviation over runs that differ in nothing but their seed.")
    if name.startswith("table3") and any(run.task == "joint" for run, _ in entries):
        notes.append("Of a joint run, the classes that have masks, at the confidence that is best for all its classes.")
    if any(result.is_rare for _, report in entries for result in report.classes):
        notes.append("Some classes have fewer than 20 instances; the means depend on them as much as on the others.")
    unfound = [run.label for run, report in entries if any(_nothing_found(result) for result in report.classes)]
    if unfound:
        notes.append(
            "A class of which nothing is found at that confidence counts as P 100, which lifts the mean P of "
            f"{', '.join(unfound)}."
        )
    reports = tuple(tuple((run.label, report) for run, report in members) for _, members in labelled)
    doubts = comparability_notes(entries)
    # The best of figures that were not measured on the same thing means nothing.
    emphasised = not any(doubt.startswith(NOT_COMPARABLE) for doubt in doubts)
    return PaperTable(name, title, headings, rows, (*notes, *doubts), emphasised, reports)


def _labelled(groups: dict[str, list[Measured]], group: bool) -> list[tuple[str, list[Measured]]]:
    """Return a label for each group: the runs' own without the seed, where that tells the groups apart."""
    if not group:
        return list(groups.items())
    stems = [{without_seed(run.label) for run, _ in members} for members in groups.values()]
    firsts = [members[0][0].label for members in groups.values()]
    labels = [stem.pop() if len(stem) == 1 else first for stem, first in zip(stems, firsts, strict=True)]
    if len(set(labels)) < len(labels):
        labels = firsts
    return list(zip(labels, groups.values(), strict=True))


def _row(members: Sequence[Measured], headings: Sequence[str], label: str) -> ResultRow:
    runs = [run for run, _ in members]
    cells = {
        "Run": label,
        "Model": runs[0].model or _DASH,
        "Runs": str(len(runs)),
        "Params (M)": _span([run.parameters and run.parameters / 1e6 for run in runs], "{:.2f}"),
        "Size (MB)": _span([run.size_mb for run in runs], "{:.1f}"),
        "Epochs": _span([run.epochs for run in runs], "{:.0f}"),
    }
    columns = list(zip(*(_values_of(report.mean) for _, report in members), strict=True))
    deviations = tuple(statistics.stdev(column) for column in columns) if len(members) > 1 else ()
    values = tuple(statistics.fmean(column) for column in columns)
    return ResultRow(tuple(cells[heading] for heading in headings), values, deviations)


def _span(values: Sequence[float | None], pattern: str) -> str:
    texts = {pattern.format(value): value for value in values if value is not None}
    ordered = sorted(texts, key=lambda text: float(text))
    return f"{ordered[0]}–{ordered[-1]}" if len(ordered) > 1 else (ordered or [_DASH])[0]


def _values_of(result: ClassResult) -> tuple[float, ...]:
    return tuple(float(getattr(result, attribute)) for attribute in METRICS.values())


def _nothing_found(result: ClassResult) -> bool:
    """Return whether upstream's precision of 1 for no detection at all stands in a class's result."""
    return result.instances > 0 and result.recall == 0 and result.precision == 1


def _marked(result: ClassResult) -> str:
    return f"{result.name} *" if result.is_rare else result.name

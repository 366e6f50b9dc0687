"""The tables of a comparison: means, paired differences, classes; as Markdown, LaTeX and CSV. Figures are percent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from reg_yolo.evaluation.comparison.differences import ArmComparison, Comparison
from reg_yolo.evaluation.comparison.endpoints import ENDPOINTS
from reg_yolo.evaluation.latex import bold_latex, escape_latex, latex_table
from reg_yolo.text_tables import csv_text, escape_markdown, markdown_rows, text_table

_DASH = "–"


@dataclass(frozen=True)
class ComparisonTable:
    """A table of text cells.

    Attributes:
        name: Stem for cross-references.
        title: Stands above it.
        headings: One for each column.
        rows: Cells, not escaped.
        text_columns: How many columns from the left hold words.
        notes: Sentences under it.
        bold: Rows whose cells are emphasised.
    """

    name: str
    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int = 1
    notes: tuple[str, ...] = ()
    bold: frozenset[int] = frozenset()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**asdict(self), "bold": sorted(self.bold)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ComparisonTable:
        """Rebuild from `to_dict`'s data."""
        lists = {key: tuple(data[key]) for key in ("headings", "notes")}
        rows = tuple(tuple(row) for row in data["rows"])
        return cls(**{**data, **lists, "rows": rows, "bold": frozenset(data["bold"])})

    def as_text(self) -> str:
        """Return an aligned table for a terminal."""
        return "\n".join([self.title, text_table(self.headings, self.rows), "", *self.notes]) + "\n"

    def as_markdown(self) -> str:
        """Return a Markdown table, the title above and the notes under it."""
        rows = self._styled(escape_markdown, lambda text: f"**{escape_markdown(text)}**")
        table = markdown_rows([escape_markdown(heading) for heading in self.headings], rows, self.text_columns)
        notes = [escape_markdown(note) for note in self.notes]
        return "\n\n".join([f"**{escape_markdown(self.title)}**", table, *notes]) + "\n"

    def as_latex(self) -> str:
        """Return a floating table in the manner of booktabs; the notes are part of the caption."""
        rows = self._styled(escape_latex, bold_latex)
        caption = " ".join([f"{self.title}.", *self.notes])
        label = f"tab:{self.name}"
        return latex_table(self.headings, rows, caption=caption, label=label, text_columns=self.text_columns)

    def _styled(self, plain: Callable[[str], str], strong: Callable[[str], str]) -> list[list[str]]:
        return [[(strong if i in self.bold else plain)(cell) for cell in row] for i, row in enumerate(self.rows)]


def comparison_tables(comparison: Comparison, set_name: str) -> list[ComparisonTable]:
    """Return the tables of one set: means, paired differences, classes."""
    return [
        means_table(comparison, set_name),
        differences_table(comparison, set_name),
        class_table(comparison, set_name),
    ]


def means_table(comparison: Comparison, set_name: str) -> ComparisonTable:
    """Return mean and standard deviation over seeds of every arm."""
    settings = comparison.settings
    values = {(v.arm, v.endpoint): v for v in comparison.values if v.set_name == set_name}
    rows = []
    for arm in settings.arms:
        own = [values[arm, endpoint] for endpoint in settings.endpoints]
        seeds = max(len(value.by_seed) for value in own)
        rows.append((arm, str(seeds), *(with_deviation(value.mean, value.deviation) for value in own)))
    rare = comparison.rare[set_name]
    notes = ["Mean ± sample standard deviation over seeds, in percent."]
    if any(ENDPOINTS[endpoint].rare for endpoint in settings.endpoints):
        notes.append(f"Rare classes: {', '.join(rare)}." if rare else "No class counts as rare.")
    headings = ("Arm", "Seeds", *(ENDPOINTS[endpoint].title for endpoint in settings.endpoints))
    return ComparisonTable(f"{set_name}_means", f"{set_name}: arms", headings, tuple(rows), notes=tuple(notes))


def differences_table(comparison: Comparison, set_name: str) -> ComparisonTable:
    """Return the paired differences to the reference, with the interval that decides."""
    settings = comparison.settings
    rows: list[tuple[str, ...]] = []
    bold: set[int] = set()
    for row in (c for c in comparison.comparisons if c.set_name == set_name):
        own = row.difference
        if own.is_decided:
            bold.add(len(rows))
        rows.append(
            (
                row.arm,
                ENDPOINTS[row.endpoint].title,
                signed(own.mean),
                interval(own.low, own.high),
                interval(*row.bootstrap),
                probability(row.adjusted),
                f"{own.agreeing}/{len(own.seeds)}",
                row.verdict,
            )
        )
    arms, endpoints, sets = settings.family
    members = sum(c.arm in arms and c.endpoint in endpoints and c.set_name in sets for c in comparison.comparisons)
    notes = [
        f"In points, arm less {settings.reference}, paired by seed. The 95 % t interval over seeds decides; the "
        "studentised bootstrap over images and seeds stands next to it.",
        f"Holm: p-values adjusted together over {members} comparisons, the plan's family: "
        f"{', '.join(ENDPOINTS[name].title for name in settings.endpoints if name in endpoints)} on "
        f"{', '.join(name for name in settings.sets if name in sets)}.",
        "Signs: seeds whose difference has the sign of the mean. Smallest effect: found with a chance of 80 %.",
    ]
    headings = ("Arm", "Endpoint", "Difference", "95 % t", "95 % bootstrap", "p (Holm)", "Signs", "Verdict")
    title = f"{set_name}: difference to {settings.reference}"
    name = f"{set_name}_differences"
    return ComparisonTable(name, title, headings, tuple(rows), 2, tuple(notes), frozenset(bold))


def class_table(comparison: Comparison, set_name: str) -> ComparisonTable:
    """Return average precision by class: the reference's, and every arm's difference to it."""
    settings = comparison.settings
    others = [arm for arm in settings.arms if arm != settings.reference]
    rows = []
    for row in comparison.classes[set_name]:
        cells = []
        for arm in others:
            own = row.differences.get(arm)
            sure = "*" if own is not None and own.is_decided else ""
            cells.append(_DASH if own is None else f"{signed(own.mean)}{sure}")
        name = f"{row.name} (rare)" if row.rare else row.name
        base = number(row.by_arm.get(settings.reference, math.nan))
        rows.append((name, str(row.train), str(row.objects), base, *cells))
    notes = ["AP50-95 in percent, and differences in points. * the 95 % t interval leaves out 0 (not adjusted)."]
    headings = ("Class", "Train", "Val", settings.reference, *others)
    title = f"{set_name}: AP by class, from the most frequent"
    return ComparisonTable(f"{set_name}_classes", title, headings, tuple(rows), notes=tuple(notes))


def runs_csv(comparison: Comparison) -> str:
    """Return a line for every run: its endpoints in percent, time, steps and digests."""
    settings = comparison.settings
    values = {(v.set_name, v.arm, v.endpoint): v.by_seed for v in comparison.values}
    rows = [
        [
            r.set_name, r.arm, r.seed,
            *(full(values[r.set_name, r.arm, endpoint].get(r.seed, math.nan)) for endpoint in settings.endpoints),
            r.steps, r.seconds["whole"], r.environment["processor"], r.environment["precision"],
            r.run_hash[:16], r.initial_weights, r.draws,
        ]
        for r in comparison.records
    ]  # fmt: skip
    headings = ["set", "arm", "seed", *settings.endpoints, "steps", "seconds", "processor", "precision"]
    return csv_text([[*headings, "run_hash", "initial_weights", "draws"], *rows])


def differences_csv(comparison: Comparison) -> str:
    """Return a line for every arm, endpoint and set with everything that is known of the difference, in points."""
    rows = [_difference_row(row) for row in comparison.comparisons]
    headings = "set arm endpoint seeds difference deviation t_low t_high bootstrap_low bootstrap_high p p_holm"
    return csv_text([[*headings.split(), "smallest_effect", "agreeing", "verdict", "by_seed"], *rows])


def classes_csv(comparison: Comparison) -> str:
    """Return a line for every class and arm of every set: counts, AP in percent, difference in points."""
    rows = []
    for set_name, classes in comparison.classes.items():
        for row in classes:
            for arm, value in row.by_arm.items():
                own = row.differences.get(arm)
                spread = [full(v) for v in (own.mean, own.low, own.high)] if own else ["", "", ""]
                rows.append([set_name, row.name, row.train, row.objects, row.rare, arm, full(value), *spread])
    headings = ["set", "class", "train", "objects", "rare", "arm", "ap", "difference", "t_low", "t_high"]
    return csv_text([headings, *rows])


def _difference_row(row: ArmComparison) -> list[object]:
    own = row.difference
    figures = (
        own.mean, own.deviation, own.low, own.high, *row.bootstrap, own.p_value, row.adjusted, row.smallest_effect,
    )  # fmt: skip
    by_seed = " ".join(f"{seed}:{value:.4f}" for seed, value in zip(own.seeds, own.values, strict=True))
    return [
        row.set_name, row.arm, row.endpoint, len(own.seeds), *(full(value) for value in figures), own.agreeing,
        row.verdict, by_seed,
    ]  # fmt: skip


def number(value: float) -> str:
    """Return a figure with two decimals, or a dash."""
    return f"{value:.2f}" if math.isfinite(value) else _DASH


def signed(value: float) -> str:
    """Return a difference with its sign."""
    return f"{value:+.2f}" if math.isfinite(value) else _DASH


def with_deviation(mean: float, deviation: float) -> str:
    """Return `mean ± deviation`, or the mean alone."""
    return f"{number(mean)} ± {number(deviation)}" if math.isfinite(deviation) else number(mean)


def interval(low: float, high: float) -> str:
    """Return `low to high` with signs, or a dash."""
    return f"{low:+.2f} to {high:+.2f}" if math.isfinite(low) and math.isfinite(high) else _DASH


def probability(value: float) -> str:
    """Return a p-value."""
    if not math.isfinite(value):
        return _DASH
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def full(value: float) -> str:
    """Return a figure for a spreadsheet, empty where there is none."""
    return f"{value:.6f}" if math.isfinite(value) else ""

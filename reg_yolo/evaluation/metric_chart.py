"""A chart of the metrics of finished runs: a dot for each run, for every metric and for every class."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reg_yolo.evaluation.paper_tables import PaperTable

# Okabe and Ito's colours, which the colour-blind can tell apart, each with a marker of its own.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_ROW_INCHES = 0.34


@dataclass(frozen=True)
class _Series:
    """Figures of one run, in percent, one for each line of a panel; NaN where there is none."""

    label: str
    values: list[float]
    deviations: list[float]


def draw_metric_chart(tables: Sequence[PaperTable], *, dots_per_inch: int = 120) -> bytes:
    """Draw the tables of the paper as dots and return the PNG.

    One line of panels for each table: its metrics on the left, the classes' mAP50-95 or IoU on the right. Letters are
    set in matplotlib's fonts of the moment, which must have those of the class names.

    Args:
        tables: What `paper_tables` returned.
        dots_per_inch: Resolution; a table is about 11 inches wide.
    """
    figures = [(_metric_series(table), _class_series(table), _class_names(table)) for table in tables]
    heights = [
        max(len(table.metrics), len(classes)) * _ROW_INCHES + 0.95
        for table, (_, _, classes) in zip(tables, figures, strict=True)
    ]
    styles: dict[str, int] = {}
    for metrics, by_class, _ in figures:
        for series in (*metrics, *by_class):
            styles.setdefault(series.label, len(styles))
    legend_rows = math.ceil(len(styles) / 5)
    figure = Figure(figsize=(11, sum(heights) + 0.35 + 0.25 * legend_rows), dpi=dots_per_inch, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(tables), 2, squeeze=False, height_ratios=heights, width_ratios=(1, 1.15))
    for (left, right), table, (metrics, by_class, classes) in zip(axes, tables, figures, strict=True):
        _draw(left, table.title, list(table.metrics), metrics, styles)
        _draw(right, table.by_class[1], classes, by_class, styles)
    handles = {h.get_label(): h for row in axes for panel in row for h in panel.get_legend_handles_labels()[0]}
    figure.legend(
        handles=[handles[label] for label in styles if label in handles],
        loc="outside upper center",
        ncols=min(len(styles), 5),
        frameon=False,
    )
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _draw(axes: Axes, title: str, lines: Sequence[str], every: Sequence[_Series], styles: dict[str, int]) -> None:
    """Draw one panel, the first of `lines` on top; runs of one line stand a little above each other."""
    step = min(0.6 / max(len(every), 1), 0.16)
    for number, series in enumerate(every):
        style = styles[series.label]
        shift = (number - (len(every) - 1) / 2) * step
        axes.errorbar(
            series.values,
            [row + shift for row in range(len(lines))],
            xerr=series.deviations or None,
            # From the eighth run on, colours come again with another marker.
            fmt=_MARKERS[(style + style // len(_COLOURS)) % len(_MARKERS)],
            color=_COLOURS[style % len(_COLOURS)],
            markersize=6.5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            elinewidth=1.2,
            label=series.label,
            clip_on=False,
            zorder=3,
        )
    for row in range(len(lines)):
        values = [series.values[row] for series in every if math.isfinite(series.values[row])]
        if values:
            axes.plot([min(values), max(values)], [row, row], color="0.8", linewidth=2.5, zorder=1)
    axes.set_yticks(range(len(lines)), lines)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("percent")
    axes.set_title(title, loc="left", fontsize=12)
    axes.grid(axis="x", color="0.9", zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _metric_series(table: PaperTable) -> list[_Series]:
    return [
        _Series(row.cells[0], [100 * value for value in row.values], [100 * value for value in row.deviations])
        for row in table.rows
    ]


def _class_names(table: PaperTable) -> list[str]:
    """Return the names of all classes of a table's runs, in the runs' order."""
    return list(dict.fromkeys(result.name for row in table.reports for _, report in row for result in report.classes))


def _class_series(table: PaperTable) -> list[_Series]:
    """Return the table's metric of each class for each row; of a group of runs, the mean."""
    rows = []
    for row, reports in zip(table.rows, table.reports, strict=True):
        found: dict[str, list[float]] = {}
        for _, report in reports:
            for result in report.classes:
                value = getattr(result, table.by_class[0])
                if math.isfinite(value):
                    found.setdefault(result.name, []).append(100 * value)
        values = [math.fsum(v) / len(v) if (v := found.get(name)) else math.nan for name in _class_names(table)]
        rows.append(_Series(row.cells[0], values, []))
    return rows

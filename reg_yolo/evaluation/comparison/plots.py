"""Plots of a comparison: a forest of the differences, and the gain of each class against its frequency."""

from __future__ import annotations

import io
import math

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from reg_yolo.evaluation.comparison.differences import ArmComparison, Comparison
from reg_yolo.evaluation.comparison.endpoints import ENDPOINTS

_BETTER, _WORSE, _OPEN = "#0072B2", "#D55E00", "#777777"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_ROW_INCHES = 0.34


def draw_forest(comparison: Comparison, set_name: str, *, dots_per_inch: int = 120) -> bytes:
    """Draw the differences of every arm to the reference with their intervals, a panel for each endpoint; a PNG.

    The thick line is the 95 % t interval over seeds, the thin one the bootstrap's over images and seeds, small dots are
    the seeds.

    Returns:
        The file's bytes; empty where there is nothing to compare.
    """
    rows = [row for row in comparison.comparisons if row.set_name == set_name]
    endpoints = [name for name in comparison.settings.endpoints if any(row.endpoint == name for row in rows)]
    arms = [arm for arm in comparison.settings.arms if any(row.arm == arm for row in rows)]
    if not rows:
        return b""
    columns = min(len(endpoints), 3)
    lines = math.ceil(len(endpoints) / columns)
    label_inches = 0.085 * max(map(len, arms))
    height = lines * (len(arms) * _ROW_INCHES + 0.95) + 0.55
    figure = Figure(figsize=(label_inches + 3.3 * columns, height), dpi=dots_per_inch, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for panel, endpoint in zip(panels.flat, endpoints, strict=False):
        own = {row.arm: row for row in rows if row.endpoint == endpoint}
        _draw_panel(panel, ENDPOINTS[endpoint].title, [own.get(arm) for arm in arms])
    for panel in panels.flat[len(endpoints) :]:
        panel.set_visible(False)
    for line in panels:
        line[0].set_yticks(range(len(arms)), arms)
        line[0].set_ylim(len(arms) - 0.5, -0.5)
    figure.suptitle(
        f"{set_name}: points above {comparison.settings.reference}\n"
        "thick: 95 % t over seeds; thin: bootstrap over images and seeds; dots: seeds",
        fontsize=10,
    )
    return _png(figure)


def draw_gain_by_frequency(comparison: Comparison, set_name: str, *, dots_per_inch: int = 120) -> bytes:
    """Draw every arm's gain in AP50-95 of each class against the class's count in the training split; a PNG.

    Returns:
        The file's bytes; empty where there is nothing to compare.
    """
    rows = [row for row in comparison.classes[set_name] if row.train and row.differences]
    if not rows:
        return b""
    arms = [arm for arm in comparison.settings.arms if any(arm in row.differences for row in rows)]
    figure = Figure(figsize=(8.5, 4.6), dpi=dots_per_inch, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.axhline(0, color="0.4", linewidth=1)
    for number, arm in enumerate(arms):
        # Arms of one class stand next to each other; the axis is logarithmic.
        shift = 1.035 ** (number - (len(arms) - 1) / 2)
        own = [(row.train * shift, row.differences[arm]) for row in rows if arm in row.differences]
        spread = [difference.high - difference.mean for _, difference in own]
        axes.errorbar(
            [count for count, _ in own],
            [difference.mean for _, difference in own],
            yerr=spread if len(arms) <= 4 and all(map(math.isfinite, spread)) else None,
            fmt=_MARKERS[(number + number // len(_COLOURS)) % len(_MARKERS)],
            color=_COLOURS[number % len(_COLOURS)],
            markersize=6,
            elinewidth=0.9,
            alpha=0.9,
            label=arm,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("objects in the training split")
    axes.set_ylabel(f"AP50-95, points above {comparison.settings.reference}")
    top = axes.secondary_xaxis("top")
    top.set_xticks([row.train for row in rows], [row.name for row in rows], rotation=35, ha="left", fontsize=8)
    top.xaxis.set_minor_locator(NullLocator())
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    _open_frame(axes)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    figure.suptitle(f"{set_name}: gain against class frequency", fontsize=11)
    return _png(figure)


def _draw_panel(panel: Axes, title: str, rows: list[ArmComparison | None]) -> None:
    panel.axvline(0, color="0.4", linewidth=1)
    for position, row in enumerate(rows):
        if row is None:
            continue
        own = row.difference
        colour = _OPEN if not own.is_decided else _BETTER if own.mean > 0 else _WORSE
        if math.isfinite(row.bootstrap[0]):
            panel.plot(row.bootstrap, [position + 0.22] * 2, color=colour, linewidth=1)
        if math.isfinite(own.low):
            panel.plot([own.low, own.high], [position] * 2, color=colour, linewidth=3, solid_capstyle="butt")
        panel.plot(own.values, [position - 0.22] * len(own.values), ".", color=colour, markersize=3.5)
        panel.plot([own.mean], [position], "o", color=colour, markersize=6.5, markeredgecolor="white")
    panel.set_title(title, loc="left", fontsize=10)
    panel.grid(axis="x", color="0.92")
    panel.set_axisbelow(True)
    panel.tick_params(axis="y", length=0)
    _open_frame(panel)


def _open_frame(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()

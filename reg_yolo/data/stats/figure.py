"""Statistics of a data set as one image: counts, sizes, what goes with what, and where in the image it stands."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, NullLocator

from reg_yolo.data.stats.run import QUANTILES, DatasetStats
from reg_yolo.drawing.text_tiles import FONT_PATH
from reg_yolo.files import make_folder, replace_bytes

_MOST_CLASSES = 40
_MOST_NUMBERS = 14
_SPLIT_COLOURS = {"train": "#1f5fa8", "val": "#f0a030", "test": "#5b9e6f"}
_INK, _FAINT, _GRID, _PAPER = "#222222", "#6b6b6b", "#e3e3e3", "#ffffff"
_HEAT = LinearSegmentedColormap.from_list("heat", ["#f7f9fc", "#b9d3ec", "#5b98cf", "#1f5fa8", "#0b2a52"])
# Distances between ticks of sizes that a person reads: 1, 2, 4 ... pixels.
_SIZE_TICKS = [2**power for power in range(13)]


def write_stats_figure(stats: DatasetStats, path: Path) -> None:
    """Write the statistics as a PNG of four panels.

    Args:
        stats: The result of `dataset_stats`.
        path: The PNG; its folder is made where it is missing. The file is whole or not there.
    """
    fonts = font_manager.fontManager.ttflist
    family = font_manager.get_font(str(FONT_PATH)).family_name
    if not any(font.name == family and font.weight == 400 for font in fonts):
        # Its own weight is 600; entered as the usual one, it is taken without a warning for every text.
        fonts.append(font_manager.FontEntry(fname=str(FONT_PATH), name=family, weight=400, size="scalable"))
    style: dict[Any, Any] = {
        "font.family": [family, "DejaVu Sans"],
        "font.size": 11,
        "text.color": _INK,
        "axes.labelcolor": _FAINT,
        "xtick.color": _FAINT,
        "ytick.color": _INK,
        "axes.edgecolor": _GRID,
        # A class called $x$ is not a formula.
        "text.parse_math": False,
    }
    with matplotlib.rc_context(style):
        image = io.BytesIO()
        canvas = FigureCanvasAgg(_figure(stats))
        canvas.print_png(image)
    make_folder(path.parent)
    replace_bytes(path, image.getvalue())


def _figure(stats: DatasetStats) -> Figure:
    order = np.argsort([-count for count in stats.objects], kind="stable")[:_MOST_CLASSES]
    shown = [int(index) for index in order]
    height = max(10.5, 5.0 + 0.3 * len(shown) + max(4.0, 0.24 * len(shown)))
    layout = ConstrainedLayoutEngine(w_pad=0.2, h_pad=0.2, wspace=0.04, hspace=0.05)
    figure = Figure(figsize=(16, height), dpi=110, facecolor=_PAPER, layout=layout)
    panels = figure.subplots(2, 2, width_ratios=(1, 1))
    _counts_panel(panels[0, 0], stats, shown)
    _sizes_panel(panels[0, 1], stats, shown)
    _co_occurrence_panel(panels[1, 0], stats, shown)
    _places_panel(panels[1, 1], stats)
    name = stats.data_yaml.parent.name if stats.data_yaml.stem == "data" else stats.data_yaml.stem
    images = " · ".join(f"{split} {counts.images:,} images" for split, counts in stats.splits.items())
    empty = sum(split.images_without_objects for split in stats.splits.values())
    facts = [images, f"{sum(stats.objects):,} objects", f"{empty:,} images without any"]
    if stats.imbalance_ratio is not None:
        facts.append(f"imbalance ratio {stats.imbalance_ratio:.1f}")
    if len(shown) < len(stats.class_names):
        facts.append(f"the {len(shown)} largest of {len(stats.class_names)} classes are shown")
    figure.suptitle(f"{name}\n", x=0.012, ha="left", fontsize=19)
    figure.text(0.012, 1 - 0.62 / height, "   |   ".join(facts), color=_FAINT, fontsize=12, va="top")
    return figure


def _heading(axes: Axes, text: str, detail: str) -> None:
    axes.set_title(text, loc="left", fontsize=14, pad=22)
    # Left out of the layout: a long line may run over the margin, and must not shrink the panel.
    axes.annotate(detail, (0, 1), (0, 6), "axes fraction", "offset points", color=_FAINT, fontsize=10).set_in_layout(
        False
    )


def _plain(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)


def _counts_panel(axes: Axes, stats: DatasetStats, shown: list[int]) -> None:
    _heading(axes, "Objects by class", "logarithmic scale")
    splits = list(stats.splits.items())
    thickness = 0.8 / max(1, len(splits))
    size = float(np.clip(9.5 - 0.12 * (len(shown) * len(splits) - 12), 5, 9.5))
    for number, (name, split) in enumerate(splits):
        counts = [split.objects[index] for index in shown]
        places = np.arange(len(shown)) - 0.4 + thickness * (number + 0.5)
        axes.barh(
            places, [max(count, 0.7) for count in counts], thickness * 0.9, color=_SPLIT_COLOURS[name], label=name
        )
        for place, count in zip(places, counts, strict=True):
            text = f"{count:,}" if count else "none"
            colour = _FAINT if count else "#c0392b"
            axes.annotate(
                text,
                (max(count, 0.7), place),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=size,
                color=colour,
            )
    axes.set_xscale("log")
    axes.set_xlim(0.7, 3 * max(1, *(max(split.objects) for split in stats.splits.values())))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(shown)), [stats.class_names[index] for index in shown])
    axes.set_ylim(len(shown) - 0.45, -0.55)
    axes.grid(axis="x", color=_GRID)
    _plain(axes)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, borderaxespad=0.2)


def _sizes_panel(axes: Axes, stats: DatasetStats, shown: list[int]) -> None:
    _heading(
        axes,
        f"Box sizes at {stats.imgsz} pixels",
        "root of the area: middle half (bar), 5 % to 95 % (line), median (dot); share of small | medium | large",
    )
    quantiles, areas = stats.size_quantiles_px("size"), stats.area_counts(scaled=True)
    low, median, high = 0, QUANTILES.index(0.5), len(QUANTILES) - 1
    known = [own for own in quantiles if own is not None]
    least = min((own[low] for own in known), default=8.0)
    most = max((own[high] for own in known), default=float(stats.imgsz))
    left, right = min(least, 16.0) / 1.3, max(most, 200.0) * 1.25
    for limit, name in ((32, "small | medium"), (96, "medium | large")):
        axes.axvline(limit, color="#c9c9c9", linewidth=1, linestyle=(0, (4, 3)))
        axes.annotate(name, (limit, 0), (3, 4), ("data", "axes fraction"), "offset points", fontsize=8.5, color=_FAINT)
    for place, index in enumerate(shown):
        own = quantiles[index]
        if own is None:
            continue
        axes.plot([own[low], own[high]], [place, place], color="#8fb4da", linewidth=2, solid_capstyle="round")
        axes.plot([own[1], own[-2]], [place, place], color="#1f5fa8", linewidth=8, solid_capstyle="butt")
        axes.plot([own[median]], [place], "o", color=_PAPER, markeredgecolor="#0b2a52", markersize=6.5)
        total = sum(areas[index])
        shares = " | ".join(f"{100 * count / total:.0f}" for count in areas[index])
        axes.annotate(
            f"{shares} %",
            (1, place),
            (6, 0),
            ("axes fraction", "data"),
            "offset points",
            va="center",
            fontsize=9,
            color=_FAINT,
            annotation_clip=False,
        )
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.set_xticks([tick for tick in _SIZE_TICKS if left <= tick <= right], minor=False)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_yticks(range(len(shown)), [stats.class_names[index] for index in shown])
    axes.set_ylim(len(shown) - 0.45, -0.55)
    axes.set_xlabel("pixels")
    axes.grid(axis="x", color=_GRID)
    _plain(axes)


def _co_occurrence_panel(axes: Axes, stats: DatasetStats, shown: list[int]) -> None:
    _heading(
        axes, "What stands together", "of the images with the class on the left, per cent that also hold the one below"
    )
    counts = stats.co_occurrence[np.ix_(shown, shown)]
    own = np.maximum(np.diag(counts), 1)[:, None]
    shares = 100 * counts / own
    np.fill_diagonal(shares, np.nan)
    colours = _HEAT.with_extremes(bad="#eeeeee")
    axes.imshow(shares, cmap=colours, vmin=0, vmax=100, aspect="auto")
    if len(shown) <= _MOST_NUMBERS:
        for (row, column), share in np.ndenumerate(shares):
            if row != column:
                axes.text(
                    column,
                    row,
                    f"{share:.0f}",
                    ha="center",
                    va="center",
                    fontsize=10,
                    color=_PAPER if share > 55 else _INK,
                )
    names = [stats.class_names[index] for index in shown]
    small = 11 if len(shown) <= 20 else 8
    axes.set_xticks(range(len(shown)), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=small)
    labels = [f"{name}  ({counts[place, place]:,})" for place, name in enumerate(names)]
    axes.set_yticks(range(len(shown)), labels, fontsize=small)
    axes.set_xticks(np.arange(len(shown) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(shown) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=_PAPER, linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="x", colors=_INK)


def _places_panel(axes: Axes, stats: DatasetStats) -> None:
    _heading(
        axes,
        "Where boxes lie in the image",
        "number of boxes over each place; images of all shapes are stretched to one",
    )
    width, height = stats.typical_size or (16, 9)
    coverage = stats.coverage()
    shown = axes.imshow(
        coverage,
        cmap=_HEAT,
        extent=(0, 100, 100, 0),
        aspect=height / width,
        vmin=0,
        vmax=max(1, int(coverage.max())),
        interpolation="bilinear",
    )
    axes.set_xlabel("% of the width")
    axes.set_ylabel("% of the height")
    axes.tick_params(length=0, colors=_FAINT)
    axes.spines[:].set_color("#bbbbbb")
    axes.set_anchor("NW")
    bar = axes.figure.colorbar(shown, cax=axes.inset_axes((1.03, 0.1, 0.025, 0.8)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, colors=_FAINT)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))

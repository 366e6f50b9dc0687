"""The shares of classes among the pixels of a data set as one image."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reg_yolo.data.stats.pixels import PixelStats
from reg_yolo.files import make_folder, replace_bytes


def write_pixel_figure(stats: PixelStats, path: Path) -> None:
    """Write the share of each class in each split as a PNG of bars; its folder is made where it is missing."""
    names = stats.class_names
    figure = Figure(
        figsize=(9, 1.6 + 0.42 * len(names) * max(len(stats.splits), 1) ** 0.5), dpi=110, layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    thickness = 0.8 / max(len(stats.splits), 1)
    for number, (name, split) in enumerate(stats.splits.items()):
        total = max(sum(split.pixels), 1)
        places = [index + (number - (len(stats.splits) - 1) / 2) * thickness for index in range(len(names))]
        axes.barh(places, [100 * pixels / total for pixels in split.pixels], thickness, label=name)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.set_xlabel("percent of the pixels, logarithmic")
    axes.legend(frameon=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    make_folder(path.parent)
    replace_bytes(path, stream.getvalue())

"""Precision over recall of every class in one figure, with the chosen thresholds marked."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reg_yolo.evaluation.error_kinds import RIGHT, ErrorAnalysis

# Okabe and Ito's colours, which the colour-blind can tell apart; further classes differ in their lines.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_LINES = ("-", "--", ":", "-.")


def draw_precision_recall(
    analysis: ErrorAnalysis, class_names: Sequence[str], thresholds: Mapping[str, float], dots_per_inch: int = 120
) -> bytes:
    """Draw one curve for each class that has objects, at IoU 0.5, and return the PNG.

    A dot marks where the class's threshold lies; the legend says it, with precision and recall there. Letters are set
    in matplotlib's fonts of the moment, which must have those of the class names.

    Args:
        analysis: Of the split.
        class_names: In the order of their indices.
        thresholds: Confidence by class name; a class without one gets no dot.
        dots_per_inch: Resolution; the figure is 9 inches wide.
    """
    figure = Figure(figsize=(9, 5.6), dpi=dots_per_inch, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    shown = [class_id for class_id, value in enumerate(analysis.average_precisions) if np.isfinite(value)]
    for number, class_id in enumerate(shown):
        name = class_names[class_id]
        recall, precision, confidence = curve(analysis, class_id)
        colour, line = _COLOURS[number % len(_COLOURS)], _LINES[number // len(_COLOURS) % len(_LINES)]
        label, threshold = name, thresholds.get(name)
        if threshold is not None:
            label += f"\n    from {threshold:.3f}"
            at = int((confidence >= threshold).sum()) - 1
            if at >= 0:
                label += f": P {precision[at]:.2f}, R {recall[at]:.2f}"
                axes.plot(recall[at], precision[at], "o", color=colour, markersize=7, mec="white", zorder=4)
        axes.plot(recall, precision, line, linewidth=1.4, label=label, color=colour)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Recall", ylabel="Precision")
    axes.set_title("Precision and recall of boxes at IoU 0.5; dots: the chosen thresholds")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if shown:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def curve(analysis: ErrorAnalysis, class_id: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return recall, precision and confidence of a class after each detection, the surest first, shape (K,) each."""
    rows = np.flatnonzero(analysis.detection_class == class_id)
    rows = rows[np.argsort(-analysis.confidence[rows], kind="stable")]
    right = (analysis.kind[rows] == RIGHT).cumsum()
    objects = int((analysis.object_class == class_id).sum())
    return right / objects, right / np.arange(1, len(rows) + 1), analysis.confidence[rows]

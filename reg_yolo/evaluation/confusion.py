"""What each labelled object was taken for, with the threshold of every class applied."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reg_yolo.evaluation.image_results import ImageResult, box_overlaps
from reg_yolo.evaluation.thresholds import FALLBACK_THRESHOLD
from reg_yolo.text_tables import csv_text

MATCH_IOU = 0.5
NOTHING = "(nothing)"
# Figures in cells of more classes than this cannot be read.
_MOST_WRITTEN = 20


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts of objects by what they are and what was found there.

    Attributes:
        class_names: In the order of their indices.
        thresholds: Confidence from which a detection counts, by class name.
        counts: Shape (C + 1, C + 1): row, the labelled class; column, the detected one; last, nothing.
    """

    class_names: tuple[str, ...]
    thresholds: dict[str, float]
    counts: NDArray[np.int64]

    @classmethod
    def of(
        cls, results: Sequence[ImageResult], class_names: Sequence[str], thresholds: Mapping[str, float]
    ) -> ConfusionMatrix:
        """Count; an object and a detection belong together from an IoU of 0.5, whatever their classes.

        The pair that overlaps most goes first, and each is in one pair at most.

        Args:
            results: Detections and objects of each image.
            class_names: In the order of their indices.
            thresholds: By class name; 0.25 where there is none.
        """
        nothing = len(class_names)
        counts = np.zeros((nothing + 1, nothing + 1), np.int64)
        least = np.array([thresholds.get(name, FALLBACK_THRESHOLD) for name in class_names])
        for result in results:
            shown = result.confidences >= least[result.classes]
            classes, truth = result.classes[shown], result.truth_classes
            overlaps = box_overlaps(result.boxes[shown], result.truth_boxes)
            free_found, free_truth = np.ones(len(classes), bool), np.ones(len(truth), bool)
            pairs = np.argwhere(overlaps >= MATCH_IOU)
            for row, column in pairs[np.argsort(-overlaps[tuple(pairs.T)], kind="stable")]:
                if free_found[row] and free_truth[column]:
                    free_found[row] = free_truth[column] = False
                    counts[truth[column], classes[row]] += 1
            counts[:, nothing] += np.bincount(truth[free_truth], minlength=nothing + 1)
            counts[nothing] += np.bincount(classes[free_found], minlength=nothing + 1)
        return cls(tuple(class_names), dict(zip(class_names, least.tolist(), strict=True)), counts)

    def as_csv(self) -> str:
        """Return the counts as CSV, a row for each labelled class."""
        names = [*self.class_names, NOTHING]
        return csv_text([["labelled", *names], *([name, *row] for name, row in zip(names, self.counts.tolist()))])  # noqa: B905

    def draw(self, dots_per_inch: int = 120) -> bytes:
        """Draw shares of each labelled class and return the PNG.

        Letters are set in matplotlib's fonts of the moment, which must have those of the class names.
        """
        names = [*self.class_names, NOTHING]
        sums = self.counts.sum(axis=1, keepdims=True)
        shares = np.divide(self.counts, sums, out=np.zeros(self.counts.shape), where=sums > 0)
        side = min(3.5 + 0.55 * len(names), 16)
        figure = Figure(figsize=(side + 0.8, side), dpi=dots_per_inch, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="Found", ylabel="Labelled", title="Objects at the chosen thresholds, IoU 0.5")
        for (row, column), count in np.ndenumerate(self.counts if len(names) <= _MOST_WRITTEN else np.zeros((0, 0))):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, f"{int(count)}", ha="center", va="center", color=colour, fontsize=8)
        figure.colorbar(image, ax=axes, shrink=0.7, label="Share of the row")
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
        return stream.getvalue()

"""COCO's own figures of boxes by pycocotools: AP over all and by size of the objects, and average recall.

They are not upstream's: COCO uses the 100 most confident boxes of an image, lets the most confident box choose its
object first, and samples precision at 101 recalls as it stands; upstream takes up to 300, matches the best overlaps
first, and interpolates precision linearly.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from reg_yolo.evaluation.image_results import ImageResult
from reg_yolo.text_tables import text_table

FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
_HEADINGS = ("Class", *FIGURES)
# Where a class stands in COCOeval's arrays: areas all, small, medium, large; at most 1, 10, 100 detections.
_AREAS, _MOST = 4, 3


@dataclass(frozen=True)
class CocoMetrics:
    """COCO's twelve figures for each class and their means over the classes.

    Attributes:
        class_names: In the order of their indices.
        mean: By figure, in [0, 1]; NaN where there are no such objects.
        by_class: For each class the same.
    """

    class_names: tuple[str, ...]
    mean: dict[str, float]
    by_class: tuple[dict[str, float], ...]

    @classmethod
    def of(cls, results: Sequence[ImageResult], class_names: Sequence[str]) -> CocoMetrics:
        """Evaluate what was found on every image of a split.

        Args:
            results: Detections and objects of each image, in pixels of the image as it lies on disk.
            class_names: In the order of their indices.
        """
        truth = COCO()
        truth.dataset = _truth(results, class_names)
        with contextlib.redirect_stdout(io.StringIO()):
            truth.createIndex()
            # Not by `loadRes`, which takes no empty list.
            found = COCO()
            found.dataset = {**truth.dataset, "annotations": _found(results)}
            found.createIndex()
            evaluation = COCOeval(truth, found, "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
        precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
        by_class = tuple(_figures(precision[:, :, [k]], recall[:, [k]]) for k in range(len(class_names)))
        return cls(tuple(class_names), _figures(precision, recall), by_class)

    def as_text(self) -> str:
        """Return a table in percent for a terminal."""
        lines = [("all", self.mean), *zip(self.class_names, self.by_class, strict=True)]
        rows = [[name, *(_percent(figures[figure]) for figure in FIGURES)] for name, figures in lines]
        note = (
            "COCO's figures of boxes by pycocotools, in percent; s, m, l: box area under 32², to 96², from 96² pixels."
        )
        return f"{text_table(_HEADINGS, rows)}\n\n{note}\n"


def _figures(precision: np.ndarray, recall: np.ndarray) -> dict[str, float]:
    """Return the twelve figures from COCOeval's arrays; -1 in them stands for classes without such objects."""
    most = _MOST - 1
    precisions = [precision[..., 0, most], precision[0, ..., 0, most], precision[5, ..., 0, most]]
    precisions += [precision[..., area, most] for area in range(1, _AREAS)]
    recalls = [recall[..., 0, number] for number in range(_MOST)]
    recalls += [recall[..., area, most] for area in range(1, _AREAS)]
    return {name: _mean(values) for name, values in zip(FIGURES, [*precisions, *recalls], strict=True)}


def _mean(values: np.ndarray) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else math.nan


def _truth(results: Sequence[ImageResult], class_names: Sequence[str]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for number, result in enumerate(results):
        for box, class_id in zip(_xywh(result.truth_boxes), result.truth_classes.tolist(), strict=True):
            entry = {"id": len(annotations) + 1, "image_id": number, "category_id": class_id, "iscrowd": 0}
            annotations.append({**entry, "bbox": box, "area": box[2] * box[3]})
    return {
        "info": {},
        "images": [{"id": number} for number in range(len(results))],
        "categories": [{"id": number, "name": name} for number, name in enumerate(class_names)],
        "annotations": annotations,
    }


def _found(results: Sequence[ImageResult]) -> list[dict[str, Any]]:
    annotations: list[dict[str, Any]] = []
    for number, result in enumerate(results):
        for box, class_id, confidence in zip(
            _xywh(result.boxes), result.classes.tolist(), result.confidences.tolist(), strict=True
        ):
            entry = {"id": len(annotations) + 1, "image_id": number, "category_id": class_id, "iscrowd": 0}
            annotations.append({**entry, "bbox": box, "area": box[2] * box[3], "score": confidence})
    return annotations


def _xywh(boxes: np.ndarray) -> list[list[float]]:
    moved = boxes.copy()
    moved[:, 2:] -= moved[:, :2]
    listed: list[list[float]] = moved.tolist()
    return listed


def _percent(value: float) -> str:
    return f"{100 * value:.1f}" if math.isfinite(value) else "-"

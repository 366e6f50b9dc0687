"""Every figure of a validation in one table of four columns, as CSV and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reg_yolo.evaluation.coco_metrics import CocoMetrics
from reg_yolo.evaluation.per_class import DetectionReport
from reg_yolo.files import replace_texts
from reg_yolo.text_tables import csv_text

SCHEMA = "reg_yolo.metrics/1"
_COLUMNS = ("source", "class", "metric", "value")
_UPSTREAM = ("precision", "recall", "f1", "ap50", "ap")


def metric_rows(
    reports: Sequence[DetectionReport], coco: CocoMetrics | None
) -> Iterator[tuple[str, str, str, float | None]]:
    """Yield source (`ultralytics` or `coco`, for masks with `masks` behind it), class (`all`: the mean), metric, value.

    Values are in [0, 1], counts whole; None where there is no object.
    """
    for report in reports:
        source = "ultralytics" if report.kind == "box" else "ultralytics masks"
        for result in (report.mean, *report.classes):
            yield source, result.name, "images", result.images
            yield source, result.name, "instances", result.instances
            for metric in _UPSTREAM:
                yield source, result.name, "ap50_95" if metric == "ap" else metric, _known(getattr(result, metric))
            if result.threshold is not None:
                yield source, result.name, "threshold", result.threshold
    if coco is not None:
        for name, figures in (("all", coco.mean), *zip(coco.class_names, coco.by_class, strict=True)):
            for metric, value in figures.items():
                yield "coco", name, metric, _known(value)


def write_metrics(
    folder: Path, reports: Sequence[DetectionReport], coco: CocoMetrics | None, facts: Mapping[str, Any]
) -> None:
    """Write metrics.csv and metrics.json into `folder`.

    Args:
        folder: Of the validation.
        reports: Boxes, and masks where the task has them.
        coco: COCO's figures, if they were asked for.
        facts: Plain data that belongs with the figures, such as the names of weights and data.
    """
    rows = list(metric_rows(reports, coco))
    content = {"schema": SCHEMA, **facts, "metrics": [dict(zip(_COLUMNS, row, strict=True)) for row in rows]}
    cells = [["" if cell is None else cell for cell in row] for row in rows]
    replace_texts(
        folder,
        {
            "metrics.csv": csv_text([_COLUMNS, *cells]),
            "metrics.json": json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        },
    )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

"""Label hints as files: a table for people, JSON Lines for programs, and COCO for a labelling tool.

The COCO file holds the images of the first hints with all their labels; attributes mark the doubtful ones, and missing
labels are added as further objects. CVAT reads attributes of COCO files; other tools get the objects.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reg_yolo.data.dataset.coco_ids import image_ids
from reg_yolo.diagnosis.report import Diagnosis
from reg_yolo.evaluation.label_hints import LabelHint
from reg_yolo.text_tables import csv_text

_COLUMNS = (
    "rank", "score", "hint", "image", "place", "class", "x1", "y1", "x2", "y2", "found_class", "confidence", "iou",
    "found_x1", "found_y1", "found_x2", "found_y2", "reason",
)  # fmt: skip


def hint_records(diagnosis: Diagnosis, hints: Sequence[LabelHint]) -> list[dict[str, Any]]:
    """Return plain data of hints: rank from 1, where it is, what is labelled and what was found, boxes in pixels."""
    names, results = diagnosis.class_names, diagnosis.analysis.results
    return [
        {
            "rank": rank,
            "score": round(hint.score, 3),
            "hint": hint.kind,
            "image": str(results[hint.image].path),
            "place": diagnosis.place_of(hint),
            "class": names[hint.class_id],
            "xyxy": _rounded(hint.box_xyxy),
            "found_class": None if hint.found_class is None else names[hint.found_class],
            "confidence": None if hint.confidence is None else round(hint.confidence, 4),
            "iou": None if hint.iou is None else round(hint.iou, 3),
            "found_xyxy": None if hint.found_box_xyxy is None else _rounded(hint.found_box_xyxy),
            "reason": diagnosis.reason_of(hint),
        }
        for rank, hint in enumerate(hints, start=1)
    ]


def hints_csv(records: Sequence[dict[str, Any]]) -> str:
    """Return records as CSV."""
    rows = []
    for record in records:
        box, found = record["xyxy"], record["found_xyxy"] or [None] * 4
        flat = {
            **record,
            **dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)),
            **dict(zip(("found_x1", "found_y1", "found_x2", "found_y2"), found, strict=True)),
        }
        rows.append(["" if flat[column] is None else flat[column] for column in _COLUMNS])
    return csv_text([_COLUMNS, *rows])


def hints_jsonl(records: Sequence[dict[str, Any]]) -> str:
    """Return records as JSON Lines."""
    return "".join(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records)


def hints_coco(diagnosis: Diagnosis, hints: Sequence[LabelHint]) -> str:
    """Return the images of hints with their labels and the proposed ones as COCO instances.

    Ids of images are those that `val save_json=True` and a conversion to COCO give them in the whole split.
    """
    results, names = diagnosis.analysis.results, diagnosis.class_names
    number = image_ids([result.path for result in results])
    above = os.path.commonpath([result.path.parent for result in results]) if results else ""
    of_label = {(hint.image, hint.label): (rank, hint) for rank, hint in enumerate(hints, 1) if hint.label is not None}
    chosen = sorted({hint.image for hint in hints})
    annotations: list[dict[str, Any]] = []

    def add(image: int, class_id: int, box: Sequence[float], ranked: tuple[int, LabelHint] | None) -> None:
        left, top, right, bottom = box
        entry: dict[str, Any] = {
            "id": len(annotations) + 1,
            "image_id": number[results[image].path],
            "category_id": class_id + 1,
            "bbox": _rounded((left, top, right - left, bottom - top)),
            "area": round((right - left) * (bottom - top), 2),
            "segmentation": [],
            "iscrowd": 0,
        }
        if ranked is not None:
            rank, hint = ranked
            entry["attributes"] = {
                "hint": hint.kind,
                "rank": rank,
                "hint_score": round(hint.score, 3),
                "hint_reason": diagnosis.reason_of(hint),
            }
        annotations.append(entry)

    for image in chosen:
        for label, (class_id, box) in enumerate(
            zip(results[image].truth_classes.tolist(), results[image].truth_boxes.tolist(), strict=True)
        ):
            add(image, class_id, box, of_label.get((image, label)))
    for rank, hint in enumerate(hints, start=1):
        if hint.label is None:
            add(hint.image, hint.class_id, hint.box_xyxy, (rank, hint))
    images = [
        {
            "id": number[results[image].path],
            "file_name": Path(os.path.relpath(results[image].path, above)).as_posix(),
            "width": results[image].width,
            "height": results[image].height,
        }
        for image in chosen
    ]
    categories = [{"id": index, "name": name} for index, name in enumerate(names, start=1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 2) for value in values]

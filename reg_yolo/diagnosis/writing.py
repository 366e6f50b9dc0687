"""Everything that a diagnosis leaves in a folder."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reg_yolo.diagnosis.hint_files import hint_records, hints_coco, hints_csv, hints_jsonl
from reg_yolo.diagnosis.images import write_worst_images
from reg_yolo.diagnosis.page import write_page
from reg_yolo.diagnosis.report import Diagnosis
from reg_yolo.evaluation.error_kinds import KINDS
from reg_yolo.files import replace_texts
from reg_yolo.text_tables import csv_text

SCHEMA = "reg_yolo.diagnosis/1"
PAGE, SHEET = "diagnosis.html", "worst_images.jpg"


def write_diagnosis(folder: Path, diagnosis: Diagnosis, *, hints: int = 200, worst: int = 12) -> Path:
    """Write tables, hints, the sheet of the worst images and the page, and return the page.

    Args:
        folder: Where to write; made if need be.
        diagnosis: What is written.
        hints: How many hints go into label_hints.jsonl and label_hints.coco.json; label_hints.csv has every label.
        worst: Images on the contact sheet.
    """
    chosen = diagnosis.open_hints[:hints]
    replace_texts(
        folder,
        {
            "diagnosis.txt": diagnosis.as_text(),
            "errors.csv": csv_text(error_rows(diagnosis)),
            "diagnosis.json": json.dumps(to_dict(diagnosis), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            "label_hints.csv": hints_csv(hint_records(diagnosis, diagnosis.hints)),
            "label_hints.jsonl": hints_jsonl(hint_records(diagnosis, chosen)),
            "label_hints.coco.json": hints_coco(diagnosis, chosen),
        },
    )
    images = [one.image for one in diagnosis.worst[:worst]]
    shown = write_worst_images(folder / SHEET, diagnosis.analysis, diagnosis.class_names, images)
    write_page(folder / PAGE, diagnosis, chosen, folder / SHEET if shown else None)
    return folder / PAGE


def error_rows(diagnosis: Diagnosis) -> list[Sequence[object]]:
    """Return a table of every kind of error in every group; counts are those at the thresholds."""
    rows: list[Sequence[object]] = [("by", "group", "objects", "found", "wrong", "error", "count", "cost_map50")]
    analysis = diagnosis.analysis
    whole = (len(analysis.object_class), int(analysis.found_when_shown.sum()))
    wrong = int(diagnosis.analysis.wrong_when_shown.sum())
    rows += [
        ("all", "all", *whole, wrong, name, count, _known(cost)) for name, count, _, cost in diagnosis.summary_rows()
    ]
    for condition in diagnosis.conditions:
        for row in condition.rows:
            facts = (condition.name, row.name, row.objects, row.found, row.wrong)
            rows += [
                (*facts, name, count, _known(cost))
                for name, count, cost in zip(KINDS, row.counts, row.costs, strict=True)
            ]
    return rows


def to_dict(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the figures as plain data for JSON."""
    analysis = diagnosis.analysis
    names = diagnosis.class_names
    return {
        "schema": SCHEMA,
        "title": diagnosis.title,
        "data": diagnosis.data,
        "split": diagnosis.split,
        "images": len(analysis.results),
        "objects": len(analysis.object_class),
        "map50": _known(analysis.map50),
        "ap50": {name: _known(float(v)) for name, v in zip(names, analysis.average_precisions, strict=True)},
        "thresholds": {name: float(value) for name, value in zip(names, analysis.thresholds, strict=True)},
        "errors": {
            name: {"at_thresholds": shown, "in_all": every, "cost_map50": _known(cost)}
            for name, shown, every, cost in diagnosis.summary_rows()
        },
        "conditions": {
            condition.name: {
                row.name: {
                    "objects": row.objects,
                    "found": row.found,
                    "wrong": row.wrong,
                    "errors": dict(zip(KINDS, row.counts, strict=True)),
                    "costs_map50": {k: _known(c) for k, c in zip(KINDS, row.costs, strict=True)},
                }
                for row in condition.rows
            }
            for condition in diagnosis.conditions
        },
        "worst_images": [
            {"image": str(analysis.results[one.image].path), "missed": one.missed, "wrong": one.wrong}
            for one in diagnosis.worst
        ],
        "label_hints": {"entries": len(diagnosis.hints), "open": len(diagnosis.open_hints)},
        "notes": list(diagnosis.notes),
    }


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

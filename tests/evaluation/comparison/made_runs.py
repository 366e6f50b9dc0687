"""Records of a comparison as if arms had been trained: objects, detections and what an arm makes of them are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from reg_yolo.evaluation.comparison.detection_matches import FIGURES, DetectionMatches, class_figures
from reg_yolo.evaluation.comparison.records import ClassFigures, RunRecord, known, record_path

NAMES = ("pole", "sign", "barrier", "shelter")
TRAIN = (900, 300, 200, 20)


def drawn_matches(
    quality: float, *, seed: int, images: int = 60, classes: int = len(NAMES), rare_bonus: float = 0.0
) -> DetectionMatches:
    """Matched detections of a detector; the objects are the same for every seed."""
    scene, rng = np.random.default_rng(7), np.random.default_rng(seed)
    shares = np.array(TRAIN[:classes]) / sum(TRAIN[:classes])
    columns: list[list[np.ndarray]] = [[], [], [], []]
    for _ in range(images):
        targets = scene.choice(classes, int(scene.integers(1, 6)), p=shares)
        found = rng.random(len(targets)) < quality + rare_bonus * (targets == classes - 1)
        overlap = rng.uniform(0.5, 0.5 + 0.5 * quality + 0.1, found.sum())
        wrong = rng.integers(0, classes, int(rng.integers(0, 6)))
        correct = overlap[:, None] >= np.linspace(0.5, 0.95, 10)
        columns[0].append(np.concatenate([correct, np.zeros((len(wrong), 10), bool)]))
        columns[1].append(np.concatenate([rng.uniform(0.2, 1, found.sum()), rng.uniform(0, 0.7, len(wrong))]))
        columns[2].append(np.concatenate([targets[found], wrong]))
        columns[3].append(targets)
    return DetectionMatches.from_images([f"{number}.png" for number in range(images)], *columns)


def write_run(out: Path, arm: str, seed: int, matches: DetectionMatches, **changes: Any) -> RunRecord:
    """Write the record of a run and its matches, and return it; `changes` are the record's fields."""
    values = class_figures(matches, len(NAMES))
    objects = np.bincount(matches.target_class, minlength=len(NAMES))
    boxes = tuple(
        ClassFigures(name, TRAIN[i], int(objects[i]), *(known(values[key][0, i]) for key in FIGURES), threshold=0.3)
        for i, name in enumerate(NAMES)
    )
    versions = {"reg_yolo": "1", "code": "0" * 16, "ultralytics": "8", "torch": "2"}
    fields: dict[str, Any] = {
        "set_name": "scenes",
        "arm": arm,
        "seed": seed,
        "run_hash": f"{arm:0<16}",
        "plan_hash": "plan",
        "content": {"model": "yolov8n.yaml", "train": {"epochs": 12, "imgsz": 320}, "reg": {"preset": arm}},
        "environment": {
            "device": "cpu", "processor": "A", "precision": "float32", "threads": 1, "workers": 0, "versions": versions,
        },
        "initial_weights": f"weights{seed}",
        "draws": f"draws{seed}",
        "steps": 100,
        "seconds": {"training": 50.0, "evaluation": 5.0, "whole": 60.0},
        "losses": {},
        "boxes": boxes,
        "masks": (),
        "matches": {"box": f"{arm}{seed}.npz"},
        "images": {"train": 400, "evaluated": len(matches.images), "digest": "d"},
        "finished": "2026-01-01T00:00:00+00:00",
        **changes,
    }  # fmt: skip
    record = RunRecord(**fields)
    path = record_path(out, record.set_name, record.arm, record.seed, record.run_hash)
    record.write(path)
    matches.write(path.parent / f"{arm}{seed}.npz")
    return RunRecord(**fields, path=path)

"""A drive of the embedded highway with true boxes as detections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reg_yolo.scenes import write_drive
from scripts.bench_inventory import write_detections


def write_true_drive(root: Path, km: float) -> dict[str, Any]:
    """Write a drive and its detections.jsonl; return what is true of the camera."""
    write_drive(root, km=km, size=(640, 384), seed=2, every_m=5.0, truth_only=True)
    write_detections(root / "forward" / "frames.jsonl", root / "detections.jsonl", "T", 0)
    return true_camera(root)


def true_camera(root: Path) -> dict[str, Any]:
    """Return what is true of the camera of a drive."""
    return dict(json.loads((root / "forward" / "calibration_clean.json").read_text()))

"""A drive of the embedded highway with true boxes as detections, and inventories of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reg_yolo.cli.app import main
from reg_yolo.scenes import write_drive
from scripts.bench_inventory import write_detections

START = "2024-05-01T03:00:00Z"


def write_true_drive(root: Path, km: float) -> dict[str, Any]:
    """Write a drive and its detections.jsonl; return what is true of the camera."""
    write_drive(root, km=km, size=(640, 384), seed=2, every_m=5.0, truth_only=True)
    write_detections(root / "forward" / "frames.jsonl", root / "detections.jsonl", "T", 0)
    return true_camera(root)


def true_camera(root: Path) -> dict[str, Any]:
    """Return what is true of the camera of a drive."""
    return dict(json.loads((root / "forward" / "calibration_clean.json").read_text()))


def build_of(drive: Path, out: Path, *more: str, detections: str = "detections.jsonl", start: str = START) -> int:
    """Run `inventory build` on a drive with a camera.yaml, and return its exit code."""
    words = ["inventory", "build", str(drive / detections), "--camera", str(drive / "camera.yaml"), "--start", start]
    words += ["--gnss", str(drive / "forward" / "track_clean.gpx"), "--out", str(out), *more]
    with pytest.raises(SystemExit) as end:
        main(words)
    return int(end.value.code or 0)

"""Which weak boxes of a file count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.files import DetectionsWriter
from reg_yolo.detections.header import DetectionsHeader
from reg_yolo.inventory.drive.looks import DriveLooks, read_drive


def looks_of(folder: Path, frames: list[dict[str, list[float]]], thresholds: dict[str, float] | None) -> DriveLooks:
    """Read a file whose frames have boxes of these confidences by class."""
    header = DetectionsHeader(
        source="a.mp4", classes=("pole", "sign"), weights_name="w.pt", weights_sha256="0" * 64, engine="pytorch",
        precision="f32", imgsz=(64, 64), device="cpu", thresholds={}, reg_yolo_version="0", width=64, height=64,
        extra={} if thresholds is None else {"stored_thresholds": thresholds},
    )  # fmt: skip
    with DetectionsWriter(folder / "a.jsonl", header) as writer:
        for number, found in enumerate(frames):
            boxes = [
                Detection(name, ("pole", "sign").index(name), confidence, (1.0, 1.0, 9.0, 9.0))
                for name, some in found.items()
                for confidence in some
            ]
            writer.write(FrameDetections("a.mp4", number, number / 10, 64, 64, tuple(boxes)))
    return read_drive([folder / "a.jsonl"])


def test_of_each_class_one_weak_box_counts_for_two_strong_ones_the_surest_first(tmp_path: Path) -> None:
    frames = [
        {"pole": [0.9, 0.3, 0.1], "sign": [0.2, 0.1]},
        {"pole": [0.8, 0.2]},
        {"pole": [0.7, 0.25]},
        {"pole": [0.6]},
    ]
    looks = looks_of(tmp_path, frames, {"pole": 0.5, "sign": 0.5})
    pole = looks.class_id == 0
    assert sorted(looks.confidence[pole & ~looks.strong]) == pytest.approx([0.25, 0.3])
    assert np.count_nonzero(pole & looks.strong) == 4
    # Nothing strong: nothing that weak ones could join.
    assert not (looks.class_id == 1).any()
    assert looks.weak_left_out == 4
    assert looks.of_frame.tolist() == sorted(looks.of_frame.tolist())
    assert looks.frames == 4


def test_without_stored_thresholds_every_box_counts(tmp_path: Path) -> None:
    looks = looks_of(tmp_path, [{"pole": [0.9, 0.05]}, {"sign": [0.1]}], None)
    assert len(looks) == 3
    assert looks.strong.all()
    assert looks.weak_left_out == 0

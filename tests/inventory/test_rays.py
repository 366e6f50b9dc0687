"""Which boxes of a frame are of one object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.files import DetectionsWriter
from reg_yolo.detections.header import DetectionsHeader
from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.drive.looks import read_drive
from reg_yolo.inventory.drive.overlaps import iou
from reg_yolo.inventory.drive.rays import build_rays

NAMES = ("pole", "sign")
BOX = (100.0, 100.0, 200.0, 300.0)


@pytest.mark.parametrize(
    ("other", "name", "rows"),
    [
        ((100.0, 115.0, 195.0, 300.0), "sign", 1),  # IoU 0.88: a box of two classes
        ((100.0, 115.0, 195.0, 300.0), "pole", 2),  # a pole behind it, which the detector told apart
        ((100.0, 102.0, 199.0, 300.0), "pole", 1),  # IoU 0.98: found twice, as where tiles meet
        ((100.0, 160.0, 195.0, 300.0), "sign", 2),  # IoU 0.67: a sign on the pole
    ],
)
def test_boxes_of_one_class_are_told_apart_where_those_of_two_are_one(
    tmp_path: Path, other: tuple[float, float, float, float], name: str, rows: int
) -> None:
    header = DetectionsHeader(
        source="a.mp4", classes=NAMES, weights_name="w", weights_sha256="0" * 64, engine="pytorch", precision="f32",
        imgsz=(384, 640), device="cpu", thresholds={}, reg_yolo_version="0", width=640, height=384,
    )  # fmt: skip
    found = (Detection("pole", 0, 0.9, BOX), Detection(name, NAMES.index(name), 0.8, other))
    with DetectionsWriter(tmp_path / "a.jsonl", header) as writer:
        writer.write(FrameDetections("a.mp4", 0, 0.0, 640, 384, found))
    assert 0.6 < iou(np.array([BOX]), np.array([other]))[0, 0] < 1
    rays = build_rays(read_drive([tmp_path / "a.jsonl"]), Camera(640, 384, 500.0))
    assert len(rays) == rows
    assert rays.votes.sum() == pytest.approx(0.9 if rows == 1 and name == "pole" else 1.7)

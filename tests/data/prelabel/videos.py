"""Small videos, images and detections files for the tests of pre-labelling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reg_yolo.detections import Detection, DetectionsHeader, DetectionsWriter, FrameDetections

SIZE = (96, 64)
NAMES = ("sign", "pole", "ป้าย")


def header(source: str, **values: Any) -> DetectionsHeader:
    given: dict[str, Any] = {"thresholds": dict.fromkeys(NAMES, 0.5), **values}
    return DetectionsHeader(
        source, NAMES, "best.pt", "0" * 64, "pytorch", "f32", (64, 96), "cpu", reg_yolo_version="0.2.0", **given
    )


def found(name: str, confidence: float, box: Sequence[float] = (10, 10, 30, 40), **values: Any) -> Detection:
    return Detection(name, NAMES.index(name), confidence, tuple(box), **values)


def video_frame(source: Path, index: int, *detections: Detection, every_s: float = 0.1) -> FrameDetections:
    return FrameDetections(str(source), index, index * every_s, *SIZE, detections)


def image(source: Path, *detections: Detection, size: tuple[int, int] = SIZE) -> FrameDetections:
    return FrameDetections(str(source), 0, None, *size, detections)


def write(path: Path, frames: Sequence[FrameDetections], **values: Any) -> Path:
    with DetectionsWriter(path, header(frames[0].source if frames else "nothing", **values)) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def scene(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Smooth noise that looks like no other seed's."""
    coarse = np.random.default_rng(seed).integers(0, 256, (18, 18, 3), dtype=np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def write_video(path: Path, pictures: Sequence[np.ndarray], fps: float = 10.0) -> Path:
    stream = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), fps, SIZE)
    for picture in pictures:
        stream.write(picture)
    stream.release()
    return path

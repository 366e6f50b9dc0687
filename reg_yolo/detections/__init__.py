"""What was found in images and video, in memory and on disk.

The names below are imported when they are first used. The modules behind them may move.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reg_yolo.detections.chapters import Chapter as Chapter
    from reg_yolo.detections.detections import Detection as Detection
    from reg_yolo.detections.detections import FrameDetections as FrameDetections
    from reg_yolo.detections.files import CsvWriter as CsvWriter
    from reg_yolo.detections.files import DetectionsReader as DetectionsReader
    from reg_yolo.detections.files import DetectionsWriter as DetectionsWriter
    from reg_yolo.detections.files import read_detections as read_detections
    from reg_yolo.detections.header import DetectionsHeader as DetectionsHeader
    from reg_yolo.detections.holes import Hole as Hole
    from reg_yolo.detections.joins import Join as Join
    from reg_yolo.detections.masks import decode_mask as decode_mask
    from reg_yolo.detections.masks import encode_mask as encode_mask
    from reg_yolo.detections.masks import encode_masks as encode_masks
    from reg_yolo.detections.masks import mask_polygons as mask_polygons

_HOMES = {
    "read_detections": "reg_yolo.detections.files",
    "DetectionsReader": "reg_yolo.detections.files",
    "DetectionsWriter": "reg_yolo.detections.files",
    "CsvWriter": "reg_yolo.detections.files",
    "Detection": "reg_yolo.detections.detections",
    "FrameDetections": "reg_yolo.detections.detections",
    "DetectionsHeader": "reg_yolo.detections.header",
    "Hole": "reg_yolo.detections.holes",
    "Join": "reg_yolo.detections.joins",
    "Chapter": "reg_yolo.detections.chapters",
    "encode_mask": "reg_yolo.detections.masks",
    "encode_masks": "reg_yolo.detections.masks",
    "decode_mask": "reg_yolo.detections.masks",
    "mask_polygons": "reg_yolo.detections.masks",
}

__all__ = [
    "read_detections",
    "DetectionsReader",
    "DetectionsWriter",
    "CsvWriter",
    "Detection",
    "FrameDetections",
    "DetectionsHeader",
    "Hole",
    "Join",
    "Chapter",
    "encode_mask",
    "encode_masks",
    "decode_mask",
    "mask_polygons",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

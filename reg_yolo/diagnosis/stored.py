"""Detections that are stored already, with the labels of their images: a diagnosis that runs no network."""

from __future__ import annotations

import os
from pathlib import Path

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.detections.detections import FrameDetections
from reg_yolo.detections.files import read_detections
from reg_yolo.diagnosis.report import Diagnosis
from reg_yolo.errors import DataError
from reg_yolo.evaluation.image_results import ImageResult


def diagnose_detections(path: Path, data: str | Path, split: str = "val") -> Diagnosis:
    """Diagnose a detections file against the labels of a data set.

    Images of the split that the file does not have are left out, and those of the file that the split does not have;
    the notes count both.

    Args:
        path: A detections file of `predict` over images.
        data: The data-set YAML, with the classes of the file.
        split: Name of the split.

    Raises:
        DataError: If one of them cannot be read, the classes differ, or they have no image in common.
    """
    reader = read_detections(path)
    description = read_dataset_yaml(data, required=(split,))
    if list(reader.header.classes) != description.class_names:
        raise DataError(
            f"{path} has the classes {', '.join(reader.header.classes)}, {description.yaml_path} has "
            f"{', '.join(description.class_names)}; they must be the same list"
        )
    frames = {os.path.realpath(frame.source): frame for frame in reader}
    images = {os.path.realpath(image): image for image in description.images(split)}
    shared = [key for key in images if key in frames]
    if not shared:
        raise DataError(
            f"{path} has no image of the '{split}' split of {description.yaml_path}; "
            "run `reg-yolo predict` on its images"
        )
    least = min(reader.header.thresholds.values(), default=0.0)
    results = [_result(images[key], frames[key], description) for key in sorted(shared)]
    return Diagnosis.of(
        results,
        description.class_names,
        title=path.name,
        data=str(description.yaml_path),
        split=split,
        keypoints=description.keypoint_columns,
        notes=_notes(least, len(images) - len(shared), len(frames) - len(shared)),
    )


def _result(image: Path, frame: FrameDetections, description: DatasetDescription) -> ImageResult:
    rows = read_label_file(label_path_for(image), len(description.names), description.keypoint_columns)
    if rows.faults:
        fault = rows.faults[0]
        raise DataError(f"{label_path_for(image)}:{fault.line or 1}: {fault.message}; see `reg-yolo data check`")
    size = (frame.width, frame.height)
    boxes = [[value * side for value, side in zip(row.box_xyxy, size * 2, strict=True)] for row in rows.rows]
    found = frame.detections
    return ImageResult.of(
        image,
        size,
        ([one.box_xyxy for one in found], [one.confidence for one in found], [one.class_id for one in found]),
        (boxes, [row.class_id for row in rows.rows]),
    )


def _notes(least: float, without: int, foreign: int) -> list[str]:
    notes = []
    if least > 0.01:
        notes.append(
            f"the file holds detections from a confidence of {least:.3g} on: weaker ones, with which fewer objects "
            "count as missed and labels are judged better, are not in it"
        )
    if without:
        notes.append(f"{without} images of the split are not in the file, and left out")
    if foreign:
        notes.append(f"{foreign} images of the file are not in the split, and left out")
    return notes

"""Label files of the joint task as Ultralytics' data sets hold labels in memory.

Upstream drops an image whose label file mixes boxes and polygons, and keeps what it read in a `labels.cache` beside the
labels. Here the rows come from our own reader, and no cache is read or written.

A box-only object has an empty outline in `segments`, everywhere: that is the one mark that it has no mask.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ultralytics.data.utils import exif_size
from ultralytics.utils.ops import segments2boxes

from reg_yolo.data.dataset.dataset_yaml import label_path_for
from reg_yolo.data.dataset.joint_sets import JointPart
from reg_yolo.data.dataset.label_rows import LabelRow, read_label_file
from reg_yolo.data.dataset.label_scan import LabelProblem, LabelScan
from reg_yolo.errors import DataError

NO_OUTLINE = np.zeros((0, 2), dtype=np.float32)


def read_joint_labels(
    image_paths: Sequence[str], part: JointPart, is_mask_class: Sequence[bool], split: str
) -> list[dict[str, Any]]:
    """Read the labels of images, one dictionary an image, with joint class ids.

    Args:
        image_paths: Images of one set.
        part: The set.
        is_mask_class: By joint class, whether it has masks; a polygon of another class gives a box only.
        split: Name of the split, for messages.

    Returns:
        Upstream's keys: `im_file`, `shape` (height, width), `cls` float32 `[N, 1]`, `bboxes` float32 `[N, 4]` (xywh,
        fractions), `segments`, a list of N float32 `[points, 2]`, where `[0, 2]` marks a box-only object.

    Raises:
        DataError: If label rows are bad, or an image cannot be read.
    """
    classes = len(part.class_map)
    scan = LabelScan(split, part.description.class_names)
    labels = []
    for image_path, shape in zip(image_paths, _shapes(image_paths), strict=True):
        label_path = label_path_for(image_path)
        found = read_label_file(label_path, classes, part.description.keypoint_columns)
        scan.problems += [LabelProblem(label_path, fault.line, fault.message) for fault in found.faults]
        # Upstream sorts the rows of a file in which one is repeated; their order decides ties between masks.
        rows = sorted(found.rows, key=_content) if found.repeated else found.rows
        labels.append({"im_file": image_path, "shape": shape, **_arrays(rows, part, is_mask_class)})
    scan.raise_for_problems()
    return labels


def _arrays(rows: Sequence[LabelRow], part: JointPart, is_mask_class: Sequence[bool]) -> dict[str, Any]:
    classes = np.array([part.class_map[row.class_id] for row in rows], dtype=np.float32)
    boxes = np.zeros((len(rows), 4), dtype=np.float32)
    segments = []
    for index, row in enumerate(rows):
        coordinates = np.array(row.coordinates, dtype=np.float32)
        outline = NO_OUTLINE
        if row.is_polygon:
            polygon = coordinates.reshape(-1, 2)
            boxes[index] = segments2boxes([polygon])[0]
            if part.has_masks and is_mask_class[part.class_map[row.class_id]]:
                outline = polygon
        else:
            boxes[index] = coordinates
        segments.append(outline)
    return {
        "cls": classes.reshape(-1, 1),
        "bboxes": boxes,
        "segments": segments,
        "keypoints": None,
        "normalized": True,
        "bbox_format": "xywh",
    }


def _content(row: LabelRow) -> bytes:
    return np.array((row.class_id, *row.coordinates), dtype=np.float32).tobytes()


def _shapes(image_paths: Sequence[str]) -> list[tuple[int, int]]:
    """Height and width of every image as it is decoded, with its EXIF orientation applied."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(_shape, image_paths))


def _shape(image_path: str) -> tuple[int, int]:
    try:
        with Image.open(image_path) as image:
            width, height = exif_size(image)
    except Exception as error:
        # Upstream replaces Image.open, and its replacement raises error types of its own.
        raise DataError(f"{Path(image_path)} cannot be read as an image ({type(error).__name__}: {error})") from None
    return height, width

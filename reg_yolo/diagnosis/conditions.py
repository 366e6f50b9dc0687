"""Where errors happen: by class, size of the object, light of the image and place in the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.images.pixels import read_pixels
from reg_yolo.evaluation.coco_sizes import AREA_LIMITS, SIZES, size_of
from reg_yolo.evaluation.error_kinds import CLASSIFICATION, LOCALISATION, RIGHT, ErrorAnalysis
from reg_yolo.evaluation.image_results import FloatArray, box_areas
from reg_yolo.files import open_regular
from reg_yolo.parallel import available_cores, parallel_map

IntArray = NDArray[np.int64]

# A box that ends within this share of the frame's side from its edge is taken for cut off.
_AT_EDGE = 0.005


@dataclass(frozen=True)
class ConditionRow:
    """One group of objects and detections.

    Attributes:
        name: Of the group.
        objects: Labelled objects in it.
        found: How many of them a detection finds that reaches the threshold of its class.
        wrong: Detections that reach it and are wrong.
        counts: Errors by kind at the thresholds, in the order of `error_kinds.KINDS`.
        costs: Points of mAP50 (of all images) that the group's errors cost, by kind.
    """

    name: str
    objects: int
    found: int
    wrong: int
    counts: tuple[int, ...]
    costs: tuple[float, ...]


@dataclass(frozen=True)
class Condition:
    """One way to divide a split into groups, with a sentence that says how."""

    name: str
    text: str
    rows: tuple[ConditionRow, ...]


def brightness_and_contrast(path: Path) -> tuple[float, float]:
    """Return mean and standard deviation of an image's grey values, 0 to 255; NaN where it cannot be read."""
    try:
        with open_regular(path) as stream:
            grey = read_pixels(stream.read(), cv2.IMREAD_GRAYSCALE)
    except OSError:
        grey = None
    return (float("nan"),) * 2 if grey is None else (float(grey.mean()), float(grey.std()))


def light_of(paths: Sequence[Path]) -> FloatArray:
    """Return brightness and contrast of every image, shape (N, 2)."""
    values = list(parallel_map(brightness_and_contrast, paths, available_cores()))
    return np.array(values, np.float64).reshape(-1, 2)


def conditions_of(analysis: ErrorAnalysis, class_names: Sequence[str], light: FloatArray) -> list[Condition]:
    """Return errors and what they cost by class, size, light and place.

    An error of class or place counts where its object stands, every other one where its own box does.

    Args:
        analysis: Of the split.
        class_names: In the order of their indices.
        light: What `light_of` returned for the images.
    """
    found = [_by_class(analysis, class_names)]
    limits = [round(limit**0.5) for limit in AREA_LIMITS]
    sizes = (f"{SIZES[0]} (under {limits[0]}²)", f"{SIZES[1]} (to {limits[1]}²)", f"{SIZES[2]} (from {limits[1]}²)")
    of_boxes = [size_of(box_areas(boxes)) for boxes in (analysis.object_boxes, analysis.boxes)]
    text = "area of the box in pixels of the image, with COCO's limits"
    found.append(_condition(analysis, "size", text, sizes, *of_boxes))
    for name, words, values in (
        ("brightness", ("dark", "medium", "bright"), light[:, 0]),
        ("contrast", ("flat", "medium", "strong"), light[:, 1]),
    ):
        found += _by_thirds(analysis, name, words, values)
    objects, detections = (
        _places(boxes, analysis, images)
        for boxes, images in ((analysis.object_boxes, analysis.object_image), (analysis.boxes, analysis.image))
    )
    for number, (name, text, groups) in enumerate(_PLACES):
        found.append(_condition(analysis, name, text, groups, objects[:, number], detections[:, number]))
    return found


_PLACES = (
    (
        "height in the frame",
        "third of the frame in which the box stands, by its lower edge: on a road the lowest third is near",
        ("upper third", "middle third", "lower third"),
    ),
    ("side", "third of the frame in which the middle of the box lies", ("left third", "middle third", "right third")),
    ("edge", "whether the box ends at the edge of the frame", ("whole", "cut by the frame")),
)


def _places(boxes: FloatArray, analysis: ErrorAnalysis, images: IntArray) -> IntArray:
    """Return the group of each box in each of `_PLACES`, shape (N, 3)."""
    sizes = np.array([(result.width, result.height) for result in analysis.results], np.float64).reshape(-1, 2)
    left, top, right, bottom = (boxes / np.tile(sizes[images], 2)).T
    height = np.clip((bottom * 3).astype(np.int64), 0, 2)
    side = np.clip(((left + right) * 1.5).astype(np.int64), 0, 2)
    cut = (np.minimum(left, top) <= _AT_EDGE) | (np.maximum(right, bottom) >= 1 - _AT_EDGE)
    return np.stack([height, side, cut.astype(np.int64)], axis=1)


def _by_class(analysis: ErrorAnalysis, class_names: Sequence[str]) -> Condition:
    text = "class of the object for errors of class and place and for missed objects, else that of the detection"
    return _condition(analysis, "class", text, class_names, analysis.object_class, analysis.detection_class)


def _by_thirds(analysis: ErrorAnalysis, name: str, words: Sequence[str], values: FloatArray) -> list[Condition]:
    """Divide the images into thirds of equal number; a split of fewer than three different ones is not divided."""
    known = values[np.isfinite(values)]
    if len(np.unique(known)) < 3:
        return []
    low, high = np.quantile(known, (1 / 3, 2 / 3))
    group = np.where(np.isfinite(values), np.digitize(values, (low, high)), -1)
    what = "mean" if name == "brightness" else "standard deviation"
    names = (f"{words[0]} (under {low:.0f})", words[1], f"{words[2]} (from {high:.0f})")
    text = f"thirds of the images by the {what} of their grey values, 0 to 255"
    return [_condition(analysis, name, text, names, group[analysis.object_image], group[analysis.image])]


def _condition(
    analysis: ErrorAnalysis, name: str, text: str, names: Sequence[str], of_objects: IntArray, of_detections: IntArray
) -> Condition:
    about = (analysis.kind == CLASSIFICATION) | (analysis.kind == LOCALISATION)
    group = of_detections.copy()
    group[about] = of_objects[analysis.target[about]]
    rows = []
    for number, label in enumerate(names):
        detections, objects = group == number, of_objects == number
        shown = analysis.shown & detections
        rows.append(
            ConditionRow(
                label,
                int(objects.sum()),
                int(analysis.found_when_shown[objects].sum()),
                int((analysis.kind[shown] != RIGHT).sum()),
                tuple(analysis.counts(shown, analysis.missed_when_shown & objects)),
                tuple(analysis.costs(detections, objects)),
            )
        )
    return Condition(name, text, tuple(rows))

"""Why detections are wrong and objects not found: TIDE's six kinds of error, and the mAP that each costs.

Bolya et al., TIDE: A General Toolbox for Identifying Object Detection Errors, ECCV 2020. What an error costs is how far
mAP50 rises when only errors of its kind are corrected: a detection of a wrong class or place becomes right, or goes
where a surer one finds its object; duplicates and detections of background go; missed objects are not required.
Costs of different kinds do not add up to the gap to 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reg_yolo.evaluation.image_results import FloatArray, ImageResult, box_overlaps, greedy_matches
from reg_yolo.evaluation.thresholds import FALLBACK_THRESHOLD

KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")
CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND, MISSED = range(6)
RIGHT = -1
FOREGROUND_IOU, BACKGROUND_IOU = 0.5, 0.1
# As COCO and TIDE have it; more than a hundred boxes of an image are noise.
MOST_DETECTIONS = 100
_RECALLS = np.arange(101) / 100

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ErrorAnalysis:
    """Every detection and object of a split, and what is wrong with it.

    The D detections are those of all images, in an image the surest first; the M objects likewise as labelled.

    Attributes:
        results: What was analysed, at most 100 detections an image.
        classes: How many classes there are.
        image: Index of each detection's image, shape (D,).
        kind: Index into `KINDS`, or `RIGHT`, shape (D,).
        target: The object that a right detection finds, or that one of a wrong class or place is about, else -1,
            shape (D,).
        repairs: Whether the detection, corrected, is the one that finds its object, shape (D,).
        object_image: Index of each object's image, shape (M,).
        found: Whether an object is found at all, shape (M,).
        missed: Whether no detection, corrected, would find it, shape (M,).
    """

    results: tuple[ImageResult, ...]
    classes: int
    image: IntArray
    kind: IntArray
    target: IntArray
    repairs: BoolArray
    object_image: IntArray
    found: BoolArray
    missed: BoolArray

    @classmethod
    def of(cls, results: Sequence[ImageResult], classes: int) -> ErrorAnalysis:
        """Analyse the images of a split.

        Args:
            results: What was found on each image and what its labels say.
            classes: How many classes there are.
        """
        cut = tuple(_surest(result) for result in results)
        first, parts = 0, []
        for result in cut:
            parts.append(_of_image(result, first))
            first += len(result.truth_boxes)
        columns = [np.concatenate([part[column] for part in parts]) for column in range(5)]
        order = np.arange(len(cut))
        return cls(
            cut,
            classes,
            np.repeat(order, [len(result.boxes) for result in cut]),
            columns[0].astype(np.int64),
            columns[1].astype(np.int64),
            columns[2].astype(bool),
            np.repeat(order, [len(result.truth_boxes) for result in cut]),
            columns[3].astype(bool),
            columns[4].astype(bool),
        )

    @cached_property
    def confidence(self) -> FloatArray:
        """Confidence of each detection, shape (D,)."""
        return np.concatenate([result.confidences for result in self.results])

    @cached_property
    def detection_class(self) -> IntArray:
        """Class of each detection, shape (D,)."""
        return np.concatenate([result.classes for result in self.results])

    @cached_property
    def boxes(self) -> FloatArray:
        """Box of each detection, xyxy in pixels, shape (D, 4)."""
        return np.concatenate([result.boxes for result in self.results])

    @cached_property
    def object_class(self) -> IntArray:
        """Class of each object, shape (M,)."""
        return np.concatenate([result.truth_classes for result in self.results])

    @cached_property
    def object_boxes(self) -> FloatArray:
        """Box of each object, xyxy in pixels, shape (M, 4)."""
        return np.concatenate([result.truth_boxes for result in self.results])

    @cached_property
    def average_precisions(self) -> FloatArray:
        """AP50 of each class in percent, shape (C,); NaN without objects."""
        return self._average_precisions(self.detection_class, self.kind == RIGHT, None, self._objects)

    @property
    def map50(self) -> float:
        """Mean of AP50 over the classes that have objects, in percent; NaN where none has."""
        return _mean(self.average_precisions)

    @cached_property
    def thresholds(self) -> FloatArray:
        """Confidence of the best F1 of each class on these images, shape (C,); 0.25 where nothing is found."""
        chosen = np.full(self.classes, FALLBACK_THRESHOLD)
        for class_id in range(self.classes):
            rows = self._ranked[self.detection_class[self._ranked] == class_id]
            right = (self.kind[rows] == RIGHT).cumsum()
            if len(rows) and right[-1]:
                f1 = 2 * right / (np.arange(1, len(rows) + 1) + self._objects[class_id])
                chosen[class_id] = self.confidence[rows[f1.argmax()]]
        return chosen

    @cached_property
    def shown(self) -> BoolArray:
        """Whether a detection reaches the threshold of its class, shape (D,)."""
        return np.asarray(self.confidence >= self.thresholds[self.detection_class])

    @cached_property
    def wrong_when_shown(self) -> BoolArray:
        """Whether a detection reaches the threshold of its class and is wrong, shape (D,)."""
        return self.shown & (self.kind != RIGHT)

    @cached_property
    def found_when_shown(self) -> BoolArray:
        """Whether a detection that reaches its threshold finds the object, shape (M,)."""
        found = np.zeros(len(self.object_class), bool)
        found[self.target[self.shown & (self.kind == RIGHT)]] = True
        return found

    @cached_property
    def missed_when_shown(self) -> BoolArray:
        """Whether no detection that reaches its threshold finds the object or is about it, shape (M,)."""
        missed = ~self.found_when_shown
        missed[self.target[self.shown & (self.target >= 0)]] = False
        return missed

    def counts(self, detections: BoolArray | None = None, objects: BoolArray | None = None) -> list[int]:
        """Return how many errors of each kind there are, in the order of `KINDS`.

        Args:
            detections: Those that count, shape (D,); by default all.
            objects: Those that count as missed, shape (M,); by default all that no detection would find.
        """
        kinds = self.kind if detections is None else self.kind[detections]
        missed = self.missed if objects is None else objects
        return [*(int((kinds == kind).sum()) for kind in range(MISSED)), int(missed.sum())]

    def costs(self, detections: BoolArray | None = None, objects: BoolArray | None = None) -> list[float]:
        """Return for each kind how many points of mAP50 its errors cost, in the order of `KINDS`.

        Args:
            detections: The wrong ones that are corrected, shape (D,); by default all.
            objects: The missed ones that are corrected, shape (M,); by default all.

        Returns:
            Points of percent, not below 0; NaN where no class has an object.
        """
        chosen = np.ones(len(self.kind), bool) if detections is None else detections
        missed = self.missed if objects is None else self.missed & objects
        return [*(self._cost(kind, (self.kind == kind) & chosen) for kind in range(MISSED)), self._cost_missed(missed)]

    def _cost(self, kind: int, wrong: BoolArray) -> float:
        if not wrong.any():
            return 0.0 if self._objects.any() else float("nan")
        repaired = wrong & self.repairs
        class_after = self.detection_class
        if kind == CLASSIFICATION:
            class_after = class_after.copy()
            class_after[repaired] = self.object_class[self.target[repaired]]
        correct = (self.kind == RIGHT) | repaired
        return self._gain(self._average_precisions(class_after, correct, wrong & ~repaired, self._objects))

    def _cost_missed(self, missed: BoolArray) -> float:
        left = self._objects - np.bincount(self.object_class[missed], minlength=self.classes)
        after = self._average_precisions(self.detection_class, self.kind == RIGHT, None, left)
        # A class of which nothing is left to find and nothing was detected does not count; one with detections has 0.
        emptied = (self._objects > 0) & (left == 0)
        detected = np.bincount(self.detection_class, minlength=self.classes) > 0
        after[emptied & detected] = 0.0
        return self._gain(after)

    def _gain(self, after: FloatArray) -> float:
        return max(_mean(after) - self.map50, 0.0) if np.isfinite(after).any() else float("nan")

    @cached_property
    def _objects(self) -> IntArray:
        return np.bincount(self.object_class, minlength=self.classes)

    @cached_property
    def _ranked(self) -> IntArray:
        return np.argsort(-self.confidence, kind="stable")

    def _average_precisions(
        self, class_of: IntArray, correct: BoolArray, removed: BoolArray | None, objects: IntArray
    ) -> FloatArray:
        ranked = self._ranked if removed is None else self._ranked[~removed[self._ranked]]
        found = np.full(self.classes, np.nan)
        for class_id in np.flatnonzero(objects):
            found[class_id] = average_precision(correct[ranked[class_of[ranked] == class_id]], int(objects[class_id]))
        return found


def average_precision(correct: BoolArray, objects: int) -> float:
    """Return COCO's average precision in percent: the precision envelope, the mean of its values at 101 recalls.

    Args:
        correct: Whether each detection of a class is right, the surest first, shape (K,).
        objects: How many objects of the class there are, at least 1.

    Example:
        >>> round(average_precision(np.array([True, False, True]), 2), 2)
        83.5
    """
    right = correct.cumsum()
    precision = right / np.arange(1, len(correct) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(100 * envelope[np.searchsorted(right / objects, _RECALLS, side="left")].mean())


def _surest(result: ImageResult) -> ImageResult:
    if len(result.boxes) <= MOST_DETECTIONS:
        return result
    kept = slice(MOST_DETECTIONS)
    found = (result.boxes[kept], result.confidences[kept], result.classes[kept])
    return ImageResult(
        result.path, result.width, result.height, *found, truth_boxes=result.truth_boxes,
        truth_classes=result.truth_classes,
    )  # fmt: skip


def _of_image(result: ImageResult, first: int) -> tuple[NDArray[np.generic], ...]:
    """Return kind, target and repairs of detections, found and missed of objects, which count from `first`."""
    detections, objects = len(result.boxes), len(result.truth_boxes)
    kind, target = np.full(detections, BACKGROUND), np.full(detections, -1)
    repairs, found = np.zeros(detections, bool), np.zeros(objects, bool)
    if not objects or not detections:
        return kind, target, repairs, found, ~found
    overlaps = box_overlaps(result.boxes, result.truth_boxes)
    same = result.classes[:, None] == result.truth_classes[None]
    own, other = overlaps * same, overlaps * ~same
    rows = np.arange(detections)
    near, crossed = own.argmax(1), other.argmax(1)
    matches = greedy_matches(own, FOREGROUND_IOU)
    right = matches >= 0
    kind[right], target[right], found[matches[right]] = RIGHT, matches[right], True
    wrong = kind != RIGHT
    at_own, at_other = own[rows, near], other[rows, crossed]
    displaced = wrong & (at_own >= BACKGROUND_IOU) & (at_own <= FOREGROUND_IOU)
    confused = wrong & ~displaced & (at_other >= FOREGROUND_IOU)
    repeated = wrong & ~displaced & ~confused & (at_own >= FOREGROUND_IOU)
    rest = wrong & ~displaced & ~confused & ~repeated
    kind[displaced], kind[confused], kind[repeated] = LOCALISATION, CLASSIFICATION, DUPLICATE
    kind[rest & (overlaps.max(1) > BACKGROUND_IOU)] = BOTH
    target[displaced], target[confused] = near[displaced], crossed[confused]
    usable = np.zeros(objects, bool)
    for row in np.flatnonzero(displaced | confused):
        about = target[row]
        if not found[about]:
            # The surest one about an object finds it once it is corrected; the others go.
            repairs[row], usable[about] = not usable[about], True
    target[target >= 0] += first
    return kind, target, repairs, found, ~found & ~usable


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")

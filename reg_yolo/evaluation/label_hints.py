"""Which labels to review: where a network and the labels disagree, the least likely coincidence first.

Every label and every place where only the network sees something is one entry of the list. What makes a label doubtful
is that labels of its class and size are hardly ever found as badly; what makes a detection worth a label is that
detections of its class as sure as it are mostly right. Both are ratios of counts on the same images, so that a class
that is hard to find does not fill the list. A network must not have been trained on the labels that it judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reg_yolo.evaluation.coco_sizes import size_of
from reg_yolo.evaluation.error_kinds import FOREGROUND_IOU, MOST_DETECTIONS
from reg_yolo.evaluation.image_results import FloatArray, ImageResult, box_areas, box_overlaps, greedy_matches

HINT_KINDS = ("missing", "unfound", "box", "class")
AGREES = "agrees"
LEAST_CONFIDENCE = 0.01
MISSING_FROM, FREE_BELOW_IOU = 0.25, 0.3
_BOX_AGREES_FROM, _BOX_NEAR_FROM, _FOUND_FROM = 0.7, 0.1, 0.25
# How many labels of all sizes count along with those of a label's own size: few of a size say little.
_POOLED = 30
# How much the ratio of a detection that contradicts a label counts on top of the label's own.
_RIVAL_POWER = 0.5

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class LabelHint:
    """One entry of the list.

    Attributes:
        kind: `missing` (a detection without a label), `unfound` (a label that no detection finds), `box` (its box and
            the network's disagree), `class` (the network sees another class) or `agrees`.
        image: Index of the image.
        label: Index of the label among the image's objects; None for `missing`.
        score: How many times rarer than usual it is; comparable within one list, the highest first.
        class_id: Class of the label, for `missing` of the detection.
        box_xyxy: Box of the label, for `missing` of the detection, in pixels.
        found_class: Class of the detection that speaks against the label or for a new one; None where there is none.
        found_box_xyxy: Its box.
        confidence: Its confidence.
        iou: Of the label's box and this one; None for `missing` and where there is none.
    """

    kind: str
    image: int
    label: int | None
    score: float
    class_id: int
    box_xyxy: tuple[float, ...]
    found_class: int | None = None
    found_box_xyxy: tuple[float, ...] | None = None
    confidence: float | None = None
    iou: float | None = None


@dataclass(frozen=True)
class _Evidence:
    """Columns of one image: of its M labels, and of the detections that no label explains and of those that are right.

    `support` is confidence times IoU of the best detection of a label's class, `near` that detection; `rival` is the
    surest unexplained detection that speaks against the label, as one of another class that covers it, or of its own
    class next to it where nothing finds it; -1 where there is none.
    """

    overlaps: FloatArray
    support: FloatArray
    near: IntArray
    rival: IntArray
    right: IntArray
    unexplained: IntArray
    missing: IntArray


def label_hints(results: Sequence[ImageResult]) -> list[LabelHint]:
    """Return every label and every unlabelled detection of 0.25 or more, the most doubtful first.

    Args:
        results: What was found on each image, from a confidence of 0.01 on if it is to be judged well, and its labels.
    """
    evidence = [_of_image(result) for result in results]
    label_class = _joined([result.truth_classes for result in results])
    label_size = _joined([size_of(box_areas(result.truth_boxes)) for result in results])
    support = np.concatenate([np.zeros(0), *(one.support for one in evidence)])
    rarity = _rarity(support, label_class, label_size)
    precise = _Precision(results, evidence)
    hints, first = [], 0
    for index, (result, one) in enumerate(zip(results, evidence, strict=True)):
        labels = range(len(result.truth_boxes))
        hints += [_of_label(index, label, result, one, rarity[first + label], precise) for label in labels]
        first += len(result.truth_boxes)
        for row in one.missing:
            box, class_id, confidence = _detection(result, row)
            score = precise.ratio(class_id, confidence)
            hints.append(LabelHint("missing", index, None, score, class_id, box, class_id, box, confidence))
    return sorted(hints, key=lambda hint: (-hint.score, -(hint.confidence or 0.0), hint.image, hint.label or 0))


def _of_label(
    index: int, label: int, result: ImageResult, one: _Evidence, rarity: float, precise: _Precision
) -> LabelHint:
    own, rival, score = int(one.near[label]), int(one.rival[label]), rarity
    shown: int | None = own if own >= 0 else None
    sure = own >= 0 and result.confidences[own] >= _FOUND_FROM
    kind = "unfound" if not sure else AGREES if one.overlaps[own, label] >= _BOX_AGREES_FROM else "box"
    if rival >= 0:
        _, class_id, confidence = _detection(result, rival)
        score *= max(1.0, precise.ratio(class_id, confidence)) ** _RIVAL_POWER
        if class_id != result.truth_classes[label] and confidence > one.support[label]:
            shown, kind = rival, "class"
    found = (None, None, None) if shown is None else _detection(result, shown)
    overlap = None if shown is None else float(one.overlaps[shown, label])
    box = tuple(result.truth_boxes[label].tolist())
    class_id = int(result.truth_classes[label])
    return LabelHint(kind, index, label, float(score), class_id, box, found[1], found[0], found[2], overlap)


def _of_image(result: ImageResult) -> _Evidence:
    count = min(int((result.confidences >= LEAST_CONFIDENCE).sum()), MOST_DETECTIONS)
    boxes, confidences, classes = result.boxes[:count], result.confidences[:count], result.classes[:count]
    labels = len(result.truth_boxes)
    overlaps = box_overlaps(boxes, result.truth_boxes)
    same = classes[:, None] == result.truth_classes[None]
    own = overlaps * same
    matches = greedy_matches(own, FOREGROUND_IOU)
    right, found = matches >= 0, np.zeros(labels, bool)
    found[matches[right]] = True
    nearest = own.argmax(1) if labels else np.zeros(count, np.int64)
    unexplained = own.max(1, initial=0) < FOREGROUND_IOU
    support, near, rival = np.zeros(labels), np.full(labels, -1), np.full(labels, -1)
    for label in range(labels if count else 0):
        weighed = confidences * own[:, label] * (own[:, label] >= _BOX_NEAR_FROM)
        support[label] = weighed.max()
        near[label] = int(weighed.argmax()) if support[label] > 0 else -1
        covers = ~same[:, label] & (overlaps[:, label] >= FOREGROUND_IOU)
        displaced = same[:, label] & (overlaps[:, label] >= _BOX_NEAR_FROM) & (nearest == label) & ~found[label]
        rivals = np.flatnonzero(unexplained & (covers | displaced))
        # The surest stands first.
        rival[label] = rivals[0] if len(rivals) else -1
    places = _separate(boxes, np.flatnonzero(unexplained))
    clear = overlaps.max(1, initial=0) < FREE_BELOW_IOU
    missing = np.array([row for row in places if clear[row] and confidences[row] >= MISSING_FROM], np.int64)
    return _Evidence(overlaps, support, near, rival, np.flatnonzero(right), places, missing)


def _separate(boxes: FloatArray, rows: IntArray) -> IntArray:
    """Return the surest detection of each place, whatever its class."""
    near = box_overlaps(boxes[rows], boxes[rows]) >= FOREGROUND_IOU
    kept, free = [], np.ones(len(rows), bool)
    for place, row in enumerate(rows):
        if free[place]:
            kept.append(row)
            free &= ~near[place]
    return np.array(kept, np.int64)


def _rarity(support: FloatArray, classes: IntArray, sizes: IntArray) -> FloatArray:
    """Return one over the share of labels of the same class and size that are found as badly."""
    rarity = np.ones(len(support))
    for class_id in np.unique(classes):
        rows = np.flatnonzero(classes == class_id)
        of_class = (_at_most(support[rows], support[rows]) + 1) / (len(rows) + 1)
        for size in np.unique(sizes[rows]):
            own = sizes[rows] == size
            badly = _at_most(support[rows[own]], support[rows[own]]) + _POOLED * of_class[own]
            rarity[rows[own]] = (own.sum() + _POOLED) / badly
    return rarity


class _Precision:
    """For each class, how many right detections there are for each unexplained one, from a confidence on.

    Where few are left at the top the ratio would fall again; there it stays, so that surer never counts for less.
    """

    def __init__(self, results: Sequence[ImageResult], evidence: Sequence[_Evidence]) -> None:
        pairs = list(zip(results, evidence, strict=True))
        right = _by_class([(r.classes[e.right], r.confidences[e.right]) for r, e in pairs])
        self._steps: dict[int, tuple[FloatArray, FloatArray]] = {}
        for class_id, unexplained in _by_class(
            [(r.classes[e.unexplained], r.confidences[e.unexplained]) for r, e in pairs]
        ).items():
            own = right.get(class_id, np.zeros(0))
            surer = len(own) - np.searchsorted(own, unexplained)
            # One unexplained detection more is counted, so that a single one does not make the ratio.
            ratios = surer / (np.arange(len(unexplained), 0, -1) + 1)
            self._steps[class_id] = unexplained, np.maximum.accumulate(ratios)

    def ratio(self, class_id: int, confidence: float) -> float:
        """Return the ratio for a detection; 0 for one less sure than every unexplained one of its class."""
        confidences, ratios = self._steps.get(class_id, (np.zeros(0), np.zeros(0)))
        below = int(np.searchsorted(confidences, confidence, side="right"))
        return float(ratios[below - 1]) if below else 0.0


def _by_class(parts: Sequence[tuple[IntArray, FloatArray]]) -> dict[int, FloatArray]:
    classes = _joined([part[0] for part in parts])
    confidences = np.concatenate([np.zeros(0), *(part[1] for part in parts)])
    return {int(one): np.sort(confidences[classes == one]) for one in np.unique(classes)}


def _at_most(values: FloatArray, limits: FloatArray) -> IntArray:
    return np.searchsorted(np.sort(values), limits, side="right")


def _joined(parts: Sequence[ArrayLike]) -> IntArray:
    return np.concatenate([np.zeros(0, np.int64), *(np.asarray(part, np.int64) for part in parts)])


def _detection(result: ImageResult, row: int) -> tuple[tuple[float, ...], int, float]:
    return tuple(result.boxes[row].tolist()), int(result.classes[row]), float(result.confidences[row])

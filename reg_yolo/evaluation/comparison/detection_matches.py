"""Matched detections of one evaluation, kept so that its figures can be computed again for any draw of the images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reg_yolo.errors import DataError
from reg_yolo.files import replace_bytes

IOUS = 10
FIXED_CONFIDENCE = 0.25
FIGURES = ("ap", "ap50", "f1_best", "f1_025")
# COCO's interpolation: precision at 101 recalls.
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class DetectionMatches:
    """Detections with whether they are right, and objects, of every image of a split.

    Attributes:
        images: N names, in the order in which they were evaluated.
        detection_image: Index of the image of each detection, shape (D,).
        detection_class: Its class index, shape (D,).
        confidence: In [0, 1], shape (D,).
        correct: Whether it is matched at IoU 0.50, 0.55 ... 0.95, shape (D, 10).
        target_image: Index of the image of each object, shape (M,).
        target_class: Its class index, shape (M,).
    """

    images: tuple[str, ...]
    detection_image: NDArray[np.int32]
    detection_class: NDArray[np.int16]
    confidence: NDArray[np.float32]
    correct: NDArray[np.bool_]
    target_image: NDArray[np.int32]
    target_class: NDArray[np.int16]

    @classmethod
    def from_images(
        cls,
        names: Sequence[str],
        correct: Sequence[NDArray[np.bool_]],
        confidence: Sequence[NDArray[np.floating]],
        detection_class: Sequence[NDArray[np.floating]],
        target_class: Sequence[NDArray[np.floating]],
    ) -> DetectionMatches:
        """Join what a validator keeps for each image.

        Args:
            names: N names of images.
            correct: For each image shape (D_i, 10).
            confidence: For each image shape (D_i,).
            detection_class: For each image shape (D_i,).
            target_class: For each image shape (M_i,).
        """
        detections = [len(values) for values in confidence]
        targets = [len(values) for values in target_class]
        order = np.arange(len(names), dtype=np.int32)
        return cls(
            tuple(names),
            np.repeat(order, detections),
            np.concatenate([*detection_class, np.zeros(0)]).astype(np.int16),
            np.concatenate([*confidence, np.zeros(0, np.float32)]).astype(np.float32),
            np.concatenate([np.zeros((0, IOUS), bool), *(np.asarray(c, bool).reshape(-1, IOUS) for c in correct)]),
            np.repeat(order, targets),
            np.concatenate([*target_class, np.zeros(0)]).astype(np.int16),
        )

    def without_idle(self) -> DetectionMatches:
        """Return the same without detections that no figure depends on.

        Wrong ones below the least confident right one of their class can lower neither average precision nor the best
        F1; those at `FIXED_CONFIDENCE` or more stay.
        """
        kept = self.confidence >= FIXED_CONFIDENCE
        right = self.correct.any(axis=1)
        for class_id in np.unique(self.detection_class[right]):
            own = self.detection_class == class_id
            kept |= own & (self.confidence >= self.confidence[own & right].min())
        return DetectionMatches(
            self.images,
            self.detection_image[kept],
            self.detection_class[kept],
            self.confidence[kept],
            self.correct[kept],
            self.target_image,
            self.target_class,
        )

    def write(self, path: Path) -> None:
        """Write an .npz file by way of a temporary one."""
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            images=np.array(self.images, dtype=np.str_),
            detection_image=self.detection_image,
            detection_class=self.detection_class,
            confidence=self.confidence,
            correct=np.packbits(self.correct, axis=1),
            target_image=self.target_image,
            target_class=self.target_class,
        )
        replace_bytes(path, stream.getvalue())

    @classmethod
    def read(cls, path: Path) -> DetectionMatches:
        """Read what `write` wrote.

        Raises:
            DataError: If the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                arrays = {name: content[name] for name in content.files}
            correct = np.unpackbits(arrays.pop("correct"), axis=1, count=IOUS).astype(bool)
            images = tuple(str(name) for name in arrays.pop("images"))
            return cls(images=images, correct=correct, **arrays)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise DataError(f"{path}: no matched detections can be read from it ({type(error).__name__})") from None


def class_figures(
    matches: DetectionMatches, classes: int, weights: NDArray[np.floating] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Compute the figures of every class for one or many draws of the images.

    Average precision is COCO's: the precision envelope at 101 recalls, by the trapezoid rule, as Ultralytics has it.
    `f1_best` is the highest F1 over all thresholds, `f1_025` that of detections of at least 0.25, both at IoU 0.5.

    Args:
        matches: Of N images.
        classes: How many classes there are (C).
        weights: How often each image is drawn, shape (B, N); by default every image once.

    Returns:
        For each of `FIGURES` shape (B, C), in [0, 1]; NaN where a draw holds no object of the class.
    """
    drawn = np.ones((1, len(matches.images))) if weights is None else np.asarray(weights, np.float64)
    figures = {name: np.full((len(drawn), classes), np.nan) for name in FIGURES}
    for class_id in range(classes):
        own = np.bincount(matches.target_image[matches.target_class == class_id], minlength=len(matches.images)).astype(
            np.float64
        )
        objects = drawn @ own
        present = objects > 0
        if not present.any():
            continue
        values = _one_class(matches, class_id, drawn[present], objects[present])
        for name, column in values.items():
            figures[name][present, class_id] = column
    return figures


def best_threshold(matches: DetectionMatches, class_id: int) -> float:
    """Return the confidence at which the F1 of a class is highest, at IoU 0.5; NaN where nothing is found."""
    rows = np.flatnonzero(matches.detection_class == class_id)
    rows = rows[np.argsort(-matches.confidence[rows], kind="stable")]
    right = matches.correct[rows, 0].cumsum()
    if not len(rows) or right[-1] == 0:
        return float("nan")
    objects = int((matches.target_class == class_id).sum())
    return float(matches.confidence[rows[(2 * right / (np.arange(1, len(rows) + 1) + objects)).argmax()]])


def _one_class(
    matches: DetectionMatches, class_id: int, drawn: NDArray[np.float64], objects: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    rows = np.flatnonzero(matches.detection_class == class_id)
    rows = rows[np.argsort(-matches.confidence[rows], kind="stable")]
    image, correct = matches.detection_image[rows], matches.correct[rows]
    sure = matches.confidence[rows] >= FIXED_CONFIDENCE
    count = len(matches.images)
    shown = drawn @ np.bincount(image[sure], minlength=count)
    found = drawn @ np.bincount(image[sure & correct[:, 0]], minlength=count)
    zero = np.zeros(len(drawn))
    values = {"ap": zero.copy(), "ap50": zero.copy(), "f1_best": zero.copy(), "f1_025": 2 * found / (shown + objects)}
    # Precision is highest where a right detection has just been added, so that only those positions count.
    steps = np.flatnonzero(correct.any(axis=1))
    if not len(steps):
        return values
    segment = np.searchsorted(steps, np.arange(steps[-1] + 1))
    members = sparse.csr_matrix((np.ones(len(segment)), (segment, image[: len(segment)])), shape=(len(steps), count))
    total = np.cumsum((members @ drawn.T).T, axis=1)
    own = drawn[:, image[steps]]
    precisions = np.zeros(len(drawn))
    for iou in range(IOUS):
        right = np.cumsum(own * correct[steps, iou], axis=1)
        average = _average_precision(right, total, objects)
        precisions += average / IOUS
        if iou == 0:
            values["ap50"] = average
            values["f1_best"] = (2 * right / (total + objects[:, None])).max(axis=1)
    values["ap"] = precisions
    return values


def _average_precision(
    right: NDArray[np.float64], total: NDArray[np.float64], objects: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return average precision from cumulative counts at the right detections, shapes (B, K), (B, K) and (B,)."""
    precision = np.divide(right, total, out=np.zeros_like(right), where=total > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # Beyond the last right detection precision is 0.
    envelope = np.pad(envelope, ((0, 0), (0, 1)))
    recall = right / objects[:, None]
    average = np.empty(len(right))
    for draw, (recalls, heights) in enumerate(zip(recall, envelope, strict=True)):
        heights = heights[np.searchsorted(recalls, _RECALLS, side="right")]
        average[draw] = (heights.sum() - (heights[0] + heights[-1]) / 2) / (len(_RECALLS) - 1)
    return average

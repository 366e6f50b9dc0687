"""What a network found on each image next to what its labels say, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ImageResult:
    """Detections and labelled objects of one image.

    Attributes:
        path: The image.
        width: Of the image, in pixels.
        height: Of the image, in pixels.
        boxes: Detected boxes, shape (N, 4), xyxy in pixels of the image; the surest first.
        confidences: In [0, 1], shape (N,).
        classes: Indices of the detections' classes, shape (N,).
        truth_boxes: Labelled boxes, shape (M, 4), xyxy in pixels of the image.
        truth_classes: Indices of the objects' classes, shape (M,).
    """

    path: Path
    width: int
    height: int
    boxes: FloatArray
    confidences: FloatArray
    classes: NDArray[np.int64]
    truth_boxes: FloatArray
    truth_classes: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        path: Path,
        size: tuple[int, int],
        found: tuple[ArrayLike, ArrayLike, ArrayLike],
        labelled: tuple[ArrayLike, ArrayLike],
    ) -> ImageResult:
        """Build from arrays in any order.

        Args:
            path: The image.
            size: Its width and height in pixels.
            found: Boxes, confidences and classes of the detections.
            labelled: Boxes and classes of the objects.

        Raises:
            ValueError: If lengths do not fit.

        Example:
            >>> boxes, confidences, classes = [[0, 0, 4, 4], [9, 9, 12, 12]], [0.2, 0.7], [0, 1]
            >>> result = ImageResult.of(Path("a.jpg"), (64, 48), (boxes, confidences, classes), ([], []))
            >>> result.confidences.tolist(), result.classes.tolist(), len(result.truth_boxes)
            ([0.7, 0.2], [1, 0], 0)
        """
        boxes, truth = (np.asarray(given, np.float64).reshape(-1, 4) for given in (found[0], labelled[0]))
        confidences = np.asarray(found[1], np.float64).reshape(-1)
        classes, truth_classes = (np.asarray(given).reshape(-1).astype(np.int64) for given in (found[2], labelled[1]))
        if not (len(boxes) == len(confidences) == len(classes) and len(truth) == len(truth_classes)):
            raise ValueError(
                f"lengths must fit, got {len(boxes)} boxes, {len(confidences)} confidences, {len(classes)} classes; "
                f"{len(truth)} labelled boxes, {len(truth_classes)} classes"
            )
        order = np.argsort(-confidences, kind="stable")
        return cls(path, *size, boxes[order], confidences[order], classes[order], truth, truth_classes)


def box_overlaps(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Return the intersection over union of every pair of boxes, xyxy: shapes (N, 4) and (M, 4) give (N, M).

    Example:
        >>> box_overlaps(np.array([[0.0, 0, 4, 4]]), np.array([[0.0, 0, 4, 2], [5, 5, 6, 6]])).tolist()
        [[0.5, 0.0]]
    """
    corners = np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - np.maximum(boxes[:, None, :2], others[None, :, :2])
    shared = np.prod(np.clip(corners, 0, None), axis=2)
    areas = [box_areas(these) for these in (boxes, others)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def greedy_matches(overlaps: FloatArray, least: float) -> NDArray[np.int64]:
    """Return the object that each detection finds, or -1: each takes the free one that it overlaps most.

    Args:
        overlaps: Of detections, the surest first, with objects, 0 where these are not to be matched: shape (N, M).
        least: Least overlap of a match.

    Returns:
        Shape (N,).

    Example:
        >>> greedy_matches(np.array([[0.6, 0.9], [0.7, 0.8], [0.1, 0.2]]), 0.5).tolist()
        [1, 0, -1]
    """
    free = overlaps.copy()
    matches = np.full(len(overlaps), -1)
    for row in np.flatnonzero(overlaps.max(1, initial=0) >= least):
        best = int(free[row].argmax())
        if free[row, best] >= least:
            matches[row] = best
            free[:, best] = 0
    return matches


def box_areas(boxes: FloatArray) -> FloatArray:
    """Return the areas of boxes, xyxy: shape (N, 4) gives (N,); an inverted box has none."""
    return np.asarray(np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1))

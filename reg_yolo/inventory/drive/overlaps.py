"""Boxes that lie on one another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.ranges import ranges

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_PIECE = 500_000
"""Pairs of boxes that are compared at once."""


class Least(NamedTuple):
    """Intersection over union above which two boxes of a frame are of one object.

    Attributes:
        same_class: Of boxes of one class.
        other_class: Of boxes of two; 1 keeps them apart.
    """

    same_class: float
    other_class: float

    def of(self, one: IntArray, other: IntArray) -> FloatArray:
        """Return it for classes of boxes, shapes that broadcast."""
        return np.where(one == other, self.same_class, self.other_class)


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of boxes xyxy, shapes (N, 4) and (K, 4): shape (N, K)."""
    return iou_of_each(a[:, None], b[None])


def iou_of_each(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of each two boxes, shapes (..., 4) and (..., 4): shape (...)."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (a, b)]
    union = areas[0] + areas[1] - common
    return np.asarray(common / np.maximum(union, 1e-9))


def surest_on_each(
    of_frame: IntArray, xyxy: FloatArray, class_id: IntArray, confidence: FloatArray, least: Least
) -> IntArray:
    """Return for each box the row of the most confident one of its frame that shows the same object; shape (M,).

    Args:
        of_frame: Frame of each box, not falling, shape (M,).
        xyxy: Shape (M, 4) in pixels.
        class_id, confidence: Shape (M,).
        least: From what overlap on two boxes are of one object.
    """
    surest = np.arange(len(of_frame))
    starts = np.searchsorted(of_frame, np.arange(int(of_frame[-1]) + 2 if len(of_frame) else 1))
    for frame in _frames_with_two_on_one(of_frame, starts, xyxy, class_id, least):
        start, end = starts[frame], starts[frame + 1]
        boxes, classes = xyxy[start:end], class_id[start:end]
        alike = iou(boxes, boxes) > least.of(classes[:, None], classes)
        taken = np.zeros(end - start, np.bool_)
        for k in np.argsort(-confidence[start:end], kind="stable"):
            if taken[k]:
                continue
            same = np.flatnonzero(alike[k] & ~taken)
            taken[same] = True
            surest[start + same] = start + k
    return surest


def _frames_with_two_on_one(
    of_frame: IntArray, starts: IntArray, xyxy: FloatArray, class_id: IntArray, least: Least
) -> list[int]:
    """Return the frames in which two boxes are of one object; they are few, and found for many frames at once."""
    first = np.arange(len(of_frame))
    after = starts[of_frame + 1] - first - 1
    found: set[int] = set()
    for rows in np.split(first, np.flatnonzero(np.diff(np.cumsum(after) // _PIECE)) + 1):
        one = np.repeat(rows, after[rows])
        other = ranges(rows + 1, after[rows])
        shared = iou_of_each(xyxy[one], xyxy[other]) > least.of(class_id[one], class_id[other])
        found.update(np.unique(of_frame[one[shared]]).tolist())
    return sorted(found)

"""Boundary F1 of class maps: how much of one map's outlines lies near those of the other (Csurka et al. 2013)."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

# Of the image's diagonal, as in the paper.
TOLERANCE = 0.0075
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=np.uint8)
_SQUARE = np.ones((3, 3), dtype=np.uint8)


@dataclass
class BoundaryCounts:
    """Outline pixels of each class, summed over images.

    The paper averages F1 over images; here the pixels of a whole split are pooled, as those of IoU are, so that an
    image with a single pixel of a class does not count as much as one that is full of it.

    Attributes:
        counts: float64 [4, C]: predicted outline pixels, those near a labelled one; labelled ones, those near a
            predicted one.
    """

    classes: int
    counts: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        """Start from nothing."""
        self.counts = np.zeros((4, self.classes))

    def add(self, predicted: NDArray[np.integer], labelled: NDArray[np.integer], ignore: int = 255) -> None:
        """Add one image.

        Args:
            predicted: [height, width], classes.
            labelled: The same of the truth; outlines that touch a pixel of `ignore` are left out of both.
            ignore: Label of unknown pixels.
        """
        tolerance = max(1.0, TOLERANCE * float(np.hypot(*labelled.shape)))
        unknown = (labelled == ignore).astype(np.uint8)
        known = cv2.dilate(unknown, _SQUARE) == 0
        given = np.where(unknown > 0, ignore, predicted)
        for index in range(self.classes):
            of_prediction, of_truth = (_outline(each == index) & known for each in (given, labelled))
            self.counts[0, index] += of_prediction.sum()
            self.counts[1, index] += _near(of_prediction, of_truth, tolerance)
            self.counts[2, index] += of_truth.sum()
            self.counts[3, index] += _near(of_truth, of_prediction, tolerance)

    def f1(self) -> NDArray[np.float64]:
        """Return boundary F1 of each class, in [0, 1]; NaN for a class without outlines in the truth.

        Example:
            >>> counts = BoundaryCounts(2)
            >>> labelled = np.zeros((40, 40), dtype=int)
            >>> labelled[:, 20:] = 1
            >>> counts.add(labelled, labelled)
            >>> counts.f1().tolist()
            [1.0, 1.0]
        """
        predicted, right, labelled, found = self.counts
        with np.errstate(divide="ignore", invalid="ignore"):
            precision, recall = np.where(predicted > 0, right / predicted, 0.0), found / labelled
            score = np.where(precision + recall > 0, 2 * precision * recall / (precision + recall), 0.0)
        return np.where(labelled > 0, score, np.nan)


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of a mask next to one outside of it; the image's edge is no outline."""
    if not mask.any():
        return mask
    return mask & (cv2.erode(mask.astype(np.uint8), _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=1) == 0)


def _near(outline: NDArray[np.bool_], other: NDArray[np.bool_], tolerance: float) -> int:
    """Return how many pixels of an outline lie within `tolerance` pixels of another one."""
    if not outline.any() or not other.any():
        return 0
    distance = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return int((distance[outline] <= tolerance).sum())

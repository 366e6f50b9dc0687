"""How well single images went: matches at IoU 0.5, F1 by image, and the hardest images of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from reg_yolo.evaluation.image_results import box_overlaps

MATCH_IOU = 0.5


@dataclass(frozen=True)
class ImageScore:
    """Matches on one image.

    Attributes:
        found: Objects with a detection of their class at IoU 0.5 or more.
        wrong: Detections without such an object.
        missed: Objects without such a detection.
    """

    found: int
    wrong: int
    missed: int

    @property
    def f1(self) -> float:
        """F1 of the image; 1 where there is nothing to find and nothing was found."""
        total = 2 * self.found + self.wrong + self.missed
        return 2 * self.found / total if total else 1.0


def score_image(
    boxes_xyxy: ArrayLike,
    confidences: ArrayLike,
    class_names: Sequence[str],
    truth_xyxy: ArrayLike,
    truth_names: Sequence[str],
) -> ImageScore:
    """Match detections with objects, the surest first, each with the free object of its class that it overlaps most.

    Args:
        boxes_xyxy: Shape (N, 4), pixels.
        confidences: Shape (N,), in [0, 1].
        class_names: N class names.
        truth_xyxy: Shape (M, 4), pixels.
        truth_names: M class names.
    """
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    truth = np.asarray(truth_xyxy, np.float64).reshape(-1, 4)
    overlaps = box_overlaps(boxes, truth)
    overlaps[np.array(class_names, object)[:, None] != np.array(truth_names, object)[None]] = 0.0
    found = 0
    for row in np.argsort(-np.asarray(confidences, np.float64).reshape(-1), kind="stable"):
        if not truth.size:
            break
        best = int(overlaps[row].argmax())
        if overlaps[row, best] >= MATCH_IOU:
            found += 1
            overlaps[:, best] = 0.0
    return ImageScore(found, len(boxes) - found, len(truth) - found)


def hardest_images(scores: Mapping[Path, Sequence[ImageScore]], count: int) -> list[Path]:
    """Return the images with the lowest F1, the mean over the runs; the hardest first.

    Of equal ones the image with more misses over all runs goes first, then the one with more wrong detections, then
    the path that sorts first. Images without a labelled object do not take part: any wrong detection makes their F1 0.

    Args:
        scores: By image, the score of each run.
        count: How many to return at most.
    """
    labelled = [path for path, runs in scores.items() if any(score.found + score.missed for score in runs)]

    def hardness(path: Path) -> tuple[float, int, int, str]:
        runs = scores[path]
        mean_f1 = sum(score.f1 for score in runs) / len(runs)
        # Rounded, so that equal sums of another order stay equal.
        return round(mean_f1, 9), -sum(s.missed for s in runs), -sum(s.wrong for s in runs), str(path)

    return sorted(labelled, key=hardness)[:count]

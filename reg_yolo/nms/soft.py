"""Soft-NMS: a box that overlaps a better one loses score, not its place (Bodla et al., arXiv 1704.04503)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reg_yolo.nms.survivors import Candidates, Survivors

SoftMethod = Literal["gaussian", "linear"]
Array = NDArray[np.floating[Any]]
Rows = NDArray[np.intp]
Factor = Callable[[Array], Array]

# Boxes whose turn has come, or never will, are carried along for this many turns, or one turn for so many boxes.
CARRIED, CARRIED_SHARE = 32, 8


def soft_nms(
    boxes_xyxy: Tensor,
    scores: Tensor,
    labels: Tensor,
    *,
    method: SoftMethod = "gaussian",
    sigma: float = 0.5,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.001,
    max_candidates: int = 2000,
) -> Survivors:
    """Lower the scores of boxes by their overlap with better ones of the same label, in greedy order.

    The highest score is taken, and the score of every other box is multiplied by exp(-IoU^2 / sigma) ("gaussian"), or
    by 1 - IoU where IoU > iou_threshold ("linear"); then the highest of what is left, until nothing is above
    `score_threshold`. Ties go to the lower index.

    Args:
        boxes_xyxy: Tensor[N, 4] of one image, any unit. Boxes with x2 < x1 or y2 < y1, or a number that is not finite,
            are dropped.
        scores: Tensor[N], in [0, 1].
        labels: Tensor[N], whole numbers; boxes of different labels do not meet.
        method: "gaussian" or "linear".
        sigma: > 0, for "gaussian".
        iou_threshold: In [0, 1], for "linear".
        score_threshold: >= 0; what falls to it or below is left out.
        max_candidates: The highest-scoring so many are taken, the work grows with their square.

    Returns:
        The survivors by descending lowered score, with that score.

    Raises:
        ValueError: If a shape does not fit, a number is out of its range, or `method` is unknown.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 20]])
        >>> soft_nms(boxes, torch.tensor([0.9, 0.8]), torch.zeros(2)).scores
        tensor([0.9000, 0.4852])
    """
    if method not in get_args(SoftMethod):
        raise ValueError(f"method must be one of {', '.join(get_args(SoftMethod))}, got {method!r}")
    if not (sigma > 0.0 and score_threshold >= 0.0 and max_candidates >= 1):
        raise ValueError(
            "sigma must be > 0, score_threshold >= 0 and max_candidates >= 1, "
            f"got {sigma!r}, {score_threshold!r} and {max_candidates!r}"
        )
    with torch.inference_mode():
        given = Candidates.of(boxes_xyxy, scores, labels, iou_threshold)
        # They stand by descending score.
        above = int((given.scores > score_threshold).sum())
        # By row from here on, so that ties go to the lower index.
        rows, taken = given.rows[:max_candidates][:above].sort()
        # One small step after the other: a GPU would wait for each, and NumPy has less to do before one than torch.
        corners, values, groups = (
            x.cpu().numpy() for x in (given.corners[:, taken], given.scores[taken], given.groups[taken])
        )
        # Half the digits of the scores do for the overlaps, which are most of the work.
        precision = np.float64 if boxes_xyxy.dtype == torch.float64 else np.float32
        factor = partial(_factor, method, sigma, iou_threshold)
        lowered = np.zeros_like(values)
        for group in np.unique(groups):
            own = (groups == group).nonzero()[0]
            lowered[own] = _lowered(corners.take(own, 1), values[own], score_threshold, precision, factor)
        order = np.argsort(-lowered, kind="stable")
        order = order[lowered[order] > score_threshold]
        kept = rows[torch.from_numpy(order).to(rows.device)]
    return Survivors(
        kept.clone(), torch.from_numpy(lowered[order]).to(scores), given.dropped, max(above - max_candidates, 0)
    )


def _lowered(
    corners: Array, values: Array, score_threshold: float, precision: type[np.floating[Any]], factor: Factor
) -> Array:
    """Return the score of each box of one group when its turn comes, 0 where it has none."""
    lowered = np.zeros_like(values)
    rows = np.argsort(corners[0] + corners[2], kind="stable")
    while True:
        rows = rows[values[rows] > score_threshold]
        race = _Race(corners.take(rows, 1), values[rows], rows, precision)
        for _ in range(max(len(rows) // CARRIED_SHARE, CARRIED)):
            best = race.best()
            if best is None or not race.values[best] > score_threshold:
                return lowered
            lowered[rows[best]] = race.values[best]
            race.take(best, factor)
        values[rows] = race.values


class _Race:
    """Boxes of one group in the order of their centres along x, where a box meets one stretch of the others.

    Attributes:
        values: What is left of the score of each box; 0 for those that were taken.
    """

    def __init__(self, corners: Array, values: Array, rows: Rows, precision: type[np.floating[Any]]) -> None:
        self.values, self._rows = values, rows
        sides, center = corners[2:] - corners[:2], (corners[0] + corners[2]) * 0.5
        # Rounding must not cost a neighbour.
        reach = (sides[0] + sides[0].max(initial=0.0)) * 0.5001
        self._first = np.searchsorted(center, center - reach).tolist()
        self._end = np.searchsorted(center, center + reach, side="right").tolist()
        self._low, self._high = corners[:2].astype(precision), corners[2:].astype(precision)
        # Boxes without area overlap nothing.
        self._area = np.maximum(sides[0] * sides[1], np.finfo(precision).tiny).astype(precision)

    def best(self) -> int | None:
        """Return the place of the highest score, that of the lowest row where several have it; None without boxes."""
        if not len(self.values):
            return None
        best = int(self.values.argmax())
        same = (self.values == self.values[best]).nonzero()[0]
        return best if len(same) == 1 else int(same[self._rows[same].argmin()])

    def take(self, best: int, factor: Factor) -> None:
        """Take a box, and lower the scores of those that it overlaps."""
        near, own = slice(self._first[best], self._end[best]), slice(best, best + 1)
        sides = np.minimum(self._high[:, near], self._high[:, own])
        sides -= np.maximum(self._low[:, near], self._low[:, own])
        np.maximum(sides, 0.0, out=sides)
        iou, union = sides
        iou *= union
        np.add(self._area[near], self._area[own], out=union)
        union -= iou
        iou /= union
        self.values[near] *= factor(iou)
        self.values[best] = 0.0


def _factor(method: SoftMethod, sigma: float, iou_threshold: float, iou: Array) -> Array:
    """Return what overlaps multiply a score with."""
    if method == "gaussian":
        iou *= iou
        iou *= -1.0 / sigma
        return np.exp(iou, out=iou)
    return np.where(iou > iou_threshold, 1.0 - iou, 1.0)

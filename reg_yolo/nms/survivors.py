"""What suppression takes and returns: boxes that can be compared, and those of them that are left."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Fewer boxes than this are moved apart group by group and then taken as one group, since a call a group costs them
# more. It is the other way about for many: greedy NMS compares every box it keeps with all that follow.
FEW_BOXES = 1000
# Moved apart by at most this many pixels, double precision keeps what float32 coordinates have.
FARTHEST = 2.0**24


@dataclass(frozen=True)
class Survivors:
    """The K boxes that a suppression keeps, the best first.

    Attributes:
        indices: Tensor[K] int64, rows of the boxes that were given.
        scores: Tensor[K], in the type of the scores that were given.
        dropped: Boxes left out beforehand because a coordinate or the score is not a finite number, or x2 < x1 or
            y2 < y1.
        over_limit: Boxes left out beforehand because there were more than the method takes.
    """

    indices: Tensor
    scores: Tensor
    dropped: int = 0
    over_limit: int = 0


@dataclass(frozen=True)
class Candidates:
    """N sound boxes by descending score, ties by row, in double precision: no rounding of the input's type decides.

    Attributes:
        rows: Tensor[N] int64, where each box stood among those given.
        corners: Tensor[4, N], x1, y1, x2 and y2: each in one stretch of memory, which is faster on a CPU.
        scores: Tensor[N].
        groups: Tensor[N] int64 in [0, G): boxes of different groups never meet.
        group_count: G.
        dropped: Boxes that were not sound.
    """

    rows: Tensor
    corners: Tensor
    scores: Tensor
    groups: Tensor
    group_count: int
    dropped: int

    @classmethod
    def of(cls, boxes_xyxy: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Candidates:
        """Return the sound boxes among those given.

        Raises:
            ValueError: If a shape does not fit, or the threshold is outside [0, 1].
        """
        count = len(boxes_xyxy)
        if boxes_xyxy.shape != (count, 4):
            raise ValueError(f"boxes_xyxy must have shape (N, 4), got {tuple(boxes_xyxy.shape)}")
        for name, tensor in (("scores", scores), ("labels", labels)):
            if tensor.shape != (count,):
                raise ValueError(f"{name} must have shape ({count},), got {tuple(tensor.shape)}")
        if not 0.0 <= iou_threshold <= 1.0:
            raise ValueError(f"iou_threshold must be in [0, 1], got {iou_threshold!r}")
        corners = boxes_xyxy.t().to(torch.float64, memory_format=torch.contiguous_format)
        values, order = scores.double().sort(descending=True, stable=True)
        if count and not _all_sound(corners, values):
            # NaN fails every comparison, and a sum with what is not finite is not finite.
            sound = (corners[:2] <= corners[2:]).all(0) & (corners.sum(0) + scores).isfinite()
            keep = sound.index_select(0, order)
            values, order = values[keep], order[keep]
        groups, group_count = _numbered(labels.long().index_select(0, order))
        return cls(order, corners.index_select(1, order), values, groups, group_count, count - len(order))

    def moved_apart(self) -> Candidates:
        """Return few boxes of many groups as one group, each group moved to a place of its own; others as they are."""
        if self.group_count > 1 and len(self.rows) <= FEW_BOXES:
            low, high = map(float, self.corners.aminmax())
            span = high - low + 1.0
            if span * self.group_count <= FARTHEST:
                corners, one = self.groups.mul(span).add(self.corners), torch.zeros_like(self.groups)
                return Candidates(self.rows, corners, self.scores, one, 1, self.dropped)
        return self


def _all_sound(corners: Tensor, values: Tensor) -> bool:
    """Return whether no box is unsound; one that is decides the extremes."""
    total, shortest = corners.sum().add_(values.sum()), (corners[2:] - corners[:2]).amin()
    return math.isfinite(total) and float(shortest) >= 0.0


def _numbered(labels: Tensor) -> tuple[Tensor, int]:
    """Return labels counted from 0, and how many numbers that takes; far-flung ones are numbered without gaps."""
    if not len(labels):
        return labels, 0
    low, high = (int(bound) for bound in labels.aminmax())
    if high - low < max(1024, len(labels)):
        return (labels - low if low else labels), high - low + 1
    unique, groups = torch.unique(labels, return_inverse=True)
    return groups, len(unique)

"""Greedy NMS, torchvision's, on many groups of boxes at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms


def greedy_nms(boxes: Tensor, scores: Tensor, groups: Tensor, group_count: int, iou_threshold: float) -> Tensor:
    """Return the rows that greedy NMS keeps in each group, the highest score first, ties by row.

    Args:
        boxes: Tensor[N, 4] float64, xyxy with x1 <= x2 and y1 <= y2.
        scores: Tensor[N] float64.
        groups: Tensor[N] int64 in [0, group_count).
        group_count: number of groups.
        iou_threshold: a box that overlaps a kept one by more is suppressed.

    Returns:
        Tensor[K] int64.
    """
    if group_count <= 1:
        return nms(boxes, scores, iou_threshold)
    order = groups.argsort(stable=True)
    counts = torch.bincount(groups, minlength=group_count).tolist()
    kept = [rows[nms(boxes[rows], scores[rows], iou_threshold)] for rows in order.split(counts) if len(rows)]
    found = torch.cat(kept).sort().values
    return found[scores[found].argsort(descending=True, stable=True)]

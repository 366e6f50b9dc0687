"""Balanced NMS and soft-NMS by the letter: loops over boxes as lists of numbers, without torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

Box = Sequence[float]


def iou(a: Box, b: Box) -> float:
    """Intersection over union; 0 for two boxes without area."""
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0.0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def greedy(boxes: Sequence[Box], labels: Sequence[int], order: Sequence[int], threshold: float) -> list[int]:
    """The boxes that greedy NMS keeps when it takes them in an order."""
    kept: list[int] = []
    for i in order:
        if all(labels[i] != labels[j] or iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


def center(box: Box) -> tuple[float, float]:
    """Centre of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def balanced_nms(
    boxes: Sequence[Box], scores: Sequence[float], labels: Sequence[int], threshold: float, mode: str = "closeness"
) -> list[int]:
    """CLE eq. 8-9."""
    references = greedy(boxes, labels, sorted(range(len(boxes)), key=lambda i: (-scores[i], i)), threshold)
    clusters: dict[int, list[int]] = {r: [r] for r in references}
    for i in range(len(boxes)):
        if i not in clusters:
            owner = next(r for r in references if labels[r] == labels[i] and iou(boxes[r], boxes[i]) > threshold)
            clusters[owner].append(i)
    rank, winners = {}, []
    for r, members in clusters.items():
        total = math.fsum(math.exp(scores[i]) for i in members)
        mean = [math.fsum(math.exp(scores[i]) * center(boxes[i])[axis] for i in members) / total for axis in (0, 1)]
        diagonal = math.hypot(boxes[r][2] - boxes[r][0], boxes[r][3] - boxes[r][1])
        for i in members:
            distance = math.dist(center(boxes[i]), mean) / diagonal if diagonal else 0.0
            rank[i] = round(scores[i] + (1 - distance if mode == "closeness" else distance), 9)
        winners.append(min(members, key=lambda i: (-rank[i], -scores[i], i)))
    return greedy(boxes, labels, sorted(winners, key=lambda i: (-rank[i], -scores[i], i)), threshold)


def soft_nms(
    boxes: Sequence[Box],
    scores: Sequence[float],
    labels: Sequence[int],
    method: str,
    sigma: float,
    threshold: float,
    score_threshold: float,
) -> list[tuple[int, float]]:
    """Indices and lowered scores."""
    left = {i: s for i, s in enumerate(scores) if s > score_threshold}
    found = []
    while left:
        best = min(left, key=lambda i: (-left[i], i))
        score = left.pop(best)
        if score <= score_threshold:
            continue
        found.append((best, score))
        for i in left:
            overlap = iou(boxes[i], boxes[best]) if labels[i] == labels[best] else 0.0
            if method == "gaussian":
                left[i] *= math.exp(-(overlap**2) / sigma)
            elif overlap > threshold:
                left[i] *= 1 - overlap
    return found

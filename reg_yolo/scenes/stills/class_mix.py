"""How many objects of each class every image is to show, so that a whole set has the paper's imbalance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

# Objects of one class that come together in an image, and how often: poles stand in rows, bridges alone.
_CLUSTERS: tuple[tuple[tuple[int, ...], tuple[float, ...]], ...] = (
    ((1, 2), (0.93, 0.07)),
    ((1,), (1.0,)),
    ((1, 2, 3), (0.6, 0.3, 0.1)),
    ((1, 2, 3, 4, 5), (0.16, 0.22, 0.26, 0.22, 0.14)),
    ((1,), (1.0,)),
    ((1, 2, 3), (0.55, 0.32, 0.13)),
    ((1, 2), (0.82, 0.18)),
)
EMPTY_SHARE = 0.05
"""Share of images that are planned to show no asset at all."""


def class_totals(total: int, mix: Sequence[float]) -> IntArray:
    """Split `total` objects in the proportions of `mix` by the largest-remainder rule."""
    share = np.asarray(mix, float) / float(np.sum(mix)) * total
    counts = np.floor(share).astype(np.int64)
    order = np.argsort(-(share - counts), kind="stable")
    counts[order[: total - int(counts.sum())]] += 1
    return counts


def plan_counts(rng: np.random.Generator, images: int, totals: IntArray) -> IntArray:
    """Counts `[images, classes]` whose columns add up to `totals` exactly.

    Objects of one class come in clusters; each cluster goes to an image of its own as long as there are images.
    """
    plan = np.zeros((images, len(totals)), np.int64)
    busy = rng.permutation(images)[: max(1, round(images * (1 - EMPTY_SHARE)))]
    for class_id, total in enumerate(totals):
        sizes, odds = _CLUSTERS[class_id]
        clusters: list[int] = []
        while sum(clusters) < total:
            clusters.append(min(int(rng.choice(sizes, p=odds)), int(total) - sum(clusters)))
        seats = rng.permutation(busy)
        # Where images run out, a second round adds to the first; the order stays random.
        for k, size in enumerate(clusters):
            plan[seats[k % len(seats)], class_id] += size
    return plan

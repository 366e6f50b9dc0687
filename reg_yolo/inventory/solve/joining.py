"""Fragments of one object: solved apart because the looks at it were interrupted."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from reg_yolo.inventory.solve.problem import LOWER, UPPER

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_REACH_M = 25.0
_GATE = 9.2
_SLACK_M = 0.4
_WIDE = 3.0
_SAME_HEIGHT = 0.5


def join_fragments(
    groups: list[IntArray], frame: IntArray, objects: FloatArray, covariance: FloatArray, votes: FloatArray
) -> list[list[int]]:
    """Put together what stands in one place, looks alike and was never seen twice in one frame.

    Args:
        groups: Rows of each object's rays.
        frame: Frame of each ray.
        objects: Solved objects, shape (N, 6).
        covariance: Of east and north, shape (N, 2, 2).
        votes: By class, shape (N, C).

    Returns:
        Members of each joined object.
    """
    places = objects[:, :2]
    pairs = cKDTree(places).query_pairs(_REACH_M, output_type="ndarray") if len(places) > 1 else np.zeros((0, 2), int)
    scored = []
    for i, j in pairs:
        apart = places[i] - places[j]
        spread = covariance[i] + covariance[j] + np.eye(2) * _SLACK_M**2
        distance = float(apart @ np.linalg.solve(spread, apart))
        if distance > _GATE or not _alike(objects[i], objects[j], votes[i], votes[j]):
            continue
        scored.append((float(np.hypot(*apart)) + distance, int(i), int(j)))
    members = {n: [n] for n in range(len(groups))}
    leader = list(range(len(groups)))
    frames = [set(frame[rows].tolist()) for rows in groups]
    for _, i, j in sorted(scored):
        a, b = leader[i], leader[j]
        if a == b or frames[a] & frames[b]:
            continue
        frames[a] |= frames[b]
        members[a] += members.pop(b)
        for n in members[a]:
            leader[n] = a
    return list(members.values())


def _alike(one: FloatArray, other: FloatArray, votes: FloatArray, other_votes: FloatArray) -> bool:
    """Whether sizes and classes allow that two are one; a class that one never had needs like sizes all the more."""
    heights = max(one[UPPER] - one[LOWER], 0.05), max(other[UPPER] - other[LOWER], 0.05)
    ratio = abs(math.log(heights[0] / heights[1]))
    share = float(votes @ other_votes) / max(float(np.linalg.norm(votes) * np.linalg.norm(other_votes)), 1e-9)
    return ratio < (_WIDE if share > 0.9 else 1.0) * _SAME_HEIGHT and share > 0.3

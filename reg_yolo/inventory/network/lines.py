"""Lines (guardrails) of which pieces were found: joined over holes, and over passes that saw other pieces of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

HOLE_M = 20.0
"""Shorter holes are bridged."""
_BESIDE_M = 2.5
_STEP_M = 0.5
_END_M = 1e-6


def bridged(lines: Sequence[FloatArray], names: Sequence[str]) -> list[tuple[list[int], FloatArray]]:
    """Join lines of one class that go on in one another with a hole under 20 m, or overlap.

    Args:
        lines: Points of each in metres, shape (K, 2).
        names: Class of each.

    Returns:
        For each joined line the numbers of its pieces, the longest first, and its points in the direction of that.

    Example:
        >>> rails = [np.array([[0.0, 0.0], [30.0, 0.0]]), np.array([[45.0, 1.0], [80.0, 1.0]])]
        >>> members, points = bridged(rails, ["guardrail", "guardrail"])[0]
        >>> members, points[[0, -1]].tolist()
        ([1, 0], [[0.0, 0.0], [80.0, 1.0]])
    """
    shapes = [shapely.LineString(points) for points in lines]
    leader = list(range(len(lines)))
    joined: dict[int, tuple[list[int], FloatArray]] = {
        n: ([n], np.asarray(points, np.float64)) for n, points in enumerate(lines)
    }
    found = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=HOLE_M + _BESIDE_M) if shapes else []
    pairs = [(shapely.distance(shapes[i], shapes[j]), int(i), int(j)) for i, j in np.transpose(found) if i < j]
    for _, i, j in sorted(pairs):
        a, b = leader[i], leader[j]
        if a == b or names[a] != names[b]:
            continue
        longer, shorter = (a, b) if _length(joined[a][1]) >= _length(joined[b][1]) else (b, a)
        points = _one_line(joined[longer][1], joined[shorter][1])
        if points is None:
            continue
        members = joined[longer][0] + joined.pop(shorter)[0]
        joined[longer] = members, points
        for n in members:
            leader[n] = longer
    return list(joined.values())


def votes_text(texts: Sequence[str]) -> str:
    """Add up class votes that are written as `name 3.2, other 0.1`.

    Example:
        >>> votes_text(["rail 2.0, pole 0.5", "rail 1.5"])
        'rail 3.5, pole 0.5'
    """
    votes: Counter[str] = Counter()
    for text in texts:
        for part in text.split(", "):
            name, _, value = part.rpartition(" ")
            votes[name] += float(value)  # type: ignore[assignment]
    return ", ".join(f"{name} {value:.1f}" for name, value in votes.most_common())


def _length(points: FloatArray) -> float:
    return float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())


def _one_line(base: FloatArray, other: FloatArray) -> FloatArray | None:
    """Points of both as one line; None where one does not go on in the other."""
    station, beside = _along(base, other)
    length = _length(base)
    hole = max(float(station.min()) - length, -float(station.max()), 0.0)
    if abs(float(np.median(beside))) > _BESIDE_M or hole >= HOLE_M:
        return None
    order = np.argsort(station)
    before, after = (other[order[side[order]]] for side in (station < -_STEP_M, station > length + _STEP_M))
    return np.concatenate([before, base, after])


def _along(base: FloatArray, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Stations of points along a line that goes straight on beyond its ends, and their distances to its right."""
    line = shapely.LineString(base)
    length = _length(base)
    station = shapely.line_locate_point(line, shapely.points(points))
    corners = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(base, axis=0), axis=1))))
    piece = np.clip(np.searchsorted(corners, station, side="right") - 1, 0, len(base) - 2)
    way = np.diff(base, axis=0)[piece] / np.maximum(np.diff(corners)[piece], 1e-9)[:, None]
    apart = points - base[piece]
    ahead = corners[piece] + (apart * way).sum(axis=1)
    beyond = (station <= _END_M) | (station >= length - _END_M)
    return np.where(beyond, ahead, station), apart[:, 0] * way[:, 1] - apart[:, 1] * way[:, 0]

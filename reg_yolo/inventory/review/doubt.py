"""How much an asset is worth a reviewer's look."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

TOLERATED_M = 5.0
"""Distance from its true place beyond which an asset counts as misplaced."""


def doubt(probability: float, sigma_m: float, votes: str) -> float:
    """Return the doubt about an asset: 1 - (1 - e)(1 - v)(1 - s), in [0, 1].

    Args:
        probability: That it exists. e = 1 - |2 p - 1| is 1 where that is as likely as not.
        sigma_m: Deviation of its place on each axis in metres. s = exp(-(5 m / sigma)^2 / 2) is the probability that it
            stands more than 5 m from its place.
        votes: `class_votes`, such as `pole 3.2, sign 0.4`. v is the second class's votes over the first one's.

    Example:
        >>> round(doubt(0.5, 1.0, "pole 4.0"), 3), round(doubt(0.9, 2.5, "pole 4.0, sign 1.0"), 3)
        (1.0, 0.481)
    """
    exists = 1 - abs(2 * min(max(probability, 0.0), 1.0) - 1)
    misplaced = math.exp(-0.5 * (TOLERATED_M / sigma_m) ** 2) if sigma_m > 0 else 0.0
    return 1 - (1 - exists) * (1 - _split(votes)) * (1 - misplaced)


def doubt_of(row: Mapping[str, Any]) -> float:
    """Return the doubt about an asset from its columns; 0 where reviewers have confirmed it."""
    if row.get("reviewed_by") or row.get("decisions"):
        return 0.0
    along, across = (float(row.get(name) or 0.0) for name in ("sigma_along_m", "sigma_across_m"))
    return doubt(float(row["probability"]), math.hypot(along, across) / math.sqrt(2), str(row.get("class_votes") or ""))


def _split(votes: str) -> float:
    counts = []
    for vote in votes.split(", "):
        try:
            counts.append(float(vote.rpartition(" ")[2]))
        except ValueError:
            continue
    counts.sort(reverse=True)
    return counts[1] / counts[0] if len(counts) > 1 and counts[0] > 0 else 0.0

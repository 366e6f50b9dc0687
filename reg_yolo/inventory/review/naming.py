"""Which observations a decision names its asset by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_NAMED = 8
"""Observations that a decision holds of an asset: enough for a majority of those that another build finds again."""


def named_by(records: Sequence[Mapping[str, Any]], best: Mapping[str, Any] | None = None) -> list[int]:
    """Return the positions of the observations that name an asset: the first, the last, even steps between, the best.

    The same for everybody who reviews a build, so that decisions on one asset are known as such without it.

    Args:
        records: As observations.jsonl holds them, in the order of the frames.
        best: Source and frame of the best one.

    Example:
        >>> named_by([{"source": "a", "frame": n} for n in range(20)], {"source": "a", "frame": 4})
        [0, 3, 4, 5, 8, 11, 14, 16, 19]
    """
    count = len(records)
    if count <= MOST_NAMED:
        return list(range(count))
    chosen = {round(n * (count - 1) / (MOST_NAMED - 1)) for n in range(MOST_NAMED)}
    if best is not None:
        key = best["source"], best["frame"]
        chosen |= {n for n, one in enumerate(records) if (one["source"], one["frame"]) == key}
    return sorted(chosen)


def naming(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the observations that name an asset, of its record in observations.jsonl."""
    return [record["observations"][n] for n in named_by(record["observations"], record["best"])]

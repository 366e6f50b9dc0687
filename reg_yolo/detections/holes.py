"""Holes: what a damaged source lacks, as records of the detections file. Schema: docs/detections_jsonl.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

HoleReason = Literal["damaged", "cut_off", "unreadable"]


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of a source that gives no sound frames.

    Attributes:
        source: The file.
        start_s: End of the last sound frame before it, in seconds on the frames' own clock.
        end_s: Time of the next sound frame, or the end that the container announces; None where nobody knows.
        reason: ``damaged`` (frames follow), ``cut_off`` (nothing follows), ``unreadable`` (the whole file).
        frame: Index that the first lost frame would have had.
    """

    source: str
    start_s: float
    end_s: float | None
    reason: HoleReason
    frame: int = 0

    def __post_init__(self) -> None:
        if not math.isfinite(self.start_s):
            raise ValueError(f"start_s must be finite, got {self.start_s}")
        if self.end_s is not None and not self.start_s <= self.end_s < math.inf:
            raise ValueError(f"end_s must be finite and not before start_s, got {self.start_s} to {self.end_s}")

    def __str__(self) -> str:
        if self.end_s is None:
            return f"{self.source}: nothing from {self.start_s:.2f} s on ({self.reason})"
        return f"{self.source}: {self.start_s:.2f} s to {self.end_s:.2f} s ({self.reason})"

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object of the hole; times to microseconds."""
        return {
            "record": "hole",
            "source": self.source,
            "frame": self.frame,
            "start_s": round(self.start_s, 6),
            "end_s": None if self.end_s is None else round(self.end_s, 6),
            "reason": self.reason,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Hole:
        """Read `to_record`'s object; keys of later minor versions are skipped."""
        end_s = record["end_s"]
        return cls(
            str(record["source"]),
            float(record["start_s"]),
            None if end_s is None else float(end_s),
            record["reason"],
            int(record["frame"]),
        )

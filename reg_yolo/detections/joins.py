"""Joins: where the timestamps of a source start again and its time is carried on. Schema: docs/detections_jsonl.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Join:
    """A place at which a file was put together from parts with clocks of their own.

    How much time lies between the parts nobody knows; the frames' clock goes on as if it were none.

    Attributes:
        source: The file.
        frame: Index of the first frame of the new part.
        time_s: Its time on the frames' clock, in seconds.
        jump_s: What the file's own timestamps jump by there, in seconds; negative where they fall back.
    """

    source: str
    frame: int
    time_s: float
    jump_s: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.time_s + self.jump_s):
            raise ValueError(f"time_s and jump_s must be finite, got {self.time_s} and {self.jump_s}")

    def __str__(self) -> str:
        return f"{self.source}: timestamps jump by {self.jump_s:+.2f} s at {self.time_s:.2f} s"

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object of the join; times to microseconds."""
        return {
            "record": "join",
            "source": self.source,
            "frame": self.frame,
            "time_s": round(self.time_s, 6),
            "jump_s": round(self.jump_s, 6),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Join:
        """Read `to_record`'s object; keys of later minor versions are skipped."""
        return cls(str(record["source"]), int(record["frame"]), float(record["time_s"]), float(record["jump_s"]))

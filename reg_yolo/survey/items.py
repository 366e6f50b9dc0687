"""What preflight says: one line an item, with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Item:
    """One thing that was looked at.

    Attributes:
        drive: Its drive; empty for all of the survey.
        name: What was looked at, in a word or two.
        verdict: `ok`, `warning` or `problem`.
        text: What was found, with figures.
        advice: What to do; empty where all is well.
        blocks: The drive cannot be located, so that it is left out.
        values: The figures, as plain data.
    """

    drive: str
    name: str
    verdict: Verdict
    text: str
    advice: str = ""
    blocks: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """As it is printed.

        Example:
            >>> Item("day1", "light", "warning", "mean luminance 40 of 255", "film by day").line
            'warning  day1: light: mean luminance 40 of 255; film by day'
        """
        place = f"{self.drive}: " if self.drive else ""
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.verdict:<8} {place}{self.name}: {self.text}{advice}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the item."""
        return {
            "drive": self.drive or None,
            "item": self.name,
            "verdict": self.verdict,
            "text": self.text,
            "advice": self.advice or None,
            "blocks": self.blocks,
            "values": dict(self.values),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Item:
        """Read `to_dict`'s object."""
        return cls(
            record["drive"] or "", record["item"], record["verdict"], record["text"], record["advice"] or "",
            bool(record["blocks"]), record["values"],
        )  # fmt: skip

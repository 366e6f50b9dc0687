"""What `inventory labels` has written and what it has left out, for people and as JSON."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reg_yolo.text_tables import text_table

_MOST_NAMED = 5


@dataclass
class LabelsSummary:
    """Counts.

    Attributes:
        out: The folder.
        class_names: In the order of their indices.
        result: The file or folder that a user continues with.
        images: Written.
        background: Of them, without a label.
        detected, projected: Labels by class: boxes of detections, and boxes that were projected.
        undecided: Of the labels, those of assets that nobody has decided on.
        hard_negatives: Boxes of rejected assets that are background now.
        hard_images: Images with such boxes.
        skipped: Frames and objects that were left out, by reason.
        lost: Frames that could not be written, by source and reason.
        not_applied: Decisions that are not followed.
    """

    out: Path
    class_names: list[str]
    result: Path
    images: int = 0
    background: int = 0
    detected: Counter[str] = field(default_factory=Counter)
    projected: Counter[str] = field(default_factory=Counter)
    undecided: int = 0
    hard_negatives: int = 0
    hard_images: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    not_applied: int = 0

    @property
    def is_partial(self) -> bool:
        """Whether frames are missing or decisions are not applied."""
        return bool(self.lost or self.not_applied)

    def as_text(self) -> str:
        """Return counts by class, and what was left out."""
        rows = [(name, str(self.detected[name]), str(self.projected[name])) for name in self.class_names]
        lines = [text_table(["class", "from detections", "projected"], rows), ""]
        lines.append(f"{self.images} images, {self.background} of them without a label")
        if self.hard_negatives:
            lines.append(f"{self.hard_negatives} boxes of rejected assets in {self.hard_images} images: hard negatives")
        if self.undecided:
            lines.append(f"{self.undecided} labels are of assets that nobody has decided on")
        lines += [f"{count} left out: {reason}" for reason, count in sorted(self.skipped.items()) if count]
        lost = self.lost.most_common()
        lines += [f"{reason} ({count} frames)" for reason, count in lost[:_MOST_NAMED]]
        if len(lost) > _MOST_NAMED:
            rest = lost[_MOST_NAMED:]
            lines.append(f"{len(rest)} more sources like these ({sum(count for _, count in rest)} frames)")
        if self.result.suffix == ".yaml":
            command = f"reg-yolo data split {shlex.quote(str(self.result))} --by drive --val 0.2"
            lines += ["", f"There is one split; `{command}` makes another."]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain data for JSON."""
        return {
            "folder": str(self.out),
            "result": str(self.result),
            "class_names": self.class_names,
            "images": self.images,
            "background": self.background,
            "detected": dict(self.detected),
            "projected": dict(self.projected),
            "undecided": self.undecided,
            "hard_negatives": self.hard_negatives,
            "hard_images": self.hard_images,
            "skipped": dict(self.skipped),
            "lost": dict(self.lost),
            "not_applied": self.not_applied,
        }

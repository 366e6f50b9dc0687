"""What pre-labelling has written, and what it has picked and why: a table to print and a CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reg_yolo.data.prelabel.uncertain import Picked
from reg_yolo.text_tables import csv_text, text_table

PICKS_NAME = "picks.csv"
_MOST_SHOWN = 20


@dataclass
class PrelabelSummary:
    """Counts of a pre-labelling.

    Attributes:
        out: The folder that was made.
        result: The file or folder that a user continues with.
        class_names: Classes in the order of their indices.
        frames: Frames written, those without objects included.
        tracks: Tracks written, where the format has them.
        objects: Objects written, by class; of a track every frame counts.
        outlines: Those of them with an outline.
        skipped: What was left out or changed, by reason.
        images_lost: Frames whose image is missing or cannot be used.
        picked: What was picked, where that was asked for.
        notes: Sentences about the files.
    """

    out: Path
    class_names: list[str]
    result: Path = Path()
    frames: int = 0
    tracks: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    outlines: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    images_lost: int = 0
    picked: Picked | None = None
    notes: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        """Return what was picked, counts by class, what was left out, and notes."""
        lines = picks_text(self.picked) if self.picked is not None else []
        tracks = f", {self.tracks} tracks" if self.tracks else ""
        lines += [f"{self.frames} frames, {self.objects.total()} objects ({self.outlines} with an outline){tracks}", ""]
        lines.append(text_table(["class", "objects"], [(name, str(self.objects[name])) for name in self.class_names]))
        causes = [(reason, count) for reason, count in sorted(self.skipped.items()) if count]
        if causes:
            lines += ["", "Left out or changed:", *(f"  {count:>6}  {reason}" for reason, count in causes)]
        lines += ["", *(f"Note: {note}" for note in self.notes)] if self.notes else []
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts and the names of what was picked as plain data for JSON."""
        return {
            "folder": str(self.out),
            "result": str(self.result),
            "class_names": self.class_names,
            "frames": self.frames,
            "tracks": self.tracks,
            "objects": dict(self.objects),
            "outlines": self.outlines,
            "skipped": {reason: count for reason, count in self.skipped.items() if count},
            "images_lost": self.images_lost,
            "picked": None if self.picked is None else [pick.frame.name for pick in self.picked.picks],
            "notes": self.notes,
        }


def picks_text(picked: Picked) -> list[str]:
    """Return the lines that say what was picked and why."""
    rows = [
        (pick.frame.place, pick.class_name, f"{pick.confidence:.3f}", f"{pick.threshold:.3f}", f"{pick.margin:.3f}")
        for pick in picked.picks[:_MOST_SHOWN]
    ]
    lines = [text_table(["picked", "for", "confidence", "threshold", "margin"], rows)]
    if len(picked.picks) > _MOST_SHOWN:
        lines.append(f"... and {len(picked.picks) - _MOST_SHOWN} more, in {PICKS_NAME}")
    turns = Counter(pick.class_name for pick in picked.picks)
    by_class = [(name, str(count), str(turns[name])) for name, count in _by_rarity(picked)]
    drives = Counter(pick.frame.drive for pick in picked.picks)
    most = max(drives.values(), default=0)
    return [
        *lines,
        "",
        text_table(["class", "known objects", "picked for"], by_class),
        "",
        f"Picked {len(picked.picks)} of {picked.candidates} frames with detections, from {len(drives)} drives or "
        f"places, at most {most} of one; {picked.near} left out because they look like one that is labelled or picked, "
        f"{picked.labelled} because they are labelled",
        "",
    ]


def picks_csv(picked: Picked) -> str:
    """Return every pick as a line: rank, image, where it is from, what it was picked for, and why."""
    rows: list[Sequence[object]] = [
        ["rank", "image", "source", "frame", "drive", "class", "known_objects", "confidence", "threshold", "margin"]
    ]
    for rank, pick in enumerate(picked.picks, start=1):
        frame = pick.frame
        place = (frame.name, str(frame.source), "" if frame.frame is None else frame.frame, frame.drive)
        values = (round(value, 5) for value in (pick.confidence, pick.threshold, pick.margin))
        rows.append([rank, *place, pick.class_name, picked.class_counts[pick.class_name], *values])
    return csv_text(rows)


def _by_rarity(picked: Picked) -> list[tuple[str, int]]:
    return sorted(picked.class_counts.items(), key=lambda entry: entry[1])

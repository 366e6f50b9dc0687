"""What a conversion has written, and what it has not: a table to print and a CSV that names every object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from reg_yolo.data.dataset.dataset_yaml import SPLITS
from reg_yolo.data.dataset.findings import csv_text
from reg_yolo.data.objects.annotations import Remark
from reg_yolo.text_tables import text_table

REPORT_NAME = "conversion.csv"
# Left out although nobody asked for it; left out as asked; written, but not as it stood.
DROPPED, ASKED, CHANGED = "dropped", "asked", "changed"
_MEANINGS = {DROPPED: "left out", ASKED: "left out as asked", CHANGED: "changed"}


@dataclass
class ConversionSummary:
    """Counts of a conversion.

    Attributes:
        out: The folder that was made.
        format_name: Format of the source.
        result: The data-set YAML, or the folder of COCO files.
        class_names: Classes in the order of their indices.
        images: Images written, by split.
        background: Those of them without objects, by split.
        unlabelled: Images without objects that were left out.
        images_lost: Images that were not found or cannot be used.
        polygons: Objects with an outline, by class.
        boxes: Objects with a box only, by class.
        remarks: Everything left out or changed.
        notes: How the source was understood.
    """

    out: Path
    format_name: str
    class_names: list[str]
    result: Path = Path()
    images: Counter[str] = field(default_factory=Counter)
    background: Counter[str] = field(default_factory=Counter)
    unlabelled: int = 0
    images_lost: int = 0
    polygons: Counter[str] = field(default_factory=Counter)
    boxes: Counter[str] = field(default_factory=Counter)
    remarks: list[Remark] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, split: str, objects: Sequence[object], class_counts: Sequence[tuple[str, bool]]) -> None:
        """Add one written image: its split, its objects, and class and kind (has an outline) of each."""
        self.images[split] += 1
        self.background[split] += not objects
        for name, outlined in class_counts:
            (self.polygons if outlined else self.boxes)[name] += 1

    def as_text(self, examples: int = 2) -> str:
        """Return counts by split and class, causes of loss with their first places, and notes."""
        lines = [f"{self.format_name} -> {self.result}", ""]
        rows = [(s, str(self.images[s]), str(self.background[s])) for s in SPLITS if self.images[s]]
        lines += [text_table(["split", "pictures", "without objects"], rows), ""]
        rows = [(name, str(self.polygons[name]), str(self.boxes[name])) for name in self.class_names]
        lines.append(text_table(["class", "outlines", "boxes only"], rows))
        if self.unlabelled:
            lines += ["", f"Images without objects left out: {self.unlabelled}; background keeps them."]
        causes = Counter((remark.kind, remark.reason) for remark in self.remarks)
        if causes:
            lines += ["", f"Left out or changed, each one named in {REPORT_NAME}:"]
        for (kind, reason), count in sorted(
            causes.items(), key=lambda item: (list(_MEANINGS).index(item[0][0]), -item[1])
        ):
            lines.append(f"  {count:>6}  {_MEANINGS[kind]}: {reason}")
            places = [f"{r.file} {r.place}".strip() for r in self.remarks if (r.kind, r.reason) == (kind, reason)]
            lines += [f"            {place}" for place in places[:examples]]
            if count > examples:
                lines.append(f"            ... and {count - examples} more")
        lines += ["", *(f"Note: {note}" for note in self.notes)] if self.notes else []
        if self.result.suffix == ".yaml" and self.polygons.total() and self.boxes.total():
            lines += [
                "",
                "Outlines and boxes stand side by side: check and train them as the joint task. For detection convert",
                "with rows=boxes, for segmentation with rows=polygons.",
            ]
        if set(self.images) == {"train"} and self.result.suffix == ".yaml":
            command = f"reg-yolo data split {quote(str(self.result))} --by drive --val 0.2"
            lines += ["", f"There is one split; `{command}` makes another."]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts and every remark as plain data for JSON."""
        return {
            "folder": str(self.out),
            "format": self.format_name,
            "result": str(self.result),
            "class_names": self.class_names,
            "images": dict(self.images),
            "background": dict(self.background),
            "unlabelled": self.unlabelled,
            "images_lost": self.images_lost,
            "outlines": dict(self.polygons),
            "boxes_only": dict(self.boxes),
            "remarks": [asdict(remark) for remark in self.remarks],
            "notes": self.notes,
        }

    def as_csv(self) -> str:
        """Return every remark as a line: what, file, object, class, reason."""
        rows = [(r.kind, r.file, r.place, r.class_name, r.reason) for r in self.remarks]
        return csv_text(["what", "file", "object", "class", "reason"], rows)

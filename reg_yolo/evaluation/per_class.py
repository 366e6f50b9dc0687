"""Per-class results of a validation, as data and as tables for a terminal, a README and a spreadsheet."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reg_yolo.files import replace_texts
from reg_yolo.text_tables import csv_text, escape_markdown, markdown_table, text_table

RARE_BELOW = 20
SCHEMA = "reg_yolo.per_class/1"

_METRICS = ("precision", "recall", "f1", "ap50", "ap")
_HEADINGS = ("Class", "Images", "Instances", "P", "R", "F1", "mAP50", "mAP50-95", "Threshold")
_DASH = "-"


@dataclass(frozen=True)
class ClassResult:
    """Results of one class, or the mean over classes.

    Attributes:
        name: Class name.
        images: Images that hold the class.
        instances: Labelled objects of the class.
        precision: In [0, 1], at the report's operating point; NaN without objects, as are the next four.
        recall: As precision.
        f1: As precision.
        ap50: Average precision at IoU 0.5.
        ap: Average precision over IoU 0.5 to 0.95.
        threshold: Confidence threshold chosen for the class, None where none is.
    """

    name: str
    images: int
    instances: int
    precision: float = math.nan
    recall: float = math.nan
    f1: float = math.nan
    ap50: float = math.nan
    ap: float = math.nan
    threshold: float | None = None

    @property
    def is_rare(self) -> bool:
        """Whether there are objects, but fewer than 20: too few for figures to rely on."""
        return 0 < self.instances < RARE_BELOW


@dataclass(frozen=True)
class DetectionReport:
    """Results of all classes on one split.

    Attributes:
        split: The split that was validated (``val``, ``test`` ...).
        classes: One result for each class, in the order of class indices.
        images: Images in the split, background included.
        kind: What was matched: ``box`` or ``mask``.
        operating_point: Where precision, recall and F1 are taken, for the note under the table.
        title: What was validated, such as the name of the weights.
    """

    split: str
    classes: tuple[ClassResult, ...]
    images: int
    kind: str = "box"
    operating_point: str = "the confidence of the best mean F1"
    title: str = ""

    @property
    def mean(self) -> ClassResult:
        """Mean over the classes that have objects; images and instances are those of the whole split."""
        values = {
            metric: _mean(getattr(result, metric) for result in self.classes if result.instances) for metric in _METRICS
        }
        return ClassResult("all", self.images, sum(result.instances for result in self.classes), **values)

    @property
    def notes(self) -> list[str]:
        """Sentences that belong under every rendering of the table."""
        notes = [f"Split: {self.split}. P, R and F1 at {self.operating_point}."]
        if any(result.is_rare for result in self.classes):
            notes.append(f"* fewer than {RARE_BELOW} instances: these figures are uncertain.")
        absent = [result.name for result in self.classes if not result.instances]
        if absent:
            noun = "class" if len(absent) == 1 else "classes"
            notes.append(f"Without objects in this split and left out of the means: {noun} {', '.join(absent)}.")
        return notes

    def as_text(self) -> str:
        """Return an aligned table for a terminal; rare classes carry an asterisk that the note explains."""
        head = [f"{self.title} ({self.kind})"] if self.title else []
        return "\n".join([*head, text_table(_HEADINGS, self._rows()), "", *self.notes]) + "\n"

    def as_markdown(self) -> str:
        """Return a Markdown table with the notes under it."""
        head = [f"**{escape_markdown(self.title)}** ({self.kind})"] if self.title else []
        notes = [escape_markdown(note) for note in self.notes]
        return "\n\n".join([*head, markdown_table(_HEADINGS, self._rows()), *notes]) + "\n"

    def as_csv(self) -> str:
        """Return CSV with full precision: a header, the mean (``row`` = mean), a line for each class."""
        counted = ("row", "class", "split", "kind", "images", "instances")
        lines: list[Sequence[object]] = [(*counted, *_METRICS[:3], "ap50", "ap50_95", "threshold", "rare")]
        for row, result in [("mean", self.mean), *(("class", result) for result in self.classes)]:
            metrics = [_csv_number(getattr(result, metric)) for metric in _METRICS]
            threshold = "" if result.threshold is None else _csv_number(result.threshold)
            rare = "true" if result.is_rare and row == "class" else "false"
            counts = [result.images, result.instances]
            lines.append([row, result.name, self.split, self.kind, *counts, *metrics, threshold, rare])
        return csv_text(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; a metric that does not exist is None."""
        return {
            "schema": SCHEMA,
            "title": self.title,
            "split": self.split,
            "kind": self.kind,
            "images": self.images,
            "operating_point": self.operating_point,
            "mean": _plain(self.mean),
            "classes": [{**_plain(result), "rare": result.is_rare} for result in self.classes],
            "notes": self.notes,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "DetectionReport":
        """Rebuild from `to_dict`'s data.

        Raises:
            ValueError: If the data has another schema.
        """
        if data.get("schema") != SCHEMA:
            raise ValueError(f"expected a per-class report of schema {SCHEMA!r}, got {data.get('schema')!r}")
        classes = tuple(
            ClassResult(
                name=row["name"],
                images=row["images"],
                instances=row["instances"],
                threshold=row["threshold"],
                **{metric: math.nan if row[metric] is None else row[metric] for metric in _METRICS},
            )
            for row in data["classes"]
        )
        return cls(data["split"], classes, data["images"], data["kind"], data["operating_point"], data["title"])

    def as_json(self) -> str:
        """Return `to_dict` as indented JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def _rows(self) -> list[list[str]]:
        return [_cells(self.mean, rare=False), *(_cells(result, result.is_rare) for result in self.classes)]

    def write(self, folder: Path, stem: str) -> list[Path]:
        """Write ``stem.txt``, ``.md``, ``.csv`` and ``.json`` into `folder`, each by rename, and return their paths."""
        contents = {"txt": self.as_text(), "md": self.as_markdown(), "csv": self.as_csv(), "json": self.as_json()}
        return replace_texts(folder, {f"{stem}.{suffix}": content for suffix, content in contents.items()})


def build_report(
    class_names: Sequence[str],
    *,
    split: str,
    images: int,
    image_counts: Sequence[int],
    instance_counts: Sequence[int],
    class_index: Sequence[int],
    precision: ArrayLike,
    recall: ArrayLike,
    f1: ArrayLike,
    ap50: ArrayLike,
    ap: ArrayLike,
    thresholds: Mapping[str, float] | None = None,
    kind: str = "box",
    operating_point: str = "the confidence of the best mean F1",
    title: str = "",
) -> DetectionReport:
    """Build a report from plain arrays as validators keep them.

    Args:
        class_names: All class names in the order of their indices.
        split: Name of the validated split.
        images: Images in the split.
        image_counts: By class, images that hold it.
        instance_counts: By class, labelled objects.
        class_index: Class index of each element of the metric arrays, shape (C,); classes without objects are absent.
        precision: Shape (C,), in [0, 1].
        recall: Shape (C,).
        f1: Shape (C,).
        ap50: Shape (C,), average precision at IoU 0.5.
        ap: Shape (C,), average precision over IoU 0.5 to 0.95.
        thresholds: By class name, the confidence threshold to show.
        kind: ``box`` or ``mask``.
        operating_point: Where precision, recall and F1 are taken.
        title: What was validated.

    Raises:
        ValueError: If an array does not have one element for each class.
    """
    for label, counts in (("image_counts", image_counts), ("instance_counts", instance_counts)):
        if len(counts) != len(class_names):
            raise ValueError(f"{label} must have one element for each of {len(class_names)} classes, got {len(counts)}")
    columns: dict[str, np.ndarray] = {}
    for metric, values in zip(_METRICS, (precision, recall, f1, ap50, ap), strict=True):
        column = np.asarray(values, dtype=np.float64).reshape(-1)
        if column.size != len(class_index):
            raise ValueError(f"{metric} must have shape ({len(class_index)},) as class_index, got ({column.size},)")
        columns[metric] = column
    row_of = {int(class_id): row for row, class_id in enumerate(class_index)}
    results = []
    for class_id, name in enumerate(class_names):
        row = row_of.get(class_id)
        known = row is not None and int(instance_counts[class_id]) > 0
        metrics = {metric: float(column[row]) for metric, column in columns.items()} if known else {}
        threshold = None if thresholds is None or name not in thresholds else float(thresholds[name])
        results.append(
            ClassResult(
                name, int(image_counts[class_id]), int(instance_counts[class_id]), threshold=threshold, **metrics
            )
        )
    return DetectionReport(split, tuple(results), images, kind, operating_point, title)


def _mean(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else math.nan


def _plain(result: ClassResult) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in asdict(result).items()
    }


def _csv_number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""


def _cells(result: ClassResult, rare: bool) -> list[str]:
    name = f"{result.name} *" if rare else result.name
    metrics = [getattr(result, metric) for metric in _METRICS]
    numbers = [f"{value:.3f}" if math.isfinite(value) else _DASH for value in metrics]
    threshold = _DASH if result.threshold is None else f"{result.threshold:.3f}"
    return [name, str(result.images), str(result.instances), *numbers, threshold]

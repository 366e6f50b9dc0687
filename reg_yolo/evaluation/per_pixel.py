"""Per-class results of a validation of pixels, as data and as tables for a terminal, a README and a spreadsheet."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reg_yolo.files import replace_texts
from reg_yolo.text_tables import csv_text, escape_markdown, markdown_table, text_table

SCHEMA = "reg_yolo.per_pixel/1"
METRICS = ("iou", "accuracy", "boundary_f1")
HEADINGS = ("IoU", "Pixel accuracy", "Boundary F1")


@dataclass(frozen=True)
class PixelClassResult:
    """Results of one class, or the mean over classes.

    Attributes:
        name: Class name.
        images: Images that hold the class.
        pixels: Labelled pixels of the class.
        iou: In [0, 1]: pixels that are the class in both maps over those that are it in one; NaN without any labelled.
        accuracy: Share of the labelled pixels that are predicted as the class; NaN as well.
        boundary_f1: F1 of the outlines within 0.75 % of the image's diagonal; NaN as well, or where nobody measured it.
    """

    name: str
    images: int
    pixels: int
    iou: float = math.nan
    accuracy: float = math.nan
    boundary_f1: float = math.nan


@dataclass(frozen=True)
class PixelReport:
    """Results of all classes on one split.

    Attributes:
        split: The split that was validated (``val``, ``test`` ...).
        classes: One result for each class, in the order of class indices.
        images: Images in the split.
        pixel_accuracy: Share of all labelled pixels that are right.
        title: What was validated, such as the name of the weights.
    """

    split: str
    classes: tuple[PixelClassResult, ...]
    images: int
    pixel_accuracy: float = math.nan
    title: str = ""
    kind: str = "pixel"

    @property
    def mean(self) -> PixelClassResult:
        """Mean over the classes with labelled pixels, background among them: its IoU is the mIoU."""
        counted = [result for result in self.classes if result.pixels]
        values = {metric: _mean([getattr(result, metric) for result in counted]) for metric in METRICS}
        return PixelClassResult("all", self.images, sum(result.pixels for result in self.classes), **values)

    @property
    def notes(self) -> list[str]:
        """Sentences that belong under every rendering of the table."""
        right = f"{self.pixel_accuracy:.3f}" if math.isfinite(self.pixel_accuracy) else "-"
        notes = [
            f"Split: {self.split}. Of all pixels {right} are right. The mean is over classes, the background's too."
        ]
        absent = [result.name for result in self.classes if not result.pixels]
        if absent:
            noun = "class" if len(absent) == 1 else "classes"
            notes.append(f"Without pixels in this split and left out of the means: {noun} {', '.join(absent)}.")
        return notes

    def as_text(self) -> str:
        """Return an aligned table for a terminal."""
        head = [f"{self.title} (pixels)"] if self.title else []
        return (
            "\n".join([*head, text_table(("Class", "Images", "Pixels", *HEADINGS), self._rows()), "", *self.notes])
            + "\n"
        )

    def as_markdown(self) -> str:
        """Return a Markdown table with the notes under it."""
        head = [f"**{escape_markdown(self.title)}** (pixels)"] if self.title else []
        table = markdown_table(("Class", "Images", "Pixels", *HEADINGS), self._rows())
        return "\n\n".join([*head, table, *map(escape_markdown, self.notes)]) + "\n"

    def as_csv(self) -> str:
        """Return CSV with full precision: a header, the mean (``row`` = mean), a line for each class."""
        lines: list[tuple[object, ...]] = [("row", "class", "split", "images", "pixels", *METRICS)]
        for row, result in [("mean", self.mean), *(("class", result) for result in self.classes)]:
            numbers = [getattr(result, metric) for metric in METRICS]
            shown = [repr(float(number)) if math.isfinite(number) else "" for number in numbers]
            lines.append((row, result.name, self.split, result.images, result.pixels, *shown))
        return csv_text(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; a metric that does not exist is None."""
        return {
            "schema": SCHEMA,
            "title": self.title,
            "split": self.split,
            "images": self.images,
            "pixel_accuracy": _number(self.pixel_accuracy),
            "mean": _plain(self.mean),
            "classes": [_plain(result) for result in self.classes],
            "notes": self.notes,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PixelReport:
        """Rebuild from `to_dict`'s data.

        Raises:
            ValueError: If the data has another schema.
        """
        if data.get("schema") != SCHEMA:
            raise ValueError(f"expected a report of pixels of schema {SCHEMA!r}, got {data.get('schema')!r}")
        classes = tuple(
            PixelClassResult(row["name"], row["images"], row["pixels"], *(_nan(row[metric]) for metric in METRICS))
            for row in data["classes"]
        )
        return cls(data["split"], classes, data["images"], _nan(data["pixel_accuracy"]), data["title"])

    def as_json(self) -> str:
        """Return `to_dict` as indented JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, folder: Path, stem: str) -> list[Path]:
        """Write ``stem.txt``, ``.md``, ``.csv`` and ``.json`` into `folder`, each by rename, and return their paths."""
        contents = {"txt": self.as_text(), "md": self.as_markdown(), "csv": self.as_csv(), "json": self.as_json()}
        return replace_texts(folder, {f"{stem}.{suffix}": content for suffix, content in contents.items()})

    def _rows(self) -> list[list[str]]:
        return [
            [result.name, str(result.images), f"{result.pixels:,}", *(cell(getattr(result, m)) for m in METRICS)]
            for result in (self.mean, *self.classes)
        ]


def cell(value: float) -> str:
    """Return a metric as a table shows it."""
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else math.nan


def _plain(result: PixelClassResult) -> dict[str, Any]:
    return {key: _number(value) if isinstance(value, float) else value for key, value in asdict(result).items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _nan(value: float | None) -> float:
    return math.nan if value is None else value

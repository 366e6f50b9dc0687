"""Writing Labelme JSON: in a folder a split every image and next to it its file, and `labels.txt` with the classes.

Parts of one object share a `group_id`; holes are joined to their part by a bridge, since a polygon has none. A file
without shapes says that an image was looked at and holds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reg_yolo.data.export.writer import DatasetWriter, LabelledImage, rounded
from reg_yolo.data.objects.annotations import ObjectAnnotation
from reg_yolo.data.objects.outlines import join_rings
from reg_yolo.files import replace_text

_DIGITS = 4
# Labelme warns of files whose first number is another than its own.
_VERSION = "5.5.0"
LABELS_FILE = "labels.txt"


class LabelmeWriter(DatasetWriter):
    """Writes every image and its file into a folder a split."""

    def add(self, image: LabelledImage) -> None:
        """Write one image and its file."""
        folder = self.folder / image.split
        folder.mkdir(parents=True, exist_ok=True)
        self.write_picture(image, folder)
        shapes: list[dict[str, Any]] = []
        group = 0
        for item in image.objects:
            group += len(item.parts) > 1
            shapes += _shapes(item, group)
        content: dict[str, Any] = {
            "version": _VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": image.name,
            "imageData": None,
            "imageHeight": image.size[1],
            "imageWidth": image.size[0],
        }
        text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        (folder / f"{image.stem}.json").write_text(text, encoding="utf-8", newline="\n")

    def finish(self) -> Path:
        """Write the class names and return the folder."""
        replace_text(self.folder / LABELS_FILE, "".join(f"{name}\n" for name in self.names))
        return self.folder


def _shapes(item: ObjectAnnotation, group: int) -> list[dict[str, Any]]:
    notes = [f"{item.score:.3f}"] if item.score is not None else []
    notes += [item.note] if item.note else []
    shape: dict[str, Any] = {
        "label": item.class_name,
        "description": ": ".join(notes),
        "flags": {},
        "mask": None,
        "group_id": None,
    }
    if not item.parts:
        assert item.box is not None
        left, top, right, bottom = rounded(item.box, _DIGITS)
        return [{**shape, "points": [[left, top], [right, bottom]], "shape_type": "rectangle"}]
    # A hole lies in one part or another; together they are one ring.
    rings: Sequence[Any] = [join_rings(item.parts, item.holes)] if item.holes else item.parts
    return [
        {
            **shape,
            "points": [rounded(point, _DIGITS) for point in ring],
            "shape_type": "polygon",
            "group_id": group if len(rings) > 1 else None,
        }
        for ring in rings
    ]

"""Writing Label Studio JSON: `tasks_SPLIT.json`, `images/SPLIT/`, and `label_config.xml` for a new project.

Coordinates are percent of the image. Objects that a model has predicted are `predictions` with scores, others
`annotations`. An object is one region: its parts and holes are joined by bridges.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from reg_yolo.data.export.writer import DatasetWriter, LabelledImage, refuse_control_characters, rounded
from reg_yolo.data.objects.annotations import ObjectAnnotation
from reg_yolo.data.objects.outlines import join_rings
from reg_yolo.files import replace_text

_DIGITS = 7
CONFIG_FILE = "label_config.xml"
# Names of the controls in the labelling interface, which every region refers to.
_IMAGE, _BOXES, _OUTLINES = "image", "box", "outline"


class LabelStudioWriter(DatasetWriter):
    """Writes images and one list of tasks a split into a folder."""

    def __init__(self, folder: Path, names: Sequence[str], *, link: bool = False, model: str | None = None) -> None:
        super().__init__(folder, names, link=link, model=model)
        refuse_control_characters(names, "Label Studio's labelling interface")
        self._tasks: dict[str, list[dict[str, Any]]] = {}

    def add(self, image: LabelledImage) -> None:
        """Write one image and keep its task."""
        self.write_picture(image, self.folder / "images" / image.split)
        tasks = self._tasks.setdefault(image.split, [])
        result = [
            self._region(item, image.size, f"{image.split}-{len(tasks)}-{number}")
            for number, item in enumerate(image.objects)
        ]
        place = quote(f"images/{image.split}/{image.name}")
        task: dict[str, Any] = {"data": {_IMAGE: f"/data/local-files/?d={place}"}}
        if self.model is None:
            task["annotations"] = [{"result": result}]
        else:
            scores = [item.score for item in image.objects if item.score is not None]
            mean = {"score": round(sum(scores) / len(scores), 4)} if scores else {}
            task["predictions"] = [{"model_version": self.model, **mean, "result": result}]
        tasks.append(task)

    def finish(self) -> Path:
        """Write the lists of tasks and the labelling interface; return the folder."""
        for split, tasks in self._tasks.items():
            replace_text(self.folder / f"tasks_{split}.json", json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")
        replace_text(self.folder / CONFIG_FILE, labelling_interface(self.names))
        return self.folder

    def _region(self, item: ObjectAnnotation, size: tuple[int, int], identity: str) -> dict[str, Any]:
        width, height = size
        if item.parts:
            ring = join_rings(item.parts, item.holes) * (100 / width, 100 / height)
            kind, control = "polygonlabels", _OUTLINES
            value: dict[str, Any] = {"points": [rounded(point, _DIGITS) for point in ring], "closed": True}
        else:
            assert item.box is not None
            left, top, right, bottom = item.box
            places = [left / width, top / height, (right - left) / width, (bottom - top) / height]
            kind, control = "rectanglelabels", _BOXES
            values = rounded([100 * place for place in places], _DIGITS)
            value = {**dict(zip(("x", "y", "width", "height"), values, strict=True)), "rotation": 0}
        return {
            "id": identity,
            "type": kind,
            "from_name": control,
            "to_name": _IMAGE,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {**value, kind: [item.class_name]},
            **({"score": round(item.score, 4)} if item.score is not None else {}),
            **({"meta": {"text": [item.note]}} if item.note else {}),
        }


def labelling_interface(names: Sequence[str]) -> str:
    """Return the labelling interface of a project that takes the regions that are written here.

    Example:
        >>> print(labelling_interface(["sign"]).splitlines()[1].strip())
        <Image name="image" value="$image" />
    """
    view = Element("View")
    SubElement(view, "Image", {"name": _IMAGE, "value": f"${_IMAGE}"})
    for control, name in (("RectangleLabels", _BOXES), ("PolygonLabels", _OUTLINES)):
        labels = SubElement(view, control, {"name": name, "toName": _IMAGE})
        for label in names:
            SubElement(labels, "Label", {"value": label})
    indent(view)
    return tostring(view, encoding="unicode") + "\n"

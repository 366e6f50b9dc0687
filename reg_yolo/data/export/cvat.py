"""Writing CVAT XML 1.1 for images: `annotations_SPLIT.xml`, `images/SPLIT/`, and `labels.json` for a new task.

A file a split: CVAT imports one into a task, and refuses it if the task lacks one of its images. Image ids are the
places in the order of the names, as CVAT sorts the images of a task. Parts of one object share a `group_id`; holes are
joined to their part by a bridge, since CVAT's polygons have none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from reg_yolo.data.export.writer import DatasetWriter, LabelledImage, refuse_control_characters, rounded
from reg_yolo.data.objects.annotations import Box, ObjectAnnotation, Ring
from reg_yolo.data.objects.outlines import join_rings
from reg_yolo.files import replace_text

_DIGITS = 4
LABELS_FILE = "labels.json"
# Attributes of an object; CVAT takes those that the task's labels declare, and leaves out others.
CONFIDENCE, NOTE = "confidence", "note"


class CvatWriter(DatasetWriter):
    """Writes images and one XML file a split into a folder."""

    def __init__(self, folder: Path, names: Sequence[str], *, link: bool = False, model: str | None = None) -> None:
        super().__init__(folder, names, link=link, model=model)
        refuse_control_characters(names, "CVAT's XML")
        self._images: dict[str, list[tuple[str, Element]]] = {}

    def add(self, image: LabelledImage) -> None:
        """Write one image and keep the element of its objects."""
        refuse_control_characters([image.name], "CVAT's XML", "image")
        refuse_control_characters([item.note.replace("\n", " ") for item in image.objects], "CVAT's XML", "note")
        self.write_picture(image, self.folder / "images" / image.split)
        width, height = image.size
        attributes = {"name": image.name, "subset": image.split, "width": str(width), "height": str(height)}
        element = Element("image", {"id": "", **attributes})
        group = 0
        for item in image.objects:
            group += len(item.parts) > 1
            self._add_object(element, item, group)
        self._images.setdefault(image.split, []).append((image.name, element))

    def finish(self) -> Path:
        """Write the XML files and the labels; return the folder."""
        for split, images in self._images.items():
            ordered = [element for _, element in sorted(images, key=lambda entry: entry[0])]
            for index, element in enumerate(ordered):
                element.set("id", str(index))
            meta = {"size": str(len(ordered)), "mode": "annotation", "subset": split}
            write_xml(self.folder / f"annotations_{split}.xml", meta, self.names, ordered)
        write_labels(self.folder / LABELS_FILE, self.names)
        return self.folder

    def _add_object(self, parent: Element, item: ObjectAnnotation, group: int) -> None:
        attributes = {"label": item.class_name, "source": "auto" if self.model else "manual", "occluded": "0"}
        if not item.parts:
            assert item.box is not None
            add_shape(parent, attributes, item.box, item)
        elif len(item.parts) == 1 or item.holes:
            # A hole lies in one part or another; together they are one ring.
            add_shape(parent, attributes, join_rings(item.parts, item.holes), item)
        else:
            for ring in item.parts:
                add_shape(parent, {**attributes, "group_id": str(group)}, ring, item)


def add_shape(parent: Element, attributes: dict[str, str], shape: Box | Ring, item: ObjectAnnotation) -> None:
    """Add a `box` or `polygon` element with what is known of its object."""
    if isinstance(shape, tuple):
        places = {
            key: repr(value) for key, value in zip(("xtl", "ytl", "xbr", "ybr"), rounded(shape, _DIGITS), strict=True)
        }
        element = SubElement(parent, "box", {**attributes, **places, "z_order": "0"})
    else:
        points = ";".join(f"{x!r},{y!r}" for x, y in (rounded(point, _DIGITS) for point in shape))
        element = SubElement(parent, "polygon", {**attributes, "points": points, "z_order": "0"})
    if item.score is not None:
        SubElement(element, "attribute", {"name": CONFIDENCE}).text = f"{item.score:.3f}"
    if item.note:
        SubElement(element, "attribute", {"name": NOTE}).text = item.note


def write_xml(
    target: Path, meta: Mapping[str, str | Mapping[str, str]], names: Sequence[str], elements: Sequence[Element]
) -> None:
    """Write an annotation file of version 1.1.

    Args:
        target: The file.
        meta: What it says of its task: the text of each element, or the texts of the elements in it.
        names: The task's labels.
        elements: The images or tracks.
    """
    task = Element("task")
    for key, value in meta.items():
        element = SubElement(task, key)
        if isinstance(value, str):
            element.text = value
        else:
            for inner, text in value.items():
                SubElement(element, inner).text = text
    labels = SubElement(task, "labels")
    for name in names:
        SubElement(SubElement(labels, "label"), "name").text = name
    head = Element("meta")
    head.append(task)
    # One element at a time: the text of all of them is many times as large as one.
    parts = ['<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>']
    for element in (head, *elements):
        indent(element)
        parts.append(tostring(element, encoding="unicode"))
    replace_text(target, "\n".join([*parts, "</annotations>\n"]))


def write_labels(target: Path, names: Sequence[str]) -> None:
    """Write the labels as CVAT's form for a new task takes them (the tab Raw)."""
    attributes = [
        {"name": name, "mutable": True, "input_type": "text", "default_value": "", "values": [""]}
        for name in (CONFIDENCE, NOTE)
    ]
    labels = [{"name": name, "attributes": attributes} for name in names]
    replace_text(target, json.dumps(labels, ensure_ascii=False, indent=1) + "\n")

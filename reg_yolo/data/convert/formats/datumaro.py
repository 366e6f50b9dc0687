"""Datumaro JSON: one file a subset, items with boxes, polygons and run-length masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reg_yolo.data.convert.formats.coco_masks import decode_mask
from reg_yolo.data.convert.formats.entries import bad_object_skipped, merge_entries, new_image
from reg_yolo.data.convert.formats.reading import (
    as_list,
    as_mapping,
    as_number,
    as_ring,
    as_size,
    as_text,
    read_json,
)
from reg_yolo.data.convert.formats.shapes import ellipse, mask_object, merge_groups, turned_box
from reg_yolo.data.dataset.image_finder import ImageFinder
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, ObjectAnnotation, Remark
from reg_yolo.errors import DataError

_NO_AREA = {
    "polyline": "a line has no area",
    "points": "points have no area",
    "cuboid_3d": "a cuboid is not an area",
    "skeleton": "a skeleton has no area",
}


def read_datumaro(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read Datumaro files as one set.

    Raises:
        DataError: If a file is not a JSON object with labels and items.
    """
    result = AnnotatedSet("datumaro", [], [])
    for path in files:
        content = as_mapping(read_json(path), str(path))
        split = split_of(str(path.parent.relative_to(root)) if path.is_relative_to(root) else "", path.stem)
        names = _labels(content, path)
        result.class_names += [name for name in names if name not in result.class_names]
        for index, raw in enumerate(as_list(content.get("items"), f"{path}: items")):
            place = f"items[{index}]"
            with bad_object_skipped(result.remarks, path.name, place, f"{path}: {place}"):
                result.images.append(_read_item(as_mapping(raw, f"{path}: {place}"), names, place, path, split, finder))
    merge_entries(result)
    return result


def _labels(content: Mapping[str, Any], path: Path) -> list[str]:
    where = f"{path}: categories"
    label = as_mapping(as_mapping(content.get("categories"), where).get("label"), f"{where} label")
    entries = as_list(label.get("labels"), f"{where} label labels")
    return [as_text(as_mapping(entry, where).get("name"), f"{where}[{k}] name") for k, entry in enumerate(entries)]


def _read_item(
    item: Mapping[str, Any], names: list[str], place: str, path: Path, split: str | None, finder: ImageFinder
) -> AnnotatedImage:
    given = item.get("image") or item.get("media")
    picture: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    name = as_text(picture.get("path") or item.get("id"), f"{path}: {place} id")
    sides = picture.get("size")
    size = as_size(sides[1], sides[0], f"{path}: {place} size") if isinstance(sides, list) and len(sides) == 2 else None
    image = new_image(name, path, finder.find(name, path.parent, split), size, split)
    shapes: list[tuple[str, ObjectAnnotation]] = []
    for index, raw in enumerate(as_list(item.get("annotations") or [], f"{path}: {place} annotations")):
        at = f"{place} annotations[{index}]"
        with bad_object_skipped(image.left_out, name, at, f"{path}: {at}"):
            _add_shape(as_mapping(raw, f"{path}: {at}"), names, image, at, shapes)
    image.objects = merge_groups(shapes)
    return image


def _add_shape(
    entry: Mapping[str, Any],
    names: list[str],
    image: AnnotatedImage,
    place: str,
    shapes: list[tuple[str, ObjectAnnotation]],
) -> None:
    where = f"{image.annotation_file}: {place}"
    kind = str(entry.get("type"))
    if kind in ("label", "caption"):
        # They say something of the image, not that something is in a place of it.
        return
    index = entry.get("label_id")
    if not isinstance(index, int) or not 0 <= index < len(names):
        raise DataError(f"{where} label_id: {index!r} is not a label of the file")
    if kind in _NO_AREA:
        image.left_out.append(Remark("dropped", image.name, place, names[index], _NO_AREA[kind]))
        return
    group = entry.get("group")
    shapes.append((str(group) if group else "", _object(entry, kind, names[index], place, where, image.size)))


def _object(
    entry: Mapping[str, Any], kind: str, name: str, place: str, where: str, size: tuple[float, float] | None
) -> ObjectAnnotation:
    if kind == "bbox":
        values = [as_number(value, f"{where} bbox") for value in as_list(entry.get("bbox"), f"{where} bbox")]
        if len(values) != 4:
            raise DataError(f"{where} bbox: expected [x, y, width, height], got {len(values)} values")
        left, top, width, height = values
        attributes = entry.get("attributes")
        degrees = attributes.get("rotation") if isinstance(attributes, Mapping) else 0
        box = (left, top, left + width, top + height)
        return ObjectAnnotation(name, place, turned_box(box, (), as_number(degrees or 0, f"{where} rotation"))[0])
    if kind == "polygon":
        return ObjectAnnotation(name, place, parts=[as_ring(entry.get("points"), f"{where} points")])
    if kind == "ellipse":
        (left, top), (right, bottom) = as_ring(entry.get("points"), f"{where} points")[:2]
        centre, radii = np.array([left + right, top + bottom]) / 2, np.array([right - left, bottom - top]) / 2
        return ObjectAnnotation(name, place, parts=[ellipse(centre, radii)])
    if kind == "mask":
        mask = decode_mask(as_mapping(entry.get("rle"), f"{where} rle"), size, f"{where} rle")
        return mask_object(name, place, mask, 0, 0)
    raise DataError(f"{where}: the type {kind!r} is not known")

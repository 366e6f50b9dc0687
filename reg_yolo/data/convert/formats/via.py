"""VGG Image Annotator (VIA) 1 and 2: projects and exported annotations as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reg_yolo.data.convert.formats.entries import bad_object_skipped, merge_entries, new_image
from reg_yolo.data.convert.formats.reading import as_list, as_mapping, as_number, as_text, read_json
from reg_yolo.data.convert.formats.shapes import ellipse, rotated
from reg_yolo.data.dataset.image_finder import ImageFinder
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, ObjectAnnotation, Remark
from reg_yolo.errors import DataError

_NO_AREA = {"polyline": "a line has no area", "point": "points have no area"}
# What people call the attribute that holds the class; otherwise it is the one that most regions have.
_CLASS_WORDS = ("class", "label", "name", "category", "type", "object", "class_name", "classname")


def read_via(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read VIA files as one set.

    Raises:
        DataError: If a file is not a JSON object.
    """
    result = AnnotatedSet("via", [], [])
    for path in files:
        content = as_mapping(read_json(path), str(path))
        entries = as_mapping(content.get("_via_img_metadata", content), f"{path}: _via_img_metadata")
        split = split_of(str(path.parent.relative_to(root)) if path.is_relative_to(root) else "", path.stem)
        attribute = _class_attribute(entries)
        if attribute:
            result.notes.append(f"{path.name}: the attribute {attribute!r} of a region is taken as its class.")
        for key, raw in entries.items():
            with bad_object_skipped(result.remarks, path.name, str(key), f"{path}: {key}"):
                entry = as_mapping(raw, f"{path}: {key}")
                name = as_text(entry.get("filename"), f"{path}: {key} filename")
                image = new_image(name, path, finder.find(name, path.parent, split), None, split)
                for place, region in _regions(entry, f"{path}: {key}"):
                    where = f"{path}: {key}: {place}"
                    with bad_object_skipped(image.left_out, name, place, where):
                        _add_region(as_mapping(region, where), attribute, image, place, where)
                result.images.append(image)
    merge_entries(result)
    result.class_names = sorted({item.class_name for image in result.images for item in image.objects})
    return result


def _regions(entry: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
    regions = entry.get("regions") or []
    # VIA 1 numbers them in an object.
    values = list(regions.values()) if isinstance(regions, Mapping) else as_list(regions, f"{where} regions")
    yield from ((f"regions[{number}]", region) for number, region in enumerate(values))


def _class_attribute(entries: Mapping[str, Any]) -> str:
    counts: Counter[str] = Counter()
    for entry in entries.values():
        if isinstance(entry, Mapping):
            for _, region in _regions(entry, ""):
                if isinstance(region, Mapping) and isinstance(region.get("region_attributes"), Mapping):
                    counts.update(key for key, value in region["region_attributes"].items() if value not in ("", {}))
    named = [key for word in _CLASS_WORDS for key in counts if key.lower() == word]
    return named[0] if named else (counts.most_common(1)[0][0] if counts else "")


def _add_region(region: Mapping[str, Any], attribute: str, image: AnnotatedImage, place: str, where: str) -> None:
    value = as_mapping(region.get("region_attributes") or {}, f"{where} region_attributes").get(attribute)
    if isinstance(value, Mapping):
        # A checkbox: the names that are ticked.
        value = next((name for name, ticked in value.items() if ticked), None)
    class_name = as_text(value, f"{where} region_attributes {attribute}")
    shape = as_mapping(region.get("shape_attributes"), f"{where} shape_attributes")
    kind = str(shape.get("name"))

    def number(key: str) -> float:
        return as_number(shape.get(key), f"{where} {key}")

    if kind in _NO_AREA:
        image.left_out.append(Remark("dropped", image.name, place, class_name, _NO_AREA[kind]))
    elif kind == "rect":
        left, top = number("x"), number("y")
        box = (left, top, left + number("width"), top + number("height"))
        image.objects.append(ObjectAnnotation(class_name, place, box))
    elif kind == "polygon":
        xs, ys = (as_list(shape.get(key), f"{where} {key}") for key in ("all_points_x", "all_points_y"))
        if len(xs) != len(ys) or not xs:
            raise DataError(f"{where}: {len(xs)} x for {len(ys)} y")
        ring = np.array([[as_number(x, where), as_number(y, where)] for x, y in zip(xs, ys, strict=True)])
        image.objects.append(ObjectAnnotation(class_name, place, parts=[ring]))
    elif kind in ("circle", "ellipse"):
        radii = [number("r"), number("r")] if kind == "circle" else [number("rx"), number("ry")]
        ring = ellipse(np.array([number("cx"), number("cy")]), np.array(radii))
        turned = rotated(ring, np.degrees(as_number(shape.get("theta") or 0, f"{where} theta")))
        image.objects.append(ObjectAnnotation(class_name, place, parts=[turned]))
    else:
        raise DataError(f"{where}: the shape {kind!r} is not known")

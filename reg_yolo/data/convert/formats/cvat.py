"""CVAT XML 1.1 for images: boxes, polygons, ellipses and brush masks; for video the tracks are in `cvat_tracks`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from reg_yolo.data.convert.formats.cvat_shapes import NO_AREA, SHAPES, shape_object, shapes_of
from reg_yolo.data.convert.formats.cvat_tracks import read_tracks
from reg_yolo.data.convert.formats.entries import BAD_OBJECT, bad_object_skipped, merge_entries, new_image
from reg_yolo.data.convert.formats.reading import as_size, as_text, read_xml
from reg_yolo.data.convert.formats.shapes import merge_groups
from reg_yolo.data.dataset.image_finder import ImageFinder
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.data.objects.annotations import AnnotatedSet, ObjectAnnotation, Remark
from reg_yolo.errors import DataError


def read_cvat(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read CVAT files, for images or for video, as one set.

    Raises:
        DataError: If a file is not XML, a shape lacks a coordinate, or a video's frames are nowhere to be found.
    """
    result = AnnotatedSet("cvat", [], [])
    for path in files:
        document = read_xml(path)
        if document.tag != "annotations":
            raise DataError(f"{path} is not a CVAT file: its root is <{document.tag}>, expected <annotations>.")
        for label in document.iterfind("meta//labels/label/name"):
            _add_class(result, as_text(label.text, f"{path}: meta label"))
        if document.find("track") is not None:
            read_tracks(document, path, root, finder, result)
        if document.find("image") is not None or document.find("track") is None:
            _read_images(document, path, result, finder)
        for image in result.images:
            for item in image.objects:
                _add_class(result, item.class_name)
    merge_entries(result)
    return result


def _read_images(document: Element, path: Path, result: AnnotatedSet, finder: ImageFinder) -> None:
    for index, element in enumerate(document.iterfind("image")):
        where = f"{path}: image {element.get('id', index)}"
        name = as_text(element.get("name"), f"{where} name").replace("\\", "/")
        split = split_of(element.get("subset") or "")
        found = finder.find(name, path.parent, split)
        size = as_size(element.get("width"), element.get("height"), where)
        image = new_image(name, path, found, size, split)
        shapes: list[tuple[str, ObjectAnnotation]] = []
        for shape, place, class_name, fault in shapes_of(element, where):
            if fault:
                image.left_out.append(Remark("dropped", name, f"{place} ({fault})", "", BAD_OBJECT))
            elif shape.tag in SHAPES:
                with bad_object_skipped(image.left_out, name, place, f"{where} {place}", class_name):
                    shapes.append((_group(shape), shape_object(shape, class_name, f"{where} {place}", place)))
            else:
                # A tag says something of the image, not that something is in a place of it.
                remarks = result.remarks if shape.tag == "tag" else image.left_out
                remarks.append(Remark("dropped", name, place, class_name, NO_AREA[shape.tag]))
        image.objects = merge_groups(shapes)
        result.images.append(image)


def _group(element: Element) -> str:
    group = element.get("group_id") or ""
    return "" if group == "0" else group


def _add_class(result: AnnotatedSet, name: str) -> None:
    if name not in result.class_names:
        result.class_names.append(name)

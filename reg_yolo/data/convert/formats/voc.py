"""Pascal VOC XML: one file an image, splits in ImageSets or by folder.

The devkit counts pixels from 1 and includes the last one; most tools that write its XML count from 0. An export in
which every coordinate is a whole number and none is below 1 is read by the devkit's rule, any other as it stands; the
difference is at most one pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from reg_yolo.data.convert.formats.image_finder import ImageFinder
from reg_yolo.data.convert.formats.reading import as_number, as_size, as_text, read_text, read_xml, split_of
from reg_yolo.data.convert.formats.shapes import rotated
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, ImageSource, ObjectAnnotation, Ring
from reg_yolo.data.objects.outlines import bounds
from reg_yolo.errors import DataError


def read_voc(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read VOC files as one set; an image without a file has no objects.

    Raises:
        DataError: If a file is no XML or an object lacks its name or its box.
    """
    result = AnnotatedSet("voc", [], [])
    splits = _image_sets(root)
    described: set[Path] = set()
    for path in files:
        image = _read_file(path, root, finder, splits)
        result.images.append(image)
        if image.source is not None:
            described.add(image.source.path)
    if _counts_from_one(result.images):
        for image in result.images:
            for item in image.objects:
                _shift(item)
        result.notes.append("All coordinates are whole numbers from 1: read as the VOC devkit counts, from pixel 1.")
    for picture in finder.paths:
        # The devkit's own masks are images too.
        if picture not in described and not {"SegmentationClass", "SegmentationObject"} & set(picture.parts):
            split = splits.get(picture.stem) or _folder_split(picture, root)
            result.images.append(AnnotatedImage(picture.name, picture, ImageSource(picture), split=split))
    result.class_names = sorted({item.class_name for image in result.images for item in image.objects})
    return result


def _read_file(path: Path, root: Path, finder: ImageFinder, splits: dict[str, str]) -> AnnotatedImage:
    document = read_xml(path)
    if document.tag != "annotation":
        raise DataError(f"{path} is no Pascal VOC file: its root is <{document.tag}>, expected <annotation>.")
    name = (document.findtext("filename") or "").strip().replace("\\", "/")
    # Of several images of the name, the one in the devkit's folder.
    source, missing = finder.find(f"JPEGImages/{name}", path.parent) if name else (None, "")
    if source is None or source.path.stem != path.stem:
        # Renamed images keep their old name inside the file; the file's own name tells better.
        by_stem, missing = finder.find_stem(path.stem, path.parent)
        source = by_stem or source
    size = as_size(document.findtext("size/width"), document.findtext("size/height"), f"{path}: size")
    split = splits.get(path.stem) or _folder_split(path, root)
    image = AnnotatedImage(name or path.stem, path, source, size, split, missing="" if source else missing)
    for index, element in enumerate(document.iterfind("object"), start=1):
        place = f"object {index}"
        class_name = as_text(element.findtext("name"), f"{path}: {place} name")
        item = _object(element, class_name, f"{path}: {place}", place)
        image.objects.append(item)
    return image


def _object(element: Element, class_name: str, where: str, place: str) -> ObjectAnnotation:
    item = ObjectAnnotation(class_name, place)
    item.difficult = (element.findtext("difficult") or "0").strip() not in ("0", "")
    polygon = element.find("polygon")
    if polygon is not None and polygon.find("x1") is not None:
        item.parts = [_polygon(polygon, where)]
    box = element.find("bndbox")
    turned = element.find("robndbox")
    if box is not None:
        item.box = tuple(as_number(box.findtext(key), f"{where} {key}") for key in ("xmin", "ymin", "xmax", "ymax"))  # type: ignore[assignment]
    elif turned is not None:
        x, y, w, h, angle = (
            as_number(turned.findtext(key), f"{where} {key}") for key in ("cx", "cy", "w", "h", "angle")
        )
        half = np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2
        item.box = bounds([rotated(half + np.array([x, y]), math.degrees(angle))])
    elif not item.parts:
        raise DataError(f"{where} has no <bndbox>; expected xmin, ymin, xmax and ymax in it.")
    return item


def _polygon(polygon: Element, where: str) -> Ring:
    corners: list[list[float]] = []
    while (x := polygon.findtext(f"x{len(corners) + 1}")) is not None:
        y = polygon.findtext(f"y{len(corners) + 1}")
        corners.append([as_number(value, f"{where} polygon") for value in (x, y)])
    return np.array(corners)


def _counts_from_one(images: Sequence[AnnotatedImage]) -> bool:
    boxes = [item.box for image in images for item in image.objects if item.box is not None]
    return bool(boxes) and all(value.is_integer() and value >= 1 for box in boxes for value in box)


def _shift(item: ObjectAnnotation) -> None:
    if item.box is not None:
        left, top, right, bottom = item.box
        item.box = (left - 1, top - 1, right, bottom)
    item.parts = [ring - 1 for ring in item.parts]


def _folder_split(path: Path, root: Path) -> str | None:
    return split_of(str(path.parent.relative_to(root))) if path.is_relative_to(root) else None


def _image_sets(root: Path) -> dict[str, str]:
    """By name of an image without suffix, the split that a file of ImageSets lists it in."""
    splits: dict[str, str] = {}
    folder = root if root.is_dir() else root.parent
    for path in sorted(folder.rglob("ImageSets/*/*.txt")):
        if path.stem in ("train", "val", "test"):
            for number, line in enumerate(read_text(path).splitlines(), start=1):
                name = line.split(maxsplit=1)[0] if line.strip() else ""
                known = splits.setdefault(name, path.stem)
                if name and known != path.stem:
                    raise DataError(f"{path}:{number}: {name} is in the '{known}' list already.")
    return splits

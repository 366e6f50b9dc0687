"""Pascal VOC XML: one file an image, splits in ImageSets or by folder.

The devkit counts pixels from 1 and includes the last one; most tools that write its XML count from 0. An export in
which every coordinate is a whole number and none is below 1 is read by the devkit's rule, any other as it stands; the
difference is at most one pixel.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from reg_yolo.data.convert.formats.entries import (
    bad_object_skipped,
    described_images,
    files_read_one_by_one,
    merge_entries,
    new_image,
)
from reg_yolo.data.convert.formats.reading import as_number, as_size, as_text, read_text, read_xml
from reg_yolo.data.convert.formats.shapes import rotated, turned_box
from reg_yolo.data.dataset.image_finder import ImageFinder, folded_name, path_parts
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, ImageSource, ObjectAnnotation, Remark, Ring
from reg_yolo.data.objects.outlines import bounds
from reg_yolo.errors import DataError

NOT_IN_LIST = "entry of a split list that no image or file has"
MASKED = "a mask in a file of its own is not read: export CVAT for images"
DELETED = "marked as deleted"


def read_voc(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read VOC files as one set; an image without a file has no objects.

    A file or an object that cannot be read is skipped and named. The XML of the first LabelMe, which CVAT and Datumaro
    write as well, is read too.

    Raises:
        DataError: If no file can be read.
    """
    result = AnnotatedSet("voc", [], [])
    from_zero: set[Path] = set()
    files_read_one_by_one(files, result, finder, lambda path: _read_file(path, finder, from_zero))
    if not from_zero and _counts_from_one(result.images):
        for image in result.images:
            for item in image.objects:
                _shift(item)
        result.notes.append("All coordinates are whole numbers from 1: read as the VOC devkit counts, from pixel 1.")
    described = described_images(result)
    for picture in finder.paths:
        # The devkit's own masks are images too.
        if picture not in described and not {"SegmentationClass", "SegmentationObject"} & set(picture.parts):
            result.images.append(AnnotatedImage(picture.name, picture, ImageSource(picture)))
    _assign_splits(result, root)
    merge_entries(result)
    result.class_names = sorted({item.class_name for image in result.images for item in image.objects})
    return result


def _read_file(path: Path, finder: ImageFinder, from_zero: set[Path]) -> AnnotatedImage:
    document = read_xml(path)
    if document.tag != "annotation":
        raise DataError(f"{path} is not a Pascal VOC file: its root is <{document.tag}>, expected <annotation>.")
    name = (document.findtext("filename") or "").strip()
    # Of several images of the name, the one where <path> or <folder> say, or in the devkit's folder.
    given, folder = ((document.findtext(tag) or "").strip() for tag in ("path", "folder"))
    written = [given] if given and path_parts(given)[-1:] == path_parts(name)[-1:] else []
    written += [f"{folder}/{name}", f"JPEGImages/{name}", name] if name else []
    own = finder.find_stem(path.stem, path.parent)
    tried = [finder.find(form, path.parent) for form in written]
    found = next((place for place in tried if place.path is not None), tried[-1] if tried else own)
    if own.path is not None and (found.path is None or not _same_stem(found.path, path)):
        # Renamed images keep their old name inside the file; the file's own name tells better.
        found, name = own, own.path.name
    if any(_rotation(element) for element in document.iterfind("object")):
        # The devkit knows no turned boxes.
        from_zero.add(path)
    size = as_size(document.findtext("size/width"), document.findtext("size/height"), f"{path}: size")
    if document.find("imagesize") is not None:
        # LabelMe's, not the devkit's.
        from_zero.add(path)
        size = as_size(document.findtext("imagesize/ncols"), document.findtext("imagesize/nrows"), f"{path}: size")
    image = new_image(name or path.stem, path, found, size)
    if image.source is not None and not _same_stem(image.source.path, path):
        image.agreeing = 0
    for index, element in enumerate(document.iterfind("object"), start=1):
        place = f"object {index}"
        with bad_object_skipped(image.left_out, image.name, place, f"{path}: {place}"):
            _add_object(element, image, place)
    return image


def _same_stem(picture: Path, path: Path) -> bool:
    return folded_name(picture.stem) == folded_name(path.stem)


def _add_object(element: Element, image: AnnotatedImage, place: str) -> None:
    where = f"{image.annotation_file}: {place}"
    class_name = as_text(element.findtext("name"), f"{where} name")
    if (element.findtext("deleted") or "0").strip() == "1":
        # LabelMe keeps what its user has deleted.
        image.left_out.append(Remark("asked", image.name, place, class_name, DELETED))
    elif element.find("segm") is not None and element.find("polygon") is None:
        image.left_out.append(Remark("dropped", image.name, place, class_name, MASKED))
    else:
        with bad_object_skipped(image.left_out, image.name, place, where, class_name):
            image.objects.append(_object(element, class_name, where, place))


def _object(element: Element, class_name: str, where: str, place: str) -> ObjectAnnotation:
    item = ObjectAnnotation(class_name, place)
    item.difficult = (element.findtext("difficult") or "0").strip() not in ("0", "")
    polygon = element.find("polygon")
    if polygon is not None and polygon.find("pt") is not None:
        points = [[as_number(point.findtext(axis), f"{where} pt") for axis in "xy"] for point in polygon.iterfind("pt")]
        if (element.findtext("type") or "").strip() == "bounding_box":
            item.box = bounds([np.array(points)])
        else:
            item.parts = [np.array(points)]
        return item
    if polygon is not None and polygon.find("x1") is not None:
        item.parts = [_polygon(polygon, where)]
    box = element.find("bndbox")
    turned = element.find("robndbox")
    if box is not None:
        item.box = tuple(as_number(box.findtext(key), f"{where} {key}") for key in ("xmin", "ymin", "xmax", "ymax"))  # type: ignore[assignment]
        degrees = as_number(_rotation(element) or 0, f"{where} rotation")
        item.box, item.parts = turned_box(item.box, item.parts, degrees)  # type: ignore[arg-type]
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


def _rotation(element: Element) -> str | None:
    """Degrees that a box is turned by: an attribute in CVAT's export, an element in that of other tools."""
    for attribute in element.iterfind("attributes/attribute"):
        if (attribute.findtext("name") or "").strip() == "rotation":
            return attribute.findtext("value")
    return element.findtext("rotation") or element.findtext("bndbox/rotation")


def _assign_splits(result: AnnotatedSet, root: Path) -> None:
    """Give every image the split of the list in ImageSets that names it, or else of its folder."""
    folder = root if root.is_dir() else root.parent
    by_name: defaultdict[str, list[AnnotatedImage]] = defaultdict(list)
    for image in result.images:
        described = image.annotation_file if image.source is None else image.source.path
        image.split = _folder_split(image.annotation_file, root)
        for stem in {folded_name(image.annotation_file.stem), folded_name(described.stem)}:
            by_name[stem].append(image)
    listed: dict[int, str] = {}
    for path in sorted(folder.rglob("ImageSets/*/*.txt")):
        if path.stem not in ("train", "val", "test"):
            continue
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            named = _named(line, by_name)
            if line.strip() and not named:
                place = f"line {number} ({line.strip()})"
                result.remarks.append(Remark("dropped", path.name, place, "", NOT_IN_LIST))
                result.images_lost += 1
            for image in named:
                if listed.setdefault(id(image), path.stem) != path.stem:
                    raise DataError(f"{path}:{number}: {line.strip()} is in the '{listed[id(image)]}' list already.")
                image.split = path.stem


def _named(line: str, by_name: Mapping[str, list[AnnotatedImage]]) -> list[AnnotatedImage]:
    """Return the images that a line of a list means: a name, perhaps with folders, a suffix, or a flag behind it."""
    words = line.split()
    forms = [line.strip()] + ([" ".join(words[:-1])] if len(words) > 1 and words[-1] in ("-1", "0", "1") else [])
    for form in forms:
        parts = path_parts(form)
        for stem in (parts[-1], parts[-1].rpartition(".")[0]) if parts else ():
            found = by_name.get(folded_name(stem), []) if stem else []
            if len(found) > 1 and len(parts) > 1:
                found = [
                    image for image in found if folded_name(image.annotation_file.parent.name) == folded_name(parts[-2])
                ]
            if found:
                return found
    return []


def _folder_split(path: Path, root: Path) -> str | None:
    return split_of(str(path.parent.relative_to(root))) if path.is_relative_to(root) else None

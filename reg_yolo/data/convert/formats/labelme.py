"""Labelme JSON: one file an image, the image beside it or embedded in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reg_yolo.data.convert.formats.entries import (
    bad_object_skipped,
    described_images,
    files_read_one_by_one,
    merge_entries,
    new_image,
)
from reg_yolo.data.convert.formats.reading import (
    as_list,
    as_mapping,
    as_ring,
    as_size,
    as_text,
    decode_base64,
    read_json,
)
from reg_yolo.data.convert.formats.shapes import ellipse, mask_object, merge_groups, polygon_object
from reg_yolo.data.dataset.image_finder import ImageFinder, folded_name, path_parts
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.data.objects.annotations import (
    AnnotatedImage,
    AnnotatedSet,
    ImageSource,
    ObjectAnnotation,
    Remark,
    Ring,
)
from reg_yolo.data.objects.outlines import bounds
from reg_yolo.errors import DataError

# Shapes of two corners; `rotation` is X-AnyLabeling's rectangle of four.
_BOXES = {"rectangle", "rotation", "oriented_rectangle"}
_NO_AREA = {"line", "linestrip", "point", "points"}


OWN_NAME = "file that names another image: the one of its own name is taken"


def read_labelme(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read Labelme files as one set; an image without a file has no objects.

    A file or an object that cannot be read is skipped and named.

    Raises:
        DataError: If no file can be read.
    """
    result = AnnotatedSet("labelme", [], [])
    files_read_one_by_one(files, result, finder, lambda path: _read_file(path, root, finder))
    described = described_images(result)
    for picture in finder.paths:
        if picture not in described:
            split = split_of(str(picture.parent.relative_to(root))) if picture.is_relative_to(root) else None
            result.images.append(AnnotatedImage(picture.name, picture, ImageSource(picture), split=split))
    merge_entries(result)
    result.class_names = sorted({item.class_name for image in result.images for item in image.objects})
    return result


def read_embedded(path: Path) -> bytes:
    """Return the image that a Labelme file holds, in its own encoding (PNG or JPEG)."""
    content = as_mapping(read_json(path), str(path))
    return decode_base64(content.get("imageData"), f"{path}: imageData")


def _read_file(path: Path, root: Path, finder: ImageFinder) -> AnnotatedImage:
    content = as_mapping(read_json(path), str(path))
    name = as_text(content.get("imagePath") or f"{path.stem}.png", f"{path}: imagePath").replace("\\", "/")
    found = finder.find(name, path.parent)
    own = finder.find_stem(path.stem, path.parent)
    renamed = folded_name(Path(path_parts(name)[-1] if path_parts(name) else "").stem) != folded_name(path.stem)
    remarks = []
    if renamed and own.path is not None and own.path != found.path:
        # A copied file, or renamed images: Labelme opens a file by its own name first.
        remarks = [Remark("changed", path.name, f"({name})", "", OWN_NAME)] if found.path is not None else []
        found, name = own, own.path.name
    size = as_size(content.get("imageWidth"), content.get("imageHeight"), f"{path}: image")
    split = split_of(str(path.parent.relative_to(root))) if path.is_relative_to(root) else None
    image = new_image(name, path, found, size, split)
    image.left_out += remarks
    if renamed and found is not own:
        # The file that has the image's name goes before one that has not.
        image.agreeing = 0
    if image.source is None and content.get("imageData"):
        image.source, image.missing, image.name = ImageSource(path, embedded=True), "", f"{path.stem}.png"
    shapes: list[tuple[str, ObjectAnnotation]] = []
    for index, raw in enumerate(as_list(content.get("shapes"), f"{path}: shapes")):
        place = f"shapes[{index}]"
        with bad_object_skipped(image.left_out, image.name, place, f"{path}: {place}"):
            _add_shape(as_mapping(raw, f"{path}: {place}"), image, place, shapes)
    image.objects = merge_groups(shapes)
    return image


def _add_shape(
    entry: Mapping[str, Any], image: AnnotatedImage, place: str, shapes: list[tuple[str, ObjectAnnotation]]
) -> None:
    where = f"{image.annotation_file}: {place}"
    class_name = as_text(entry.get("label"), f"{where} label")
    kind = str(entry.get("shape_type") or "polygon").lower()
    if kind in _NO_AREA:
        reason = "a line has no area" if kind.startswith("line") else "points have no area"
        image.left_out.append(Remark("dropped", image.name, place, class_name, reason))
        return
    group = entry.get("group_id")
    with bad_object_skipped(image.left_out, image.name, place, where, class_name):
        item = _shape(entry, kind, class_name, where, place)
        shapes.append(("" if group is None else str(group), item))


def _shape(entry: Mapping[str, Any], kind: str, class_name: str, where: str, place: str) -> ObjectAnnotation:
    points = as_list(entry.get("points"), f"{where} points")
    ring = as_ring(points, f"{where} points")
    if not len(ring):
        raise DataError(f"{where}: no points.")
    if kind == "polygon":
        return polygon_object(class_name, place, ring)
    if kind in _BOXES:
        return ObjectAnnotation(class_name, place, bounds([ring]))
    if kind == "circle":
        if len(ring) != 2:
            raise DataError(f"{where}: a circle needs its centre and a point on it, got {len(ring)} points.")
        radius = float(np.hypot(*(ring[1] - ring[0])))
        return ObjectAnnotation(class_name, place, parts=[ellipse(ring[0], np.array([radius, radius]))])
    if kind == "mask":
        return _mask_object(entry, ring, class_name, where, place)
    raise DataError(f"{where}: shape_type {kind!r} is not known; expected polygon, rectangle, circle or mask.")


def _mask_object(entry: Mapping[str, Any], ring: Ring, class_name: str, where: str, place: str) -> ObjectAnnotation:
    content = np.frombuffer(decode_base64(entry.get("mask"), f"{where} mask"), np.uint8)
    try:
        pixels = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise DataError(f"{where} mask: expected a PNG in base64.")
    left, top, *_ = bounds([ring])
    return mask_object(class_name, place, (pixels > 0).astype(np.uint8), left, top)

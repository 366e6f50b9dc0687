"""Labelme JSON: one file an image, the image beside it or embedded in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reg_yolo.data.convert.formats.image_finder import ImageFinder
from reg_yolo.data.convert.formats.reading import (
    as_list,
    as_mapping,
    as_ring,
    as_size,
    as_text,
    decode_base64,
    read_json,
    split_of,
)
from reg_yolo.data.convert.formats.shapes import ellipse, mask_object, merge_groups
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


def read_labelme(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read Labelme files as one set; an image without a file has no objects.

    Raises:
        DataError: If a file is no JSON or a shape lacks what its type needs.
    """
    result = AnnotatedSet("labelme", [], [])
    described: set[Path] = set()
    for path in files:
        image = _read_file(path, root, finder)
        result.images.append(image)
        if image.source is not None:
            described.add(image.source.path)
    for picture in finder.paths:
        if picture not in described:
            split = split_of(str(picture.parent.relative_to(root))) if picture.is_relative_to(root) else None
            result.images.append(AnnotatedImage(picture.name, picture, ImageSource(picture), split=split))
    result.class_names = sorted({item.class_name for image in result.images for item in image.objects})
    return result


def read_embedded(path: Path) -> bytes:
    """Return the image that a Labelme file holds, in its own encoding (PNG or JPEG)."""
    content = as_mapping(read_json(path), str(path))
    return decode_base64(content.get("imageData"), f"{path}: imageData")


def _read_file(path: Path, root: Path, finder: ImageFinder) -> AnnotatedImage:
    content = as_mapping(read_json(path), str(path))
    name = as_text(content.get("imagePath") or f"{path.stem}.png", f"{path}: imagePath").replace("\\", "/")
    source, missing = finder.find(name, path.parent)
    if source is None:
        source, missing = finder.find_stem(path.stem, path.parent)
    if source is None and content.get("imageData"):
        source, missing = ImageSource(path, embedded=True), ""
        name = f"{path.stem}.png"
    size = as_size(content.get("imageWidth"), content.get("imageHeight"), f"{path}: image")
    split = split_of(str(path.parent.relative_to(root))) if path.is_relative_to(root) else None
    image = AnnotatedImage(name, path, source, size, split, missing=missing)
    shapes = []
    for index, raw in enumerate(as_list(content.get("shapes"), f"{path}: shapes")):
        place = f"shapes[{index}]"
        entry = as_mapping(raw, f"{path}: {place}")
        class_name = as_text(entry.get("label"), f"{path}: {place} label")
        kind = str(entry.get("shape_type") or "polygon")
        if kind in _NO_AREA:
            reason = "a line has no area" if kind.startswith("line") else "points have no area"
            image.left_out.append(Remark("dropped", name, place, class_name, reason))
            continue
        group = entry.get("group_id")
        item = _shape(entry, kind, class_name, f"{path}: {place}", place)
        shapes.append(("" if group is None else str(group), item))
    image.objects = merge_groups(shapes)
    return image


def _shape(entry: Mapping[str, Any], kind: str, class_name: str, where: str, place: str) -> ObjectAnnotation:
    points = as_list(entry.get("points"), f"{where} points")
    ring = as_ring(points, f"{where} points")
    if not len(ring):
        raise DataError(f"{where}: no points.")
    if kind == "polygon":
        return ObjectAnnotation(class_name, place, parts=[ring])
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

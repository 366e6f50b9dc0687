"""COCO JSON: instances with boxes, polygons and run-length masks, ids of any kind, one file or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from reg_yolo.data.convert.formats.shapes import turned_box
from reg_yolo.data.dataset.image_finder import ImageFinder
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, Box, ObjectAnnotation, Remark, Ring
from reg_yolo.data.objects.outlines import mask_rings
from reg_yolo.errors import DataError

BAD_MASK = "outline that cannot be read: kept as a box"
UNKNOWN_IMAGE = "object of an image that the file does not name"
BAD_IMAGE = "entry of an image that cannot be read"
UNKNOWN_CLASS = "object of a class that the file does not name"


def read_coco(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read COCO files as one set; an object that cannot be read is skipped and named.

    Args:
        files: The JSON files. The split of each is told from its name and folders below `root`.
        root: The folder that was named.
        finder: Where images are looked for.

    Raises:
        DataError: If a file is not JSON, lacks a list that COCO needs, or an image or a class has no id of its own.
    """
    result = AnnotatedSet("coco", [], [])
    roots: dict[str, None] = {}
    for path in files:
        below = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
        split = split_of(str(below.parent), path.stem)
        _CocoFile(path, split, result, roots, finder).read(alone=len(files) == 1)
    if not result.images:
        raise DataError(f"{root}: none of {len(files)} COCO files has images with instances.")
    _leave_out_roots(result, roots)
    merge_entries(result)
    return result


def _leave_out_roots(result: AnnotatedSet, roots: Iterable[str]) -> None:
    """Leave out what Roboflow writes as class 0: the name of the project, which no object has."""
    used = {item.class_name for image in result.images for item in image.objects}
    result.empty_roots = [name for name in roots if name not in used and name in result.class_names]
    for name in result.empty_roots:
        result.class_names.remove(name)
        result.notes.append(f"The class {name!r} only stands above the others and has no object: left out.")


class _CocoFile:
    def __init__(
        self, path: Path, split: str | None, result: AnnotatedSet, roots: dict[str, None], finder: ImageFinder
    ) -> None:
        self.path, self.split, self.result, self.roots, self.finder = path, split, result, roots, finder

    def read(self, *, alone: bool) -> None:
        """Read the file; one of several that holds no instances (captions, a list of test images) is skipped."""
        content = as_mapping(read_json(self.path, object_hook=_shrink), str(self.path))
        lists = {}
        for key in ("images", "annotations", "categories"):
            if key not in content:
                if not alone:
                    self.result.notes.append(f"{self.path.name} holds no instances (it has no '{key}'): skipped.")
                    return
                raise DataError(f"{self.path} is not a COCO file of instances: it has no '{key}'.")
            lists[key] = as_list(content[key], f"{self.path}: {key}")
        categories = self._categories(lists["categories"])
        images = self._images(lists["images"])
        for index, raw in enumerate(lists["annotations"]):
            where = f"annotations[{index}]"
            with bad_object_skipped(self.result.remarks, self.path.name, where, f"{self.path}: {where}"):
                self._add(as_mapping(raw, f"{self.path}: {where}"), where, images, categories)

    def _add(
        self,
        entry: Mapping[str, Any],
        where: str,
        images: Mapping[Any, AnnotatedImage],
        categories: Mapping[Any, str],
    ) -> None:
        image = images.get(_key(entry.get("image_id")))
        name = categories.get(_key(entry.get("category_id")), "")
        if image is None:
            place = f"{where} (image_id {entry.get('image_id')!r})"
            self.result.remarks.append(Remark("dropped", self.path.name, place, name, UNKNOWN_IMAGE))
            return
        if not name:
            place = f"{where} (category_id {entry.get('category_id')!r})"
            image.left_out.append(Remark("dropped", image.name, place, "", UNKNOWN_CLASS))
            return
        with bad_object_skipped(image.left_out, image.name, where, f"{self.path}: {where}", name):
            image.objects.append(self._object(entry, name, where, image))

    def _categories(self, raw: list[Any]) -> dict[Any, str]:
        found: dict[Any, str] = {}
        above: dict[Any, str] = {}
        for key, entry, where in self._entries(raw, "categories"):
            found[key] = as_text(entry.get("name"), f"{where} name")
            above[key] = str(entry.get("supercategory") or "")
        for key in sorted(found, key=lambda key: (isinstance(key, str), key)):
            if found[key] not in self.result.class_names:
                self.result.class_names.append(found[key])
            if above[key] in ("", "none") and any(found[key] == above[other] for other in found if other != key):
                self.roots[found[key]] = None
        for name, count in Counter(found.values()).items():
            if count > 1:
                of = ", ".join(f"{key} (of {above[key]!r})" for key in found if found[key] == name)
                self.result.notes.append(f"{self.path.name}: the categories {of} have one name, {name!r}: one class.")
        return found

    def _images(self, raw: list[Any]) -> dict[Any, AnnotatedImage]:
        found: dict[Any, AnnotatedImage] = {}
        for key, entry, where in self._entries(raw, "images"):
            place = where.removeprefix(f"{self.path}: ")
            with bad_object_skipped(self.result.remarks, self.path.name, place, where, reason=BAD_IMAGE):
                name = as_text(entry.get("file_name"), f"{where} file_name").replace("\\", "/")
                size = as_size(entry.get("width"), entry.get("height"), where)
                place_of = self.finder.find(name, self.path.parent, self.split)
                found[key] = new_image(name, self.path, place_of, size, self.split)
                self.result.images.append(found[key])
        self.result.images_lost += len(raw) - len(found)
        return found

    def _entries(self, raw: list[Any], name: str) -> Iterator[tuple[int | str, Mapping[str, Any], str]]:
        """Yield the id of every entry of a list, the entry and its place; every id must be there once."""
        seen: set[int | str] = set()
        for index, value in enumerate(raw):
            where = f"{self.path}: {name}[{index}]"
            entry = as_mapping(value, where)
            key = _key(entry.get("id"))
            if key is None or key in seen:
                raise DataError(f"{where}: id {entry.get('id')!r} is {'no id' if key is None else 'there twice'}.")
            seen.add(key)
            yield key, entry, where

    def _object(self, entry: Mapping[str, Any], name: str, where: str, image: AnnotatedImage) -> ObjectAnnotation:
        full = f"{self.path}: {where}"
        flag = entry.get("iscrowd") or 0
        crowd = flag is True or bool(as_number(flag, f"{full} iscrowd"))
        item = ObjectAnnotation(name, where, self._box(entry.get("bbox"), full), crowd=crowd)
        segmentation = entry.get("segmentation")
        try:
            if isinstance(segmentation, Mapping):
                mask = decode_mask(segmentation, image.size, f"{full} segmentation")
                item.parts, item.holes, item.simplified = mask_rings(mask)
            elif segmentation is not None and len(as_list(segmentation, f"{full} segmentation")):
                item.parts = self._polygons(segmentation, f"{full} segmentation")
        except DataError as error:
            if item.box is None:
                raise
            detail = str(error).removeprefix(f"{full} ").rstrip(".")
            image.left_out.append(Remark("changed", image.name, f"{where} ({detail})", name, BAD_MASK))
        attributes = entry.get("attributes")
        if item.box is not None and isinstance(attributes, Mapping):
            # CVAT keeps the box before it was turned, and a polygon that is that box.
            degrees = as_number(attributes.get("rotation") or 0, f"{full} rotation")
            item.box, item.parts = turned_box(item.box, item.parts, degrees)
        return item

    def _polygons(self, raw: list[Any], where: str) -> list[Ring]:
        if not isinstance(raw[0], list | np.ndarray):
            return [as_ring(raw, where)]
        return [as_ring(part, f"{where}[{number}]") for number, part in enumerate(raw) if len(part)]

    def _box(self, raw: Any, where: str) -> Box | None:
        if raw is None or raw == []:
            return None
        values = as_list(raw, f"{where} bbox")
        if len(values) != 4:
            raise DataError(f"{where} bbox: expected [x, y, width, height], got {len(values)} values.")
        x, y, width, height = (as_number(value, f"{where} bbox") for value in values)
        return x, y, x + width, y + height


def _shrink(entry: dict[str, Any]) -> dict[str, Any]:
    """Turn polygons into arrays while the file is parsed: a quarter of the memory of lists of Python floats."""
    parts = entry.get("segmentation")
    if isinstance(parts, list):
        try:
            entry["segmentation"] = [
                np.array(part, dtype=np.float64) if isinstance(part, list) and part else part for part in parts
            ]
        except (TypeError, ValueError, OverflowError):
            # The reader names the place.
            return entry
    return entry


def _key(value: Any) -> int | str | None:
    """Ids may be numbers in one list and the same digits as text in another."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) < 19 else value
    return value if isinstance(value, int) else None

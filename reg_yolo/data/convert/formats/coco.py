"""COCO JSON: instances with boxes, polygons and run-length masks, ids of any kind, one file or several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reg_yolo.data.convert.formats.coco_masks import decode_mask
from reg_yolo.data.convert.formats.image_finder import ImageFinder
from reg_yolo.data.convert.formats.reading import (
    as_list,
    as_mapping,
    as_number,
    as_ring,
    as_size,
    as_text,
    read_json,
    split_of,
)
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, Box, ObjectAnnotation, Ring
from reg_yolo.data.objects.outlines import mask_rings
from reg_yolo.errors import DataError


def read_coco(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read COCO files as one set.

    Args:
        files: The JSON files. The split of each is told from its name and folders below `root`.
        root: The folder that was named.
        finder: Where images are looked for.

    Raises:
        DataError: If a file is no JSON, lacks a list that COCO needs, or refers to an id that it does not declare.
    """
    result = AnnotatedSet("coco", [], [])
    seen: dict[tuple[str | None, str], AnnotatedImage] = {}
    for path in files:
        below = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
        split = split_of(str(below.parent), path.stem)
        _CocoFile(path, split, result, seen, finder).read(alone=len(files) == 1)
    if not result.images:
        raise DataError(f"{root}: none of {len(files)} COCO files has pictures with instances.")
    return result


class _CocoFile:
    def __init__(
        self,
        path: Path,
        split: str | None,
        result: AnnotatedSet,
        seen: dict[tuple[str | None, str], AnnotatedImage],
        finder: ImageFinder,
    ) -> None:
        self.path, self.split, self.result, self.seen, self.finder = path, split, result, seen, finder

    def read(self, *, alone: bool) -> None:
        """Read the file; one of several that holds no instances (captions, a list of test images) is passed over."""
        content = as_mapping(read_json(self.path, object_hook=_shrink), str(self.path))
        lists = {}
        for key in ("images", "annotations", "categories"):
            if key not in content:
                if not alone:
                    self.result.notes.append(f"{self.path.name} holds no instances (it has no '{key}'): passed over.")
                    return
                raise DataError(f"{self.path} is no COCO file of instances: it has no '{key}'.")
            lists[key] = as_list(content[key], f"{self.path}: {key}")
        categories = self._categories(lists["categories"])
        images = self._images(lists["images"])
        for index, raw in enumerate(lists["annotations"]):
            where = f"annotations[{index}]"
            entry = as_mapping(raw, f"{self.path}: {where}")
            image = images.get(_key(entry.get("image_id")))
            if image is None:
                raise self._unknown(where, "image_id", entry, "images")
            name = categories.get(_key(entry.get("category_id")))
            if name is None:
                raise self._unknown(where, "category_id", entry, "categories")
            image.objects.append(self._object(entry, name, where, image))

    def _unknown(self, where: str, key: str, entry: Mapping[str, Any], declared: str) -> DataError:
        return DataError(f"{self.path}: {where}: {key} {entry.get(key)!r} is not among the file's '{declared}'.")

    def _categories(self, raw: list[Any]) -> dict[Any, str]:
        found: dict[Any, str] = {}
        for key, entry, where in self._entries(raw, "categories"):
            found[key] = as_text(entry.get("name"), f"{where} name")
        for key in sorted(found, key=lambda key: (isinstance(key, str), key)):
            if found[key] not in self.result.class_names:
                self.result.class_names.append(found[key])
        return found

    def _images(self, raw: list[Any]) -> dict[Any, AnnotatedImage]:
        found: dict[Any, AnnotatedImage] = {}
        for key, entry, where in self._entries(raw, "images"):
            name = as_text(entry.get("file_name"), f"{where} file_name").replace("\\", "/")
            size = as_size(entry.get("width"), entry.get("height"), where)
            source, missing = self.finder.find(name, self.path.parent, self.split)
            # The same image in several files of a split (labelled class by class, say) is one image.
            picture = str(source.path) if source else name
            image = self.seen.get((self.split, picture))
            if image is None:
                image = AnnotatedImage(name, self.path, source, size, self.split, missing=missing)
                self.seen[(self.split, picture)] = image
                self.result.images.append(image)
            elif size and image.size and size != image.size:
                raise DataError(
                    f"{where}: {name} is {size[0]:g}x{size[1]:g} here, {image.size[0]:g}x{image.size[1]:g} before."
                )
            found[key] = image
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
        place = f"{self.path.name}: {where}" if image.annotation_file != self.path else where
        full = f"{self.path}: {where}"
        crowd = bool(as_number(entry.get("iscrowd") or 0, f"{full} iscrowd"))
        item = ObjectAnnotation(name, place, self._box(entry.get("bbox"), full), crowd=crowd)
        segmentation = entry.get("segmentation")
        if isinstance(segmentation, Mapping):
            mask = decode_mask(segmentation, image.size, f"{full} segmentation")
            item.parts, item.holes, item.simplified = mask_rings(mask)
        elif segmentation is not None and len(as_list(segmentation, f"{full} segmentation")):
            item.parts = self._polygons(segmentation, f"{full} segmentation")
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

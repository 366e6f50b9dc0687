"""Apple's CreateML JSON: a list of images with boxes, each given by its middle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reg_yolo.data.convert.formats.entries import bad_object_skipped, merge_entries, new_image
from reg_yolo.data.convert.formats.reading import as_list, as_mapping, as_number, as_text, read_json
from reg_yolo.data.dataset.image_finder import ImageFinder
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, ObjectAnnotation


def read_createml(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read CreateML files as one set.

    Raises:
        DataError: If a file is not a JSON list.
    """
    result = AnnotatedSet("createml", [], [])
    for path in files:
        split = split_of(str(path.parent.relative_to(root)) if path.is_relative_to(root) else "", path.stem)
        for index, raw in enumerate(as_list(read_json(path), str(path))):
            place = f"[{index}]"
            with bad_object_skipped(result.remarks, path.name, place, f"{path}: {place}"):
                entry = as_mapping(raw, f"{path}: {place}")
                name = as_text(entry.get("image") or entry.get("imagefilename"), f"{path}: {place} image")
                image = new_image(name, path, finder.find(name, path.parent, split), None, split)
                for number, item in enumerate(as_list(entry.get("annotations") or [], f"{path}: {place} annotations")):
                    at = f"{place} annotations[{number}]"
                    with bad_object_skipped(image.left_out, name, at, f"{path}: {at}"):
                        _add_box(as_mapping(item, f"{path}: {at}"), image, at, f"{path}: {at}")
                result.images.append(image)
    merge_entries(result)
    result.class_names = sorted({item.class_name for image in result.images for item in image.objects})
    return result


def _add_box(entry: Mapping[str, Any], image: AnnotatedImage, place: str, where: str) -> None:
    name = as_text(entry.get("label"), f"{where} label")
    values = as_mapping(entry.get("coordinates"), f"{where} coordinates")
    x, y, width, height = (as_number(values.get(key), f"{where} {key}") for key in ("x", "y", "width", "height"))
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    image.objects.append(ObjectAnnotation(name, place, box))

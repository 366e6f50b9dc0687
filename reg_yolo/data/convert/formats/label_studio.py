"""Label Studio JSON, full and JSON-MIN: regions in percent of the image; brush masks in its own packed form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.convert.formats.entries import bad_object_skipped, merge_entries, new_image
from reg_yolo.data.convert.formats.reading import as_list, as_mapping, as_number, as_ring, as_text, read_json
from reg_yolo.data.convert.formats.shapes import ellipse, mask_object, polygon_object, rotated
from reg_yolo.data.dataset.image_finder import IMAGE_SUFFIXES, FoundImage, ImageFinder, path_parts
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, ObjectAnnotation, Remark, Ring
from reg_yolo.data.objects.outlines import bounds
from reg_yolo.errors import DataError

_MOST_PIXELS = 400_000_000
_NO_AREA = {"keypoint": "points have no area", "vector": "a line has no area"}
_SHAPES = ("rectangle", "polygon", "ellipse", "brush")
PREFIX = "image found without the prefix that Label Studio puts before names"
TURNED = "region of an image that was turned in Label Studio"


def read_label_studio(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read Label Studio files as one set; of a task with several annotations the first that was not cancelled.

    Raises:
        DataError: If a file is not a JSON list of tasks.
    """
    result = AnnotatedSet("label-studio", [], [])
    several = 0
    for path in files:
        split = split_of(str(path.parent.relative_to(root)) if path.is_relative_to(root) else "", path.stem)
        for index, raw in enumerate(as_list(read_json(path), str(path))):
            place = f"task {index}"
            with bad_object_skipped(result.remarks, path.name, place, f"{path}: {place}"):
                task = as_mapping(raw, f"{path}: {place}")
                regions, more = _regions(task, f"{path}: {place}")
                several += more
                result.images.append(_read_task(task, regions, place, path, split, finder))
    if several:
        result.notes.append(f"Tasks with several annotations: {several}; the first of each is taken.")
    merge_entries(result)
    result.class_names = sorted({item.class_name for image in result.images for item in image.objects})
    return result


def _regions(task: Mapping[str, Any], where: str) -> tuple[list[Any], bool]:
    """Return the regions of a task, and whether it has annotations that are not read."""
    if "annotations" not in task and "completions" not in task:
        # JSON-MIN: every control of the labelling interface is a key of its own.
        return [value for values in task.values() if isinstance(values, list) for value in values], False
    given = as_list(task.get("annotations") or task.get("completions") or [], f"{where} annotations")
    made = [one for one in given if isinstance(one, Mapping) and not one.get("was_cancelled")]
    return (as_list(made[0].get("result") or [], f"{where} result") if made else []), len(made) > 1


def _read_task(
    task: Mapping[str, Any], regions: list[Any], place: str, path: Path, split: str | None, finder: ImageFinder
) -> AnnotatedImage:
    name = _image_name(task, f"{path}: {place}")
    found: FoundImage = finder.find(name, path.parent, split)
    original = re.sub(r"^[0-9a-f]+-", "", path_parts(name)[-1])
    remarks = []
    if found.path is None and original != path_parts(name)[-1]:
        without = finder.find(original, path.parent, split)
        if without.path is not None:
            found = replace(without, agreeing=max(without.agreeing, 1))
            remarks = [Remark("changed", name, f"({without.path.name})", "", PREFIX)]
    image = new_image(name, path, found, _stated_size(regions), split)
    image.left_out += remarks
    for index, raw in enumerate(regions):
        at = f"{place} region {index}"
        with bad_object_skipped(image.left_out, name, at, f"{path}: {at}"):
            _add_region(as_mapping(raw, f"{path}: {at}"), image, at, f"{path}: {at}")
    return image


def _image_name(task: Mapping[str, Any], where: str) -> str:
    data = task.get("data") if isinstance(task.get("data"), Mapping) else task
    texts = [value for value in (data or {}).values() if isinstance(value, str)]
    # An address of a local file is encoded once more than a path.
    texts = [unquote(text) if "/local-files/?d=" in text else text for text in texts]
    for text in texts:
        if "".join(path_parts(text)[-1:]).rpartition(".")[2].lower() in IMAGE_SUFFIXES:
            return text
    return as_text(task.get("file_upload") or next(iter(texts), None), f"{where} data")


def _stated_size(regions: list[Any]) -> tuple[float, float] | None:
    for region in regions:
        if isinstance(region, Mapping) and region.get("original_width") and region.get("original_height"):
            return as_number(region["original_width"], "width"), as_number(region["original_height"], "height")
    return None


def _add_region(region: Mapping[str, Any], image: AnnotatedImage, place: str, where: str) -> None:
    value = region.get("value")
    value = as_mapping(value, f"{where} value") if value is not None else region
    kinds = [key for key in value if key.endswith("labels")]
    kind = str(region.get("type") or (kinds[0] if kinds else "")).removesuffix("labels")
    names = [as_text(name, f"{where} label") for key in kinds for name in as_list(value[key], f"{where} {key}")]
    if kind not in (*_SHAPES, *_NO_AREA):
        # Choices, texts and ratings say something of the image; relations have no kind.
        return
    if not names:
        raise DataError(f"{where}: no label")
    for name in names:
        if kind in _NO_AREA:
            image.left_out.append(Remark("dropped", image.name, place, name, _NO_AREA[kind]))
        elif region.get("image_rotation"):
            image.left_out.append(Remark("dropped", image.name, place, name, TURNED))
        else:
            size = _stated_size([region])
            if size is None:
                raise DataError(f"{where}: no original_width and original_height")
            image.objects.append(_object(kind, value, name, place, where, size))


def _object(
    kind: str, value: Mapping[str, Any], name: str, place: str, where: str, size: tuple[float, float]
) -> ObjectAnnotation:
    def numbers(*keys: str) -> list[float]:
        return [as_number(value.get(key), f"{where} {key}") for key in keys]

    scale = np.array(size) / 100
    degrees = as_number(value.get("rotation") or 0, f"{where} rotation")
    if kind == "rectangle":
        x, y, width, height = numbers("x", "y", "width", "height")
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) * scale
        return ObjectAnnotation(name, place, bounds([_about_first(corners, degrees) + np.array([x, y]) * scale]))
    if kind == "polygon":
        return polygon_object(name, place, as_ring(value.get("points"), f"{where} points") * scale)
    if kind == "ellipse":
        x, y, across, down = numbers("x", "y", "radiusX", "radiusY")
        ring = ellipse(np.array([x, y]) * scale, np.array([across, down]) * scale)
        return ObjectAnnotation(name, place, parts=[rotated(ring, degrees)])
    width, height = int(size[0]), int(size[1])
    if width * height > _MOST_PIXELS:
        raise DataError(f"{where}: a mask of {width}x{height} pixels is too large")
    alpha = unpack_brush(as_list(value.get("rle"), f"{where} rle"), where, width * height * 4)
    return mask_object(name, place, (alpha.reshape(height, width, 4)[:, :, 3] > 127).astype(np.uint8), 0, 0)


def _about_first(corners: Ring, degrees: float) -> Ring:
    """Turn corners about the first of them, clockwise on the screen."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(corners @ np.array([[cosine, sine], [-sine, cosine]]))


def unpack_brush(packed: Sequence[Any], where: str, expected: int) -> NDArray[np.uint8]:
    """Unpack a brush mask: bits of runs whose lengths have one of four widths, over the RGBA bytes of the image.

    Args:
        packed: Bytes as numbers.
        where: For messages.
        expected: Number of values that must come out.

    Raises:
        DataError: If the bits end too early or give another number of values.
    """
    try:
        bits = np.unpackbits(np.array(packed, dtype=np.int64).astype(np.uint8))
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where} rle: expected a list of bytes") from None
    place = 0

    def read(count: int) -> int:
        nonlocal place
        if place + count > len(bits):
            raise DataError(f"{where} rle: cut off")
        number = int("".join(map(str, bits[place : place + count])), 2) if count else 0
        place += count
        return number

    total, word = read(32), read(5) + 1
    widths = [read(4) + 1 for _ in range(4)]
    if total != expected:
        raise DataError(f"{where} rle: {total} values for an image of {expected}")
    values = np.zeros(total, np.uint8)
    done = 0
    while done < total:
        repeated = read(1)
        end = min(done + 1 + read(widths[read(2)]), total)
        if repeated:
            values[done:end] = read(word) & 255
        else:
            values[done:end] = [read(word) & 255 for _ in range(end - done)]
        done = end
    return values

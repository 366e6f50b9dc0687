"""Mask images: one PNG an image whose values are class ids, or colours of a labelmap.txt; instance ids beside it.

Read are CVAT's and Pascal VOC's layout (SegmentationClass, SegmentationObject, labelmap.txt, ImageSets), a folder of
masks beside the images with classes.txt, and 16-bit masks of class * 1000 + instance, as Cityscapes has them. Without
instance ids every connected region of a class is an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from reg_yolo.data.convert.formats.entries import BAD_FILE, new_image
from reg_yolo.data.convert.formats.reading import read_text
from reg_yolo.data.convert.formats.shapes import mask_object
from reg_yolo.data.dataset.image_finder import ImageFinder, walk_files
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.data.images.decoding import image_fault
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, Remark
from reg_yolo.errors import DataError

LABELMAP = "labelmap.txt"
CLASS_FOLDERS = ("segmentationclass", "masks", "mask")
_OBJECT_FOLDER = "segmentationobject"
_BACKGROUNDS = ("background", "_background_", "__background__")
_VOID = 255
_CITYSCAPES = 1000
UNNAMED = "value of a mask that no class has"


@dataclass(frozen=True)
class _Classes:
    """Names by value of a mask: an id, or a colour packed into one number."""

    names: dict[int, str]
    coloured: bool


def mask_files(source: Path) -> list[Path]:
    """Return the files that name the classes of a folder with mask images; none where it holds no masks."""
    files = list(walk_files(source)) if source.is_dir() else []
    if not any(_is_mask(path) for path in files):
        return []
    maps = [path for path in files if path.name == LABELMAP and "color_rgb" in read_text(path)[:200]]
    return maps or [path for path in files if path.name == "classes.txt"]


def read_masks(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read the masks below a folder; an image without a mask has no objects.

    Args:
        files: The file of class names.
        root: The folder that was named.
        finder: Where images are looked for.

    Raises:
        DataError: If several files name classes, or none of the masks belongs to an image.
    """
    if len(files) != 1:
        raise DataError(f"{root} holds {len(files)} files that name the classes of masks; name one folder of them.")
    result = AnnotatedSet("masks", [], [])
    classes = _read_classes(files[0], result)
    masks = [path for path in walk_files(root) if _is_mask(path)]
    objects = {path.stem: path for path in walk_files(root) if _OBJECT_FOLDER in _folders(path)}
    pictures = ImageFinder([])
    for path in finder.paths:
        if not _is_mask(path) and _OBJECT_FOLDER not in _folders(path):
            pictures.add(path)
    splits = _splits(root)
    described: set[Path] = set()
    for path in masks:
        found = pictures.find_stem(path.stem, path.parent)
        if found.path is None:
            found = pictures.find_stem(re.sub(r"[-_](mask|gt\w*|label\w*|seg)$", "", path.stem), path.parent)
        split = splits.get(path.stem) or split_of(str(path.parent.relative_to(root)))
        image = new_image(path.name, path, found, None, split)
        _add_objects(image, path, objects.get(path.stem), classes)
        result.images.append(image)
        described |= {found.path} if found.path is not None else set()
    for picture in pictures.paths:
        if picture not in described:
            split = splits.get(picture.stem) or split_of(str(picture.parent.relative_to(root)))
            result.images.append(
                new_image(picture.name, picture, pictures.find(picture.name, picture.parent), None, split)
            )
    result.class_names = list(dict.fromkeys(classes.names.values()))
    return result


def _is_mask(path: Path) -> bool:
    return path.suffix.lower() == ".png" and any(folder in CLASS_FOLDERS for folder in _folders(path))


def _folders(path: Path) -> list[str]:
    return [part.casefold() for part in path.parts[:-1]]


def _read_classes(path: Path, result: AnnotatedSet) -> _Classes:
    names: dict[int, str] = {}
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if path.name == LABELMAP:
        for number, line in enumerate(lines, start=1):
            if line.startswith("#"):
                continue
            name, _, rest = line.partition(":")
            try:
                red, green, blue = (int(part) for part in rest.partition(":")[0].split(","))
            except ValueError:
                raise DataError(f"{path}:{number}: expected NAME:RED,GREEN,BLUE::, got {line!r}") from None
            if name.casefold() not in _BACKGROUNDS:
                names[red << 16 | green << 8 | blue] = name
        return _Classes(names, coloured=True)
    lines = [line for line in lines if line != "__ignore__"]
    first = 0 if lines and lines[0].casefold() in _BACKGROUNDS else 1
    if first:
        result.notes.append(f"{path.name} names no background: value 0 is taken as that, {lines[0]!r} as value 1.")
    names = {value: name for value, name in enumerate(lines, start=first) if value}
    return _Classes(names, coloured=False)


def _add_objects(image: AnnotatedImage, path: Path, instances: Path | None, classes: _Classes) -> None:
    try:
        values = _read_values(path, classes.coloured)
        numbers = _read_values(instances, classes.coloured) if instances is not None else None
        if numbers is not None and numbers.shape != values.shape:
            raise DataError(f"{instances} has another size than {path}")
    except DataError as error:
        image.source, image.missing = None, BAD_FILE
        image.detail = f"({error})"
        return
    image.size = (float(values.shape[1]), float(values.shape[0]))
    if not classes.coloured and values.max(initial=0) >= _CITYSCAPES:
        numbers, values = values, np.where(values >= _CITYSCAPES, values // _CITYSCAPES, values)
    for value in np.unique(values).tolist():
        name = classes.names.get(value)
        if name is None:
            if value and not (value == _VOID and not classes.coloured) and value != 0xE0E0C0:
                image.left_out.append(Remark("dropped", image.name, f"value {value}", "", UNNAMED))
            continue
        for number, (mask, left, top) in enumerate(_regions(values == value, numbers), start=1):
            image.objects.append(mask_object(name, f"{name} {number}", mask, left, top))


def _regions(
    of_class: NDArray[np.bool_], numbers: NDArray[np.int64] | None
) -> Iterator[tuple[NDArray[np.uint8], int, int]]:
    """Yield the mask of every instance in its window, with the window's left and top."""
    if numbers is None:
        _, labels = cv2.connectedComponents(of_class.astype(np.uint8), connectivity=8)
        numbers = labels.astype(np.int64)
    for number in np.unique(numbers[of_class]).tolist():
        mask = (of_class & (numbers == number)).astype(np.uint8)
        left, top, width, height = cv2.boundingRect(mask)
        yield mask[top : top + height, left : left + width], left, top


def _read_values(path: Path, coloured: bool) -> NDArray[np.int64]:
    fault = image_fault(path)
    if fault is not None and "pixels, the least" not in fault:
        raise DataError(fault)
    try:
        with PngImagePlugin.PngImageFile(str(path)) as image:
            if coloured:
                red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), np.int64), 2, 0)
                return np.asarray(red << 16 | green << 8 | blue)
            values = np.asarray(image if image.mode != "1" else image.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"it does not decode ({type(error).__name__})") from None
    if values.ndim == 3 and (values[..., :3] == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2:
        raise DataError("colours, and there is no labelmap.txt that says what they mean")
    return values.astype(np.int64)


def _splits(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(root.rglob("ImageSets/*/*.txt")):
        split = split_of("", path.stem)
        if split is not None:
            for line in read_text(path).splitlines():
                if line.strip():
                    found[Path(line.strip()).stem if "." in line else line.strip().rpartition("/")[2]] = split
    return found

"""YOLO label files: with a data-set YAML, or darknet's obj.names and lists, or classes.txt beside the labels."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reg_yolo.data.convert.formats.image_finder import ImageFinder
from reg_yolo.data.convert.formats.reading import read_text, split_of
from reg_yolo.data.dataset.dataset_yaml import SPLITS, DatasetDescription, label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, ImageSource, ObjectAnnotation, Remark
from reg_yolo.data.objects.fitting import TWICE
from reg_yolo.data.objects.outlines import split_at_bridges
from reg_yolo.errors import DataError

NAME_FILES = ("obj.names", "classes.txt")
# By kind of `RowFault`.
_REASONS = {
    "file": "label file that cannot be read",
    "row": "row that cannot be read",
    "class": "class id that the set does not name",
    "range": "coordinates outside of the picture by more than 1 %",
}


def read_yolo(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read one YOLO set.

    Args:
        files: The data-set YAML, or the file of class names.
        root: The folder that was named.
        finder: Images below it, for a set without a YAML.

    Raises:
        DataError: If several files describe the set, the one that does is wrong, or no image has a label.
    """
    if len(files) != 1:
        listed = ", ".join(str(path) for path in files[:4])
        raise DataError(f"{root} holds {len(files)} files that describe a YOLO set ({listed}); name one of them.")
    path = files[0]
    if path.suffix.lower() in (".yaml", ".yml"):
        description = read_dataset_yaml(path, required=())
        if "kpt_shape" in description.extra:
            raise DataError(f"{path}: sets with keypoints (kpt_shape) are not read; boxes and polygons are.")
        listed_by_split, notes = _listed_images(description)
    else:
        description = DatasetDescription(path, path.parent, _read_names(path), {})
        listed_by_split, notes = _images_by_split(path, finder), []
    names = [unicodedata.normalize("NFC", name) for name in description.class_names]
    result = AnnotatedSet("yolo", names, [], notes=notes)
    for split, images in listed_by_split.items():
        for image in images:
            result.images.append(_read_image(image, path, split or None, names, root))
    if result.images and not any(image.objects or image.left_out for image in result.images):
        raise DataError(
            f"{path}: none of {len(result.images)} pictures has a label; labels are looked for as "
            f"{label_path_for(result.images[0].source.path)}."  # type: ignore[union-attr]
        )
    return result


def _listed_images(description: DatasetDescription) -> tuple[dict[str, list[Path]], list[str]]:
    """Return the images of every split, and a note on each that is named but not there, as tools leave them."""
    listed: dict[str, list[Path]] = {}
    notes = []
    for split in (split for split in SPLITS if split in description.splits):
        if split == "train" or split in description.present_splits:
            listed[split] = description.images(split)
        else:
            notes.append(f"'{split}:' points to what does not exist, and is left out.")
    if not listed:
        raise DataError(f"{description.yaml_path} names no split that exists.")
    return listed, notes


def _read_image(image: Path, described_by: Path, split: str | None, names: list[str], root: Path) -> AnnotatedImage:
    # Subfolders of a split stay in the name, so that equal names in two of them are told apart by theirs.
    found = AnnotatedImage(_below(image, root), described_by, ImageSource(image), split=split, normalized=True)
    label = label_path_for(image)
    labels = read_label_file(label, len(names))
    if not labels.exists:
        if not image.is_file():
            found.source, found.missing = None, "picture not found"
        return found
    # Lines are the label file's, so it is named where one is left out.
    found.annotation_file, found.name = label, _below(label, root)
    for fault in labels.faults:
        place = f"line {fault.line} ({fault.message})" if fault.line else f"({fault.message})"
        found.left_out.append(Remark("dropped", found.name, place, "", _REASONS[fault.kind]))
    for line, first in labels.repeated:
        found.left_out.append(Remark("dropped", found.name, f"line {line} (as line {first})", "", TWICE))
    for row in labels.rows:
        item = ObjectAnnotation(names[row.class_id], f"line {row.line}")
        if row.is_polygon:
            item.parts, item.holes = split_at_bridges(np.array(row.points))
        else:
            item.box = row.box_xyxy
        found.objects.append(item)
    return found


def _below(path: Path, root: Path) -> str:
    """A path from the folder that was named: where a zip was unpacked is of no use to anybody."""
    for base in (root.absolute(), root.resolve()):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return path.as_posix()


def _read_names(path: Path) -> dict[int, str]:
    names = [line.strip() for line in read_text(path).splitlines()]
    while names and not names[-1]:
        names.pop()
    if not names or not all(names):
        raise DataError(f"{path}: expected one class name a line, without gaps.")
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: the class {repeated!r} stands there twice.")
    return dict(enumerate(names))


def _images_by_split(path: Path, finder: ImageFinder) -> dict[str, list[Path]]:
    """Darknet's lists (train.txt, valid.txt ... beside obj.names) where there are some, else the folders' names."""
    found: dict[str, list[Path]] = {}
    for listing in sorted(path.parent.glob("*.txt")):
        split = split_of("", listing.stem)
        if split is None or listing.name in NAME_FILES:
            continue
        for number, line in enumerate(read_text(listing).splitlines(), start=1):
            if line.strip():
                source, missing = finder.find(line.strip(), listing.parent, split)
                if source is None:
                    raise DataError(f"{listing}:{number}: {line.strip()}: {missing}.")
                found.setdefault(split, []).append(Path(os.path.abspath(source.path)))  # noqa: PTH100
    if found:
        return found
    for picture in finder.paths:
        split = split_of(str(picture.parent.relative_to(path.parent))) if picture.is_relative_to(path.parent) else None
        found.setdefault(split or "", []).append(picture)
    return found

"""YOLO label files: with a data-set YAML, or darknet's obj.names and lists, or classes.txt beside the labels."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reg_yolo.data.convert.formats.entries import OTHER_SUFFIX, merge_entries
from reg_yolo.data.convert.formats.reading import read_text
from reg_yolo.data.dataset.dataset_yaml import SPLITS, DatasetDescription, label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.image_finder import IMAGE_SUFFIXES, NOT_FOUND, ImageFinder, folded_name
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.data.objects.annotations import AnnotatedImage, AnnotatedSet, ImageSource, ObjectAnnotation, Remark
from reg_yolo.data.objects.fitting import TWICE
from reg_yolo.data.objects.outlines import split_at_bridges
from reg_yolo.errors import DataError
from reg_yolo.files import is_regular

NAME_FILES = ("obj.names", "classes.txt")
# By kind of `RowFault`.
_REASONS = {
    "file": "label file that cannot be read",
    "row": "row that cannot be read",
    "class": "class id that the set does not name",
    "range": "coordinates outside of the image by more than 1 %",
}


LONE_LABELS = "label file without an image"


def read_yolo(files: Sequence[Path], root: Path, finder: ImageFinder) -> AnnotatedSet:
    """Read one YOLO set.

    Args:
        files: The data-set YAML, or the files of class names: of several, each is for the images below its folder.
        root: The folder that was named.
        finder: Images below it, for a set without a YAML.

    Raises:
        DataError: If several YAMLs describe the set, the one that does is wrong, or no image has a label.
    """
    if len(files) != 1 and not all(path.name in NAME_FILES for path in files):
        listed = ", ".join(str(path) for path in files[:4])
        raise DataError(f"{root} holds {len(files)} files that describe a YOLO set ({listed}); name one of them.")
    result = AnnotatedSet("yolo", [], [])
    if files[0].suffix.lower() in (".yaml", ".yml"):
        description = read_dataset_yaml(files[0], required=())
        _read_images(_listed_images(description, result), description, result, root)
    else:
        for path in files:
            description = DatasetDescription(path, path.parent, _read_names(path), {})
            others = [other.parent for other in files if other != path and other.is_relative_to(path.parent)]
            listed_by_split = _images_by_split(path, None if len(files) > 1 else root, others, finder, result)
            _read_images(listed_by_split, description, result, root)
    if result.images and not any(image.objects or image.left_out for image in result.images):
        example = next((image.source.path for image in result.images if image.source is not None), None)
        where = f"; labels are looked for as {label_path_for(example)}" if example else f"; {result.images[0].missing}"
        raise DataError(f"{files[0]}: none of {len(result.images)} images has a label{where}.")
    merge_entries(result)
    return result


def _read_images(
    listed: Mapping[str, Sequence[Path | AnnotatedImage]],
    description: DatasetDescription,
    result: AnnotatedSet,
    root: Path,
) -> None:
    names = [unicodedata.normalize("NFC", name) for name in description.class_names]
    result.class_names += [name for name in names if name not in result.class_names]
    labels = _LabelFiles()
    for split, images in listed.items():
        for image in images:
            if isinstance(image, Path):
                keypoints = description.keypoint_columns
                image = _read_image(image, description.yaml_path, split or None, names, root, labels, keypoints)
            result.images.append(image)
    for path in labels.lone():
        result.remarks.append(Remark("dropped", _below(path, root), "", "", LONE_LABELS))
        result.images_lost += 1


def _listed_images(description: DatasetDescription, result: AnnotatedSet) -> dict[str, list[Path]]:
    """Return the images of every split, with a note on each that is named but not there, as tools leave them."""
    listed: dict[str, list[Path]] = {}
    for split in (split for split in SPLITS if split in description.splits):
        if split == "train" or split in description.present_splits:
            listed[split] = description.images(split)
        else:
            result.notes.append(f"'{split}:' points to what does not exist, and is left out.")
    if not listed:
        raise DataError(f"{description.yaml_path} names no split that exists.")
    result.notes += description.remarks
    return listed


class _LabelFiles:
    """The label files of all folders that images had theirs looked for in."""

    def __init__(self) -> None:
        self._by_folder: dict[Path, dict[str, Path]] = {}
        self._images: dict[Path, Path] = {}
        self._used: set[Path] = set()

    def of(self, image: Path) -> Path:
        """Return the label file of an image; its name may be URL-encoded (Label Studio) or in other letters."""
        label = label_path_for(image)
        files = self._by_folder.get(label.parent)
        if files is None:
            found = sorted(label.parent.glob("*.txt")) if label.parent.is_dir() else []
            files = {folded_name(path.name): path for path in found if path.name not in NAME_FILES}
            files |= {path.name: path for path in files.values()}
            self._by_folder[label.parent], self._images[label.parent] = files, image.parent
        label = files.get(label.name) or files.get(folded_name(label.name), label)
        self._used.add(label)
        return label

    def lone(self) -> list[Path]:
        """Return the files with rows that belong to no image, listed or not."""
        found = []
        for folder, files in self._by_folder.items():
            unused = sorted(set(files.values()) - self._used)
            if unused:
                images = self._images[folder]
                beside = images.iterdir() if images.is_dir() else ()
                stems = {folded_name(path.stem) for path in beside if path.suffix[1:].lower() in IMAGE_SUFFIXES}
                lone = [path for path in unused if folded_name(path.stem) not in stems and is_regular(path)]
                found += [path for path in lone if path.stat().st_size and _holds_rows(path)]
        return found


def _read_image(
    image: Path,
    described_by: Path,
    split: str | None,
    names: list[str],
    root: Path,
    label_files: _LabelFiles,
    keypoints: int,
) -> AnnotatedImage:
    # Subfolders of a split stay in the name, so that equal names in two of them are told apart by theirs.
    found = AnnotatedImage(_below(image, root), described_by, ImageSource(image), split=split, normalized=True)
    found.agreeing = 1
    if not image.is_file():
        found.source, found.missing = None, NOT_FOUND
    label = label_files.of(image)
    labels = read_label_file(label, len(names), keypoints)
    if not labels.exists:
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


def _images_by_split(
    path: Path, root: Path | None, others: Sequence[Path], finder: ImageFinder, result: AnnotatedSet
) -> dict[str, list[Path | AnnotatedImage]]:
    """Darknet's lists (train.txt, valid.txt ... beside obj.names) where there are some, else the folders' names.

    Args:
        path: The file of class names.
        root: The folder that was named, where this file is for all images; None where it is for those of its folder.
        others: Folders below its own that have a file of class names too.
        finder: Where images are looked for.
        result: Takes a remark on every line whose image has another suffix.
    """
    alone = root is not None
    folder = root or (path.parent.parent if path.parent.name.casefold() == "labels" else path.parent)
    found: dict[str, list[Path | AnnotatedImage]] = {}
    for listing in sorted(path.parent.glob("*.txt")):
        split = split_of("", listing.stem)
        if split is None or listing.name in NAME_FILES or _holds_rows(listing):
            continue
        for number, line in enumerate(read_text(listing).splitlines(), start=1):
            if not line.strip():
                continue
            place = finder.find(line.strip(), listing.parent, split)
            entry: Path | AnnotatedImage
            if place.path is None:
                entry = AnnotatedImage(line.strip(), listing, None, split=split, missing=place.missing)
                entry.detail = f"({listing.name}:{number})"
            else:
                if not place.agreeing:
                    at = f"line {number} ({place.path.name})"
                    result.remarks.append(Remark("changed", listing.name, at, "", OTHER_SUFFIX))
                entry = Path(os.path.abspath(place.path))  # noqa: PTH100
            found.setdefault(split, []).append(entry)
    if found:
        return found
    for picture in finder.paths:
        if any(picture.is_relative_to(other) for other in others):
            continue
        if picture.is_relative_to(folder):
            found.setdefault(split_of(str(picture.parent.relative_to(folder))) or "", []).append(picture)
        elif alone:
            # A folder of its own, named as images.
            found.setdefault("", []).append(picture)
    return found


def _holds_rows(path: Path) -> bool:
    """Whether a text file holds label rows, as train_000.txt beside train_000.jpg does, and no list of images."""
    try:
        lines = read_text(path).splitlines()
    except DataError:
        return True
    for line in lines:
        words = line.replace(",", ".").split()
        if words:
            return all(re.fullmatch(r"[-+]?[\d.]+([eE][-+]?\d+)?|nan|-?inf", word) for word in words)
    return True

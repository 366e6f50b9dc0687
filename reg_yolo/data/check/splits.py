"""Faults that show only between images: splits that overlap, classes that are missing, files without a partner."""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from importlib import metadata
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from reg_yolo.data.dataset.dataset_yaml import SPLITS, DatasetDescription, label_path_for
from reg_yolo.data.dataset.findings import Finding
from reg_yolo.data.dataset.image_finder import IMAGE_SUFFIXES
from reg_yolo.data.images.near_identical import near_identical

if TYPE_CHECKING:
    from reg_yolo.data.check.images import ImageReport

NearRow = tuple[int, str, Path, int, Path]

_OPENCV_PACKAGES = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


def opencv_findings() -> list[Finding]:
    """Two packages that write the same module `cv2`: at different versions one overwrites half of the other."""
    versions = {}
    for package in _OPENCV_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if len(set(versions.values())) < 2:
        return []
    listed = ", ".join(f"{package} {version}" for package, version in versions.items())
    message = f"{listed} share one folder; uninstall all and install one"
    return [Finding("opencv-versions", "", Path(sys.prefix), None, message)]


class YamlLines:
    """The lines of the keys in a YAML file."""

    def __init__(self, yaml_path: Path) -> None:
        try:
            self._root = yaml.compose(yaml_path.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
        except (OSError, ValueError, yaml.YAMLError, RecursionError):
            self._root = None

    def line(self, *keys: str) -> int | None:
        """Return the line of a key, or of the innermost one there of nested keys, counted from 1; None without any."""
        node, line = self._root, None
        for key in keys:
            if isinstance(node, yaml.SequenceNode) and key.isdigit() and int(key) < len(node.value):
                node = node.value[int(key)]
                line = node.start_mark.line + 1
                continue
            entries = node.value if isinstance(node, yaml.MappingNode) else []
            found = [(name, child) for name, child in entries if name.value == key]
            if not found:
                return line
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        return line


def overlap_findings(description: DatasetDescription) -> tuple[list[Finding], set[tuple[str, str]]]:
    """Splits that take the same folder or one inside the other; also returns the pairs of splits."""
    found, pairs = [], set()
    lines = YamlLines(description.yaml_path)
    for first, second in combinations(description.splits, 2):
        for a in description.splits[first]:
            for b in description.splits[second]:
                if a == b or a in b.parents or b in a.parents:
                    how = "the same" if a == b else "one inside the other"
                    line = lines.line(second)
                    message = f"'{first}:' and '{second}:' are {how}: {a}" + ("" if a == b else f" and {b}")
                    found.append(Finding("split-overlap", f"{first}+{second}", description.yaml_path, line, message))
                    pairs.add((first, second))
    return found, pairs


def shared_findings(
    reports: Sequence[ImageReport], listed: Mapping[str, Sequence[Path]], overlapping: set[tuple[str, str]]
) -> list[Finding]:
    """One file, or the same bytes, in two splits or twice in one.

    Args:
        reports: One for each image of each split that names it.
        listed: The images of every split as they are listed.
        overlapping: Pairs of splits that share a folder: their images are not named one by one.
    """
    found: list[Finding] = []
    real: dict[str, dict[str, Path]] = defaultdict(dict)
    for split, images in listed.items():
        for image in images:
            file = os.path.realpath(image)
            if split in real[file]:
                found.append(Finding("image-repeated", split, image, None, "listed twice"))
            real[file].setdefault(split, image)
    for places in real.values():
        for first, second in combinations(places, 2):
            if (first, second) not in overlapping:
                message = f"also in {first}" + (f" as {places[first]}" if places[first] != places[second] else "")
                found.append(Finding("image-two-splits", f"{first}+{second}", places[second], None, message))
    alike: dict[bytes, list[ImageReport]] = defaultdict(list)
    seen: set[str] = set()
    for report in reports:
        file = os.path.realpath(report.task.path)
        # Broken and empty files are named as such.
        if report.facts.size is not None and file not in seen:
            alike[report.facts.digest].append(report)
            seen.add(file)
    for copies in alike.values():
        first_copy = copies[0].task
        for copy in copies[1:]:
            same = copy.task.split == first_copy.split
            splits = copy.task.split if same else f"{first_copy.split}+{copy.task.split}"
            message = f"the same bytes as {first_copy.path}" + ("" if same else f" of {first_copy.split}")
            found.append(Finding("image-repeated" if same else "image-copied", splits, copy.task.path, None, message))
    return found


def class_findings(
    description: DatasetDescription, objects: Mapping[str, Counter[int]], min_objects: int
) -> list[Finding]:
    """Classes without an object in a split, and classes with few in the training split."""
    found = []
    lines = YamlLines(description.yaml_path)
    labelled = [split for split, counts in objects.items() if sum(counts.values())]
    for split in objects:
        if split not in labelled:
            message = "no label file of the split has a good row"
            found.append(Finding("split-unlabelled", split, description.yaml_path, lines.line(split), message))
    for class_id, name in description.names.items():
        line = lines.line("names", str(class_id))
        absent = [split for split in labelled if not objects[split][class_id]]
        if absent:
            message = f"no object of class {class_id} {name!r} in {' and '.join(absent)}"
            found.append(Finding("class-missing", "+".join(absent), description.yaml_path, line, message))
        count = objects["train"][class_id] if "train" in labelled else 0
        if 0 < count < min_objects:
            message = f"class {class_id} {name!r} has {count} object{'' if count == 1 else 's'} in train"
            found.append(Finding("class-rare", "train", description.yaml_path, line, message))
    return found


def path_findings(description: DatasetDescription) -> list[Finding]:
    """What the YAML says of another machine or another task: paths found elsewhere, keypoints that are left out."""
    found = [Finding("path-elsewhere", "", description.yaml_path, None, note) for note in description.notes]
    if description.keypoint_columns:
        message = f"kpt_shape: the last {description.keypoint_columns} columns of a row are left out, its box is taken"
        line = YamlLines(description.yaml_path).line("kpt_shape")
        found.append(Finding("keypoints-left-out", "", description.yaml_path, line, message))
    return found


def note_findings(description: DatasetDescription, split: str, reports: Sequence[ImageReport]) -> list[Finding]:
    """What is not a fault but ought to be known of a split: images without labels, images that EXIF turns."""
    found = []
    for code, images, meaning in (
        ("image-unlabelled", [r for r in reports if not r.labelled], "have no label file, the first is"),
        (
            "image-upright",
            [r for r in reports if r.facts.orientation != 1 and not r.facts.stays_turned],
            "are stored turned; their labels must fit the upright image. The first is",
        ),
    ):
        if images:
            message = f"{len(images)} of {len(reports)} images {meaning} {images[0].task.path.name}"
            found.append(Finding(code, split, description.yaml_path, None, message))
    return found


def near_findings(reports: Sequence[ImageReport], near_bits: int) -> tuple[list[Finding], list[NearRow]]:
    """One finding for every group of nearly identical images, and one row for every image of a group."""
    found, rows = [], []
    hashed = [report for report in reports if report.facts.signs is not None]
    paths, splits = [r.task.path for r in hashed], [r.task.split for r in hashed]
    near = near_identical([r.facts.signs or b"" for r in hashed], splits, [r.facts.digest for r in hashed], near_bits)
    for number, group in enumerate(near.groups, start=1):
        of_split: dict[str, list[Path]] = {}
        for index in group:
            of_split.setdefault(splits[index], []).append(paths[index])
            rows.append((number, splits[index], paths[index], int(near.bits[index]), paths[near.nearest[index]]))
        held_out = max(group, key=lambda index: (SPLITS.index(splits[index]), -index))
        counted = ", ".join(f"{split} {len(images)}" for split, images in of_split.items())
        message = (
            f"group {number} of {len(group)} images ({counted}); this one differs in {near.bits[held_out]} of 256 "
            f"bits from {paths[near.nearest[held_out]].name} of {splits[near.nearest[held_out]]}"
        )
        found.append(Finding("image-near-identical", "+".join(of_split), paths[held_out], None, message))
    return found, rows


def orphan_findings(description: DatasetDescription, listed: Mapping[str, Sequence[Path]]) -> list[Finding]:
    """Label files beside which there is no image, in the label folders of the splits."""
    expected = {str(label_path_for(image)) for images in listed.values() for image in images}
    lists = {source for sources in description.splits.values() for source in sources}
    folders: dict[Path, str] = {}
    for split, sources in description.splits.items():
        for source in sources:
            if source.is_dir():
                image_folders = [Path(folder) for folder, _, _ in os.walk(source)]
            else:
                image_folders = sorted({image.parent for image in listed.get(split, ())})
            for folder in image_folders:
                folders.setdefault(label_path_for(folder / "x.jpg").parent, split)
        # A folder of labels may have no folder of images at all.
        for folder in [folder for folder, of in folders.items() if of == split]:
            for inner, _, _ in os.walk(folder):
                folders.setdefault(Path(inner), split)
    found = []
    for folder, split in sorted(folders.items()):
        lone = [path for path in folder.glob("*.txt") if str(path) not in expected and path not in lists]
        images = _images_beside(folder) if lone else set()
        # The list of class names that annotation tools leave among the labels is not a label file.
        found += [
            Finding("label-orphan", split, path, None, "there is no image of that name")
            for path in sorted(lone)
            if path.stem not in images and path.name != "classes.txt"
        ]
    return found


def _images_beside(label_folder: Path) -> set[str]:
    """Names without suffix of all images that the labels of a folder may belong to, listed in a split or not."""
    image_folder = label_folder
    before, found, after = f"{label_folder}{os.sep}".rpartition(f"{os.sep}labels{os.sep}")
    if found:
        image_folder = Path(f"{before}{os.sep}images{os.sep}{after}")
    if not image_folder.is_dir():
        return set()
    return {path.stem for path in image_folder.iterdir() if path.suffix[1:].lower() in IMAGE_SUFFIXES}

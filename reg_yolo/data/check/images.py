"""The check of one image with its label file: what a worker process does."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reg_yolo.data.check.masks import MaskRules, check_mask
from reg_yolo.data.check.rows import boxes_of, doubled, outline_fault
from reg_yolo.data.dataset.findings import Finding
from reg_yolo.data.dataset.label_rows import LabelFile, LabelRow, read_label_file
from reg_yolo.data.images.facts import ImageFacts, read_image_facts

# A file of rubbish would otherwise bring a finding for each of its million lines.
_MOST_OF_A_KIND = 200
# Coordinates are written with five or six digits: what was a whole pixel may come back as a hundredth less.
_LEAST_PX = 0.99


@dataclass(frozen=True)
class CheckRules:
    """Limits of a check.

    Attributes:
        task: detect, segment, joint or semantic: which rows are taken.
        imgsz: Longer side in pixels that images are scaled to.
        same_iou: IoU from which two objects of one class are near-duplicates.
        other_iou: IoU from which two objects of different classes are reported.
        near_bits: In how many of 256 bits the hashes of nearly identical images may differ.
        min_objects: A class with fewer objects in the training split is rare.
        masks: How the mask PNGs are read that take the place of label files; None for label files.
    """

    task: str = "detect"
    imgsz: int = 640
    same_iou: float = 0.9
    other_iou: float = 0.95
    near_bits: int = 40
    min_objects: int = 10
    masks: MaskRules | None = None


@dataclass(frozen=True)
class ImageTask:
    """One image to check: its path, its label file, and the split that findings name."""

    path: Path
    label_path: Path
    split: str


@dataclass(frozen=True)
class ImageReport:
    """What was found in one image.

    Attributes:
        task: The image.
        facts: What was read of the image.
        labelled: Whether it has a label file.
        objects: Number of objects by class.
        samples: For each class one object that an image sheet may show: (class, rank, line). The rank is a digest of
            file name and line, so that the lowest ranks are a random sample that is the same every time.
        findings: The faults.
    """

    task: ImageTask
    facts: ImageFacts
    labelled: bool
    objects: Counter[int] = field(default_factory=Counter)
    samples: list[tuple[int, int, int]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def check_image(task: ImageTask, rules: CheckRules, classes: int, channels: int = 3, keypoints: int = 0) -> ImageReport:
    """Check one image and its label file.

    Args:
        task: The image.
        rules: The limits.
        classes: Number of classes.
        channels: What the data set's YAML says.
        keypoints: Columns of keypoints behind a box, which are left out.
    """
    picture = read_image_facts(task.path, channels)
    found: list[Finding] = []
    if picture.fault is not None:
        found.append(Finding("image-unreadable", task.split, task.path, None, picture.fault))
    if picture.stays_turned:
        message = f"EXIF orientation {picture.orientation} is skipped when it is read with {channels} channels"
        found.append(Finding("image-turned", task.split, task.path, None, message))
    if picture.dark:
        message = "the brightest of 65,536 values is below 4,096: scale it to all 16 bits, or save it with 8"
        found.append(Finding("image-dark", task.split, task.path, None, message))
    if rules.masks is not None:
        regions, faults = check_mask(task.path, task.split, picture.size, rules.masks)
        return ImageReport(task, picture, True, regions, [], found + faults)
    labels = read_label_file(task.label_path, classes, keypoints)
    counts: Counter[str] = Counter()
    for code, line, message in _label_faults(labels, rules, picture.size):
        counts[code] += 1
        if counts[code] <= _MOST_OF_A_KIND:
            found.append(Finding(code, task.split, task.label_path, line, message))
    for code, count in counts.items():
        if count > _MOST_OF_A_KIND:
            message = f"{count - _MOST_OF_A_KIND} more of the kind in this file"
            found.append(Finding(code, task.split, task.label_path, None, message))
    samples = [] if picture.fault is not None else _samples(task.path, labels.rows)
    objects = Counter(row.class_id for row in labels.rows)
    return ImageReport(task, picture, labels.exists, objects, samples, found)


def _label_faults(
    labels: LabelFile, rules: CheckRules, size: tuple[int, int] | None
) -> Iterator[tuple[str, int | None, str]]:
    codes = {"file": "label-unreadable", "row": "row-malformed", "class": "row-class", "range": "row-range"}
    for fault in labels.faults:
        yield codes[fault.kind], fault.line, fault.message
    for line, first in labels.repeated:
        yield "row-repeated", line, f"the same as line {first}; it counts once"
    yield from _kind_faults(labels.rows, rules.task)
    if size is None or not labels.rows:
        return
    boxes = boxes_of(labels.rows, size)
    broken = set()
    for row in labels.rows:
        fault_of_outline = outline_fault(row, size) if row.is_polygon else None
        if fault_of_outline is not None:
            broken.add(row.line)
            yield fault_of_outline[0], row.line, fault_of_outline[1]
    scale = rules.imgsz / max(size)
    for row, (width, height) in zip(labels.rows, boxes[:, 2:] - boxes[:, :2], strict=True):
        if min(width, height) * scale < _LEAST_PX and row.line not in broken:
            shown = f"{width * scale:.3g} x {height * scale:.3g}"
            yield "box-subpixel", row.line, f"{shown} pixels once {size[0]}x{size[1]} is scaled to {rules.imgsz}"
    for later, earlier, iou in doubled(labels.rows, boxes, size, rules.same_iou, rules.other_iou):
        one, other = labels.rows[later], labels.rows[earlier]
        if one.class_id == other.class_id:
            yield "box-near-duplicate", one.line, f"IoU {iou:.3f} with line {other.line} of the same class"
        else:
            classes = f"class {one.class_id} here, {other.class_id} there"
            yield "box-two-classes", one.line, f"IoU {iou:.3f} with line {other.line}: {classes}"


def _kind_faults(rows: list[LabelRow], task: str) -> Iterator[tuple[str, int, str]]:
    """Rows of a kind that the task does not take; a file that mixes the kinds is named once."""
    if task == "joint" or not rows:
        return
    other = next((row for row in rows if row.is_polygon is not rows[0].is_polygon), None)
    if other is not None:
        here, there = ("polygon", "box") if other.is_polygon else ("box", "polygon")
        takes = "detect takes one kind in a file" if task == "detect" else f"{task} takes polygons only"
        yield (
            "row-kind",
            other.line,
            f"a {here} row in a file whose line {rows[0].line} is a {there} row; {takes}, joint takes both",
        )
    elif task != "detect" and not rows[0].is_polygon:
        count = f"{len(rows)} box row{'' if len(rows) == 1 else 's'}"
        yield "row-kind", rows[0].line, f"{count} and no polygon; detect and joint take boxes, {task} does not"


def _samples(path: Path, rows: list[LabelRow]) -> list[tuple[int, int, int]]:
    best: dict[int, tuple[int, int]] = {}
    for row in rows:
        text = f"{path.name}:{row.line}".encode("utf-8", "surrogateescape")
        rank = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
        best[row.class_id] = min(best.get(row.class_id, (rank, row.line)), (rank, row.line))
    return [(class_id, rank, line) for class_id, (rank, line) in best.items()]

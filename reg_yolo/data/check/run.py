"""Check a data set as a whole: every fault at once, instead of the first one hours into a training."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reg_yolo.config.problems import did_you_mean
from reg_yolo.data.check.splits import (
    NearRow,
    YamlLines,
    class_findings,
    near_findings,
    note_findings,
    opencv_findings,
    orphan_findings,
    overlap_findings,
    path_findings,
    shared_findings,
)
from reg_yolo.data.dataset.dataset_yaml import (
    DatasetDescription,
    find_dataset_yaml,
    label_path_for,
    offer_to_split,
    read_dataset_yaml,
)
from reg_yolo.data.dataset.findings import SEVERITIES, Finding, csv_text, findings_csv, findings_text, in_order
from reg_yolo.data.dataset.output_paths import refuse_inside
from reg_yolo.data.dataset.pixel_classes import described_pixels
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.files import make_folder, replace_text

if TYPE_CHECKING:
    from reg_yolo.data.check.images import CheckRules, ImageReport, ImageTask

Progress = Callable[[int, int], None]

TASKS = ("detect", "segment", "joint", "semantic")
_TILES_OF_A_CLASS = 24
_FARTHEST_BITS = 80


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        description: The data set.
        findings: Every fault, by code and place.
        images: Number of images by split.
        objects: By split, the number of objects of each class in good rows.
        near_rows: For every image that looks like one of another split: group from 1, split, image, differing bits
            of the hash, nearest image of another split.
        samples: By class, images with the line of one object each, a random choice that is the same every time.
        masks: The images of a set with mask PNGs, whose objects are the connected regions of a class.
    """

    description: DatasetDescription
    findings: list[Finding]
    images: dict[str, int]
    objects: dict[str, list[int]]
    near_rows: list[NearRow] = field(default_factory=list)
    samples: dict[int, list[tuple[Path, int]]] = field(default_factory=dict)
    masks: list[Path] = field(default_factory=list)

    def count(self, severity: str) -> int:
        """Return the number of findings of a severity: error, warning or note."""
        return sum(finding.severity == severity for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts and every finding as plain data for JSON."""
        names = self.description.class_names
        return {
            "data": str(self.description.yaml_path),
            "images": self.images,
            "objects": {split: dict(zip(names, counts, strict=True)) for split, counts in self.objects.items()},
            **{f"{severity}s": self.count(severity) for severity in SEVERITIES},
            "findings": [
                {"severity": finding.severity, **vars(finding), "path": str(finding.path)} for finding in self.findings
            ],
        }

    def as_text(self, examples: int = 3) -> str:
        """Return the findings grouped by code with a few examples each, and a last line that counts them."""
        images = ", ".join(f"{split} {count}" for split, count in self.images.items()) or "no split"
        objects = sum(map(sum, self.objects.values()))
        counts = [(self.count(severity), severity) for severity in SEVERITIES]
        counted = ", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for count, severity in counts)
        listed = findings_text(self.findings, self.description.root, examples)
        last = f"{self.description.yaml_path}: {images} images, {objects} objects: {counted}"
        return f"{listed}\n{last}" if listed else last


def check_dataset(
    data: str | Path,
    *,
    task: str = "detect",
    imgsz: int = 640,
    same_iou: float = 0.9,
    other_iou: float = 0.95,
    near_bits: int = 40,
    min_objects: int = 10,
    workers: int = 0,
    progress: Progress | None = None,
) -> CheckReport:
    """Check images, label files and splits; nothing is written.

    Args:
        data: A data-set YAML, or the folder of a data.yaml.
        task: detect, segment, joint or semantic: whether box rows, polygon rows or both may stand in a file; semantic
            takes mask PNGs instead where the YAML has `masks_dir:`.
        imgsz: Longer side in pixels that images are scaled to in training, >= 32.
        same_iou: IoU in (0, 1] from which two objects of one class are near-duplicates.
        other_iou: IoU in (0, 1] from which two objects of different classes are reported.
        near_bits: In how many of the 256 bits of a perceptual hash nearly identical images may differ, 0 to 80. Of
            unrelated images of real road sets the nearest differ in 60; frames of a motorway video at 25 Hz differ in
            12 from the next one and in 36 from the fifth (medians).
        min_objects: A class with fewer objects in the training split is reported.
        workers: Processes; 0 takes every core. More than one need the caller's main module to be importable.
        progress: Called with the images done and to do.

    Raises:
        ConfigError: An argument is out of range.
        DataError: The YAML cannot be read, or the packages of the extra `data` are not installed.
    """
    _check_arguments(task, imgsz, same_iou, other_iou, near_bits)
    _require_extra()
    from reg_yolo.data.check.images import CheckRules, ImageTask, check_image
    from reg_yolo.parallel import available_cores, parallel_map

    description = read_dataset_yaml(find_dataset_yaml(data), required=())
    masks = None
    if task == "semantic":
        from reg_yolo.data.check.masks import MaskRules

        masks = MaskRules.of(description)
        # Without masks the rows have the classes of objects; background has none.
        description = description if masks is None else described_pixels(description)
    rules = CheckRules(task, imgsz, same_iou, other_iou, near_bits, min_objects, masks)
    listed, findings = _list_images(description)
    # An image that two splits name is read once.
    tasks: dict[Path, ImageTask] = {}
    for split, images in listed.items():
        for image in images:
            tasks.setdefault(image, ImageTask(image, label_path_for(image), split))
    inspect = partial(
        check_image,
        rules=rules,
        classes=len(description.names),
        channels=description.channels,
        keypoints=description.keypoint_columns,
    )
    reports: dict[Path, ImageReport] = {}
    samples: dict[int, list[tuple[int, str, int]]] = {}
    for report in parallel_map(inspect, list(tasks.values()), workers or available_cores()):
        findings += report.findings
        _keep_samples(samples, report)
        reports[report.task.path] = replace(report, findings=[], samples=[])
        if progress is not None:
            progress(len(reports), len(tasks))
    between, near_rows, objects = _between_images(description, listed, reports, rules)
    return CheckReport(
        description,
        in_order(findings + between),
        {split: len(images) for split, images in listed.items()},
        {split: [counts[index] for index in range(len(description.names))] for split, counts in objects.items()},
        near_rows,
        {index: [(Path(path), line) for _, path, line in samples[index]] for index in sorted(samples)},
        [] if masks is None else list(tasks),
    )


def write_check(
    report: CheckReport, out: Path, *, sheets: bool = True, workers: int = 0, progress: Progress | None = None
) -> list[Path]:
    """Write findings.csv, near_identical.csv where there is such a thing, and sheets/NN_CLASS.png; return the paths.

    Every file is whole or not there. What an earlier check left in `out` is replaced.

    Args:
        report: The result of `check_dataset`.
        out: Folder, made where it is missing; it must not be inside a folder of the data set's images or labels.
        sheets: Whether to draw an image sheet for every class.
        workers: Processes for the sheets; 0 takes every core.
        progress: Called with the sheets done and to do.

    Raises:
        ConfigError: `out` is inside the data set.
    """
    refuse_inside("out", out, report.description)
    make_folder(out)
    for old in (out / "near_identical.csv", *(out / "sheets").glob("[0-9][0-9]*_*.[pj][np]g")):
        old.unlink(missing_ok=True)
    written = [out / "findings.csv"]
    replace_text(written[0], findings_csv(report.findings))
    if report.near_rows:
        written.append(out / "near_identical.csv")
        headings = ["group", "split", "image", "bits_of_256", "nearest_of_another_split"]
        replace_text(written[1], csv_text(headings, report.near_rows))
    if sheets:
        from reg_yolo.data.check.class_sheets import write_class_sheets

        counts = [sum(column) for column in zip(*report.objects.values(), strict=True)]
        written += write_class_sheets(report.description, counts, report.samples, out / "sheets", workers, progress)
        if report.masks:
            from reg_yolo.data.check.masks import write_mask_sheet

            written += write_mask_sheet(report.description, report.masks, out / "sheets" / "00_class_maps.jpg")
    return written


def _check_arguments(task: str, imgsz: int, same_iou: float, other_iou: float, near_bits: int) -> None:
    if task not in TASKS:
        raise ConfigError(f"`task`: got {task!r}, expected {', '.join(TASKS)}.{did_you_mean(task, TASKS)}")
    if imgsz < 32:
        raise ConfigError(f"`imgsz`: got {imgsz}, expected 32 pixels or more")
    for name, value in (("same_iou", same_iou), ("other_iou", other_iou)):
        if not 0 < value <= 1:
            raise ConfigError(f"`{name}`: got {value}, expected a number above 0 and up to 1")
    if not 0 <= near_bits <= _FARTHEST_BITS:
        raise ConfigError(f"`near_bits`: got {near_bits}, expected 0 to {_FARTHEST_BITS} of 256 bits")


def _require_extra() -> None:
    absent = [package for package in ("imagehash", "shapely") if find_spec(package) is None]
    if absent:
        raise DataError(f'Checking a data set needs {" and ".join(absent)}: pip install "reg-yolo[data]".')


def _list_images(description: DatasetDescription) -> tuple[dict[str, list[Path]], list[Finding]]:
    """Return the images of the splits that can be read, and what is wrong with the others."""
    listed: dict[str, list[Path]] = {}
    found = []
    lines = YamlLines(description.yaml_path)
    for split in ("train", "val"):
        if split not in description.splits:
            message = f"there is no '{split}:'; add it to the file"
            if split == "val" and "train" in description.splits:
                message += offer_to_split(description.yaml_path)
            found.append(Finding("split-missing", split, description.yaml_path, None, message))
    for split in description.splits:
        try:
            listed[split] = description.images(split)
        except (DataError, OSError) as error:
            line = lines.line(split)
            found.append(Finding("split-unreadable", split, description.yaml_path, line, str(error)))
    return listed, found


def _keep_samples(samples: dict[int, list[tuple[int, str, int]]], report: ImageReport) -> None:
    """Keep the lowest ranks of every class: a random choice without looking twice."""
    for class_id, rank, line in report.samples:
        best = samples.setdefault(class_id, [])
        insort(best, (rank, str(report.task.path), line))
        del best[_TILES_OF_A_CLASS:]


def _between_images(
    description: DatasetDescription,
    listed: dict[str, list[Path]],
    reports: dict[Path, ImageReport],
    rules: CheckRules,
) -> tuple[list[Finding], list[NearRow], dict[str, Counter[int]]]:
    found, overlapping = overlap_findings(description)
    found += opencv_findings()
    found += shared_findings(list(reports.values()), listed, overlapping)
    if rules.masks is None:
        found += orphan_findings(description, listed)
    else:
        from reg_yolo.data.check.masks import orphan_masks

        found += orphan_masks(listed, rules.masks)
    found += path_findings(description)
    objects: dict[str, Counter[int]] = {}
    for split, images in listed.items():
        of_split = [reports[image] for image in images]
        objects[split] = sum((report.objects for report in of_split), Counter())
        found += note_findings(description, split, of_split)
    found += class_findings(description, objects, rules.min_objects)
    near, near_rows = near_findings(list(reports.values()), rules.near_bits)
    return found + near, near_rows, objects

"""Split a data set so that frames of one drive stay on one side and every class has its share on both."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, find_dataset_yaml, label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.frame_names import name_below_images
from reg_yolo.data.dataset.label_scan import read_sound_labels
from reg_yolo.data.images.similarity import Similarity
from reg_yolo.data.split.assignment import Counts, assign_groups
from reg_yolo.data.split.grouping import RULES, GroupingRules, group_images
from reg_yolo.data.split.output import copy_split, write_split_lists
from reg_yolo.data.split.report import SplitTable
from reg_yolo.errors import ConfigError, DataError


@dataclass(frozen=True)
class SplitResult:
    """A split that has been written.

    Attributes:
        data_yaml: The data-set YAML that names the new splits.
        images: By split, its images in order.
        groups: The group of every image.
        table: Groups, images and objects by split, with the shares reached.
        notes: What a user should know: classes that are not in every split, images that a rule could not place.
    """

    data_yaml: Path
    images: dict[str, list[Path]]
    groups: dict[Path, str]
    table: SplitTable
    notes: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        """The table and the notes."""
        return "\n".join([self.table.as_text(), *(f"Note: {note}" for note in self.notes)])


def split_dataset(
    data: str | Path,
    *,
    by: str | Sequence[str] = "drive",
    val: float = 0.2,
    test: float = 0.0,
    seed: int = 0,
    pattern: str | None = None,
    gap_s: float = 60.0,
    radius_m: float = 50.0,
    similarity: Similarity | None = None,
    out: str | Path | None = None,
    copy_to: str | Path | None = None,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> SplitResult:
    """Split a data set by drive, time, place, burst or folder, and stratify its classes.

    The images of `train` and `val` are split anew. A `test` split that the YAML names stays as it is, unless a share
    for it is asked. The same images, labels and arguments give the same bytes, in whatever order the file system lists
    them and with any number of workers.

    Args:
        data: A data-set YAML, or the folder of a data.yaml; it and the images stay as they are.
        by: What ties images together, one of `drive`, `time`, `gps`, `burst`, `folder` or several (a sequence, or with
            commas): images that any of them ties stay together.
        val: Wanted share of every class in val.
        test: Wanted share in test, or 0.
        seed: Decides between equally good splits.
        pattern: See `GroupingRules`, as for `gap_s` and `radius_m`.
        gap_s: Seconds.
        radius_m: Metres.
        similarity: What `burst` takes for the same view.
        out: The YAML to write; by default `data_split.yaml` beside `data.yaml`. Its lists of images and a table of
            groups go beside it under its name.
        copy_to: Write a whole new data set into this folder instead, with copies of images and labels.
        workers: Processes that read images; 0 takes one for each core.
        progress: Called with the images done and to do, in each of several passes over them.

    Raises:
        ConfigError: If an argument is out of range.
        DataError: If the data set or its labels are wrong, all images are one group, or `out` is a file of the user's.
    """
    shares = _shares(val, test)
    if out is not None and copy_to is not None:
        raise ConfigError("out names a YAML next to the images, copy_to a folder for copies; give one of them")
    rules = GroupingRules(
        by=tuple(word.strip() for word in by.split(",")) if isinstance(by, str) else tuple(by),
        pattern=pattern,
        gap_s=gap_s,
        radius_m=radius_m,
        similarity=similarity or Similarity(),
        workers=workers,
    )
    description = read_dataset_yaml(find_dataset_yaml(data), required=("train",))
    images, kept, notes = _images_to_split(description, keep_test=test == 0)
    every = sorted([*images, *kept], key=lambda image: (str(name_below_images(image, description.root)), str(image)))
    groups, grouping_notes = group_images(every, description.root, rules, progress)
    group_of = dict(zip(every, groups, strict=True))
    notes += grouping_notes

    members = {name: number for number, name in enumerate(sorted({group_of[image] for image in images}))}
    if len(members) < len(shares):
        raise DataError(_too_few(len(members), len(images), len(shares), rules))
    counts = np.zeros((len(members), len(description.names) + 1))
    held = _objects(every, description, progress)
    for image in images:
        row = counts[members[group_of[image]]]
        row[:-1] += held[image]
        row[-1] += 1
    assignment = assign_groups(counts, list(shares.values()), seed)
    split_of = {name: list(shares)[assignment[number]] for name, number in members.items()}
    chosen: dict[str, list[Path]] = {split: [] for split in shares}
    for image in every:
        if image in images:
            chosen[split_of[group_of[image]]].append(image)
    table = SplitTable.count(description.class_names, shares, counts, assignment)
    notes += table.notes()
    if kept:
        chosen["test"] = sorted(kept)
        notes.append(_note_on_test(images, kept, group_of))
    command = f"reg-yolo data split {description.yaml_path.name} --by {','.join(rules.by)} --val {val:g}"
    command += (f" --test {test:g}" if test else "") + f" --seed {seed}"
    if copy_to is not None:
        written = copy_split(description, chosen, group_of, Path(copy_to), command, progress)
    else:
        target = (
            Path(out) if out is not None else description.yaml_path.with_stem(description.yaml_path.stem + "_split")
        )
        written = write_split_lists(description, chosen, group_of, target, command)
    return SplitResult(written, chosen, group_of, table, notes)


def _shares(val: float, test: float) -> dict[str, float]:
    for name, share in (("val", val), ("test", test)):
        if not (math.isfinite(share) and 0 <= share < 1) or (name == "val" and share == 0):
            raise ConfigError(f"{name} must be a share between 0 and 1 such as 0.2, got {share:g}")
    if val + test >= 1:
        raise ConfigError(f"val={val:g} and test={test:g} leave nothing to train on")
    return {"train": 1 - val - test, "val": val, **({"test": test} if test else {})}


def _images_to_split(description: DatasetDescription, *, keep_test: bool) -> tuple[set[Path], set[Path], list[str]]:
    """Return the images to split, those of a test split that stays, and what to say of them."""
    found = {split: set(description.images(split)) for split in description.present_splits}
    kept = found.pop("test", set()) if keep_test else set()
    images: set[Path] = set().union(*found.values())
    notes = []
    if len(found) > 1:
        together = ", ".join(f"{split} {len(members)}" for split, members in found.items())
        notes.append(f"{len(images)} images of the present splits are split anew ({together})")
    if images & kept:
        notes.append(f"{len(images & kept)} images stood in 'test' and in another split; they are in 'test' only now")
        images -= kept
    return images, kept, notes


def _note_on_test(images: set[Path], kept: set[Path], group_of: dict[Path, str]) -> str:
    tied = {group_of[image] for image in kept}
    shared = sum(group_of[image] in tied for image in images)
    leak = f", but {shared} other images are tied to them" if shared else ""
    return f"the 'test' split stays as it is ({len(kept)} images){leak}; test=0.1 would split it again"


def _too_few(groups: int, images: int, splits: int, rules: GroupingRules) -> str:
    by = " or ".join(rules.by)
    found = f"all {images} images are one group" if groups == 1 else f"the {images} images are {groups} groups only"
    others = ", ".join(rule for rule in RULES if rule not in rules.by)
    hint = "; pattern says which part of a file name is the drive" if "drive" in rules.by else ""
    return f"By {by}, {found}, too few for {splits} splits. Choose by from {others}{hint}"


def _objects(
    images: Sequence[Path], description: DatasetDescription, progress: Callable[[int, int], None] | None
) -> dict[Path, Counts]:
    """Return the objects of every class in every image, and refuse label files that cannot be read in full."""
    classes = len(description.names)
    found: dict[Path, Counts] = {}
    for image, rows in read_sound_labels(images, classes, description.keypoint_columns):
        counted = Counter(row.class_id for row in rows)
        found[image] = np.array([counted[index] for index in range(classes)], dtype=np.float64)
        if progress is not None:
            progress(len(found), len(images))
    if not any(counted.any() for counted in found.values()):
        raise DataError(
            f"{description.yaml_path}: none of the {len(images)} images has a labelled object; "
            f"labels are looked for as {label_path_for(images[0])}."
        )
    return found

"""Handing a data set to Ultralytics: paths relative to their YAML made absolute, every label row checked before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ultralytics.utils import LOGGER

from reg_yolo.config.yaml_text import dump_yaml
from reg_yolo.data.dataset.dataset_yaml import SPLITS, DatasetDescription, read_dataset_yaml
from reg_yolo.data.dataset.joint_sets import JointSets
from reg_yolo.data.dataset.label_scan import scan_labels
from reg_yolo.data.dataset.pixel_classes import described_pixels, pixel_classes
from reg_yolo.data.images.decoding import raise_for_undecodable, undecodable_images
from reg_yolo.data.images.pixel_masks import scan_masks
from reg_yolo.errors import DataError
from reg_yolo.files import replace_text


@dataclass(frozen=True)
class ResolvedDataset:
    """A data set as Ultralytics can read it from anywhere.

    Attributes:
        original: The user's YAML, absolute.
        yaml_path: A copy in the run directory, with absolute paths.
        descriptions: What the YAML says; of a joint run on two sets, both.
    """

    original: Path
    yaml_path: Path
    descriptions: tuple[DatasetDescription, ...]


def resolve_dataset(
    data: str | Path,
    folder: Path,
    *,
    splits: tuple[str, ...] = ("train", "val"),
    check: bool = True,
    task: str = "detect",
) -> ResolvedDataset:
    """Read, check and rewrite a data set for Ultralytics.

    Args:
        data: The user's data-set YAML.
        folder: Where the rewritten YAML (and image lists, if the set has them) go.
        splits: The splits that have to be there.
        check: Read every label row and every image header of `splits` first.
        task: Decides whether polygon rows may stand next to box rows; of task semantic the classes are those of pixels.

    Raises:
        DataError: If the YAML, a split, a label row or an image is wrong.
    """
    description = read_dataset_yaml(data, required=splits)
    if check:
        for split in splits:
            check_split(description, split, task)
    written = described_pixels(description) if task == "semantic" else description
    return ResolvedDataset(description.yaml_path, written.write_for_ultralytics(folder), (description,))


def check_split(description: DatasetDescription, split: str, task: str) -> None:
    """Check every label row and that every image decodes; upstream drops bad ones with a line in its log.

    Raises:
        DataError: With all bad rows counted, or the images that do not decode.
    """
    if task == "semantic" and pixel_classes(description).masks_dir is not None:
        _check_masks(description, split)
        return
    scan = scan_labels(description, split, allow_boxes=task not in {"segment", "semantic"}, allow_mixed=task == "joint")
    scan.raise_for_problems()
    raise_for_undecodable(undecodable_images(description.images(split)), split)
    if split == "train":
        for remark in description.remarks:
            LOGGER.warning(f"{description.yaml_path}: {remark}")
        scan.raise_if_unlabelled()
    if scan.absent_classes and split == "val":
        LOGGER.warning(f"no label in the 'val' split for: {', '.join(scan.absent_classes)}; they stay unmeasured")


def _check_masks(description: DatasetDescription, split: str) -> None:
    raise_for_undecodable(undecodable_images(description.images(split)), split)
    scan = scan_masks(description, split)
    scan.raise_for_problems()
    if split == "train" and not any(scan.pixel_counts):
        raise DataError(f"{description.yaml_path}: no pixel of the 'train' split has a class; every mask is 255")
    if scan.absent_classes and split == "val":
        LOGGER.warning(f"no pixel in the 'val' split of: {', '.join(scan.absent_classes)}; they stay unmeasured")


def check_joint_split(sets: JointSets, split: str) -> None:
    """Check the label rows and images of a split in every set that has it.

    Raises:
        DataError: With what is wrong, or if no object of the training split has a mask.
    """
    for part in sets.parts_of(split):
        check_split(part.description, split, "joint")
    if split == "train" and not any(sets.label_counts(split)[1]):
        raise DataError(
            f"No object of the training split has a mask of {', '.join(sets.mask_classes)}: all their rows are boxes; "
            "use task detect, or label polygons"
        )


def write_joint_yaml(sets: JointSets, folder: Path) -> Path:
    """Write the sets as one data YAML with absolute paths, which upstream checks and loggers read."""
    content: dict[str, object] = {**sets.extra, "names": dict(enumerate(sets.class_names))}
    for split in SPLITS:
        sources = [str(path) for part in sets.parts for path in part.description.splits.get(split, [])]
        if sources:
            content[split] = sources
    path = folder / "data.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(path, dump_yaml(content))
    return path

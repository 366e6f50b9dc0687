"""What weights are measured on: the data set that is named or that they were trained on, with their classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reg_yolo.config.shipped import shipped_file
from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, read_dataset_yaml
from reg_yolo.data.dataset.joint_sets import JointSets, read_joint_sets
from reg_yolo.data.dataset.pixel_classes import described_pixels, pixel_classes
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.yolo.datasets.resolved import check_joint_split, check_split, write_joint_yaml
from reg_yolo.yolo.upstream.arguments import shortened
from reg_yolo.yolo.validation.joint import RegJointValidator
from reg_yolo.yolo.validation.validators import RegDetectionValidator, RegSegmentationValidator
from reg_yolo.yolo.weights.detector import Detector

VALIDATORS: dict[str, type[RegDetectionValidator]] = {
    "detect": RegDetectionValidator,
    "segment": RegSegmentationValidator,
    "joint": RegJointValidator,
}


@dataclass(frozen=True)
class MeasuredData:
    """A checked data set, or the sets of the joint task; `keypoint_columns` stand behind boxes in its label files."""

    name: str
    write: Callable[[Path], Path]
    sets: JointSets | None = None
    keypoint_columns: int = 0


def measured_data(
    detector: Detector, data: str | Path | Mapping[str, str] | None, split: str, own: Mapping[str, Any]
) -> MeasuredData:
    """Find and check what is measured on; the classes must be the weights'."""
    if detector.task == "joint":
        if own.get("single_cls"):
            raise ConfigError(
                "single_cls: makes one class of all, so masks of some classes have no meaning; leave it out"
            )
        sets = find_joint_sets(detector, data)
        check_joint_split(sets, split)
        keypoints = max(part.description.keypoint_columns for part in sets.parts)
        return MeasuredData(
            str(sets.to_plain()["data"]), lambda folder: write_joint_yaml(sets, folder), sets, keypoints
        )
    if isinstance(data, Mapping):
        raise ConfigError(
            f"data: two data sets are for weights of the joint task, {detector.path} is of {detector.task}"
        )
    description = read_dataset_yaml(find_data(detector, data), required=(split,))
    if detector.task == "semantic":
        classes = pixel_classes(description).names
        _require_classes(detector, classes, description.yaml_path)
        check_split(description, split, detector.task)
        return MeasuredData(str(description.yaml_path), described_pixels(description).write_for_ultralytics)
    if not own.get("single_cls", detector.trained_with.get("single_cls")):
        require_same_classes(detector, description)
    check_split(description, split, detector.task)
    # Upstream refuses a YAML without both, also where it reads neither.
    known = description.splits
    whole = replace(description, splits={**dict.fromkeys(("train", "val"), known[split]), **known})
    write = whole.write_for_ultralytics
    return MeasuredData(str(description.yaml_path), write, keypoint_columns=description.keypoint_columns)


def find_joint_sets(detector: Detector, data: str | Path | Mapping[str, str] | None) -> JointSets:
    """Return the one or two sets for joint weights: those named, or those that the weights were trained on.

    Raises:
        ConfigError: If none is named, and that of the training is unknown or no longer there.
        DataError: If a set cannot be read, or the classes are not the weights'.
    """
    named: Any = detector.metadata.get("data") if data is None else data
    if not isinstance(named, Mapping):
        named = find_data(detector, None if data is None else named)
    sets = read_joint_sets(named, detector.mask_classes)
    _require_classes(detector, sets.class_names, sets.parts[0].description.yaml_path)
    return sets


def find_data(detector: Detector, data: str | Path | None) -> str | Path:
    """Return the data-set YAML: a file, the name of a shipped one, or the one that the weights were trained on.

    Raises:
        ConfigError: If none is named, and that of the training is unknown or no longer there.
    """
    if data is not None:
        return data if Path(data).is_file() else shipped_file(str(data), "datasets") or data
    trained_on = detector.trained_with.get("data")
    if not trained_on:
        raise ConfigError(f"{detector.path} does not say what it was trained on; name a data set with `data=DATA.yaml`")
    if not Path(str(trained_on)).is_file():
        raise ConfigError(
            f"{detector.path} was trained on {trained_on}, which is not here; name a data set with `data=DATA.yaml`"
        )
    return str(trained_on)


def require_same_classes(detector: Detector, description: DatasetDescription) -> None:
    """Refuse a data set whose class list is not the model's, since every figure would be wrong.

    Raises:
        DataError: With the first class that differs.
    """
    _require_classes(detector, description.class_names, description.yaml_path)


def _require_classes(detector: Detector, given: Sequence[str], data: Path) -> None:
    weights, trained = detector.path, detector.class_names
    if len(trained) != len(given):
        raise DataError(
            f"{weights} has {len(trained)} classes, {data} names {len(given)}; they must be the same list: "
            f"{shortened(', '.join(trained), 200)}"
        )
    for index, (name, other) in enumerate(zip(trained, given, strict=True)):
        if name != other:
            raise DataError(
                f"{data}: class {index} is '{other}', but {weights} was trained with '{name}' there; "
                "bring the names into the order of the weights"
            )

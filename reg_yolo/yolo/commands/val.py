"""`val` from Python and from the command line: the per-class table, and thresholds beside the weights."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from reg_yolo.config.shipped import shipped_file, shipped_weights
from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, read_dataset_yaml
from reg_yolo.data.dataset.joint_sets import JointSets, read_joint_sets
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.evaluation.per_class import DetectionReport
from reg_yolo.evaluation.thresholds import ClassThresholds
from reg_yolo.yolo.commands.run_folder import new_run_folder, removed_on_failure
from reg_yolo.yolo.datasets.resolved import check_joint_split, check_split, write_joint_yaml
from reg_yolo.yolo.upstream.arguments import check_arguments, check_class_filter, check_own_keys, shortened
from reg_yolo.yolo.upstream.offline import register_fonts
from reg_yolo.yolo.validation.joint import RegJointValidator
from reg_yolo.yolo.validation.segmentation import RegSegmentationValidator
from reg_yolo.yolo.validation.validators import RegDetectionValidator
from reg_yolo.yolo.weights.checkpoints import write_thresholds
from reg_yolo.yolo.weights.detector import Detector, open_detector

VALIDATORS: dict[str, type[RegDetectionValidator]] = {
    "detect": RegDetectionValidator,
    "segment": RegSegmentationValidator,
    "joint": RegJointValidator,
}


@dataclass(frozen=True)
class ValidationResult:
    """What a validation found.

    Attributes:
        report: Per-class results of the boxes.
        mask_report: Per-class results of the masks; None for a detection model.
        thresholds: Confidence threshold by class.
        metrics: Upstream's metrics.
        folder: Where the table and the plots lie.
        thresholds_file: The thresholds as `predict` will read them.
    """

    report: DetectionReport
    thresholds: ClassThresholds
    metrics: dict[str, float]
    folder: Path
    thresholds_file: Path
    mask_report: DetectionReport | None = None


def val(
    weights: str | Path,
    data: str | Path | Mapping[str, str] | None = None,
    *,
    min_precision: float | None = None,
    out: str | Path | None = None,
    trust: bool = False,
    **arguments: Any,
) -> ValidationResult:
    """Validate weights on a data set.

    Args:
        weights: A checkpoint of ours or a stock YOLOv8 one.
        data: The data-set YAML; by default the one it was trained on. For weights of the joint task also a pair
            `{"detect": ..., "segment": ...}`.
        min_precision: Choose the lowest thresholds with at least this precision, in (0, 1]; by default best F1.
        out: Folder for the table and the plots; by default a new one under ./runs.
        trust: Load checkpoints that run code of their own.
        arguments: Ultralytics' arguments, such as `split`, `imgsz`, `batch` or `device`.

    Raises:
        RegYoloError: If weights or data are wrong, or do not belong together.
    """
    if min_precision is not None and not 0 < min_precision <= 1:
        raise ConfigError(f"--min-precision must be above 0 and at most 1, got {min_precision:g}")
    own = check_own_keys(arguments, "val")
    detector = open_detector(weights, trust=trust)
    split = str(own.get("split", "val"))
    measured = _measured_data(detector, data, split, own)
    check_class_filter(own.get("classes"), detector.class_names)
    settings = {
        "imgsz": detector.imgsz,
        "rect": True,
        "single_cls": bool(own.get("single_cls", detector.trained_with.get("single_cls"))),
        **own,
        "task": "detect" if detector.task == "detect" else "segment",
        "mode": "val",
        "model": str(detector.path),
        "data": measured.name,
    }
    check_arguments(settings)
    folder = new_run_folder({**settings, "task": detector.task}, "val", out)
    with removed_on_failure(folder):
        settings["data"] = str(measured.write(folder))
        register_fonts()
        validator = VALIDATORS[detector.task](save_dir=folder, args=settings)
        validator.minimum_precision = min_precision
        if isinstance(validator, RegJointValidator):
            assert measured.sets is not None
            validator.sets = measured.sets
        metrics = validator(model=str(detector.path))
        reports = validator.write_reports(folder, detector.path.name)
        thresholds = validator.class_thresholds()
        file = _keep_thresholds(detector.path, thresholds, measured.name, folder)
    figures = {key: float(value) for key, value in metrics.items()}
    return ValidationResult(reports[0], thresholds, figures, folder, file, reports[1] if len(reports) > 1 else None)


@dataclass(frozen=True)
class _MeasuredData:
    """A checked data set, or the sets of the joint task."""

    name: str
    write: Callable[[Path], Path]
    sets: JointSets | None = None


def _measured_data(
    detector: Detector, data: str | Path | Mapping[str, str] | None, split: str, own: Mapping[str, Any]
) -> _MeasuredData:
    """Find and check what is measured on; the classes must be the weights'."""
    if detector.task == "joint":
        if own.get("single_cls"):
            raise ConfigError(
                "single_cls: makes one class of all, so masks of some classes have no meaning; leave it out"
            )
        sets = find_joint_sets(detector, data)
        check_joint_split(sets, split)
        return _MeasuredData(str(sets.to_plain()["data"]), lambda folder: write_joint_yaml(sets, folder), sets)
    if isinstance(data, Mapping):
        raise ConfigError(
            f"data: two data sets are for weights of the joint task, {detector.path} is of {detector.task}"
        )
    description = read_dataset_yaml(find_data(detector, data), required=(split,))
    if not own.get("single_cls", detector.trained_with.get("single_cls")):
        require_same_classes(detector, description)
    check_split(description, split, detector.task)
    return _MeasuredData(str(description.yaml_path), description.write_for_ultralytics)


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
        raise ConfigError(f"{detector.path} does not say what it was trained on; name a data set with --data DATA.yaml")
    if not Path(str(trained_on)).is_file():
        raise ConfigError(
            f"{detector.path} was trained on {trained_on}, which is not here; name a data set with --data DATA.yaml"
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


def _keep_thresholds(weights: Path, thresholds: ClassThresholds, data: str, folder: Path) -> Path:
    if weights == shipped_weights(weights.name):
        # They serve every project of this installation; one project's thresholds stay with its results.
        return write_thresholds(weights, thresholds, data, folder)
    try:
        return write_thresholds(weights, thresholds, data)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise
        LOGGER.warning(f"{weights.parent} is read-only, so predict will not find these thresholds by itself: {folder}")
        return write_thresholds(weights, thresholds, data, folder)

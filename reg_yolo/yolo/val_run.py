"""`val` from Python and from the command line: the per-class table, and thresholds beside the weights."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from reg_yolo.config.shipped import shipped_file, shipped_weights
from reg_yolo.data.dataset_yaml import DatasetDescription, read_dataset_yaml
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.evaluation.per_class import DetectionReport
from reg_yolo.evaluation.thresholds import ClassThresholds
from reg_yolo.yolo.arguments import check_arguments, check_class_filter, check_own_keys, shortened
from reg_yolo.yolo.checkpoints import write_thresholds
from reg_yolo.yolo.datasets import check_split
from reg_yolo.yolo.detector import Detector, open_detector
from reg_yolo.yolo.offline import register_fonts
from reg_yolo.yolo.run_folder import new_run_folder, removed_on_failure
from reg_yolo.yolo.validator import RegDetectionValidator


@dataclass(frozen=True)
class ValidationResult:
    """What a validation found.

    Attributes:
        report: Per-class results.
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


def val(
    weights: str | Path,
    data: str | Path | None = None,
    *,
    min_precision: float | None = None,
    out: str | Path | None = None,
    trust: bool = False,
    **arguments: Any,
) -> ValidationResult:
    """Validate weights on a data set.

    Args:
        weights: A checkpoint of ours or a stock YOLOv8 one.
        data: The data-set YAML; by default the one it was trained on.
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
    description = read_dataset_yaml(find_data(detector, data), required=(split,))
    single = bool(own.get("single_cls", detector.trained_with.get("single_cls")))
    if not single:
        require_same_classes(detector, description)
    check_class_filter(own.get("classes"), detector.class_names)
    settings = {
        "imgsz": detector.imgsz,
        "rect": True,
        "single_cls": single,
        **own,
        "task": "detect",
        "mode": "val",
        "model": str(detector.path),
        "data": str(description.yaml_path),
    }
    check_arguments(settings)
    check_split(description, split, "detect")
    folder = new_run_folder(settings, "val", out)
    with removed_on_failure(folder):
        settings["data"] = str(description.write_for_ultralytics(folder))
        register_fonts()
        validator = RegDetectionValidator(save_dir=folder, args=settings)
        validator.minimum_precision = min_precision
        metrics = validator(model=str(detector.path))
        report = validator.detection_report(detector.path.name)
        thresholds = validator.class_thresholds()
        report.write(folder, "per_class")
        file = _keep_thresholds(detector.path, thresholds, str(description.yaml_path), folder)
    return ValidationResult(report, thresholds, {k: float(v) for k, v in metrics.items()}, folder, file)


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
    weights, data = detector.path, description.yaml_path
    trained, given = detector.class_names, description.class_names
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

"""`val` from Python and from the command line: the per-class table, and thresholds beside the weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER
from ultralytics.utils.files import increment_path

from reg_yolo.data.dataset_yaml import read_dataset_yaml
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.evaluation.per_class import DetectionReport
from reg_yolo.evaluation.thresholds import ClassThresholds
from reg_yolo.yolo.checkpoints import load_checkpoint_file, metadata_of, model_of, write_thresholds
from reg_yolo.yolo.compatibility import check_ultralytics_version
from reg_yolo.yolo.datasets import check_split
from reg_yolo.yolo.environment import runs_folder
from reg_yolo.yolo.offline import register_fonts
from reg_yolo.yolo.train_run import check_arguments
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
    check_ultralytics_version()
    if min_precision is not None and not 0 < min_precision <= 1:
        raise ConfigError(f"--min-precision must be above 0 and at most 1, got {min_precision:g}")
    weights = Path(weights)
    checkpoint = load_checkpoint_file(weights, trust=trust)
    trained_with = checkpoint.get("train_args") or {}
    data = data or trained_with.get("data")
    if not data:
        raise ConfigError(f"{weights} does not say what it was trained on; name a data set with --data DATA.yaml")
    split = str(arguments.get("split", "val"))
    description = read_dataset_yaml(data, required=(split,))
    names = dict(model_of(checkpoint).names)
    require_same_classes(names, description.names, weights, description.yaml_path)
    task = str(metadata_of(checkpoint).get("task", "detect"))
    settings = {
        "imgsz": trained_with.get("imgsz", 640),
        "rect": True,
        **arguments,
        "task": "detect",
        "mode": "val",
        "model": str(weights),
        "data": str(description.yaml_path),
    }
    check_arguments(settings)
    check_split(description, split, task)
    folder = Path(out) if out else increment_path(Path(runs_folder(settings.get("project"), "detect")) / "val")
    settings["data"] = str(description.write_for_ultralytics(folder))
    register_fonts()
    validator = RegDetectionValidator(save_dir=folder, args=settings)
    validator.minimum_precision = min_precision
    metrics = validator(model=str(weights))
    report = validator.detection_report(weights.name)
    thresholds = validator.class_thresholds()
    report.write(folder, "per_class")
    file = _keep_thresholds(weights, thresholds, str(description.yaml_path), folder)
    return ValidationResult(report, thresholds, {k: float(v) for k, v in metrics.items()}, folder, file)


def require_same_classes(trained: dict[int, str], given: dict[int, str], weights: Path, data: Path) -> None:
    """Refuse a data set whose class list is not the model's, since every figure would be wrong.

    Raises:
        DataError: With the first class that differs.
    """
    if len(trained) != len(given):
        raise DataError(f"{weights} has {len(trained)} classes, {data} names {len(given)}; they must be the same list")
    for index, name in sorted(trained.items()):
        if given[index] != name:
            raise DataError(
                f"{data}: class {index} is '{given[index]}', but {weights} was trained with '{name}' there; "
                "bring the names into the order of the weights"
            )


def _keep_thresholds(weights: Path, thresholds: ClassThresholds, data: str, folder: Path) -> Path:
    try:
        return write_thresholds(weights, thresholds, data)
    except PermissionError:
        LOGGER.warning(f"{weights.parent} is read-only, so predict will not find these thresholds by itself: {folder}")
        return write_thresholds(weights, thresholds, data, folder)

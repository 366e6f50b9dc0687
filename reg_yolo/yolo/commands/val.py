"""`val` from Python and from the command line: the per-class table, and thresholds beside the weights."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from reg_yolo.config.shipped import shipped_weights
from reg_yolo.config.suppression import SuppressionSettings
from reg_yolo.data.dataset.coco_ids import ID_FILE
from reg_yolo.errors import ConfigError, OutputError
from reg_yolo.evaluation.calibration_report import CalibrationReport
from reg_yolo.evaluation.per_class import DetectionReport
from reg_yolo.evaluation.thresholds import ClassThresholds
from reg_yolo.files import replace_text
from reg_yolo.yolo.commands.run_folder import new_run_folder, removed_on_failure
from reg_yolo.yolo.suppression.suppression import Suppression
from reg_yolo.yolo.upstream.arguments import check_arguments, check_class_filter, check_own_keys
from reg_yolo.yolo.upstream.offline import register_fonts
from reg_yolo.yolo.validation.data import VALIDATORS, measured_data
from reg_yolo.yolo.validation.joint import RegJointValidator
from reg_yolo.yolo.validation.kept_samples import keeping_samples
from reg_yolo.yolo.weights.checkpoints import write_calibration, write_thresholds
from reg_yolo.yolo.weights.detector import require_distributions
from reg_yolo.yolo.weights.opening import open_detector


@dataclass(frozen=True)
class ValidationResult:
    """What a validation found.

    Attributes:
        report: Per-class results of the boxes.
        mask_report: Per-class results of the masks; None for a detection model.
        calibration: Whether confidences and sigma are honest; None where nobody asked.
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
    calibration: CalibrationReport | None = None


def val(
    weights: str | Path,
    data: str | Path | Mapping[str, str] | None = None,
    *,
    min_precision: float | None = None,
    suppression: str | None = None,
    rescore: str | None = None,
    calibration: bool = False,
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
        suppression: `stock` (the default), `soft` or `balanced`; see docs/cle.md.
        rescore: What ranks the boxes: `none` (the default), `dfl` or `spread`.
        calibration: Measure whether confidences are honest, and fit a temperature for each class; see docs/cle.md.
        out: Folder for the table and the plots; by default a new one under ./runs.
        trust: Load checkpoints that run code of their own.
        arguments: Ultralytics' arguments, such as `split`, `imgsz`, `batch` or `device`.

    Raises:
        RegYoloError: If weights or data are wrong, or do not belong together.
    """
    if min_precision is not None and not 0 < min_precision <= 1:
        raise ConfigError(f"`min_precision`: got {min_precision:g}, expected a number above 0 and at most 1")
    ranking = SuppressionSettings.from_dict({"suppression": suppression, "rescore": rescore})
    own = check_own_keys(arguments, "val")
    detector = open_detector(weights, trust=trust)
    if ranking.reads_distributions:
        require_distributions(detector, "rescore")
    # Sigma changes no figure; not every export knows it.
    known = detector.gives_distributions and not own.get("augment")
    ranking = replace(ranking, sigma=calibration and known)
    split = str(own.get("split", "val"))
    measured = measured_data(detector, data, split, own)
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
        kind = VALIDATORS[detector.task]
        validator = (keeping_samples(kind) if calibration else kind)(save_dir=folder, args=settings)
        validator.minimum_precision = min_precision
        validator.ranking = ranking
        if isinstance(validator, RegJointValidator):
            assert measured.sets is not None
            validator.sets = measured.sets
        metrics = validator(model=str(detector.path))
        if (folder / "predictions.json").is_file():
            names = {str(path): number for path, number in validator.image_ids().items()}
            replace_text(folder / ID_FILE, json.dumps(names, ensure_ascii=False, indent=1) + "\n")
        reports = validator.write_reports(folder, detector.path.name)
        thresholds = validator.class_thresholds()
        file = _keep(write_thresholds, detector.path, thresholds, measured.name, folder, ranking)
        _tell_of_left_out_boxes(validator.suppression)
        calibrated = None
        if calibration:
            calibrated = CalibrationReport.of(
                validator.calibration_sample(), validator.class_names(), detector.path.name
            )
            calibrated.write(folder)
            _keep(write_calibration, detector.path, calibrated.temperatures, measured.name, folder, ranking)
    figures = {key: float(value) for key, value in metrics.items()}
    masks = reports[1] if len(reports) > 1 else None
    return ValidationResult(reports[0], thresholds, figures, folder, file, masks, calibrated)


def _tell_of_left_out_boxes(suppression: Suppression) -> None:
    if suppression.dropped:
        LOGGER.warning(f"{suppression.dropped} boxes were left out: inverted, or not finite numbers")
    if suppression.over_limit:
        LOGGER.warning(f"{suppression.over_limit} boxes were left out: more in an image than soft-NMS takes")


def _keep(
    write: Callable[..., Path], weights: Path, found: Any, data: str, folder: Path, ranking: SuppressionSettings
) -> Path:
    """Write thresholds or temperatures next to the weights, or to the results where they do not belong there."""
    if weights == shipped_weights(weights.name):
        # They serve every project of this installation; one project's thresholds stay with its results.
        return write(weights, found, data, folder, ranking=ranking)
    try:
        return write(weights, found, data, ranking=ranking)
    except OutputError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise
        LOGGER.warning(f"{weights.parent} is read-only, so predict will not find these figures by itself: {folder}")
        return write(weights, found, data, folder, ranking=ranking)

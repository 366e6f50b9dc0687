"""`val` from Python and from the command line: the per-class table, and thresholds beside the weights."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from reg_yolo.config.shipped import shipped_weights
from reg_yolo.config.suppression import SuppressionSettings
from reg_yolo.data.dataset.coco_ids import ID_FILE
from reg_yolo.errors import ConfigError, OutputError
from reg_yolo.evaluation.calibration_report import CalibrationReport
from reg_yolo.evaluation.coco_metrics import CocoMetrics
from reg_yolo.evaluation.confusion import ConfusionMatrix
from reg_yolo.evaluation.error_kinds import ErrorAnalysis
from reg_yolo.evaluation.metric_files import write_metrics
from reg_yolo.evaluation.per_class import DetectionReport
from reg_yolo.evaluation.precision_recall import draw_precision_recall
from reg_yolo.evaluation.thresholds import ClassThresholds
from reg_yolo.files import replace_bytes, replace_text
from reg_yolo.yolo.commands.run_folder import new_run_folder, removed_on_failure
from reg_yolo.yolo.commands.validating import PlannedValidation
from reg_yolo.yolo.suppression.suppression import Suppression
from reg_yolo.yolo.upstream.arguments import check_own_keys
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
        coco: COCO's figures of the boxes; None where nobody asked.
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
    coco: CocoMetrics | None = None


def val(
    weights: str | Path,
    data: str | Path | Mapping[str, str] | None = None,
    *,
    min_precision: float | None = None,
    suppression: str | None = None,
    rescore: str | None = None,
    calibration: bool = False,
    coco: bool = False,
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
        coco: Measure by pycocotools, too: AP by size of the objects, and average recall.
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
    plan = PlannedValidation.of(detector, data, own)
    measured = plan.measured
    folder = new_run_folder(plan.place, "val", out)
    with removed_on_failure(folder):
        validator, metrics = plan.run(folder, ranking=ranking, minimum_precision=min_precision, samples=calibration)
        if (folder / "predictions.json").is_file():
            names = {str(path): number for path, number in validator.image_ids().items()}
            replace_text(folder / ID_FILE, json.dumps(names, ensure_ascii=False, indent=1) + "\n")
        reports = validator.write_reports(folder, detector.path.name)
        thresholds = validator.class_thresholds()
        file = _keep(write_thresholds, detector.path, thresholds, measured.name, folder, ranking)
        _tell_of_left_out_boxes(validator.suppression)
        measured_by_coco = _write_figures(folder, validator, reports, thresholds, coco, plan)
        calibrated = None
        if calibration:
            calibrated = CalibrationReport.of(
                validator.calibration_sample(), validator.class_names(), detector.path.name
            )
            calibrated.write(folder)
            _keep(write_calibration, detector.path, calibrated.temperatures, measured.name, folder, ranking)
    figures = {key: float(value) for key, value in metrics.items()}
    masks = reports[1] if len(reports) > 1 else None
    return ValidationResult(reports[0], thresholds, figures, folder, file, masks, calibrated, measured_by_coco)


def _write_figures(
    folder: Path,
    validator: Any,
    reports: Sequence[DetectionReport],
    thresholds: ClassThresholds,
    coco: bool,
    plan: PlannedValidation,
) -> CocoMetrics | None:
    """Write curves, the confusion matrix and the table of all figures; return COCO's where they were asked for."""
    results, names = validator.image_results(), validator.class_names()
    confusion = ConfusionMatrix.of(results, names, thresholds.values)
    replace_text(folder / "confusion.csv", confusion.as_csv())
    if validator.args.plots:
        analysis = ErrorAnalysis.of(results, len(names))
        replace_bytes(folder / "precision_recall.png", draw_precision_recall(analysis, names, thresholds.values))
        replace_bytes(folder / "confusion.png", confusion.draw())
    measured = CocoMetrics.of(results, names) if coco else None
    if measured is not None:
        replace_text(folder / "coco.txt", measured.as_text())
    facts = {"weights": plan.detector.path.name, "data": plan.measured.name, "split": reports[0].split}
    write_metrics(folder, reports, measured, facts)
    return measured


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

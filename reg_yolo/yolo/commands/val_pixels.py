"""`val` of a network that gives each pixel a class: IoU, pixel accuracy and boundary F1 of each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reg_yolo.evaluation.per_pixel import PixelReport
from reg_yolo.yolo.commands.run_folder import new_run_folder, removed_on_failure
from reg_yolo.yolo.upstream.arguments import check_arguments, check_class_filter, check_own_keys
from reg_yolo.yolo.upstream.offline import register_fonts
from reg_yolo.yolo.validation.data import measured_data
from reg_yolo.yolo.validation.semantic import RegSemanticValidator
from reg_yolo.yolo.weights.opening import open_detector


@dataclass(frozen=True)
class PixelValidation:
    """What a validation of pixels found.

    Attributes:
        report: Per-class results.
        metrics: Upstream's metrics.
        folder: Where the table and the plots lie.
    """

    report: PixelReport
    metrics: dict[str, float]
    folder: Path


def val_pixels(
    weights: str | Path,
    data: str | Path | Mapping[str, str] | None = None,
    *,
    out: str | Path | None = None,
    trust: bool = False,
    **arguments: Any,
) -> PixelValidation:
    """Validate weights of task semantic on a data set.

    Args:
        weights: A checkpoint, or an export of one.
        data: The data-set YAML; by default the one it was trained on.
        out: Folder for the table and the plots; by default a new one under ./runs.
        trust: Load checkpoints that run code of their own.
        arguments: Ultralytics' arguments, such as `split`, `imgsz`, `batch` or `device`.

    Raises:
        RegYoloError: If weights or data are wrong, or do not belong together.
    """
    own = check_own_keys(arguments, "val")
    detector = open_detector(weights, trust=trust, pixels=True)
    measured = measured_data(detector, data, str(own.get("split", "val")), own)
    check_class_filter(own.get("classes"), detector.class_names)
    settings = {
        "imgsz": detector.imgsz,
        "rect": True,
        **own,
        "task": detector.task,
        "mode": "val",
        "model": str(detector.path),
        "data": measured.name,
    }
    check_arguments(settings)
    folder = new_run_folder(settings, "val", out)
    with removed_on_failure(folder):
        settings["data"] = str(measured.write(folder))
        register_fonts()
        validator = RegSemanticValidator(save_dir=folder, args=settings)
        metrics = validator(model=str(detector.path))
        (report,) = validator.write_reports(folder, detector.path.name)
    return PixelValidation(report, {key: float(value) for key, value in metrics.items()}, folder)

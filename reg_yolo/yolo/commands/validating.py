"""A validation that is planned before anything is written, and run: what `val` and `diagnose` share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reg_yolo.config.suppression import SuppressionSettings
from reg_yolo.yolo.upstream.arguments import check_arguments, check_class_filter
from reg_yolo.yolo.upstream.offline import register_fonts
from reg_yolo.yolo.validation.data import VALIDATORS, MeasuredData, measured_data
from reg_yolo.yolo.validation.joint import RegJointValidator
from reg_yolo.yolo.validation.kept_results import keeping_results
from reg_yolo.yolo.validation.kept_samples import keeping_samples
from reg_yolo.yolo.weights.detector import Detector


@dataclass(frozen=True)
class PlannedValidation:
    """Checked weights, checked data, and upstream's arguments."""

    detector: Detector
    measured: MeasuredData
    settings: dict[str, Any]

    @classmethod
    def of(
        cls, detector: Detector, data: str | Path | Mapping[str, str] | None, own: Mapping[str, Any]
    ) -> PlannedValidation:
        """Check that weights, data and arguments belong together.

        Args:
            detector: The opened weights.
            data: As `val` takes it.
            own: Ultralytics' arguments that the user gave.

        Raises:
            RegYoloError: If one is wrong, or they do not belong together.
        """
        measured = measured_data(detector, data, str(own.get("split", "val")), own)
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
        return cls(detector, measured, settings)

    @property
    def place(self) -> dict[str, Any]:
        """What the name of the folder is chosen by."""
        return {**self.settings, "task": self.detector.task}

    def run(
        self,
        folder: Path,
        *,
        ranking: SuppressionSettings | None = None,
        minimum_precision: float | None = None,
        samples: bool = False,
    ) -> tuple[Any, dict[str, float]]:
        """Run it, and return the validator, which keeps what was found on each image, and upstream's figures.

        Args:
            folder: Where the copy of the data-set YAML and the plots go.
            ranking: How raw boxes become detections.
            minimum_precision: As `val` takes it.
            samples: Keep what calibration is measured on, too.
        """
        settings = {**self.settings, "data": str(self.measured.write(folder))}
        register_fonts()
        kind = VALIDATORS[self.detector.task]
        validator = keeping_results(keeping_samples(kind) if samples else kind)(save_dir=folder, args=settings)
        validator.minimum_precision = minimum_precision
        validator.ranking = ranking or SuppressionSettings()
        if isinstance(validator, RegJointValidator):
            assert self.measured.sets is not None
            validator.sets = self.measured.sets
        return validator, validator(model=str(self.detector.path))

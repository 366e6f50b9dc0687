"""`diagnose` from Python and from the command line: why a network misses, and which labels to look at again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reg_yolo.diagnosis.report import Diagnosis
from reg_yolo.diagnosis.writing import write_diagnosis
from reg_yolo.yolo.commands.run_folder import new_run_folder, removed_on_failure
from reg_yolo.yolo.commands.validating import PlannedValidation
from reg_yolo.yolo.upstream.arguments import check_own_keys
from reg_yolo.yolo.weights.opening import open_detector


@dataclass(frozen=True)
class DiagnosisResult:
    """A diagnosis, and where it was written.

    Attributes:
        diagnosis: Errors, groups and hints.
        folder: Tables, hints and images.
        page: The page that shows them.
    """

    diagnosis: Diagnosis
    folder: Path
    page: Path


def diagnose(
    weights: str | Path,
    data: str | Path | Mapping[str, str] | None = None,
    *,
    hints: int = 200,
    worst: int = 12,
    out: str | Path | None = None,
    trust: bool = False,
    **arguments: Any,
) -> DiagnosisResult:
    """Find out what weights get wrong on a data set; boxes of detection, segmentation and joint weights.

    Args:
        weights: A checkpoint of ours or a stock YOLOv8 one, or an export.
        data: The data-set YAML; by default the one it was trained on. For weights of the joint task also a pair
            `{"detect": ..., "segment": ...}`.
        hints: How many label hints go into the files for a labelling tool.
        worst: Images on the contact sheet.
        out: Folder for everything; by default a new one under ./runs.
        trust: Load checkpoints that run code of their own.
        arguments: Ultralytics' arguments, such as `split`, `imgsz`, `batch` or `device`.

    Raises:
        RegYoloError: If weights or data are wrong, or do not belong together.
    """
    own = check_own_keys(arguments, "val")
    detector = open_detector(weights, trust=trust)
    plan = PlannedValidation.of(detector, data, {"plots": False, **own})
    folder = new_run_folder(plan.place, "diagnose", out)
    with removed_on_failure(folder):
        validator, _ = plan.run(folder)
        found = Diagnosis.of(
            validator.image_results(),
            validator.class_names(),
            title=detector.path.name,
            data=plan.measured.name,
            split=str(plan.settings.get("split", "val")),
            keypoints=plan.measured.keypoint_columns,
        )
        page = write_diagnosis(folder, found, hints=hints, worst=worst)
    return DiagnosisResult(found, folder, page)

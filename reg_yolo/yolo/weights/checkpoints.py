"""Checkpoints: opened with the restricted loader, written by rename, with what must survive as plain Python data.

The model in a checkpoint is a stock Ultralytics class. What our criterion and predictor need besides the weights lies
as plain data under the key `reg_yolo` of the checkpoint and in the attribute of the same name on the model, so that
copied weights behave the same and plain Ultralytics loads them without knowing us.
"""

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.nn.tasks import torch_safe_load

from reg_yolo.config.suppression import SuppressionSettings
from reg_yolo.errors import WeightsError, first_line
from reg_yolo.evaluation.calibration import ClassTemperatures
from reg_yolo.evaluation.thresholds import ClassThresholds
from reg_yolo.files import file_sha256, replace_bytes, replace_text
from reg_yolo.stored import damage_named, read_stored_json
from reg_yolo.yolo.weights.archive import require_whole_archive
from reg_yolo.yolo.weights.stored_metadata import metadata_fault

METADATA_KEY = "reg_yolo"


def load_checkpoint_file(path: Path | str, *, trust: bool = False) -> dict[str, Any]:
    """Open a checkpoint, reconstructing only known Ultralytics and torch classes unless `trust` is set.

    Raises:
        WeightsError: If the file is missing, cut off, no checkpoint, or would run code of its own.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(
            f"{path}: no such file; expected Ultralytics weights such as runs/detect/train/weights/best.pt"
        )
    require_whole_archive(path)
    if "'" in str(path):
        # Upstream takes apostrophes out of the path and looks for another file.
        raise WeightsError(f"{path}: Ultralytics opens no path with an apostrophe in it; rename the file or folder")
    try:
        checkpoint, _ = torch_safe_load(path, safe_only=not trust)
    except (TypeError, ModuleNotFoundError, AttributeError) as error:
        if "outside the supported" in str(error):
            raise WeightsError(
                f"{path}: refused, since loading it would run code that is neither torch's nor Ultralytics'. "
                "Write `trust=True` only if you know who made it"
            ) from error
        raise WeightsError(
            f"{path}: not a readable checkpoint; it is cut off, empty or another kind of file"
        ) from error
    except Exception as error:
        raise WeightsError(
            f"{path}: not a readable checkpoint ({type(error).__name__}: {first_line(error)})"
        ) from error
    if not isinstance(checkpoint, dict) or not isinstance(model_of(checkpoint), nn.Module):
        raise WeightsError(f"{path}: holds no Ultralytics model; expected a checkpoint written by a training run")
    fault = metadata_fault(metadata_of(checkpoint))
    if fault:
        raise WeightsError(
            f"{path}: what reg_yolo stored in it is damaged ({fault}); take another copy of the weights, or train again"
        )
    return checkpoint


def model_of(checkpoint: Mapping[str, Any]) -> Any:
    """Return the model of a checkpoint: the EMA where the run is not finished, the stripped model afterwards."""
    return checkpoint.get("ema") or checkpoint.get("model")


def metadata_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return what reg_yolo stored in a checkpoint, or an empty dictionary for stock weights."""
    stored = checkpoint.get(METADATA_KEY) or getattr(model_of(checkpoint), METADATA_KEY, None)
    return dict(stored) if isinstance(stored, Mapping) else {}


def set_metadata(checkpoint: dict[str, Any], metadata: Mapping[str, Any]) -> None:
    """Put `metadata` under the checkpoint's key and on its model, in place."""
    checkpoint[METADATA_KEY] = dict(metadata)
    model = model_of(checkpoint)
    if model is not None:
        setattr(model, METADATA_KEY, dict(metadata))


def write_checkpoint(checkpoint: Mapping[str, Any], paths: Iterable[Path]) -> None:
    """Serialise once and replace each of `paths` by rename, so that a crash never leaves a cut-off file."""
    buffer = io.BytesIO()
    torch.save(dict(checkpoint), buffer)
    for path in paths:
        replace_bytes(path, buffer.getbuffer())


def calibration_file(weights: Path | str) -> Path:
    """Return the path of the temperatures that `val --calibration` leaves next to the thresholds."""
    file = thresholds_file(weights)
    return file.with_name(file.name.replace(".thresholds.json", ".calibration.json"))


def thresholds_file(weights: Path | str) -> Path:
    """Return the path of the thresholds that `val` leaves next to a weights file or an export, under its name."""
    weights = Path(weights)
    return weights.with_name(f"{weights.stem if weights.suffix == '.pt' else weights.name}.thresholds.json")


def write_thresholds(
    weights: Path | str,
    thresholds: ClassThresholds,
    data: str,
    folder: Path | None = None,
    *,
    ranking: SuppressionSettings | None = None,
) -> Path:
    """Write thresholds next to `weights` (or into `folder`), bound to that very file by its hash; return the file.

    Args:
        weights: What they were measured with.
        thresholds: By class.
        data: What they were measured on.
        folder: Where they go, if not next to the weights.
        ranking: What suppressed and ranked the boxes; None for the stock one.
    """
    path = thresholds_file(weights)
    measured = {"data": data, **(ranking or SuppressionSettings()).to_dict(), "thresholds": thresholds.to_dict()}
    return _write_bound(weights, path if folder is None else folder / path.name, "reg_yolo.thresholds/1", measured)


def write_calibration(
    weights: Path | str,
    temperatures: ClassTemperatures,
    data: str,
    folder: Path | None = None,
    *,
    ranking: SuppressionSettings,
) -> Path:
    """Write temperatures next to `weights` (or into `folder`), bound to that very file; return the file."""
    path = calibration_file(weights)
    measured = {"data": data, **ranking.to_dict(), "temperatures": temperatures.to_dict()}
    return _write_bound(weights, path if folder is None else folder / path.name, "reg_yolo.calibration/1", measured)


def _write_bound(weights: Path | str, path: Path, schema: str, measured: Mapping[str, Any]) -> Path:
    """Write what was measured with a weights file, bound to that very file by its hash; return `path`."""
    content = {"schema": schema, "weights": Path(weights).name, "weights_sha256": file_sha256(weights), **measured}
    replace_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return path


def _read_bound(weights: Path | str, path: Path) -> dict[str, Any] | None:
    """Return what `_write_bound` wrote to `path`, or None where there is no file or it belongs to other weights."""
    if not path.is_file():
        return None
    content = read_stored_json(path)
    return content if content["weights_sha256"] == file_sha256(weights) else None


def read_calibration(
    weights: Path | str, metadata: Mapping[str, Any]
) -> tuple[ClassTemperatures, SuppressionSettings] | None:
    """Return the temperatures that belong to a weights file, and what ranked the boxes when they were measured.

    Raises:
        WeightsError: If the file next to the weights is damaged, or what an export has of it.
    """
    path = calibration_file(weights)
    stored = metadata.get("calibration")
    with damage_named(path, "a calibration file", "remove it or run `reg-yolo val --calibration` again", WeightsError):
        stored = _read_bound(weights, path) or stored
        if not stored:
            return None
        return ClassTemperatures.from_dict(stored["temperatures"]), SuppressionSettings.from_dict(stored)


def read_ranking(weights: Path | str, metadata: Mapping[str, Any]) -> SuppressionSettings:
    """Return what suppressed and ranked the boxes when the thresholds of `read_thresholds` were measured.

    Raises:
        WeightsError: If the file next to the weights is damaged.
    """
    path = thresholds_file(weights)
    with damage_named(path, "a thresholds file", "remove it or run `reg-yolo val` again", WeightsError):
        content = _read_bound(weights, path)
        if content is not None:
            return SuppressionSettings.from_dict(content)
    return SuppressionSettings.from_dict(metadata)


def read_thresholds(weights: Path | str, metadata: Mapping[str, Any]) -> tuple[ClassThresholds, str] | None:
    """Return the thresholds that belong to a weights file, and the file that held them.

    Those next to it go before those inside it; a file next to it that belongs to other weights is skipped.

    Raises:
        WeightsError: If the file next to the weights is damaged.
    """
    path = thresholds_file(weights)
    with damage_named(path, "a thresholds file", "remove it or run `reg-yolo val` again", WeightsError):
        content = _read_bound(weights, path)
        if content is not None:
            return ClassThresholds.from_dict(content["thresholds"]), str(path)
    stored = metadata.get("thresholds")
    with damage_named(Path(weights), "weights with whole thresholds", "run `reg-yolo val` to make them", WeightsError):
        return (ClassThresholds.from_dict(stored), str(weights)) if stored else None

"""Continuing a run: where its checkpoint is, and whether the loss is still the one it was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ultralytics.utils.files import get_latest_run

from reg_yolo.config.reg import RegSettings, differences
from reg_yolo.errors import ConfigError, WeightsError


def resume_path(overrides: Mapping[str, Any]) -> Path:
    """Return the checkpoint that `resume` (a path, or True for the model or the latest run) means."""
    resume = overrides["resume"]
    if isinstance(resume, (str, Path)):
        return last_checkpoint(Path(resume))
    model = str(overrides.get("model") or "")
    return Path(model) if model.endswith(".pt") else Path(get_latest_run())


def last_checkpoint(run_or_weights: Path) -> Path:
    """Return last.pt of a run directory, or the checkpoint itself.

    Raises:
        WeightsError: If the checkpoint does not exist.
    """
    candidates = [run_or_weights]
    if run_or_weights.is_dir():
        candidates = [run_or_weights / "weights" / "last.pt", run_or_weights / "last.pt"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise WeightsError(f"{run_or_weights}: nothing to resume there; expected a run directory or its weights/last.pt")


def stored_settings(stored: Mapping[str, Any], given: RegSettings | None, path: Path) -> RegSettings:
    """Return the loss that a checkpoint was trained with; another one given by the user is refused.

    Args:
        stored: What reg_yolo stored in the checkpoint.
        given: The user's loss settings, or None to take the stored ones.
        path: The checkpoint, for the message.

    Raises:
        WeightsError: If the checkpoint was not trained by reg_yolo.
        ConfigError: If the given loss is another one, with every difference.
    """
    if "reg" not in stored:
        raise WeightsError(f"{path}: was not trained with reg_yolo, so its loss is unknown; start a new run from it")
    saved = RegSettings.from_mapping(stored["reg"])
    changed = [] if given is None else differences(saved, given)
    if changed:
        raise ConfigError(
            f"{path} was trained with another loss, and a resumed run keeps its loss: {'; '.join(changed)}. "
            "Leave these keys out, or start a new run from these weights"
        )
    return saved


def require_unfinished(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Refuse a checkpoint without an optimizer state.

    Raises:
        WeightsError: If the run is finished, so that there is nothing to continue.
    """
    if checkpoint.get("optimizer") is None or int(checkpoint.get("epoch", -1)) < 0:
        raise WeightsError(
            f"{path}: this run is finished, there is nothing to resume; start a new run from it with model={path}"
        )


def require_same_classes(checkpoint: Mapping[str, Any], names: Mapping[int, str], data: str) -> None:
    """Refuse to go on with a data set whose class list is not the one that the network has learned.

    Raises:
        ConfigError: With both lists.
    """
    trained = [str(name) for name in (checkpoint.get("ema") or checkpoint["model"]).names.values()]
    given = [str(name) for name in names.values()]
    if trained != given:
        raise ConfigError(
            f"{data}: a resumed run goes on with the classes it was trained on, in their order: {', '.join(trained)}; "
            f"got {', '.join(given)}"
        )

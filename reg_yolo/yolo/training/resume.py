"""Continuing a run: where its checkpoint is, and whether the loss is still the one it was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ultralytics.utils.files import get_latest_run

from reg_yolo.config.reg import RegSettings, differences
from reg_yolo.errors import ConfigError, WeightsError
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of


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


def is_finished(checkpoint: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint is that of a run that has ended: without an optimizer, the EMA's weights only.

    Its epoch does not tell: it is -1 as well in a run that a signal stopped in its first epoch.
    """
    return checkpoint.get("optimizer") is None


def run_folder_of(last: Path) -> Path | None:
    """Return the run that a checkpoint lies in, which need not be the one that wrote it: runs are copied and moved."""
    return last.absolute().parent.parent if last.absolute().parent.name == "weights" else None


def epochs_behind(checkpoint: Mapping[str, Any]) -> int:
    """Return how many whole epochs a checkpoint has behind it; 0 for a run that was stopped in its first one."""
    if checkpoint.get("optimizer") is not None:
        return int(checkpoint.get("epoch", -1)) + 1
    # Stripped: the epoch is gone, but every epoch has left a row.
    rows = (checkpoint.get("train_results") or {}).get("epoch") or [(checkpoint.get("train_args") or {}).get("epochs")]
    return int(rows[-1] or 0)


def last_is_best(checkpoint: Mapping[str, Any]) -> bool:
    """Return whether the epoch of this checkpoint is the best one of its run so far; a stripped one does not say."""
    if checkpoint.get("optimizer") is None:
        return False
    fitness = (checkpoint.get("train_metrics") or {}).get("fitness")
    return fitness is not None and fitness == checkpoint.get("best_fitness")


def require_something_left(checkpoint: Mapping[str, Any], path: Path, *, trust: bool = False) -> bool:
    """Return whether only the final evaluation of a run is left; False means that epochs are.

    Args:
        checkpoint: Content of its last.pt.
        path: Where that lies.
        trust: Load a best.pt that runs code of its own.

    Raises:
        WeightsError: If the run is finished, or the best.pt that its final evaluation measures is missing.
    """
    is_stripped = checkpoint.get("optimizer") is None
    epochs = (checkpoint.get("train_args") or {}).get("epochs")
    is_trained = metadata_of(checkpoint).get("complete") or (epochs is not None and epochs_behind(checkpoint) >= epochs)
    if not is_stripped and not is_trained:
        return False
    folder = run_folder_of(path) or path.parent
    best = folder / "weights" / "best.pt"
    if not best.is_file():
        if last_is_best(checkpoint):
            # Killed between the two files.
            return True
        end = "" if is_stripped else ", and the best.pt that its final evaluation would measure is missing"
        raise WeightsError(
            f"{path}: this run is finished, there is nothing to resume{end}; start a new run from it with model={path}"
        )
    found = load_checkpoint_file(best, trust=trust)
    is_measured = found.get("optimizer") is None and bool({"thresholds", "measured"} & set(metadata_of(found)))
    if is_stripped and is_measured and (folder / "per_class.json").is_file():
        raise WeightsError(
            f"{path}: this run is finished, there is nothing to resume; extend it with epochs=N, N more than the "
            f"{epochs_behind(checkpoint)} it has, or start a new run from it with model={path}"
        )
    return True


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

"""`train --resume`: an interrupted run goes on with its own loss, a finished one is extended by more epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ultralytics.utils import DEFAULT_CFG_DICT, LOGGER
from ultralytics.utils.files import increment_path

from reg_yolo.config.loader import load_config
from reg_yolo.config.merging import merge_reg, merge_sampling
from reg_yolo.config.overrides import read_overrides
from reg_yolo.config.reg import RegSettings
from reg_yolo.config.sampling import SamplingSettings
from reg_yolo.config.schema import RunConfig
from reg_yolo.errors import ConfigError, WeightsError
from reg_yolo.yolo.commands.run_folder import require_folder, run_folder
from reg_yolo.yolo.commands.train import (
    TRAINERS,
    UPSTREAM_TASKS,
    TrainingResult,
    as_override,
    prepare,
    training_result,
)
from reg_yolo.yolo.training.rank_group import joined_ranks, own_copy
from reg_yolo.yolo.training.ranked import as_rank
from reg_yolo.yolo.training.records import SETTINGS_FILE
from reg_yolo.yolo.training.resume import (
    epochs_behind,
    is_finished,
    last_checkpoint,
    run_folder_of,
    stored_settings,
)
from reg_yolo.yolo.training.sampling import stored_sampling
from reg_yolo.yolo.upstream.version import check_ultralytics_version
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of


def resume(
    run: str | Path, config: RunConfig | None = None, *, trust: bool = False, **arguments: Any
) -> TrainingResult:
    """Continue an interrupted run with the loss it was trained with, or extend a finished one.

    A finished run has no optimizer any more. With `epochs` above what it has trained it is extended: a new run next to
    it starts from its last weights (the EMA's, of half precision) with the same settings and the criterion as it was
    learned, for the epochs that are missing. The schedule starts again: warm-up, and the learning rate from lr0 to
    lr0 * lrf over those epochs; the optimizer's momentum and the history of the EMA are new.

    Args:
        run: The run directory or its last.pt.
        config: The configuration of the run, if it is to be compared: another loss or sampling is refused.
        trust: Load checkpoints that run code of their own.
        arguments: Arguments that may change on resume, such as `device` or `batch`, `data` where the data set has
            moved (for a joint run also a pair `{"detect": ..., "segment": ...}`), and of a finished run `epochs`.

    Raises:
        RegYoloError: If there is nothing to resume, or the loss differs.
    """
    with joined_ranks(), own_copy(Path(run)) as named:
        return _resume(last_checkpoint(named), config, arguments, trust=trust)


def _resume(last: Path, config: RunConfig | None, arguments: dict[str, Any], *, trust: bool) -> TrainingResult:
    check_ultralytics_version()
    checkpoint = load_checkpoint_file(last, trust=trust)
    if "epochs" in arguments:
        return _extend(last, checkpoint, config, arguments, trust=trust)
    task = str(metadata_of(checkpoint).get("task", "detect"))
    trainer_class = TRAINERS[task]
    settings: dict[str, Any] = {"trust": trust}
    if config is not None:
        settings |= {"reg": config.reg.to_dict(), "sampling": config.sampling.to_dict()}
    if "data" in arguments and task == "joint":
        settings["joint"] = {"data": arguments.pop("data")}
    elif isinstance(arguments.get("data"), Mapping):
        raise ConfigError(f"data: two data sets are for runs of the joint task, {last} is of {task}")
    trainer_class = type(
        trainer_class.__name__, (trainer_class,), {"settings": settings, "__doc__": trainer_class.__doc__}
    )
    overrides = {"task": UPSTREAM_TASKS[task], "model": str(last), "resume": str(last), **arguments}
    folder = run_folder_of(last)
    if folder is not None:
        # The one that was named: a copied run remembers the folder it was copied from.
        overrides["save_dir"] = str(folder)
    elif not is_finished(checkpoint):
        _refuse_to_overwrite(last, checkpoint)
    trainer = as_rank(trainer_class)(overrides=overrides)
    trainer.train()
    return training_result(trainer)


def _refuse_to_overwrite(last: Path, checkpoint: Mapping[str, Any]) -> None:
    """Refuse a checkpoint outside of a run whose own run is still there: it would be overwritten from this one on."""
    original = Path(str((checkpoint.get("train_args") or {}).get("save_dir") or last.parent))
    if (original / "weights" / "last.pt").is_file():
        raise ConfigError(
            f"{last} lies outside of a run, and resuming it would write into {original}; name that folder, or put the "
            "file into the folder 'weights' of a new one"
        )


def _extend(
    last: Path, checkpoint: Mapping[str, Any], config: RunConfig | None, arguments: dict[str, Any], *, trust: bool
) -> TrainingResult:
    stored_settings(metadata_of(checkpoint), config.reg if config else None, last)
    stored_sampling(metadata_of(checkpoint), config.sampling if config else None, last)
    if not is_finished(checkpoint):
        raise ConfigError(
            f"epochs: {last} is not finished, and a resumed run keeps its schedule; resume it without epochs, and "
            "extend it once it is"
        )
    epochs, done = arguments.pop("epochs"), epochs_behind(checkpoint)
    if type(epochs) is not int or epochs <= done:
        raise ConfigError(f"epochs: got {epochs!r}, expected a whole number above the {done} that {last} has trained")
    run = run_folder_of(last)
    if run is None or not (run / SETTINGS_FILE).is_file():
        raise WeightsError(
            f"{last}: the settings of its run ({SETTINGS_FILE}) are not in the folder above; name the folder of the run"
        )
    changed = {"pretrained": True, **arguments, "model": str(last), "epochs": epochs - done}
    words = [as_override(key, value) for key, value in changed.items()]
    resolved = load_config(str(run / SETTINGS_FILE), words, train_keys=DEFAULT_CFG_DICT)
    trainer_class, given = prepare(resolved, trust=trust)
    settings = {**trainer_class.settings, "continues": str(last)}
    trainer_class = type(
        trainer_class.__name__, (trainer_class,), {"settings": settings, "__doc__": trainer_class.__doc__}
    )

    def new_folder() -> Path:
        folder = increment_path(run.with_name(f"{run.name}_to_{epochs}"))
        require_folder(folder)
        return folder

    with run_folder(new_folder) as folder:
        LOGGER.info(
            f"Extending {run} from {done} to {epochs} epochs in {folder}: weights and criterion go on, the schedule "
            f"starts again over {epochs - done}"
        )
        trainer = as_rank(trainer_class)(overrides={**given, "save_dir": str(folder)})
        trainer.train()
        return training_result(trainer)


def resume_with_overrides(
    run: str | Path, config: str | None = None, overrides: Sequence[str] = (), *, trust: bool = False
) -> TrainingResult:
    """Continue a run; `reg.*` and `sampling.*` overrides or a configuration are compared with what it was trained with.

    Raises:
        ConfigError: If they name another loss or sampling (every difference is shown), or a key that cannot change on
            resume.
        WeightsError: If there is nothing to resume.
    """
    with joined_ranks(), own_copy(Path(run)) as copy:
        return _resume_with_overrides(last_checkpoint(copy), config, overrides, trust=trust)


def _resume_with_overrides(last: Path, config: str | None, overrides: Sequence[str], *, trust: bool) -> TrainingResult:
    stored = metadata_of(load_checkpoint_file(last, trust=trust))
    named = load_config(config, overrides, train_keys=DEFAULT_CFG_DICT) if config else None
    given, given_sampling = (named.reg, named.sampling) if named else (None, None)
    values: dict[str, Any] = read_overrides(overrides, DEFAULT_CFG_DICT).values
    if given is None and "reg" in values:
        base = stored_settings(stored, None, last).to_dict()
        given = RegSettings.from_mapping(merge_reg(base, values["reg"]))
    stored_settings(stored, given, last)
    if given_sampling is None and "sampling" in values:
        saved = stored_sampling(stored, None, last).to_dict()
        given_sampling = SamplingSettings.from_mapping(merge_sampling(saved, values["sampling"]))
    stored_sampling(stored, given_sampling, last)
    fixed = [key for key in values if key not in {"reg", "sampling", "train", "data"}]
    if fixed:
        raise ConfigError(f"{fixed[0]}: cannot change when a run is resumed; leave it out, or start a new run")
    arguments = dict(values.get("train") or {})
    if "data" in values:
        arguments["data"] = values["data"]
    return _resume(last, None, arguments, trust=trust)

"""`train --resume`: an interrupted run goes on with its own loss; what may change is passed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ultralytics.utils import DEFAULT_CFG_DICT

from reg_yolo.config.loader import load_config
from reg_yolo.config.merging import merge_reg, merge_sampling
from reg_yolo.config.overrides import read_overrides
from reg_yolo.config.reg import RegSettings
from reg_yolo.config.sampling import SamplingSettings
from reg_yolo.config.schema import RunConfig
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.commands.train import TRAINERS, UPSTREAM_TASKS, TrainingResult, training_result
from reg_yolo.yolo.training.resume import last_checkpoint, stored_settings
from reg_yolo.yolo.training.sampling import stored_sampling
from reg_yolo.yolo.upstream.version import check_ultralytics_version
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of


def resume(
    run: str | Path, config: RunConfig | None = None, *, trust: bool = False, **arguments: Any
) -> TrainingResult:
    """Continue an interrupted run with the loss it was trained with.

    Args:
        run: The run directory or its last.pt.
        config: The configuration of the run, if it is to be compared: another loss or sampling is refused.
        trust: Load checkpoints that run code of their own.
        arguments: Arguments that may change on resume, such as `device` or `batch`, and `data` where the data set has
            moved (for a joint run also a pair `{"detect": ..., "segment": ...}`).

    Raises:
        RegYoloError: If there is nothing to resume, or the loss differs.
    """
    check_ultralytics_version()
    last = last_checkpoint(Path(run))
    checkpoint = load_checkpoint_file(last, trust=trust)
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
    trainer = trainer_class(overrides=overrides)
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
    last = last_checkpoint(Path(run))
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
    return resume(last, trust=trust, **arguments)

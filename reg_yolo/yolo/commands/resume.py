"""`train --resume` with further settings: what may change is passed on, another loss is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ultralytics.utils import DEFAULT_CFG_DICT

from reg_yolo.config.loader import load_config
from reg_yolo.config.merging import merge_reg
from reg_yolo.config.overrides import read_overrides
from reg_yolo.config.reg import RegSettings
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.commands.train import TrainingResult, resume
from reg_yolo.yolo.training.resume import last_checkpoint, stored_settings
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of


def resume_with_overrides(
    run: str | Path, config: str | None = None, overrides: Sequence[str] = (), *, trust: bool = False
) -> TrainingResult:
    """Continue a run; `reg.*` overrides or a configuration are compared with the loss it was trained with.

    Raises:
        ConfigError: If they name another loss (every difference is shown), or a key that cannot change on resume.
        WeightsError: If there is nothing to resume.
    """
    last = last_checkpoint(Path(run))
    stored = metadata_of(load_checkpoint_file(last, trust=trust))
    given = load_config(config, overrides, train_keys=DEFAULT_CFG_DICT).reg if config else None
    values: dict[str, Any] = read_overrides(overrides, DEFAULT_CFG_DICT).values
    if given is None and "reg" in values:
        base = stored_settings(stored, None, last).to_dict()
        given = RegSettings.from_mapping(merge_reg(base, values["reg"]))
    stored_settings(stored, given, last)
    fixed = [key for key in values if key not in {"reg", "train", "data"}]
    if fixed:
        raise ConfigError(f"{fixed[0]}: cannot change when a run is resumed; leave it out, or start a new run")
    arguments = dict(values.get("train") or {})
    if "data" in values:
        arguments["data"] = values["data"]
    return resume(last, trust=trust, **arguments)

"""Reading KEY=VALUE words from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reg_yolo.errors import ConfigError


def config_and_overrides(words: Sequence[str], data: str | None = None) -> tuple[str | None, list[str]]:
    """Split words into the configuration (the one without `=`) and the overrides; `--data` becomes one of them.

    Raises:
        ConfigError: If more than one word is not KEY=VALUE.
    """
    named = [word for word in words if "=" not in word]
    if len(named) > 1:
        raise ConfigError(f"{named[1]!r}: expected KEY=VALUE after the configuration {named[0]!r}")
    overrides = [word for word in words if "=" in word]
    if data is not None:
        overrides.append(f"data={data}")
    return (named[0] if named else None), overrides


def train_arguments(words: Sequence[str]) -> dict[str, Any]:
    """Read words as Ultralytics' arguments (and `data`), with values parsed as YAML.

    Raises:
        ConfigError: If a word is not KEY=VALUE, or its key is not one of Ultralytics'.
    """
    from ultralytics.utils import DEFAULT_CFG_DICT

    from reg_yolo.config.overrides import read_overrides

    values = read_overrides(words, DEFAULT_CFG_DICT).values
    train = dict(values.pop("train", {}) or {})
    foreign = [key for key in values if key != "data"]
    if foreign:
        raise ConfigError(f"{foreign[0]}: belongs to training, this command does not take it")
    return {**train, **values}

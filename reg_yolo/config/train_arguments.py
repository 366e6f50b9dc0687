"""Rules for what stands under `train:`, the arguments of Ultralytics: what is ours to say, what it does not know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from reg_yolo.config.problems import KeyedError, did_you_mean, show_value

REFUSED: dict[str, str] = {
    "task": "write task: at the top level",
    "model": "write model: at the top level",
    "data": "write data: at the top level",
    "mode": "the command decides it (reg-yolo train, val, predict, export)",
    "trainer": "task: at the top level chooses the trainer",
    "resume": "use reg-yolo train --resume RUN",
    "save_dir": "use project and name, which make up the run's folder",
    "cfg": "use extends: at the top level to build on another file",
    "augmentations": "write albumentations: at the top level",
    "callbacks": "add them in Python, with trainer.add_callback",
}
"""Arguments that would fight with our own keys, and how to say what is meant."""

_WORDS_FOR_TRUTH = {"on": True, "yes": True, "off": False, "no": False}


def check_refused(train: Mapping[str, Any]) -> None:
    """Refuse the arguments that are ours to set, and numbers that are not finite.

    Raises:
        KeyedError: If an argument of `REFUSED` is given, or a number is not finite.
    """
    for key, value in train.items():
        if key in REFUSED:
            raise KeyedError(("train", key), f"not taken here; {REFUSED[key]}")
        if isinstance(value, float) and not math.isfinite(value):
            raise KeyedError(("train", key), f"got {show_value(value)}, expected a finite number")


def read_arguments(train: Mapping[str, Any], known: Mapping[str, object], own_keys: list[str]) -> dict[str, Any]:
    """Check names and rough types against Ultralytics' defaults; ranges are its own business.

    Args:
        train: The arguments as written.
        known: Every valid argument with its default.
        own_keys: Our dotted keys, which a misspelt argument may have meant as well.

    Returns:
        The arguments, with `on`, `yes`, `off` and `no` read as booleans where the default is one.

    Raises:
        KeyedError: If an argument is unknown, or text or a boolean stands where the default is a number.
    """
    check_refused(train)
    checked: dict[str, Any] = {}
    for key, value in train.items():
        if key not in known:
            if key in own_keys:
                raise KeyedError(("train", key), f"not an argument of Ultralytics; write {key}: at the top level")
            hint = did_you_mean(key, [*(f"train.{name}" for name in known), *own_keys])
            raise KeyedError(("train", key), "not an argument of Ultralytics", hint)
        default = known[key]
        if isinstance(default, bool):
            checked[key] = _WORDS_FOR_TRUTH.get(value.lower(), value) if isinstance(value, str) else value
            continue
        if isinstance(default, int | float) and isinstance(value, str | bool | dict):
            example = show_value(default)
            raise KeyedError(("train", key), f"got {show_value(value)}, expected a number such as {example}")
        checked[key] = value
    return checked

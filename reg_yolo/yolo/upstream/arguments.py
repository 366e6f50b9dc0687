"""Checks of Ultralytics' arguments before anything is written: names, types, and ranges that it lets through itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from ultralytics.cfg import get_cfg
from ultralytics.utils import DEFAULT_CFG_DICT, LOGGER
from ultralytics.utils.torch_utils import select_device

from reg_yolo.config.problems import KeyedError, did_you_mean, with_hint
from reg_yolo.config.train_arguments import REFUSED, read_arguments
from reg_yolo.errors import ConfigError

SMALLEST_IMGSZ = 32
RIEMANNIAN = {"RiemannianAdamW": "AdamW", "RiemannianSGD": "SGD"}
"""Ours, by the optimizer of upstream's whose steps they take."""
OPTIMIZERS = ("auto", "SGD", "MuSGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", *RIEMANNIAN)
SPLITS = ("train", "val", "test")
# What upstream's predictor returns instead of detections, or stores past the place where images are blurred.
_STORED_IMAGES = "images are stored in one place only, where they are blurred first"
NOT_FOR_PREDICT = {
    "source": "it is the second word",
    "embed": "it returns features, not objects",
    "save_crop": _STORED_IMAGES,
    "save_frames": _STORED_IMAGES,
    "visualize": _STORED_IMAGES,
    "show": "it opens no windows",
    "save_txt": "detections.jsonl has everything in it",
}
# Lowest values of arguments that upstream takes at any value and then misuses.
LOWEST = {
    "workers": 0, "close_mosaic": 0, "save_period": -1, "warmup_epochs": 0, "box": 0, "cls": 0, "dfl": 0, "time": 0,
}  # fmt: skip


def check_own_keys(arguments: Mapping[str, Any], command: str) -> dict[str, Any]:
    """Return the arguments of `val` or `predict` with their names and rough types checked.

    Args:
        arguments: What the user gave, `data` excepted.
        command: Its name, for the message.

    Raises:
        ConfigError: If one is unknown or not to be set here.
    """
    for key in arguments:
        if key not in DEFAULT_CFG_DICT:
            message = f"{key}: not an argument of Ultralytics"
            raise ConfigError(with_hint(message, did_you_mean(key, DEFAULT_CFG_DICT)))
        if command == "predict" and key in NOT_FOR_PREDICT:
            raise ConfigError(f"{key}: not taken by predict, since {NOT_FOR_PREDICT[key]}; leave it out")
        if key in REFUSED:
            raise ConfigError(f"{key}: not taken by {command}, which sets it itself; leave it out")
    try:
        return read_arguments(arguments, DEFAULT_CFG_DICT, [])
    except KeyedError as error:
        raise ConfigError(with_hint(f"{error.path[-1]}: {error}", error.hint)) from None


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check the values of Ultralytics' arguments, with its own checks and with ours where it has none.

    Raises:
        ConfigError: If a value is of the wrong type or out of range, or the device is not there.
    """
    try:
        checked = get_cfg(DEFAULT_CFG_DICT, {**arguments, "data": str(arguments.get("data"))})
    except (TypeError, ValueError, SyntaxError, AssertionError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ConfigError(shortened(" ".join(lines) or type(error).__name__)) from error
    _check_image_size(checked.imgsz)
    _check_batch(checked.batch, automatic=checked.mode == "train")
    for key, lowest in LOWEST.items():
        value = getattr(checked, key)
        if value is not None and value < lowest:
            raise ConfigError(f"{key}: got {value}, expected {lowest} or more")
    if checked.optimizer.lower() not in {name.lower() for name in OPTIMIZERS}:
        hint = did_you_mean(checked.optimizer, OPTIMIZERS)
        message = f"optimizer: got {checked.optimizer!r}, expected one of {', '.join(OPTIMIZERS)}"
        raise ConfigError(with_hint(message, hint))
    if checked.split not in SPLITS:
        raise ConfigError(f"split: got {checked.split!r}, expected one of {', '.join(SPLITS)}")
    check_device(checked.device)


def check_class_filter(classes: Any, class_names: Sequence[str]) -> None:
    """Check `classes`, which upstream takes with any content and then finds nothing.

    Args:
        classes: None, a class index, or a list of them.
        class_names: In the order of their indices.

    Raises:
        ConfigError: If one is not the index of a class.
    """
    for index in [] if classes is None else classes if isinstance(classes, (list, tuple)) else [classes]:
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(class_names):
            listed = ", ".join(f"{number} {name}" for number, name in enumerate(class_names))
            raise ConfigError(f"classes: got {index!r}, expected class indices out of: {shortened(listed, 200)}")


def shortened(text: str, longest: int = 300) -> str:
    """Return `text`, cut at a word where it is too long for one or two lines."""
    return text if len(text) <= longest else f"{text[:longest].rpartition(' ')[0]} ..."


def check_device(device: Any) -> None:
    """Check that this machine has the device.

    Raises:
        ConfigError: With the devices that it has.
    """
    level = LOGGER.level
    # Upstream prints its banner before it refuses.
    LOGGER.setLevel(logging.CRITICAL)
    try:
        select_device(device, verbose=False)
    except Exception as error:
        cards = ", ".join(str(index) for index in range(torch.cuda.device_count()))
        here = f"cpu or CUDA devices by number: {cards}" if cards else "cpu (torch finds no CUDA device here)"
        raise ConfigError(f"device: got {device!r}, expected {here}") from error
    finally:
        LOGGER.setLevel(level)


def _check_image_size(imgsz: Any) -> None:
    sides = list(imgsz) if isinstance(imgsz, (list, tuple)) else [imgsz]
    whole = all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
    if len(sides) not in {1, 2} or not whole or min(sides) < SMALLEST_IMGSZ:
        raise ConfigError(
            f"imgsz: got {imgsz!r}, expected a number of pixels from {SMALLEST_IMGSZ}, or [height, width]"
        )


def _check_batch(batch: float, *, automatic: bool) -> None:
    if automatic and (batch == -1 or 0 < batch < 1):
        return
    if batch < 1 or not float(batch).is_integer():
        more = ", -1 for what fits into a GPU's memory, or a share of that memory between 0 and 1" if automatic else ""
        raise ConfigError(f"batch: got {batch}, expected a number of images from 1{more}")

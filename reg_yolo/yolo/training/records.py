"""What a run leaves next to upstream's files: its settings, the class weights, and a sheet of what it was shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from ultralytics.utils import DEFAULT_CFG_DICT
from ultralytics.utils.plotting import plot_images

from reg_yolo.config.loader import write_yaml_atomic
from reg_yolo.files import replace_text
from reg_yolo.text_tables import csv_text

SETTINGS_FILE = "reg.yaml"
WEIGHTS_FILE = "class_weights.csv"
TRAINING_SHEET = "augmented_training_images.jpg"
# Arguments that name this run or stand elsewhere in the file.
NOT_REPEATED = {"task", "mode", "model", "data", "save_dir", "augmentations", "resume", "project", "name", "exist_ok"}


def write_settings(
    folder: Path,
    task: str,
    arguments: Mapping[str, Any],
    *,
    reg: Mapping[str, Any],
    joint: Mapping[str, Any] | None = None,
    albumentations: Mapping[str, Any] | None = None,
    sampling: Mapping[str, Any] | None = None,
    suppression: str | None = None,
) -> None:
    """Write reg.yaml: a configuration that `reg-yolo train` takes, with every setting of the loss resolved.

    Args:
        folder: The run directory.
        task: Our name of the task.
        arguments: Upstream's arguments of the run; those that differ from its defaults are written.
        reg: The loss.
        joint: Of a joint run `data`, `mask_classes` and `lambda_seg`.
        albumentations: The block of the same name, where the run has one.
        sampling: The block of the same name, where the run has one.
        suppression: The word of the same name, where it is not stock.
    """
    content: dict[str, Any] = {
        "task": task,
        "model": str(arguments["model"]),
        "data": str(arguments["data"]),
        **(joint or {}),
        "train": {
            key: value
            for key, value in arguments.items()
            if key in DEFAULT_CFG_DICT and key not in NOT_REPEATED and value != DEFAULT_CFG_DICT[key]
        },
        "reg": dict(reg),
    }
    if albumentations:
        content["albumentations"] = dict(albumentations)
    if sampling:
        content["sampling"] = dict(sampling)
    if suppression:
        content["suppression"] = suppression
    comment = "The settings of this run; `reg-yolo train reg.yaml` repeats it."
    write_yaml_atomic(folder / SETTINGS_FILE, content, comment=comment)


def write_class_weights(
    folder: Path, names: Mapping[int, str], counts: Sequence[int], weights: Sequence[float], *, counted: str = "boxes"
) -> None:
    """Write class_weights.csv: labelled boxes (or what `counted` says) of each class and the weight it starts with."""
    rows = [
        (index, names[index], count, f"{weight:.6g}")
        for index, (count, weight) in enumerate(zip(counts, weights, strict=True))
    ]
    replace_text(folder / WEIGHTS_FILE, csv_text([("class", "name", counted, "weight"), *rows]))


def draw_training_sheet(batch: Mapping[str, Any], names: Mapping[int, str], folder: Path) -> None:
    """Draw a training batch with its labels, just as the model sees it."""
    # Upstream's drawing scales the images in place.
    detached = {
        key: value.detach().cpu().clone() if isinstance(value, Tensor) else value for key, value in batch.items()
    }
    plot_images(labels=detached, paths=batch["im_file"], fname=folder / TRAINING_SHEET, names=names, threaded=False)

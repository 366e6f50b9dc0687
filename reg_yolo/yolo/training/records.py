"""What a run leaves beside upstream's files: its settings, the class weights, and a sheet of what it was shown."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import yaml
from torch import Tensor
from ultralytics.utils import DEFAULT_CFG_DICT
from ultralytics.utils.plotting import plot_images

from reg_yolo.yolo.weights.checkpoints import replace_file

if TYPE_CHECKING:
    from reg_yolo.yolo.training.mixin import RegTraining

SETTINGS_FILE = "reg.yaml"
WEIGHTS_FILE = "class_weights.csv"
TRAINING_SHEET = "augmented_training_images.jpg"
# Arguments that name this run or stand elsewhere in the file.
NOT_REPEATED = {"task", "mode", "model", "data", "save_dir", "augmentations", "resume", "project", "name", "exist_ok"}


def write_settings(trainer: RegTraining) -> None:
    """Write reg.yaml: a configuration that `reg-yolo train` takes, with every setting of the loss resolved."""
    arguments = vars(trainer.args)
    content: dict[str, Any] = {
        "task": trainer.task_name,
        "model": str(trainer.args.model),
        "data": str(trainer.args.data),
        **(trainer.joint or {}),
        "train": {
            key: value
            for key, value in arguments.items()
            if key in DEFAULT_CFG_DICT and key not in NOT_REPEATED and value != DEFAULT_CFG_DICT[key]
        },
        "reg": trainer.reg.to_dict(),
    }
    if trainer.settings.get("albumentations"):
        content["albumentations"] = trainer.settings["albumentations"]
    text = "# The settings of this run; `reg-yolo train reg.yaml` repeats it.\n"
    text += yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    replace_file(trainer.save_dir / SETTINGS_FILE, text.encode())


def write_class_weights(trainer: RegTraining) -> None:
    """Write class_weights.csv: labelled boxes of each class and the weight it starts with."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["class", "name", "boxes", "weight"])
    weights = trainer.criterion.class_weights_list()
    for index, (count, weight) in enumerate(zip(trainer.class_counts, weights, strict=True)):
        writer.writerow([index, trainer.data["names"][index], count, f"{weight:.6g}"])
    replace_file(trainer.save_dir / WEIGHTS_FILE, stream.getvalue().encode())


def draw_training_sheet(batch: Mapping[str, Any], names: Mapping[int, str], folder: Path) -> None:
    """Draw a training batch with its labels, just as the model sees it."""
    # Upstream's drawing scales the images in place.
    detached = {
        key: value.detach().cpu().clone() if isinstance(value, Tensor) else value for key, value in batch.items()
    }
    plot_images(labels=detached, paths=batch["im_file"], fname=folder / TRAINING_SHEET, names=names, threaded=False)


def contact_sheet(tiles: Sequence[tuple[str, np.ndarray]], path: Path, columns: int = 4) -> None:
    """Write equally large BGR images with captions as one JPEG."""
    if not tiles:
        return
    height, width = tiles[0][1].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, (caption, image) in enumerate(tiles):
        top, left = (number // columns) * height, (number % columns) * width
        captioned = image.copy()
        cv2.rectangle(captioned, (0, 0), (10 + 11 * len(caption), 24), (0, 0, 0), -1)
        cv2.putText(captioned, caption, (5, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
        sheet[top : top + height, left : left + width] = captioned
    encoded = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    replace_file(path, encoded.tobytes())

"""INT8: ranges measured on the user's own pictures, and what it costs in mAP on pictures that they were not."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reg_yolo.data.dataset_yaml import DatasetDescription, read_dataset_yaml
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.detector import Detector
from reg_yolo.yolo.engine_backend import only_warnings
from reg_yolo.yolo.engine_export import CalibrationData
from reg_yolo.yolo.val_run import VALIDATORS, find_data, require_same_classes

# More bring nothing; upstream's own advice is at least so many.
CALIBRATION_IMAGES = 300


@dataclass(frozen=True)
class MapChange:
    """What INT8 changes, measured with the same engine at the same input size.

    Attributes:
        before: mAP50-95 of the network that was quantised, from 0 to 1.
        after: mAP50-95 with INT8.
        images: Pictures of the val split.
    """

    before: float
    after: float
    images: int

    def sentence(self) -> str:
        """Say it as one clause."""
        change = 100.0 * (self.after - self.before)
        return (
            f"mAP50-95 {self.before:.3f} before, {self.after:.3f} with INT8 "
            f"({change:+.1f} points, {self.images} images)"
        )


def calibration_source(detector: Detector, data: str | Path | None) -> DatasetDescription:
    """Return the data set that INT8 is calibrated and measured on.

    Args:
        detector: The weights.
        data: The user's data-set YAML or the name of a shipped one; by default the one of the training.

    Raises:
        RegYoloError: If there is none, it has no val split, its classes are not the model's, or the weights are joint
            ones, whose label files Ultralytics' calibration does not read.
    """
    if detector.task == "joint":
        raise ConfigError(
            f"{detector.path}: INT8 is not calibrated for joint weights, whose label files Ultralytics' exporter does "
            "not read; leave --int8 out"
        )
    description = read_dataset_yaml(find_data(detector, data), required=("val",))
    require_same_classes(detector, description)
    return description


def calibration_split(description: DatasetDescription) -> str:
    """Return the split to calibrate on: train, so that val stays unseen; val where there is no other."""
    return "train" if "train" in description.splits else "val"


def fingerprint(description: DatasetDescription) -> str:
    """Return 16 hexadecimal digits that change with the names and sizes of the pictures."""
    digest = hashlib.sha256()
    for split in dict.fromkeys((calibration_split(description), "val")):
        for image in description.images(split):
            digest.update(f"{split} {image} {image.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


@contextmanager
def calibration_data(description: DatasetDescription) -> Iterator[CalibrationData]:
    """Yield what the exporter needs, from a folder that is removed afterwards."""
    split = calibration_split(description)
    fraction = min(1.0, CALIBRATION_IMAGES / len(description.images(split)))
    with tempfile.TemporaryDirectory(prefix="reg_yolo_int8_") as folder:
        yaml_path = description.write_for_ultralytics(Path(folder))
        yield CalibrationData(yaml_path, split, fraction, fingerprint(description))


def measure_change(
    before: Path, after: Path, description: DatasetDescription, *, task: str, imgsz: int, device: str
) -> MapChange:
    """Validate an engine before and after quantisation on the val split; boxes count, also where there are masks.

    Args:
        before: The export that was not quantised.
        after: The one that was.
        description: The data set.
        task: `detect` or `segment`.
        imgsz: Longer side of the network's input.
        device: Where to run.
    """
    with tempfile.TemporaryDirectory(prefix="reg_yolo_int8_") as folder:
        data = str(description.write_for_ultralytics(Path(folder)))
        first, second = (_map_of(model, data, Path(folder), task, imgsz, device) for model in (before, after))
    return MapChange(first, second, len(description.images("val")))


def _map_of(model: Path, data: str, folder: Path, task: str, imgsz: int, device: str) -> float:
    settings = {
        "task": task,
        "mode": "val",
        "model": str(model),
        "data": data,
        "imgsz": imgsz,
        "device": device,
        "plots": False,
        "verbose": False,
    }
    with only_warnings():
        metrics = VALIDATORS[task](save_dir=folder, args=settings)(model=str(model))
    return float(metrics["metrics/mAP50-95(B)"])

"""INT8: ranges measured on the user's own images, and what it costs in mAP on images that they were not."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reg_yolo.config.yaml_text import dump_yaml
from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, read_dataset_yaml
from reg_yolo.data.dataset.joint_sets import JointSets
from reg_yolo.errors import ConfigError
from reg_yolo.files import replace_text
from reg_yolo.yolo.datasets.resolved import write_joint_yaml
from reg_yolo.yolo.engines.backend import only_warnings
from reg_yolo.yolo.engines.export import CalibrationData
from reg_yolo.yolo.upstream.offline import register_fonts
from reg_yolo.yolo.validation.data import VALIDATORS, find_data, find_joint_sets, require_same_classes
from reg_yolo.yolo.validation.joint import RegJointValidator
from reg_yolo.yolo.weights.detector import Detector

# More bring nothing; upstream's own advice is at least so many.
CALIBRATION_IMAGES = 300


@dataclass(frozen=True)
class MapChange:
    """What INT8 changes, measured with the same engine at the same input size.

    Attributes:
        before: mAP50-95 of the network that was quantised, from 0 to 1.
        after: mAP50-95 with INT8.
        images: Images of the val split.
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


@dataclass(frozen=True)
class Int8Data:
    """What INT8 is calibrated and measured on.

    Attributes:
        descriptions: The data set, or both of a pair.
        sets: Of joint weights the same as sets under one list of classes; None for another task.
    """

    descriptions: list[DatasetDescription]
    sets: JointSets | None = None

    @property
    def calibration_split(self) -> str:
        """The split to calibrate on: train, so that val stays unseen; val where there is no other."""
        return "train" if any("train" in description.splits for description in self.descriptions) else "val"

    def images(self, split: str) -> list[Path]:
        """Return the images of a split."""
        return [
            image
            for description in self.descriptions
            if split in description.splits
            for image in description.images(split)
        ]

    def write(self, folder: Path) -> Path:
        """Write one data YAML with absolute paths."""
        if self.sets is not None:
            return write_joint_yaml(self.sets, folder)
        return self.descriptions[0].write_for_ultralytics(folder)


def calibration_source(detector: Detector, data: str | Path | Mapping[str, str] | None) -> Int8Data:
    """Return the data set that INT8 is calibrated and measured on.

    Args:
        detector: The weights.
        data: The user's data-set YAML or the name of a shipped one, for joint weights also a pair; by default the one
            of the training.

    Raises:
        RegYoloError: If there is none, it has no val split, or its classes are not the model's.
    """
    if detector.task == "joint":
        sets = find_joint_sets(detector, data)
        sets.parts_of("val")
        return Int8Data([part.description for part in sets.parts], sets)
    if isinstance(data, Mapping):
        raise ConfigError(f"data: two data sets are for joint weights, {detector.path} is of task {detector.task}")
    description = read_dataset_yaml(find_data(detector, data), required=("val",))
    require_same_classes(detector, description)
    return Int8Data([description])


def fingerprint(data: Int8Data) -> str:
    """Return 16 hexadecimal digits that change with the names and sizes of the images."""
    digest = hashlib.sha256()
    for split in dict.fromkeys((data.calibration_split, "val")):
        for image in data.images(split):
            digest.update(f"{split} {image} {image.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


@contextmanager
def calibration_data(data: Int8Data) -> Iterator[CalibrationData]:
    """Yield what the exporter needs, from a folder that is removed afterwards."""
    # Upstream checks a data set with its fonts, which it would fetch.
    register_fonts()
    split = data.calibration_split
    pictures = data.images(split)
    fraction = min(1.0, CALIBRATION_IMAGES / len(pictures))
    with tempfile.TemporaryDirectory(prefix="reg_yolo_int8_") as name:
        folder = Path(name)
        yaml_path = data.write(folder) if data.sets is None else _without_labels(data.sets, split, pictures, folder)
        yield CalibrationData(yaml_path, split, fraction, fingerprint(data))


def _without_labels(sets: JointSets, split: str, pictures: Sequence[Path], folder: Path) -> Path:
    """Write a data set of images alone: calibration looks at nothing else, and upstream drops mixed label files."""
    (folder / "images").mkdir()
    for number, picture in enumerate(pictures):
        link = folder / "images" / f"{number:06d}{picture.suffix}"
        try:
            link.symlink_to(picture.absolute())
        except OSError:
            # Windows grants links to few users.
            shutil.copyfile(picture, link)
    places = dict.fromkeys({"train", "val", split}, str(folder / "images"))
    content = {**sets.extra, "names": dict(enumerate(sets.class_names)), **places}
    path = folder / "data.yaml"
    replace_text(path, dump_yaml(content))
    return path


def measure_change(before: Path, after: Path, data: Int8Data, *, task: str, imgsz: int, device: str) -> MapChange:
    """Validate an engine before and after quantisation on the val split; boxes count, also where there are masks.

    Args:
        before: The export that was not quantised.
        after: The one that was.
        data: What to validate on.
        task: `detect`, `segment` or `joint`.
        imgsz: Longer side of the network's input.
        device: Where to run.
    """
    with tempfile.TemporaryDirectory(prefix="reg_yolo_int8_") as name:
        folder = Path(name)
        settings = {
            "task": "detect" if task == "detect" else "segment",
            "mode": "val",
            "data": str(data.write(folder)),
            "imgsz": imgsz,
            "device": device,
            "plots": False,
            "verbose": False,
        }
        first, second = (_map_of(model, folder, task, settings, data.sets) for model in (before, after))
    return MapChange(first, second, len(data.images("val")))


def _map_of(model: Path, folder: Path, task: str, settings: Mapping[str, Any], sets: JointSets | None) -> float:
    validator = VALIDATORS[task](save_dir=folder, args={**settings, "model": str(model)})
    if isinstance(validator, RegJointValidator):
        assert sets is not None
        validator.sets = sets
    with only_warnings():
        metrics = validator(model=str(model))
    return float(metrics["metrics/mAP50-95(B)"])

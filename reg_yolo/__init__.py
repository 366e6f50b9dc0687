"""YOLOv8 for road assets with the Refined Generalized Focal Loss.

This is the public face, with `reg_yolo.data`, `reg_yolo.detections`, `reg_yolo.scenes`, `reg_yolo.inventory`,
`reg_yolo.losses` and `reg_yolo.nms`; deeper modules are private. `reg_yolo.losses` stands on torch alone. The names
below are imported when they are first used, because they bring Ultralytics with them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from reg_yolo.errors import ConfigError, DataError, MediaError, OutputError, RegYoloError, WeightsError

if TYPE_CHECKING:
    from reg_yolo import losses as losses
    from reg_yolo.config.loader import dump_config as dump_config
    from reg_yolo.config.loader import load_config as load_config
    from reg_yolo.config.reg import RegSettings as RegSettings
    from reg_yolo.detections.files import read_detections as read_detections
    from reg_yolo.jobs.manifest import read_manifest as read_manifest
    from reg_yolo.yolo.commands.diagnose import diagnose as diagnose
    from reg_yolo.yolo.commands.export import export as export
    from reg_yolo.yolo.commands.predict import predict as predict
    from reg_yolo.yolo.commands.predict_pixels import predict_pixels as predict_pixels
    from reg_yolo.yolo.commands.report import report as report
    from reg_yolo.yolo.commands.resume import resume as resume
    from reg_yolo.yolo.commands.train import dry_run as dry_run
    from reg_yolo.yolo.commands.train import train as train
    from reg_yolo.yolo.commands.val import val as val
    from reg_yolo.yolo.commands.val_pixels import val_pixels as val_pixels
    from reg_yolo.yolo.training.trainers import RegDetectionTrainer as RegDetectionTrainer
    from reg_yolo.yolo.training.trainers import RegJointTrainer as RegJointTrainer
    from reg_yolo.yolo.training.trainers import RegSegmentationTrainer as RegSegmentationTrainer
    from reg_yolo.yolo.training.trainers import RegSemanticTrainer as RegSemanticTrainer

__version__ = "0.2.0"

_HOMES = {
    "train": "reg_yolo.yolo.commands.train",
    "resume": "reg_yolo.yolo.commands.resume",
    "dry_run": "reg_yolo.yolo.commands.train",
    "val": "reg_yolo.yolo.commands.val",
    "val_pixels": "reg_yolo.yolo.commands.val_pixels",
    "predict": "reg_yolo.yolo.commands.predict",
    "predict_pixels": "reg_yolo.yolo.commands.predict_pixels",
    "diagnose": "reg_yolo.yolo.commands.diagnose",
    "export": "reg_yolo.yolo.commands.export",
    "report": "reg_yolo.yolo.commands.report",
    "load_config": "reg_yolo.config.loader",
    "dump_config": "reg_yolo.config.loader",
    "RegSettings": "reg_yolo.config.reg",
    "read_detections": "reg_yolo.detections.files",
    "read_manifest": "reg_yolo.jobs.manifest",
    "RegDetectionTrainer": "reg_yolo.yolo.training.trainers",
    "RegSegmentationTrainer": "reg_yolo.yolo.training.trainers",
    "RegJointTrainer": "reg_yolo.yolo.training.trainers",
    "RegSemanticTrainer": "reg_yolo.yolo.training.trainers",
}

__all__ = [
    "train", "resume", "dry_run", "val", "val_pixels", "predict", "diagnose", "predict_pixels", "export", "report",
    "load_config", "dump_config", "read_detections", "read_manifest", "RegSettings",
    "RegDetectionTrainer", "RegSegmentationTrainer", "RegJointTrainer", "RegSemanticTrainer",
    "RegYoloError", "ConfigError", "DataError", "MediaError", "OutputError", "WeightsError",
    "losses",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "losses":
        return import_module("reg_yolo.losses")
    raise AttributeError(f"module 'reg_yolo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

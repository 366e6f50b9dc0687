"""YOLOv8 for road assets with the Refined Generalized Focal Loss.

`reg_yolo.losses` stands on torch alone. The names below are imported when they are first used, because they bring
Ultralytics with them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reg_yolo.config.loader import dump_config as dump_config
    from reg_yolo.config.loader import load_config as load_config
    from reg_yolo.config.reg import RegSettings as RegSettings
    from reg_yolo.jobs.manifest import read_manifest as read_manifest
    from reg_yolo.yolo.commands.predict import predict as predict
    from reg_yolo.yolo.commands.report import report as report
    from reg_yolo.yolo.commands.train import dry_run as dry_run
    from reg_yolo.yolo.commands.train import resume as resume
    from reg_yolo.yolo.commands.train import train as train
    from reg_yolo.yolo.commands.val import val as val
    from reg_yolo.yolo.training.trainers import RegDetectionTrainer as RegDetectionTrainer

__version__ = "0.1.0"

_HOMES = {
    "RegDetectionTrainer": "reg_yolo.yolo.training.trainers",
    "train": "reg_yolo.yolo.commands.train",
    "resume": "reg_yolo.yolo.commands.train",
    "dry_run": "reg_yolo.yolo.commands.train",
    "val": "reg_yolo.yolo.commands.val",
    "predict": "reg_yolo.yolo.commands.predict",
    "report": "reg_yolo.yolo.commands.report",
    "load_config": "reg_yolo.config.loader",
    "dump_config": "reg_yolo.config.loader",
    "RegSettings": "reg_yolo.config.reg",
    "read_manifest": "reg_yolo.jobs.manifest",
}

__all__ = [
    "RegDetectionTrainer",
    "RegSettings",
    "dry_run",
    "dump_config",
    "load_config",
    "predict",
    "read_manifest",
    "report",
    "resume",
    "train",
    "val",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'reg_yolo' has no attribute {name!r}")

"""Short training runs for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reg_yolo.yolo.training.trainers import RegDetectionTrainer

# Detection on three levels with few layers: a third of what a training of YOLOv8n costs.
TINY_MODEL, TINY_SEG_MODEL = (str(Path(__file__).parents[1] / f"models/{name}.yaml") for name in ("tiny", "tiny-seg"))

FAST = {
    "model": TINY_MODEL, "epochs": 1, "imgsz": 64, "batch": 8, "optimizer": "AdamW", "device": "cpu",
    "verbose": False, "plots": False, "workers": 0,
}  # fmt: skip


def trainer_for(data: Path, folder: Path, reg: Any = "reg_v1", **arguments: Any) -> RegDetectionTrainer:
    """Return a trainer for a fast run, not started yet."""
    settings = {**FAST, "data": str(data), "save_dir": str(folder), **arguments}
    return RegDetectionTrainer.with_settings(reg)(overrides=settings)

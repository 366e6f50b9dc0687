"""Weights opened for validation or prediction: ours or stock, with what is known about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from ultralytics.nn.modules import Detect, Segment

from reg_yolo.config.shipped import shipped_weights
from reg_yolo.errors import WeightsError
from reg_yolo.yolo.upstream.version import check_ultralytics_version
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of, model_of
from reg_yolo.yolo.weights.export_sidecar import is_export, read_export


@dataclass(frozen=True)
class Detector:
    """What a checkpoint says about itself.

    Attributes:
        path: The checkpoint.
        class_names: Class names in the order of their indices.
        metadata: What reg_yolo stored in it; empty for stock weights.
        trained_with: Ultralytics' arguments of its training; empty where it does not say.
        task: `detect`, `segment`, or `joint` (one segmentation head over classes with and without masks).
        exported_precision: What an exported model was made for (`f32`, `f16`, `int8`); None for a checkpoint.
        stride: Of the network, in pixels; sides of its input are multiples of it.
    """

    path: Path
    class_names: list[str]
    metadata: dict[str, Any]
    trained_with: dict[str, Any]
    task: str = "detect"
    exported_precision: str | None = None
    stride: int = 32

    @property
    def mask_classes(self) -> list[str]:
        """Names of the classes that have masks: none for detection, all for segmentation, some for the joint task."""
        if self.task == "joint":
            return [name for name in self.class_names if name in self.metadata["mask_classes"]]
        return self.class_names if self.task == "segment" else []

    @property
    def imgsz(self) -> int:
        """The image size of its training, in pixels."""
        size = self.trained_with.get("imgsz") or 640
        return int(max(size) if isinstance(size, (list, tuple)) else size)


def open_detector(weights: str | Path, *, trust: bool = False) -> Detector:
    """Open a checkpoint and check that it holds a detection or segmentation model that this version runs.

    Args:
        weights: A checkpoint of ours or a stock one, an export of one, or `demo` for the shipped one.
        trust: Load checkpoints that run code of their own.

    Raises:
        WeightsError: If it is missing, damaged, foreign, or another kind of model.
    """
    check_ultralytics_version()
    path = Path(weights)
    if not path.exists():
        path = shipped_weights(path) or path
    if is_export(path):
        export = read_export(path)
        task = "joint" if export.metadata.get("task") == "joint" else export.task
        return Detector(
            path, export.class_names, export.metadata, export.trained_with, task, export.precision, export.stride
        )
    checkpoint = load_checkpoint_file(path, trust=trust)
    model = model_of(checkpoint)
    layers = getattr(model, "model", None)
    head: Any = layers[-1] if isinstance(layers, nn.Sequential) else None
    if type(head) not in {Detect, Segment} or getattr(head, "end2end", False):
        raise WeightsError(
            f"{path}: a model that ends in {type(head).__name__} is not run by this version; expected a detection or "
            "segmentation model such as YOLOv8n or YOLOv8n-seg"
        )
    names = dict(enumerate(model.names)) if isinstance(model.names, (list, tuple)) else dict(model.names)
    class_names = [str(names.get(index, "")) for index in range(head.nc)]
    if len(names) != head.nc or not all(class_names) or len(set(class_names)) != head.nc:
        raise WeightsError(f"{path}: its class names are not {head.nc} different ones, got {sorted(names.values())}")
    trained_with = checkpoint.get("train_args") or {}
    metadata = metadata_of(checkpoint)
    task = "detect" if type(head) is Detect else "joint" if metadata.get("task") == "joint" else "segment"
    return Detector(path, class_names, metadata, dict(trained_with), task, stride=int(max(head.stride)))

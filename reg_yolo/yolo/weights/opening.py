"""Any weights file opened as one kind of object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn
from ultralytics.nn.modules import Detect, Segment, SemanticSegment

from reg_yolo.config.shipped import shipped_weights
from reg_yolo.errors import WeightsError
from reg_yolo.yolo.upstream.version import check_ultralytics_version
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of, model_of
from reg_yolo.yolo.weights.detector import Detector
from reg_yolo.yolo.weights.export_sidecar import is_export, read_export

_TASKS: dict[type, str] = {Detect: "detect", Segment: "segment", SemanticSegment: "semantic"}


def open_detector(weights: str | Path, *, trust: bool = False, pixels: bool = False) -> Detector:
    """Open a checkpoint and check that it holds a detection or segmentation model that this version runs.

    Args:
        weights: A checkpoint of ours or a stock one, an export of one, or `demo` for the shipped one.
        trust: Load checkpoints that run code of their own.
        pixels: Take networks of task semantic too, which give each pixel a class and find no objects.

    Raises:
        WeightsError: If it is missing, damaged, foreign, or another kind of model.
    """
    check_ultralytics_version()
    path = Path(weights)
    # `reg-yolo demo` leaves a folder of that name.
    if not path.exists() or (path.is_dir() and not is_export(path)):
        path = shipped_weights(path) or path
    if is_export(path):
        export = read_export(path)
        task = "joint" if export.metadata.get("task") == "joint" else export.task
        _require_objects(path, task, pixels=pixels)
        return Detector(
            path, export.class_names, export.metadata, export.trained_with, task, export.precision, export.stride,
            export.distributions,
        )  # fmt: skip
    checkpoint = load_checkpoint_file(path, trust=trust)
    model = model_of(checkpoint)
    layers = getattr(model, "model", None)
    head: Any = layers[-1] if isinstance(layers, nn.Sequential) else None
    if type(head) not in {Detect, Segment, SemanticSegment} or getattr(head, "end2end", False):
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
    task = _TASKS[type(head)]
    _require_objects(path, task, pixels=pixels)
    if task == "segment" and metadata.get("task") == "joint":
        task = "joint"
    return Detector(path, class_names, metadata, dict(trained_with), task, stride=int(max(head.stride)))


def _require_objects(path: Path, task: str, *, pixels: bool) -> None:
    if task == "semantic" and not pixels:
        raise WeightsError(
            f"{path}: of task semantic, gives each pixel a class and finds no objects; expected weights of task "
            "detect, segment or joint"
        )

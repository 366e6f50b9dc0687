"""What is known about weights: ours or stock, a checkpoint or an export of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reg_yolo.errors import ConfigError


@dataclass(frozen=True)
class Detector:
    """What a checkpoint says about itself.

    Attributes:
        path: The checkpoint.
        class_names: Class names in the order of their indices.
        metadata: What reg_yolo stored in it; empty for stock weights.
        trained_with: Ultralytics' arguments of its training; empty where it does not say.
        task: `detect`, `segment`, `joint` (one segmentation head over classes with and without masks) or `semantic`.
        exported_precision: What an exported model was made for (`f32`, `f16`, `int8`); None for a checkpoint.
        stride: Of the network, in pixels; sides of its input are multiples of it.
        gives_distributions: Whether its box distributions can be had: from a checkpoint, and from an export made so.
    """

    path: Path
    class_names: list[str]
    metadata: dict[str, Any]
    trained_with: dict[str, Any]
    task: str = "detect"
    exported_precision: str | None = None
    stride: int = 32
    gives_distributions: bool = True

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


def require_distributions(detector: Detector, option: str) -> None:
    """Refuse an option that reads box distributions for weights that have lost them.

    Raises:
        ConfigError: If the weights are an export without them.
    """
    if not detector.gives_distributions:
        raise ConfigError(
            f"`{option}`: needs the box distributions, which {detector.path} does not give out; export the .pt weights "
            "with `reg-yolo export --distributions`, or take them as they are"
        )

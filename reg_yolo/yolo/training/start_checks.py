"""What a run starts from: a supported head, named weights, and one line of advice where it is worth one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from ultralytics.nn.modules import Detect, Segment, SemanticSegment
from ultralytics.utils import LOGGER

from reg_yolo.errors import ConfigError

# Images; with fewer, pretrained weights usually win.
SCRATCH_ADVICE_BELOW = 5000


def require_supported_head(model: nn.Module, name: str, task: str) -> None:
    """Refuse models whose head the criterion does not fit.

    Raises:
        ConfigError: If the model is not a YOLOv8 detection or segmentation model with a distribution per box side, or
            for task semantic one of pixels' classes.
    """
    layers = getattr(model, "model", None)
    head: Any = layers[-1] if isinstance(layers, nn.Sequential) else None
    if task == "semantic":
        if not isinstance(head, SemanticSegment) or head.nc < 2:
            raise ConfigError(
                f"{name}: this model ends in {type(head).__name__}; task semantic needs a head of two or more classes "
                "of pixels, as yolov8n-sem.yaml has (n, s, m, l, x)"
            )
        return
    if not isinstance(head, Detect) or hasattr(head, "one2one_cv2") or getattr(head, "reg_max", 0) <= 1:
        raise ConfigError(
            f"{name}: the REG criterion fits YOLOv8 heads only, this model ends in {type(head).__name__}; "
            "use one of yolov8n, yolov8s, yolov8m, yolov8l, yolov8x (.yaml from scratch, .pt to fine-tune)"
        )
    if isinstance(head, Segment) == (task == "detect"):
        expected = "a detection head, as yolov8n.yaml has" if task == "detect" else "masks, as yolov8n-seg.yaml has"
        raise ConfigError(f"{name}: this model ends in {type(head).__name__}; task {task} needs {expected}")


def describe_start(arguments: Mapping[str, Any], task: str, images: int, *, resumed_at: int | None) -> str:
    """Return what the training starts from, with advice for small data sets from scratch.

    Args:
        arguments: Upstream's arguments of the run.
        task: Our name of the task.
        images: Number of training images.
        resumed_at: Epochs that a resumed run has behind it; None for a new run.
    """
    model, pretrained_on = str(arguments["model"]), arguments.get("pretrained")
    if resumed_at is not None:
        return f"Start: resumed from {model} at epoch {resumed_at + 1}"
    weights = pretrained_on if isinstance(pretrained_on, str) else model
    if weights.endswith(".pt") and pretrained_on is not False:
        return f"Start: fine-tuning from {weights}"
    text = f"Start: from scratch ({model}, random weights)"
    if images < SCRATCH_ADVICE_BELOW and task == "semantic":
        text += (
            f"\nAdvice: {images} images are few to start from scratch; the backbone of pretrained weights "
            "(pretrained=yolov8n.pt) usually gives a better model in fewer epochs."
        )
    elif images < SCRATCH_ADVICE_BELOW:
        pretrained = "yolov8n.pt" if task == "detect" else "yolov8n-seg.pt"
        text += (
            f"\nAdvice: {images} images are few to start from scratch; fine-tuning pretrained weights "
            f"(model={pretrained}) usually gives a better model in fewer epochs."
        )
    return text


def require_one_device(what: str, world_size: int) -> None:
    """Refuse several GPUs for what is computed by each process on its own.

    Raises:
        ConfigError: With the setting.
    """
    if world_size > 1:
        raise ConfigError(f"{what}: takes one device, got {world_size}; name one with device=0, or leave {what} out")


def warn_of_absent_classes(names: Mapping[int, str], counts: Sequence[int], weights: Sequence[float]) -> None:
    """Log every class without a label in the training split."""
    for index, count in enumerate(counts):
        if count == 0:
            LOGGER.warning(
                f"class '{names[index]}' has no label in the training split; its weight is {weights[index]:.3g}"
            )

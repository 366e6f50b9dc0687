"""What a run starts from: a supported head, named weights, and one line of advice where it is worth one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn
from ultralytics.nn.modules import Detect, Segment
from ultralytics.utils import LOGGER

from reg_yolo.errors import ConfigError

if TYPE_CHECKING:
    from reg_yolo.yolo.training.mixin import RegTraining


def require_supported_head(model: nn.Module, name: str, task: str) -> None:
    """Refuse models whose head the criterion does not fit.

    Raises:
        ConfigError: If the model is not a YOLOv8 detection or segmentation model with a distribution per box side.
    """
    layers = getattr(model, "model", None)
    head: Any = layers[-1] if isinstance(layers, nn.Sequential) else None
    if not isinstance(head, Detect) or hasattr(head, "one2one_cv2") or getattr(head, "reg_max", 0) <= 1:
        raise ConfigError(
            f"{name}: the REG criterion fits YOLOv8 heads only, this model ends in {type(head).__name__}; "
            "use one of yolov8n, yolov8s, yolov8m, yolov8l, yolov8x (.yaml from scratch, .pt to fine-tune)"
        )
    if isinstance(head, Segment) == (task == "detect"):
        expected = "a detection head, as yolov8n.yaml has" if task == "detect" else "masks, as yolov8n-seg.yaml has"
        raise ConfigError(f"{name}: this model ends in {type(head).__name__}; task {task} needs {expected}")


def describe_start(trainer: RegTraining, images: int, advice_below: int) -> str:
    """Return what the training starts from, with advice for small data sets from scratch."""
    model = str(trainer.args.model)
    if trainer.resume:
        return f"Start: resumed from {model} at epoch {trainer.start_epoch + 1}"
    weights = trainer.args.pretrained if isinstance(trainer.args.pretrained, str) else model
    if weights.endswith(".pt") and trainer.args.pretrained is not False:
        return f"Start: fine-tuning from {weights}"
    text = f"Start: from scratch ({model}, random weights)"
    if images < advice_below:
        pretrained = "yolov8n.pt" if trainer.task_name == "detect" else "yolov8n-seg.pt"
        text += (
            f"\nAdvice: {images} images are few to start from scratch; fine-tuning pretrained weights "
            f"(model={pretrained}) usually gives a better model in fewer epochs."
        )
    return text


def warn_of_absent_classes(names: Mapping[int, str], counts: Sequence[int], weights: Sequence[float]) -> None:
    """Log every class without a label in the training split."""
    for index, count in enumerate(counts):
        if count == 0:
            LOGGER.warning(
                f"class '{names[index]}' has no label in the training split; its weight is {weights[index]:.3g}"
            )

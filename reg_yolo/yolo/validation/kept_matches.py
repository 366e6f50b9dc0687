"""Validators that keep matched detections image by image, which upstream joins and throws away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from reg_yolo.evaluation.comparison.detection_matches import DetectionMatches
from reg_yolo.yolo.validation.validators import RegDetectionValidator

if TYPE_CHECKING:
    # Stands before one of our validators, whose attributes it uses.
    from reg_yolo.yolo.validation.validators import RegDetectionValidator as Host
else:
    Host = object


class MatchKeeping(Host):
    """Mix-in for our validators.

    Attributes:
        matches: Of the last validation, by kind: `box`, and `mask` where the task has masks.
    """

    matches: dict[str, DetectionMatches]
    _image_names: list[str]

    def init_metrics(self, model: nn.Module) -> None:
        """Start with nothing kept."""
        super().init_metrics(model)
        self._image_names, self.matches = [], {}

    def update_metrics(self, preds: list[dict[str, Tensor]], batch: dict[str, Any]) -> None:
        """Record a batch, and which images it is of."""
        super().update_metrics(preds, batch)
        self._image_names += [file_name(path) for path in batch["im_file"]]

    def get_stats(self) -> dict[str, Any]:
        """Keep what upstream is about to clear, and return its figures."""
        kept = self.metrics.stats
        for kind, suffix in (("box", ""), ("mask", "_m")):
            if f"tp{suffix}" in kept:
                # Masks of the joint task have lists of their own; those of task segment share them with boxes.
                columns = [kept.get(f"{key}{suffix}", kept[key]) for key in ("conf", "pred_cls", "target_cls")]
                self.matches[kind] = DetectionMatches.from_images(self._image_names, kept[f"tp{suffix}"], *columns)
        return super().get_stats()


def keeping_matches(validator: type[RegDetectionValidator]) -> type[RegDetectionValidator]:
    """Return a subclass of one of our validators that keeps matched detections."""
    return type(validator.__name__, (MatchKeeping, validator), {"__module__": validator.__module__})


def file_name(path: object) -> str:
    """Return the last part of a path."""
    return str(path).replace("\\", "/").rpartition("/")[2]

"""What training with masks and joint training add to `RegTraining`: where objects have masks, and how many.

A joint network learns boxes of all classes and masks of some, from one data set that mixes both, or from two.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, Literal

from torch import nn
from ultralytics.utils import DEFAULT_CFG
from ultralytics.utils.torch_utils import unwrap_model

from reg_yolo.data.dataset.joint_sets import JointSets, read_joint_sets
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.yolo.criterion.segmentation import RegSegmentationLoss
from reg_yolo.yolo.datasets.joint import build_joint_dataset
from reg_yolo.yolo.datasets.resolved import ResolvedDataset, check_joint_split, write_joint_yaml
from reg_yolo.yolo.training.mixin import RegTraining
from reg_yolo.yolo.validation.joint import RegJointValidator
from reg_yolo.yolo.validation.validators import RegDetectionValidator, RegSegmentationValidator

JOINT_KEYS = ("data", "mask_classes", "lambda_seg")


class SegmentationTraining(RegTraining):
    """Mix-in for an Ultralytics segmentation trainer: every object has a mask."""

    task_name: ClassVar[str] = "segment"
    validator_class: ClassVar[type[RegDetectionValidator]] = RegSegmentationValidator
    lambda_seg: float = 1.0

    @property
    def mask_counts(self) -> list[int]:
        """Objects of each class in the training split that have a mask."""
        return self.class_counts

    def build_criterion(self, model: nn.Module) -> RegSegmentationLoss:
        """Return the criterion for `model`, with what a resumed run had learned."""
        return RegSegmentationLoss(
            model,
            self.reg,
            self.class_counts,
            self.mask_counts,
            lambda_seg=self.lambda_seg,
            stored=self.stored,
            learned_deviation=self.learned_deviation,
        )


class JointTraining(SegmentationTraining):
    """Mix-in for an Ultralytics segmentation trainer whose objects have a box, and some of them a mask.

    Attributes:
        sets: The one or two data sets under one list of classes; there once the data set has been read.
    """

    task_name: ClassVar[str] = "joint"
    validator_class: ClassVar[type[RegDetectionValidator]] = RegJointValidator
    sets: JointSets

    def __init__(
        self, cfg: Any = DEFAULT_CFG, overrides: dict[str, Any] | None = None, _callbacks: dict | None = None
    ) -> None:
        """Prepare a run; the arguments are upstream's."""
        overrides = dict(overrides or {})
        given = dict(self.settings.get("joint") or {})
        if isinstance(given.get("data"), dict):
            # Upstream's arguments hold one path; ours hold both, and the run directory gets a YAML of the two.
            overrides["data"] = given["data"]["detect"]
        elif given.get("data"):
            overrides["data"] = given["data"]
        self.joint = given
        super().__init__(cfg, overrides, _callbacks)

    def resolve_data(self, *, check: bool) -> ResolvedDataset:
        """Return the sets as one data set with absolute paths; `check` reads every label row and image header."""
        # A resumed run has its own, but where its data lie now can be given.
        joint = {**{key: self.stored[key] for key in JOINT_KEYS if key in self.stored}, **(self.joint or {})}
        data = joint.get("data") or str(self.args.data)
        if self.args.single_cls:
            raise ConfigError(
                "single_cls: makes one class of all, so masks of some classes have no meaning; leave it out"
            )
        self.sets = read_joint_sets(data, joint.get("mask_classes"))
        self.lambda_seg = float(joint.get("lambda_seg", 1.0))
        self.joint = {**self.sets.to_plain(), "lambda_seg": self.lambda_seg}
        if check:
            for split in ("train", "val"):
                check_joint_split(self.sets, split)
        return ResolvedDataset(
            Path(str(self.sets.parts[0].description.yaml_path)),
            write_joint_yaml(self.sets, self.save_dir),
            tuple(part.description for part in self.sets.parts),
        )

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Return the joint data set of a split; upstream's one path is in the run's data YAML."""
        del img_path
        stride = max(int(unwrap_model(self.model).stride.max()), 32)
        kind: Literal["train", "val"] = "train" if mode == "train" else "val"
        split = "train" if mode == "train" else str(self.args.split or "val")
        return build_joint_dataset(
            self.sets, split, args=self.args, mode=kind, batch=batch or 1, stride=stride, rect=kind == "val"
        )

    @property
    def mask_counts(self) -> list[int]:
        """Objects of each class with a mask, among those that `classes` and `fraction` leave of the training split.

        Raises:
            DataError: If none is left.
        """
        outlined = Counter(
            int(class_id)
            for label in self.train_loader.dataset.labels
            for class_id, outline in zip(label["cls"].reshape(-1), label["segments"], strict=True)
            if len(outline)
        )
        if not outlined:
            raise DataError(
                "No object of the training split has a mask once `classes` and `fraction` have been applied; widen "
                "them, or use task detect."
            )
        return [outlined[index] for index in range(self.data["nc"])]

    def get_validator(self) -> Any:
        """Return our validator, which knows the sets."""
        validator = super().get_validator()
        validator.sets = self.sets
        return validator

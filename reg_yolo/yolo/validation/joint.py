"""Validation of the joint task: boxes of all classes, masks of some, and nothing held against what nobody annotated."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from ultralytics.models.yolo.detect import DetectionValidator
from ultralytics.utils.metrics import box_iou, mask_iou

from reg_yolo.data.dataset.joint_sets import JointSets
from reg_yolo.evaluation.per_class import DetectionReport, build_report
from reg_yolo.yolo.datasets.joint import build_joint_dataset
from reg_yolo.yolo.validation.joint_metrics import JointMetrics
from reg_yolo.yolo.validation.validators import RegSegmentationValidator


class RegJointValidator(RegSegmentationValidator):
    """Box metrics for every class, mask metrics for the mask classes.

    A box-only object of a mask class is neither true nor false positive nor false negative among masks: it is not
    counted, and the one prediction that answers for it (box IoU of at least 0.5) is left out. A class that an image's
    set does not annotate is not counted in that image at all.

    Attributes:
        sets: The one or two data sets under one list of classes.
    """

    sets: JointSets

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Prepare a validation; the arguments are upstream's."""
        super().__init__(*arguments, **named)
        self.metrics = JointMetrics()

    def build_dataset(self, img_path: str, mode: str = "val", batch: int | None = None) -> Any:
        """Return the joint data set of the split."""
        del img_path
        split = str(self.args.split or "val")
        kind: Literal["train", "val"] = "train" if mode == "train" else "val"
        return build_joint_dataset(
            self.sets, split, args=self.args, mode=kind, batch=batch or 1, stride=int(self.stride)
        )

    def update_metrics(self, preds: list[dict[str, Tensor]], batch: dict[str, Any]) -> None:
        """Record a batch, without predictions of classes that the image's set does not annotate."""
        kept = []
        for pred, annotated in zip(preds, batch["annotated"], strict=True):
            counts = annotated[pred["cls"].long()]
            kept.append({key: value[counts] for key, value in pred.items()})
        super().update_metrics(kept, batch)

    def _prepare_batch(self, si: int, batch: dict[str, Any]) -> dict[str, Any]:
        prepared = super()._prepare_batch(si, batch)
        prepared["has_mask"] = batch["has_mask"][batch["batch_idx"] == si]
        return prepared

    def _process_batch(self, preds: dict[str, Tensor], batch: dict[str, Any]) -> dict[str, np.ndarray]:
        # Boxes as upstream matches them; its masks would take every box-only object for one without pixels.
        stats = DetectionValidator._process_batch(self, preds, batch)
        has_mask, labels = batch["has_mask"], batch["cls"]
        is_mask_class = torch.tensor(self.sets.is_mask_class, device=labels.device)
        candidates = is_mask_class[preds["cls"].long()].nonzero().squeeze(1)
        classes, scores = preds["cls"][candidates], preds["conf"][candidates]
        correct = np.zeros((len(candidates), self.niou), dtype=bool)
        if len(candidates) and has_mask.any():
            masks = preds["masks"][candidates].flatten(1).float()
            overlap = mask_iou(batch["masks"][has_mask].float().flatten(1), masks)
            correct = self.match_predictions(classes, labels[has_mask], overlap).cpu().numpy()
        box_only = is_mask_class[labels.long()] & ~has_mask
        # Threshold 0 is an IoU of 0.5; who is right about a mask there is not available for another object.
        free = torch.from_numpy(~correct[:, 0]).to(labels.device).nonzero().squeeze(1)
        counted = np.ones(len(candidates), dtype=bool)
        if len(free) and box_only.any():
            overlap = box_iou(batch["bboxes"][box_only], preds["bboxes"][candidates[free]])
            answers = self.match_predictions(classes[free], labels[box_only], overlap).cpu().numpy()[:, 0]
            counted[free.cpu().numpy()[answers]] = False
        targets = labels[has_mask].cpu().numpy()
        return {
            **stats,
            "tp_m": correct[counted],
            "conf_m": scores.cpu().numpy()[counted],
            "pred_cls_m": classes.cpu().numpy()[counted],
            "target_cls_m": targets,
            "target_img_m": np.unique(targets),
        }

    def pred_to_json(self, predn: dict[str, Tensor], pbatch: dict[str, Any]) -> None:
        """Add an image's predictions to predictions.json, with a mask where the class has masks."""
        before = len(self.jdict)
        super().pred_to_json(predn, pbatch)
        for entry, class_id in zip(self.jdict[before:], predn["cls"].int().tolist(), strict=True):
            if not self.sets.is_mask_class[class_id]:
                del entry["segmentation"]

    def save_one_txt(self, predn: dict[str, Tensor], save_conf: bool, shape: tuple[int, int], file: Path) -> None:
        """Write an image's predictions as label rows: polygons, and boxes for what has no mask."""
        is_mask_class = torch.tensor(self.sets.is_mask_class, device=predn["cls"].device)
        outlined = is_mask_class[predn["cls"].long()] & (predn["masks"].flatten(1) > 0).any(1)
        with_mask, without = ({key: value[rows] for key, value in predn.items()} for rows in (outlined, ~outlined))
        super().save_one_txt(with_mask, save_conf, shape, file)
        DetectionValidator.save_one_txt(self, without, save_conf, shape, file)

    def mask_report(self, title: str = "") -> DetectionReport:
        """Return the per-class results of the last validation for the masks of the mask classes."""
        seg, metrics = self.metrics.seg, self.metrics
        shown = [index for index, has_masks in enumerate(self.sets.is_mask_class) if has_masks]
        names = self.class_names()
        return build_report(
            [names[index] for index in shown],
            split=self.args.split,
            images=self.seen,
            image_counts=[int(metrics.mask_nt_per_image[index]) for index in shown],
            instance_counts=[int(metrics.mask_nt_per_class[index]) for index in shown],
            class_index=[shown.index(int(index)) for index in seg.ap_class_index],
            precision=seg.p,
            recall=seg.r,
            f1=seg.f1,
            ap50=seg.ap50,
            ap=seg.ap,
            kind="mask",
            title=title,
        )

"""Ultralytics' augmentations for images on which some objects have a mask and others only a box.

Upstream knows two kinds of image: all objects with an outline, or none. With outlines, it makes every box anew from
the outline, keeps smaller remainders, and paints every object into the masks. Here a box-only object takes the way of
upstream's detection pipeline and an object with an outline the way of its segmentation pipeline, in one image:

- between loading and formatting, the class of a box-only object is stored as `-1 - class`, in `cls`, which every
  upstream transform keeps in step with the boxes; its row of `segments` is a placeholder that nothing reads;
- mosaic, mixup, flips and letterboxing move boxes and outlines side by side, and stay upstream's;
- the transforms that make one from the other (`REPLACEMENTS`) are subclasses that hand upstream the two kinds apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ultralytics.data.augment import (
    Albumentations,
    BaseTransform,
    Compose,
    CopyPaste,
    CutMix,
    Format,
    RandomPerspective,
)
from ultralytics.utils.instance import Instances
from ultralytics.utils.metrics import bbox_ioa

# Upstream's thresholds, asserted in tests/yolo/upstream.
COPY_PASTE_OVERLAP = 0.30
CUTMIX_BOX_REMAINDER = 0.1


def mark_box_only(cls: np.ndarray, box_only: np.ndarray) -> np.ndarray:
    """Return class ids `[N, 1]` in which those of box-only objects (`[N]`, bool) are stored as `-1 - class`."""
    return np.where(box_only[:, None], -1 - cls, cls).astype(cls.dtype, copy=False)


def is_box_only(cls: np.ndarray) -> np.ndarray:
    """Return bool `[N]`, which of the marked class ids `[N, 1]` belong to box-only objects."""
    return cls.reshape(-1) < 0


def unmark(cls: np.ndarray) -> np.ndarray:
    """Return the class ids `[N, 1]` without the mark."""
    return np.where(cls < 0, -1 - cls, cls).astype(cls.dtype, copy=False)


def with_placeholders(instances: Instances, points: int) -> Instances:
    """Return instances whose outlines are placeholders of so many points, one for each box."""
    outlines = np.zeros((len(instances), points, 2), dtype=np.float32)
    return Instances(instances.bboxes, outlines, bbox_format=instances._bboxes.format, normalized=instances.normalized)


def split_kinds(cls: np.ndarray, instances: Instances) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return `{cls, instances}` of the objects with an outline, and of the box-only ones without any outlines."""
    box_only = is_box_only(cls)
    boxes = Instances(instances.bboxes[box_only], bbox_format=instances._bboxes.format, normalized=instances.normalized)
    return {"cls": cls[~box_only], "instances": instances[~box_only]}, {"cls": cls[box_only], "instances": boxes}


def join_kinds(outlined: dict[str, Any], boxes: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Return `{cls, instances}` of both, those with an outline first, in their coordinates and box format.

    Args:
        outlined: Objects with an outline.
        boxes: Box-only objects, in any coordinates and format; changed in place.
        size: Width and height of the image in pixels.
    """
    first, second = outlined["instances"], boxes["instances"]
    second.convert_bbox(first._bboxes.format)
    (second.normalize if first.normalized else second.denormalize)(*size)
    return {
        "cls": np.concatenate((outlined["cls"], boxes["cls"]), axis=0),
        "instances": Instances.concatenate([first, with_placeholders(second, first.segments.shape[1])], axis=0),
    }


class JointPerspective(RandomPerspective):
    """Rotation, scale, shear, translation and perspective; boxes of box-only objects are transformed as boxes."""

    def apply_instances(self, labels: dict[str, Any], params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Transform the objects, the two kinds apart."""
        if not is_box_only(labels["cls"]).any():
            return super().apply_instances(labels, params)
        outlined, boxes = split_kinds(labels["cls"], labels.pop("instances"))
        outlined, boxes = super().apply_instances(outlined, params), super().apply_instances(boxes, params)
        height, width = labels["img"].shape[:2]
        return {**labels, **join_kinds(outlined, boxes, (width, height))}


class JointCutMix(CutMix):
    """A rectangle of another image; box-only objects in it need the share that upstream asks of boxes."""

    def get_params(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Choose the rectangle as upstream does, and drop box-only objects of which too little lies in it."""
        params = super().get_params(labels)
        other = labels["mix_labels"][0]
        if params.get("skip") or not (is_box_only(labels["cls"]).any() or is_box_only(other["cls"]).any()):
            return params
        share = bbox_ioa(params["area"][None], other["instances"].bboxes)[0]
        # Upstream keeps slighter remainders where the first image has outlines at all.
        needs_more = is_box_only(other["cls"]) | is_box_only(labels["cls"]).all()
        kept = params["indexes2"]
        kept = kept[~needs_more[kept] | (share[kept] >= CUTMIX_BOX_REMAINDER)]
        return {**params, "indexes2": kept} if len(kept) else {**params, "skip": True}


class JointCopyPaste(CopyPaste):
    """Objects cut out along their outline; a box-only object is never pasted, and never pasted over."""

    obstacles: Instances | None = None

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Paste among the objects with an outline; the box-only ones stay where they are."""
        if not is_box_only(labels["cls"]).any():
            return super().__call__(labels)
        outlined, boxes = split_kinds(labels["cls"], labels["instances"])
        height, width = labels["img"].shape[:2]
        self.obstacles = boxes["instances"]
        self.obstacles.convert_bbox("xyxy")
        self.obstacles.denormalize(width, height)
        try:
            pasted = super().__call__({**labels, **outlined})
        finally:
            self.obstacles = None
        return {**pasted, **join_kinds(pasted, boxes, (width, height))}

    def get_params(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Choose what to paste as upstream does, less what would cover a box-only object."""
        params = super().get_params(labels)
        selected = params["selected"]
        if self.obstacles is not None and len(selected):
            covered = bbox_ioa(params["instances2"].bboxes[selected], self.obstacles.bboxes)
            params["selected"] = selected[(covered < COPY_PASTE_OVERLAP).all(1)]
        return params


class DropBoxOnly(BaseTransform):
    """Leaves the objects with an outline: all that can be cut out of an image."""

    def apply_instances(self, labels: dict[str, Any], params: dict[str, Any] | None = None) -> dict[str, Any]:  # noqa: ARG002
        """Drop the box-only objects."""
        return {**labels, **split_kinds(labels["cls"], labels["instances"])[0]}


class JointAlbumentations(Albumentations):
    """Albumentations; boxes of box-only objects go through the same transform as boxes."""

    transform: Any

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Transform image and objects."""
        cls = labels["cls"]
        if self.transform is None or not self.contains_spatial or not is_box_only(cls).any():
            return super().__call__(labels)
        image = labels["img"]
        height, width = image.shape[:2]
        outlined, boxes = split_kinds(cls, labels["instances"])
        if not len(outlined["cls"]):
            points = labels["instances"].segments.shape[1]
            labels = super().__call__({**labels, **boxes})
            return {**labels, "instances": with_placeholders(labels["instances"], points)}
        boxes["instances"].convert_bbox("xywh")
        boxes["instances"].normalize(width, height)
        own, self.transform = self.transform, _WithPassengers(self.transform, boxes["instances"].bboxes)
        try:
            labels = super().__call__({**labels, **outlined})
            moved, kept = self.transform.moved, self.transform.kept
        finally:
            self.transform = own
        if labels["img"] is not image and kept is not None:
            # Otherwise upstream has kept the image as it was, because all objects with an outline were lost.
            boxes = {"cls": boxes["cls"][kept], "instances": Instances(moved, bbox_format="xywh", normalized=True)}
        height, width = labels["img"].shape[:2]
        return {**labels, **join_kinds(labels, boxes, (width, height))}


class _WithPassengers:
    """An Albumentations transform that takes further boxes along, which its caller does not see.

    Attributes:
        moved: Boxes `[M, 4]` (xywh, fractions) of the passengers that are left.
        kept: Their indices `[M]` among the passengers; None until the transform was called.
    """

    def __init__(self, transform: Any, boxes: np.ndarray) -> None:
        self.inner = transform
        self.boxes = boxes
        self.moved = boxes
        self.kept: np.ndarray | None = None

    @property
    def seed(self) -> Any:
        return self.inner.seed

    def set_random_seed(self, seed: int) -> None:
        self.inner.set_random_seed(seed)

    def __call__(self, *, bboxes: np.ndarray, class_labels: np.ndarray, idx: np.ndarray, **data: Any) -> dict[str, Any]:
        own, total = len(idx), len(idx) + len(self.boxes)
        labels = np.concatenate((class_labels, np.zeros((len(self.boxes), 1), class_labels.dtype)))
        new = self.inner(bboxes=np.concatenate((bboxes, self.boxes)), class_labels=labels, idx=np.arange(total), **data)
        left = np.array(new["idx"], dtype=int)
        boxes = np.array(new["bboxes"], dtype=np.float32).reshape(-1, 4)
        passengers = left >= own
        self.kept, self.moved = left[passengers] - own, boxes[passengers]
        return {
            **new,
            "bboxes": boxes[~passengers],
            "class_labels": left[~passengers],
            "idx": left[~passengers],
        }


class JointFormat(Format):
    """Tensors of one image, with `has_mask`; box-only objects come last and are in no mask."""

    def __init__(self, **options: Any) -> None:
        """Prepare as upstream does; the options are upstream's."""
        super().__init__(**options)
        self.box_format = Format(**{**options, "return_mask": False})

    def apply_instances(self, labels: dict[str, Any], params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write `cls`, `bboxes`, `batch_idx`, `masks` and bool `has_mask` `[N]`."""
        assert params is not None
        if not params["nl"] or not is_box_only(params["cls"]).any():
            labels = super().apply_instances(labels, params)
            labels["has_mask"] = torch.ones(params["nl"], dtype=torch.bool)
            return labels
        outlined, boxes = split_kinds(params["cls"], params["instances"])
        count, added = len(outlined["cls"]), len(boxes["cls"])
        labels = super().apply_instances(labels, {**params, **outlined, "nl": count})
        boxes["cls"] = unmark(boxes["cls"])
        rows = self.box_format.apply_instances({}, {**params, **boxes, "nl": added})
        for key in ("cls", "bboxes", "batch_idx"):
            labels[key] = torch.cat((labels[key], rows[key])) if count else rows[key]
        labels["has_mask"] = torch.arange(count + added) < count
        masks = labels["masks"] if count else labels["masks"].byte()
        if not self.mask_overlap:
            masks = torch.cat((masks, masks.new_zeros((added, *masks.shape[1:]))))
        labels["masks"] = masks
        return labels


REPLACEMENTS: dict[type, type] = {
    RandomPerspective: JointPerspective,
    CutMix: JointCutMix,
    CopyPaste: JointCopyPaste,
    Albumentations: JointAlbumentations,
}
"""Upstream's transforms that make boxes of outlines or the other way round, and ours in their place."""


def replace_transforms(pipeline: Compose) -> Compose:
    """Put our transforms into a pipeline that upstream has built, wherever one is used more than once, the same one."""
    _replace(pipeline, {})
    return pipeline


def _replace(step: Any, done: dict[int, Any]) -> Any:
    if id(step) in done:
        return done[id(step)]
    replacement = REPLACEMENTS.get(type(step))
    new = step
    if replacement is not None:
        new = object.__new__(replacement)
        new.__dict__.update(step.__dict__)
    done[id(step)] = new
    if isinstance(new, Compose):
        new.transforms = [_replace(inner, done) for inner in new.transforms]
    if getattr(new, "pre_transform", None) is not None:
        new.pre_transform = _replace(new.pre_transform, done)
    if isinstance(new, JointCopyPaste) and new.pre_transform is not None:
        new.pre_transform = Compose([new.pre_transform, DropBoxOnly()])
    return new

"""Data sets of the joint task: Ultralytics' own, with labels that mix boxes and masks, from one set or from two.

Batches have upstream's keys for segmentation, and two more: `has_mask`, bool `[N]`, aligned with `cls`, `bboxes` and
`batch_idx`; and `annotated`, bool `[B, C]`, which classes the set of each image annotates.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from ultralytics.data.augment import Compose
from ultralytics.data.base import BaseDataset
from ultralytics.data.dataset import YOLOConcatDataset, YOLODataset
from ultralytics.data.utils import get_split_fraction
from ultralytics.utils import colorstr

from reg_yolo.data.dataset.dataset_yaml import label_path_for
from reg_yolo.data.dataset.joint_sets import JointPart, JointSets
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.yolo.datasets.joint_labels import read_joint_labels
from reg_yolo.yolo.datasets.joint_transforms import JointFormat, mark_box_only, replace_transforms


def build_joint_dataset(
    sets: JointSets,
    split: str,
    *,
    args: Any,
    mode: Literal["train", "val"],
    batch: int,
    stride: int,
    rect: bool = False,
) -> JointDataset | JoinedDataset:
    """Build the data set of a split, as upstream's `build_yolo_dataset` does for its tasks.

    Args:
        sets: The one or two sets.
        split: Name of a split; a set that lacks it contributes nothing.
        args: Arguments of a trainer or validator.
        mode: `train` augments.
        batch: Images in a batch.
        stride: Largest stride of the model, for rectangular batches.
        rect: Rectangular batches, also where `args.rect` does not ask for them; upstream's trainer validates so.

    Raises:
        ConfigError: If `single_cls` would merge a class with one that a set does not annotate.
        DataError: If the split is missing, label rows are bad, an image cannot be read, or no object is labelled to
            train on.
    """
    parts = sets.parts_of(split)
    rect = bool(args.rect or rect)
    built = [
        # Joined sets are sorted into rectangular batches together.
        JointDataset(sets, part, split, args=args, mode=mode, batch=batch, stride=stride, rect=rect and len(parts) == 1)
        for part in parts
    ]
    if mode == "train" and not any(len(label["cls"]) for dataset in built for label in dataset.labels):
        files = " and ".join(str(part.description.yaml_path) for part in parts)
        raise DataError(f"{files}: the '{split}' split has no labelled object, so there is nothing to learn")
    return built[0] if len(built) == 1 else JoinedDataset(built, args, rect=rect)


class JointDataset(YOLODataset):
    """Images of one set, some objects of which have masks.

    Attributes:
        part: The set.
        annotated: By joint class, bool `[C]`, whether the set annotates it.
        labels: Upstream's label dictionaries with joint class ids; an empty outline in `segments` marks an object
            without a mask.
    """

    format_class = JointFormat

    def __init__(
        self,
        sets: JointSets,
        part: JointPart,
        split: str,
        *,
        args: Any,
        mode: Literal["train", "val"],
        batch: int,
        stride: int,
        rect: bool,
    ) -> None:
        """Read the labels and prepare the augmentations; the arguments are those of `build_joint_dataset`."""
        self.sets = sets
        self.part = part
        self.split = split
        self.annotated = torch.tensor(part.annotated)
        if args.single_cls:
            self.annotated = _single_class(sets, part)
        names = dict(enumerate(sets.class_names))
        super().__init__(
            img_path=[str(source) for source in part.description.splits[split]],
            data={**sets.extra, "names": names, "nc": len(names)},
            task="segment",
            imgsz=args.imgsz,
            batch_size=batch,
            augment=mode == "train",
            hyp=args,
            rect=rect,
            cache=args.cache or None,
            single_cls=args.single_cls or False,
            stride=stride,
            pad=0.0 if mode == "train" else 0.5,
            prefix=colorstr(f"{mode}: "),
            classes=args.classes,
            fraction=get_split_fraction(args.fraction, "train" if mode == "train" else split),
        )

    def get_img_files(self, img_path: str | list[str]) -> list[str]:  # noqa: ARG002  (the set knows its images)
        """Return the images of the split, found by our reading of the YAML and cut to `fraction` by upstream."""
        with TemporaryDirectory() as folder:
            listed = Path(folder) / "images.txt"
            listed.write_text("\n".join(map(str, self.part.description.images(self.split))), encoding="utf-8")
            return list(super().get_img_files(str(listed)))

    def get_labels(self) -> list[dict[str, Any]]:
        """Return the labels of all images; upstream's label cache is left alone."""
        self.label_files = [str(label_path_for(image)) for image in self.im_files]
        return read_joint_labels(self.im_files, self.part, self.sets.is_mask_class, self.split)

    def update_labels_info(self, label: dict[str, Any]) -> dict[str, Any]:
        """Return the label as upstream's transforms take it, with box-only objects marked and given placeholders."""
        outlines = label.pop("segments")
        box_only = np.array([len(outline) == 0 for outline in outlines], dtype=bool)
        label = super().update_labels_info({**label, "segments": [outline for outline in outlines if len(outline)]})
        if box_only.any():
            instances = label["instances"]
            segments = np.zeros((len(outlines), instances.segments.shape[1], 2), dtype=np.float32)
            segments[~box_only] = instances.segments
            instances.segments = segments
            label["cls"] = mark_box_only(label["cls"], box_only)
        return label

    def build_transforms(self, hyp: Any) -> Compose:
        """Build upstream's pipeline, with our transforms where boxes and outlines depend on each other."""
        return replace_transforms(super().build_transforms(hyp))

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return one image with its tensors."""
        return {**super().__getitem__(index), "annotated": self.annotated}

    @staticmethod
    def collate_fn(batch: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the batch of some images."""
        collated: dict[str, Any] = YOLODataset.collate_fn(batch)
        collated["has_mask"] = torch.cat(collated["has_mask"])
        collated["annotated"] = torch.stack(collated["annotated"])
        return collated


class JoinedDataset(YOLOConcatDataset):
    """A detection set and a segmentation set as one; mosaic, mixup and copy-paste stay within each.

    Attributes:
        datasets: The sets.
        rect: Whether batches are rectangular; then images of both are in one order by aspect ratio.
        labels: Labels of all images, in the order of the images.
        im_files: Paths of all images, in the same order.
    """

    def __init__(self, datasets: list[JointDataset], args: Any, *, rect: bool = False) -> None:
        """Join data sets that were built with the same arguments, and without rectangular batches of their own."""
        super().__init__(datasets)
        first = datasets[0]
        self.batch_size, self.imgsz, self.stride, self.pad = first.batch_size, first.imgsz, first.stride, first.pad
        self.augment, self.single_cls, self.cache, self.data = first.augment, first.single_cls, first.cache, first.data
        self.labels: list[dict[str, Any]] = [label for dataset in datasets for label in dataset.labels]
        self.im_files: list[str] = [file for dataset in datasets for file in dataset.im_files]
        self.ni = len(self.labels)
        self.rect = rect
        self.places = list(range(self.ni))
        if rect:
            self._sort_by_aspect_ratio(args)

    def _sort_by_aspect_ratio(self, args: Any) -> None:
        place_of = {id(label): place for place, label in enumerate(self.labels)}
        # Upstream's own sorting and batch shapes, over the images of both sets.
        BaseDataset.set_rectangle(self)
        self.places = [place_of[id(label)] for label in self.labels]
        batch_of = np.empty(self.ni, dtype=int)
        batch_of[self.places] = self.batch
        for dataset, end in zip(self.datasets, self.cumulative_sizes, strict=True):
            dataset.rect = True
            dataset.batch_shapes = self.batch_shapes
            dataset.batch = batch_of[end - len(dataset) : end]
            dataset.transforms = dataset.build_transforms(hyp=copy(args))

    @property
    def transforms(self) -> Compose:
        """The augmentations; both sets have the same ones, each within itself."""
        return self.datasets[0].transforms

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return one image with its tensors."""
        item: dict[str, Any] = super().__getitem__(self.places[index])
        return item

    def update_labels(self, include_class: list[int] | None) -> None:
        """Keep the objects of some classes only; upstream does so where a model has fewer classes than the data."""
        for dataset in self.datasets:
            dataset.update_labels(include_class)

    @staticmethod
    def collate_fn(batch: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the batch of some images."""
        return JointDataset.collate_fn(batch)


def _single_class(sets: JointSets, part: JointPart) -> torch.Tensor:
    """Return what a set annotates once all classes are one: everything, or its images would teach what is not true."""
    missing = [name for name, known in zip(sets.class_names, part.annotated, strict=True) if not known]
    if missing:
        raise ConfigError(
            f"single_cls makes one class of all, but {part.description.yaml_path} does not annotate "
            f"{', '.join(missing)}, which would be background on its images; leave single_cls out"
        )
    return torch.tensor([True])

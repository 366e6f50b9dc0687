"""Copy-paste of rare objects: from other training images, at the place and in the size they had there.

Simple copy-paste (Ghiasi et al. 2021, arXiv 2012.07177) puts objects anywhere. On a road, size goes with the row of an
object's foot and the kind of object with the side of the road, and a network learns both; so an object keeps the row
of its foot and, up to a small shift and change of size, its place in the image.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from ultralytics.data.augment import Compose, Mosaic
from ultralytics.utils.instance import Instances
from ultralytics.utils.metrics import bbox_ioa
from ultralytics.utils.ops import resample_segments, xywh2xyxy

from reg_yolo.config.sampling import CopyPasteSettings
from reg_yolo.data.sampling.factors import rare_classes
from reg_yolo.errors import ConfigError, RegYoloError
from reg_yolo.yolo.datasets.joint import JointDataset
from reg_yolo.yolo.datasets.joint_transforms import mark_box_only

# Objects of images of another shape than the one to paste into would stand on another row of the road.
_SHAPE_TOLERANCE = 0.05
# Smaller ones are a smear at the network's size, pixels.
_LEAST_SIDE_PX = 6
# A box that reaches this close to the border, as a share of the image, is cut off there.
_BORDER = 0.005
# Share of a box that another object may cover; a crop takes it along without its label.
_FOREIGN = 0.1
# Width of the soft border of a box crop, as a share of its shorter side.
_SOFT_BORDER = 0.1
_TRIES = 8


@dataclass(frozen=True)
class Donor:
    """An object that can be pasted.

    Attributes:
        image: Index of its image in the data set.
        label: Class index.
        box: (x1, y1, x2, y2) as fractions of the image.
        outline: Its polygon as fractions of the image, `[P, 2]`; None for an object without.
        shape: Height over width of its image.
    """

    image: int
    label: int
    box: tuple[float, float, float, float]
    outline: NDArray[np.float32] | None
    shape: float


class RarePaste:
    """A transform of one image before it is mixed with others: objects of rare classes are pasted into it."""

    def __init__(self, dataset: Any, settings: CopyPasteSettings, classes: Sequence[int]) -> None:
        """Collect what can be pasted.

        Args:
            dataset: A training data set, whose `load_image` gives images at the network's size.
            settings: The `sampling.copy_paste:` block.
            classes: The classes that are pasted.
        """
        self.settings = settings
        self.dataset = dataset
        self.marks_box_only = isinstance(dataset, JointDataset)
        self.has_outlines = self.marks_box_only or any(len(label["segments"]) for label in dataset.labels)
        found = find_donors(dataset.labels, classes, dataset.imgsz)
        self.donors = {label: donors for label, donors in found.items() if donors}

    def __call__(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Return the labels with pasted objects in `img`, `cls` and `instances`, or as they were."""
        if not self.donors or random.random() >= self.settings.probability:
            return labels
        # The image may be the one that the data set holds in memory.
        image = labels["img"].copy()
        height, width = image.shape[:2]
        instances = labels["instances"]
        instances.convert_bbox("xyxy")
        instances.denormalize(width, height)
        cls = labels["cls"]
        for _ in range(random.randint(1, self.settings.max_objects)):
            placed = self._place(width, height, instances.bboxes)
            if placed is None:
                continue
            donor, box = placed
            outline = self._paint(image, donor, box)
            points = instances.segments.shape[1]
            segments = np.zeros((int(self.has_outlines), points, 2), dtype=np.float32)
            if outline is not None:
                segments[0] = resample_segments([outline], n=points)[0]
            new = Instances(box[None], segments, bbox_format="xyxy", normalized=False)
            instances = Instances.concatenate([instances, new], axis=0)
            label = np.array([[donor.label]], dtype=cls.dtype)
            if self.marks_box_only:
                label = mark_box_only(label, np.array([outline is None]))
            cls = np.concatenate((cls, label))
        return {**labels, "img": image, "cls": cls, "instances": instances}

    def _place(
        self, width: int, height: int, obstacles: NDArray[np.float32]
    ) -> tuple[Donor, NDArray[np.float32]] | None:
        """Return an object and its box in pixels where it covers little of any other, None if no try finds one."""
        for _ in range(_TRIES):
            donor = random.choice(self.donors[random.choice(list(self.donors))])
            if abs(math.log(donor.shape * width / height)) > _SHAPE_TOLERANCE:
                continue
            size = 1 + random.uniform(-self.settings.scale, self.settings.scale)
            shift = random.uniform(-self.settings.shift, self.settings.shift)
            x1, y1, x2, y2 = donor.box
            middle, half, tall = (x1 + x2) / 2 + shift, (x2 - x1) / 2 * size, (y2 - y1) * size
            box = np.array([middle - half, y2 - tall, middle + half, y2], dtype=np.float32)
            if box.min() < 0 or box.max() > 1:
                continue
            box *= np.array([width, height, width, height], dtype=np.float32)
            # What it may cover is another object's share; what a nearer one, whose foot is lower, may hide is its own.
            nearer = obstacles[obstacles[:, 3] > box[3]]
            covered = max(bbox_ioa(box[None], obstacles).max(initial=0), bbox_ioa(nearer, box[None]).max(initial=0))
            if covered <= self.settings.max_cover:
                return donor, box
        return None

    def _paint(self, image: NDArray[np.uint8], donor: Donor, box: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Paint an object into `image`; return its outline there in pixels, `[P, 2]`, if it has one."""
        height, width = image.shape[:2]
        source = self.dataset.load_image(donor.image)[0]
        size = np.array(source.shape[1::-1], dtype=np.float32)
        corner, far = np.array(donor.box[:2]) * size, np.array(donor.box[2:]) * size
        ratio = (box[2:] - box[:2]) / (far - corner)
        # Where a point of the source comes to lie is (point - corner) * ratio + box[:2].
        outline = None
        if donor.outline is not None:
            outline = ((donor.outline * size - corner) * ratio + box[:2]).astype(np.float32)
        border = 0.0 if outline is not None else max(2.0, _SOFT_BORDER * float((box[2:] - box[:2]).min()))
        left, top = np.maximum(np.floor(box[:2] - border), 0).astype(int)
        right, bottom = np.minimum(np.ceil(box[2:] + border), (width, height)).astype(int)
        # OpenCV's pixels have their centre at whole numbers, ours half a pixel further.
        moved = (box[:2] - corner * ratio) - (left, top) + 0.5 * ratio - 0.5
        matrix = np.array([[ratio[0], 0, moved[0]], [0, ratio[1], moved[1]]], dtype=np.float64)
        patch = cv2.warpAffine(source, matrix, (right - left, bottom - top), borderMode=cv2.BORDER_REPLICATE)
        patch = patch.reshape(bottom - top, right - left, -1)
        if outline is not None:
            alpha = np.zeros(patch.shape[:2], dtype=np.uint8)
            # In sixteenths of a pixel.
            points = np.round((outline - (left, top) - 0.5) * 16).astype(np.int32)
            cv2.fillPoly(alpha, [points], 255, lineType=cv2.LINE_AA, shift=4)
            opacity = alpha[..., None] / 255
        else:
            opacity = _soft_box(box - np.array([left, top, left, top]), patch.shape[:2], border)[..., None]
        under = image[top:bottom, left:right]
        under[:] = np.rint(opacity * patch + (1 - opacity) * under).astype(np.uint8)
        return outline


def find_donors(labels: Sequence[Mapping[str, Any]], classes: Sequence[int], imgsz: int) -> dict[int, list[Donor]]:
    """Return by class the objects that can be pasted: whole, large enough, and for a box with little else in it.

    Args:
        labels: Upstream's label dictionaries of all images, with `shape` (height, width).
        classes: The classes that are wanted.
        imgsz: Pixels that the longer side of an image is scaled to.
    """
    donors: dict[int, list[Donor]] = {label: [] for label in classes}
    for image, entry in enumerate(labels):
        ids = entry["cls"].reshape(-1).astype(int)
        if not np.isin(ids, list(classes)).any():
            continue
        height, width = entry["shape"]
        boxes = xywh2xyxy(np.asarray(entry["bboxes"], dtype=np.float32))
        sides = (boxes[:, 2:] - boxes[:, :2]) * np.array([width, height]) * (imgsz / max(height, width))
        whole = (
            (boxes.min(axis=1) > _BORDER) & (boxes.max(axis=1) < 1 - _BORDER) & (sides.min(axis=1) >= _LEAST_SIDE_PX)
        )
        # By row, the share of each box that every other one covers.
        covered = bbox_ioa(boxes, boxes)
        np.fill_diagonal(covered, 0.0)
        for index in np.flatnonzero(whole & np.isin(ids, list(classes))):
            outline = entry["segments"][index] if len(entry["segments"]) else ()
            if len(outline) or covered[:, index].sum() <= _FOREIGN:
                x1, y1, x2, y2 = map(float, boxes[index])
                polygon = np.asarray(outline, dtype=np.float32) if len(outline) else None
                donors[int(ids[index])].append(Donor(image, int(ids[index]), (x1, y1, x2, y2), polygon, height / width))
    return donors


def paste_rare_objects(
    dataset: Any, settings: CopyPasteSettings, names: Mapping[int, str], objects: Sequence[int]
) -> dict[str, int]:
    """Put the pasting into the training pipeline, before mosaic, for the image itself and its partners.

    Upstream rebuilds the pipeline when it closes mosaic, so the last `close_mosaic` epochs paste nothing, as with its
    own copy-paste.

    Args:
        dataset: One of upstream's or ours that augments; of joined sets each pastes within itself.
        settings: The `sampling.copy_paste:` block.
        names: Class names by index.
        objects: Objects of each class in the training split.

    Returns:
        How many objects of each pasted class can be pasted.

    Raises:
        ConfigError: If a class is unknown, no class is rare, or no object of them can be pasted.
    """
    classes = _chosen_classes(settings, names, objects)
    usable = dict.fromkeys(classes, 0)
    for part in getattr(dataset, "datasets", [dataset]):
        paste = RarePaste(part, settings, classes)
        for label, donors in paste.donors.items():
            usable[label] += len(donors)
        if not _insert_before_mosaic(part.transforms, paste):
            raise RegYoloError(
                "sampling: no mosaic in the training pipeline; this Ultralytics version builds it differently"
            )
    if not any(usable.values()):
        wanted = ", ".join(names[label] for label in classes)
        raise ConfigError(
            f"sampling.copy_paste: no object of {wanted} can be pasted: all are cut off by the image border, smaller "
            f"than {_LEAST_SIDE_PX} pixels, or share their box with others; leave copy_paste out"
        )
    return {names[label]: count for label, count in usable.items()}


def _chosen_classes(settings: CopyPasteSettings, names: Mapping[int, str], objects: Sequence[int]) -> list[int]:
    if settings.classes == "rare":
        found = rare_classes(objects)
        if not found:
            raise ConfigError(
                "sampling.copy_paste.classes: no class has fewer objects than a third of the median class, so none is "
                "rare here; name classes, or leave copy_paste out"
            )
        return found
    index = {name: label for label, name in names.items()}
    unknown = [name for name in settings.classes if name not in index]
    if unknown:
        raise ConfigError(
            f"sampling.copy_paste.classes: the data set has no class {unknown[0]}; expected of {', '.join(index)}"
        )
    return [index[name] for name in settings.classes]


def _insert_before_mosaic(pipeline: Compose, paste: RarePaste) -> int:
    """Insert the pasting before every mosaic, and let every mosaic's partners pass it; return how many there were."""
    mosaics: dict[int, Mosaic] = {}
    composed: dict[int, Compose] = {}
    pending: list[Any] = [pipeline]
    while pending:
        step = pending.pop()
        if isinstance(step, Compose) and id(step) not in composed:
            composed[id(step)] = step
            pending += step.transforms
        elif isinstance(step, Mosaic):
            mosaics[id(step)] = step
        if getattr(step, "pre_transform", None) is not None:
            pending.append(step.pre_transform)
    for compose in composed.values():
        for place in [i for i, step in enumerate(compose.transforms) if isinstance(step, Mosaic)][:1]:
            compose.insert(place, paste)
    for mosaic in mosaics.values():
        mosaic.pre_transform = paste
    return len(mosaics)


def _soft_box(box: NDArray[np.float32], shape: tuple[int, int], border: float) -> NDArray[np.float64]:
    """Return the opacity of a box crop: 1 in the box, falling to 0 over `border` pixels outside it."""
    across, down = np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5
    beside = np.maximum(np.maximum(box[0] - across, across - box[2]), 0)
    above = np.maximum(np.maximum(box[1] - down, down - box[3]), 0)
    distance = np.hypot(beside[None], above[:, None])
    opacity: NDArray[np.float64] = np.clip(1 - distance / border, 0.0, 1.0)
    return opacity

"""What a data set holds: objects by class and split, their sizes and places, and what follows for the class weights."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.dataset.dataset_yaml import find_dataset_yaml, label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.data.images.pixels import read_upright_size
from reg_yolo.data.stats.sampling import SamplingEffect, sampling_effects
from reg_yolo.errors import ConfigError, DataError

STATS_SCHEMA = "reg-yolo/data-stats/1"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
SIZE_NAMES = ("small", "medium", "large")
AREA_LIMITS_PX = (32.0**2, 96.0**2)
"""COCO's limits: small below the first, large from the second on."""

_GRID_COLUMNS, _GRID_ROWS = 64, 36


@dataclass
class SplitStats:
    """Counts of one split; lists are by class.

    Attributes:
        images: Number of images.
        images_without_objects: Images without a label file, with an empty one, or with bad rows only.
        boxes: Box rows.
        polygons: Polygon rows.
        images_with: Images that hold the class.
        objects_per_image: Number of objects of every image.
        bad_rows: Rows left out because they cannot be read; `data check` names them.
        repeated_rows: Rows left out because they say what an earlier one says.
        unreadable_images: Images of unknown size, whose objects are missing among the sizes.
    """

    images: int
    boxes: list[int]
    polygons: list[int]
    images_with: list[int]
    images_without_objects: int = 0
    objects_per_image: list[int] = field(default_factory=list)
    bad_rows: int = 0
    repeated_rows: int = 0
    unreadable_images: int = 0

    @property
    def objects(self) -> list[int]:
        """Boxes and polygons together."""
        return [boxes + polygons for boxes, polygons in zip(self.boxes, self.polygons, strict=True)]


@dataclass(frozen=True)
class DatasetStats:
    """What a data set holds.

    Attributes:
        data_yaml: The data set.
        class_names: Class names in the order of their indices.
        imgsz: Pixels that the longer side of an image is scaled to.
        splits: Counts by split.
        imbalance_ratio: r = N_max / N_min over the classes present in the training split (REG A.10.4); None without.
        alphas: By scheme, the class weights that training would compute from the training split.
        co_occurrence: Number of images with both classes, shape (C, C); the diagonal is the images with the class.
        classes: Class of every object whose size is known, shape (N,).
        boxes: Their boxes (x_center, y_center, width, height) as fractions of the image, shape (N, 4), float32.
        image_sizes: Width and height of the image of each, in pixels, shape (N, 2), float32.
        typical_size: Median width and height of the images in pixels; None where no image can be read.
        unread: Splits that the YAML names but that cannot be read, and why.
        sampling: By method, what sampling for rare classes would make of the training split.
        remarks: What was guessed or left out (`DatasetDescription.remarks`).
    """

    data_yaml: Path
    class_names: list[str]
    imgsz: int
    splits: dict[str, SplitStats]
    imbalance_ratio: float | None
    alphas: dict[str, list[float]]
    co_occurrence: NDArray[np.int64]
    classes: NDArray[np.int64]
    boxes: NDArray[np.float32]
    image_sizes: NDArray[np.float32]
    typical_size: tuple[int, int] | None
    unread: dict[str, str]
    sampling: dict[str, SamplingEffect]
    remarks: list[str] = field(default_factory=list)

    @property
    def objects(self) -> list[int]:
        """By class, the objects of all splits."""
        return [sum(counts) for counts in zip(*(split.objects for split in self.splits.values()), strict=True)]

    def sides_px(self, scaled: bool) -> NDArray[np.float64]:
        """Return width and height of every box in pixels, shape (N, 2): original, or `scaled` to `imgsz`."""
        sides = self.boxes[:, 2:].astype(np.float64) * self.image_sizes
        return sides * (self.imgsz / self.image_sizes.max(axis=1, keepdims=True)) if scaled else sides

    def area_counts(self, scaled: bool) -> list[list[int]]:
        """Return by class the numbers of small, medium and large boxes by COCO's areas (of boxes, also of polygons)."""
        areas = self.sides_px(scaled).prod(axis=1)
        kinds = np.digitize(areas, AREA_LIMITS_PX)
        return [
            np.bincount(kinds[self.classes == index], minlength=len(SIZE_NAMES)).tolist()
            for index in range(len(self.class_names))
        ]

    def size_quantiles_px(self, what: str) -> list[list[float] | None]:
        """Return by class the `QUANTILES` at imgsz of width, height or size (root of the area), None without any."""
        sides = self.sides_px(scaled=True)
        values = {"width": sides[:, 0], "height": sides[:, 1], "size": np.sqrt(sides.prod(axis=1))}[what]
        found: list[list[float] | None] = []
        for index in range(len(self.class_names)):
            own = values[self.classes == index]
            found.append(np.quantile(own, QUANTILES).tolist() if len(own) else None)
        return found

    def coverage(self) -> NDArray[np.int64]:
        """Return how many boxes cover each cell of the image plane, shape (36, 64), from the top left."""
        cells = np.array([_GRID_COLUMNS, _GRID_ROWS] * 2)
        corners = np.concatenate(
            [self.boxes[:, :2] - self.boxes[:, 2:] / 2, self.boxes[:, :2] + self.boxes[:, 2:] / 2], 1
        )
        edges = np.clip(
            np.concatenate([np.floor(corners[:, :2] * cells[:2]), np.ceil(corners[:, 2:] * cells[2:])], 1), 0, cells
        )
        left, top, right, bottom = edges.astype(np.int64).T
        # The sum over rows and columns of +1 and -1 at the corners fills each box.
        grid = np.zeros((_GRID_ROWS + 1, _GRID_COLUMNS + 1), np.int64)
        for rows, columns, sign in ((top, left, 1), (top, right, -1), (bottom, left, -1), (bottom, right, 1)):
            np.add.at(grid, (rows, columns), sign)
        filled: NDArray[np.int64] = grid.cumsum(axis=0).cumsum(axis=1)[:_GRID_ROWS, :_GRID_COLUMNS]
        return filled

    def as_mapping(self) -> dict[str, Any]:
        """Return everything as plain data for JSON; sizes in pixels, quantiles as listed under `quantiles`."""
        return {
            "schema": STATS_SCHEMA,
            "data": str(self.data_yaml),
            "class_names": self.class_names,
            "imgsz": self.imgsz,
            "typical_image_size": self.typical_size,
            "splits": {
                name: {
                    "images": split.images,
                    "images_without_objects": split.images_without_objects,
                    "objects": split.objects,
                    "boxes": split.boxes,
                    "polygons": split.polygons,
                    "images_with": split.images_with,
                    "objects_per_image": _summary(split.objects_per_image),
                    "bad_rows": split.bad_rows,
                    "repeated_rows": split.repeated_rows,
                    "unreadable_images": split.unreadable_images,
                }
                for name, split in self.splits.items()
            },
            "imbalance_ratio": self.imbalance_ratio,
            "alpha": self.alphas,
            "sampling": {method: asdict(effect) for method, effect in self.sampling.items()},
            "co_occurrence": self.co_occurrence.tolist(),
            "area_names": list(SIZE_NAMES),
            "areas_original": self.area_counts(scaled=False),
            "areas_at_imgsz": self.area_counts(scaled=True),
            "quantiles": list(QUANTILES),
            **{f"{what}_px_at_imgsz": self.size_quantiles_px(what) for what in ("width", "height", "size")},
        }

    def as_json(self) -> str:
        """Return `as_mapping` as JSON text."""
        return json.dumps(self.as_mapping(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def dataset_stats(
    data: str | Path, *, imgsz: int = 640, progress: Callable[[int, int], None] | None = None
) -> DatasetStats:
    """Count what a data set holds. Bad rows and repeated rows are left out and counted.

    Args:
        data: A data-set YAML, or the folder of a data.yaml.
        imgsz: Pixels that the longer side of an image is scaled to in training, >= 32.
        progress: Called with the images done and to do.

    Raises:
        ConfigError: `imgsz` is out of range.
        DataError: The YAML cannot be read, or names no split with images.
    """
    if imgsz < 32:
        raise ConfigError(f"`imgsz`: got {imgsz}, expected 32 pixels or more")
    description = read_dataset_yaml(find_dataset_yaml(data), required=())
    listed, unread = {}, {}
    for name in description.splits:
        try:
            listed[name] = description.images(name)
        except DataError as error:
            # A YAML may name a test split that is somewhere else; what is there is counted.
            unread[name] = str(error)
    if not listed:
        reason = next(iter(unread.values()), f"{description.yaml_path} names no split; add 'train:' with images.")
        raise DataError(reason)
    total, done = sum(map(len, listed.values())), 0
    classes = len(description.names)
    co_occurrence = np.zeros((classes, classes), np.int64)
    columns = array("f")
    all_sizes = array("f")
    splits = {}
    train_classes: list[list[int]] = []
    for name, images in listed.items():
        split = splits[name] = SplitStats(len(images), [0] * classes, [0] * classes, [0] * classes)
        for image in images:
            labels = read_label_file(label_path_for(image), classes, description.keypoint_columns)
            split.bad_rows += len(labels.faults)
            split.repeated_rows += len(labels.repeated)
            split.objects_per_image.append(len(labels.rows))
            split.images_without_objects += not labels.rows
            size = read_upright_size(image)
            if size is None:
                split.unreadable_images += 1
            else:
                all_sizes.extend(size)
            for row in labels.rows:
                (split.polygons if row.is_polygon else split.boxes)[row.class_id] += 1
                if size is not None:
                    left, top, right, bottom = row.box_xyxy
                    centre = ((left + right) / 2, (top + bottom) / 2)
                    columns.extend((row.class_id, *centre, right - left, bottom - top, *size))
            if name == "train":
                train_classes.append([row.class_id for row in labels.rows])
            present = sorted({row.class_id for row in labels.rows})
            co_occurrence[np.ix_(present, present)] += 1
            for index in present:
                split.images_with[index] += 1
            done += 1
            if progress is not None:
                progress(done, total)
    table = np.frombuffer(columns, np.float32).reshape(-1, 7)
    sizes = np.frombuffer(all_sizes, np.float32).reshape(-1, 2)
    counts = splits["train"].objects if "train" in splits else []
    ratio, alphas = class_weights(counts)
    return DatasetStats(
        description.yaml_path,
        description.class_names,
        imgsz,
        splits,
        ratio,
        alphas,
        co_occurrence,
        table[:, 0].astype(np.int64),
        table[:, 1:5],
        table[:, 5:],
        None if not len(sizes) else (int(np.median(sizes[:, 0])), int(np.median(sizes[:, 1]))),
        unread,
        sampling_effects(train_classes, classes),
        description.remarks,
    )


def class_weights(counts: list[int]) -> tuple[float | None, dict[str, list[float]]]:
    """Return the imbalance ratio and alpha of every scheme, as training computes them."""
    if not any(counts):
        return None, {}
    # Here, because PyTorch takes a second to import.
    from reg_yolo.losses import DualClassWeights, balanced_weights, imbalance_ratio, inverse_frequency_weights

    alphas = {
        "inverse_frequency": inverse_frequency_weights(counts),
        "inverse_frequency temper 0.5": inverse_frequency_weights(counts, 0.5),
        "balanced": balanced_weights(counts),
        "balanced temper 0.75": balanced_weights(counts, 0.75),
        "balanced temper 0.5": balanced_weights(counts, 0.5),
        "balanced temper 0.25": balanced_weights(counts, 0.25),
        "dual (at the start)": DualClassWeights(counts).weights(),
    }
    return imbalance_ratio(counts), {scheme: weights.tolist() for scheme, weights in alphas.items()}


def _summary(values: list[int]) -> dict[str, float] | None:
    """Return mean, median, 95 % quantile and maximum; None of nothing."""
    if not values:
        return None
    return {
        "mean": float(np.mean(values)),
        "median": float(np.median(values)),
        "p95": float(np.quantile(values, 0.95)),
        "max": max(values),
    }

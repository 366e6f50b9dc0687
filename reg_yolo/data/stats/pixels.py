"""How many pixels each class has: the counts that class weights of task semantic come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, find_dataset_yaml, label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.data.dataset.pixel_classes import IGNORE, PixelClasses, pixel_classes
from reg_yolo.data.images.pixel_masks import mask_fault, mask_path_for, read_mask, value_table
from reg_yolo.data.images.pixels import read_upright_size
from reg_yolo.data.objects.rasterising import rasterised
from reg_yolo.data.stats.run import class_weights
from reg_yolo.errors import DataError
from reg_yolo.text_tables import text_table

PIXEL_STATS_SCHEMA = "reg-yolo/pixel-stats/1"


@dataclass
class PixelSplit:
    """Counts of one split; lists are by class.

    Attributes:
        images: Number of images.
        pixels: Pixels of the class.
        images_with: Images that hold the class.
        ignored: Pixels that are unknown.
        left_out: Images whose mask, size or rows cannot be read; `reg-yolo data check --task semantic` names them.
    """

    images: int
    pixels: list[int]
    images_with: list[int]
    ignored: int = 0
    left_out: int = 0


@dataclass(frozen=True)
class PixelStats:
    """What the pixels of a data set are.

    Attributes:
        data_yaml: The data set.
        class_names: Names of the pixels' classes, background among them.
        splits: Counts by split.
        imbalance_ratio: N_max / N_min over the classes present in the training split; None without.
        alphas: By scheme, the class weights that training would compute from the training split.
        unread: Splits that the YAML names but that cannot be read, and why.
    """

    data_yaml: Path
    class_names: list[str]
    splits: dict[str, PixelSplit]
    imbalance_ratio: float | None
    alphas: dict[str, list[float]]
    unread: dict[str, str] = field(default_factory=dict)

    def as_text(self) -> str:
        """Return all tables, each under a heading."""
        blocks = [str(self.data_yaml)]
        for name, split in self.splits.items():
            total = max(sum(split.pixels), 1)
            rows = [
                [each, f"{pixels:,}", f"{100 * pixels / total:.3f}", f"{images:,}"]
                for each, pixels, images in zip(self.class_names, split.pixels, split.images_with, strict=True)
            ]
            notes = f"{split.ignored:,} pixels unknown" + (f", {split.left_out} images left out" * bool(split.left_out))
            table = text_table(["class", "pixels", "percent", "images with"], rows)
            blocks.append(f"{name}: {split.images:,} images, {notes}\n{table}")
        if self.alphas:
            rows = [
                [name, *(f"{weights[index]:.4g}" for weights in self.alphas.values())]
                for index, name in enumerate(self.class_names)
            ]
            heading = f"Class weights (alpha) from the training pixels, imbalance ratio {self.imbalance_ratio:.1f}"
            blocks.append(f"{heading}\n{text_table(['class', *self.alphas], rows)}")
        blocks += [f"{name}: not read, {reason}" for name, reason in self.unread.items()]
        return "\n\n".join(blocks)

    def as_mapping(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {
            "schema": PIXEL_STATS_SCHEMA,
            "data": str(self.data_yaml),
            "class_names": self.class_names,
            "splits": {name: vars(split) for name, split in self.splits.items()},
            "imbalance_ratio": self.imbalance_ratio,
            "alpha": self.alphas,
            "unread": self.unread,
        }

    def as_json(self) -> str:
        """Return `as_mapping` as JSON text."""
        return json.dumps(self.as_mapping(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def pixel_stats(data: str | Path, *, progress: Callable[[int, int], None] | None = None) -> PixelStats:
    """Count the pixels of each class, of mask PNGs or of polygons drawn as training draws them.

    Args:
        data: A data-set YAML, or the folder of a data.yaml.
        progress: Called with the images done and to do.

    Raises:
        DataError: The YAML cannot be read, or names no split with images.
    """
    description = read_dataset_yaml(find_dataset_yaml(data), required=())
    classes = pixel_classes(description)
    listed: dict[str, list[Path]] = {}
    unread = {}
    for name in description.splits:
        try:
            listed[name] = description.images(name)
        except DataError as error:
            unread[name] = str(error)
    if not listed:
        raise DataError(
            next(iter(unread.values()), f"{description.yaml_path} names no split; add 'train:' with images.")
        )
    count = len(classes.names)
    table = value_table(description, count)
    splits = {}
    done, total = 0, sum(map(len, listed.values()))
    for name, images in listed.items():
        split = splits[name] = PixelSplit(len(images), [0] * count, [0] * count)
        for image in images:
            found = _image_counts(image, description, classes, table)
            if found is None:
                split.left_out += 1
            else:
                split.ignored += int(found[IGNORE])
                for index in range(count):
                    split.pixels[index] += int(found[index])
                    split.images_with[index] += bool(found[index])
            done += 1
            if progress is not None:
                progress(done, total)
    ratio, alphas = class_weights(splits["train"].pixels if "train" in splits else [])
    return PixelStats(description.yaml_path, list(classes.names), splits, ratio, alphas, unread)


def _image_counts(
    image: Path, description: DatasetDescription, classes: PixelClasses, table: np.ndarray
) -> np.ndarray | None:
    """Return the pixels of each of 256 classes in one image; None where its pixels cannot be told."""
    size = read_upright_size(image)
    if classes.masks_dir is not None:
        path = mask_path_for(image, classes.masks_dir)
        if mask_fault(path, image, size, table) is not None:
            return None
        return np.bincount(table[read_mask(path)].reshape(-1), minlength=256)
    rows = read_label_file(label_path_for(image), len(description.names), description.keypoint_columns).rows
    if size is None or not all(row.is_polygon for row in rows):
        return None
    polygons = [np.array(row.points) for row in rows]
    drawn = rasterised(polygons, [row.class_id for row in rows], (size[1], size[0]), classes.unlabelled)
    return np.bincount(drawn.reshape(-1), minlength=256)

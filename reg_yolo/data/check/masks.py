"""The check of an image with its mask PNG: what takes the place of label rows in task semantic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription
from reg_yolo.data.dataset.findings import Finding
from reg_yolo.data.dataset.pixel_classes import IGNORE, pixel_classes
from reg_yolo.data.images.pixel_masks import mask_fault, mask_path_for, read_mask, value_table
from reg_yolo.data.images.pixels import read_pixels
from reg_yolo.drawing.class_map import ClassMapPainter
from reg_yolo.drawing.contact_sheet import contact_sheet
from reg_yolo.errors import DataError
from reg_yolo.files import make_folder, open_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TILES, _TILE_PX = 24, (320, 200)
_SUFFIX = ".png"


@dataclass(frozen=True)
class MaskRules:
    """How the masks of a set are read.

    Attributes:
        table: The class of each value 0 to 255, as `value_table` gives it.
        classes: Number of classes.
        background: Index of the class background, or None.
        masks_dir: Folder that takes the place of `images`.
    """

    table: tuple[int, ...]
    classes: int
    background: int | None
    masks_dir: str

    @classmethod
    def of(cls, description: DatasetDescription) -> MaskRules | None:
        """Return the rules of a set with `masks_dir:`; None for polygons."""
        classes = pixel_classes(description)
        if classes.masks_dir is None:
            return None
        table = tuple(value_table(description, len(classes.names)).tolist())
        return cls(table, len(classes.names), classes.background, classes.masks_dir)


def check_mask(
    image: Path, split: str, size: tuple[int, int] | None, rules: MaskRules
) -> tuple[Counter[int], list[Finding]]:
    """Return the regions of each class in the mask of an image, and what is wrong with it.

    Args:
        image: The image.
        split: Its split.
        size: Width and height of the image in pixels, if they are known.
        rules: How masks are read.

    Returns:
        By class, connected regions, each an object to the eye; of the background one for an image that has any.
    """
    path = mask_path_for(image, rules.masks_dir)
    table = np.array(rules.table)
    fault = mask_fault(path, image, size, table)
    if fault is not None:
        code = "mask-missing" if not path.is_file() else "mask-wrong"
        return Counter(), [Finding(code, split, path, None, fault)]
    classes = table[read_mask(path)]
    regions: Counter[int] = Counter()
    for index in np.unique(classes[classes != IGNORE]).tolist():
        found = cv2.connectedComponents((classes == index).astype(np.uint8), connectivity=8)[0] - 1
        regions[index] = 1 if index == rules.background else int(found)
    return regions, []


def orphan_masks(listed: Mapping[str, Sequence[Path]], rules: MaskRules) -> list[Finding]:
    """Return the masks beside which there is no image, in the folders that hold masks of a split."""
    expected = {mask_path_for(image, rules.masks_dir): split for split, images in listed.items() for image in images}
    folders = {path.parent: split for path, split in expected.items()}
    return [
        Finding("label-orphan", split, path, None, "there is no image of that name")
        for folder, split in sorted(folders.items())
        for path in sorted(folder.glob(f"*{_SUFFIX}"))
        if path not in expected
    ]


def write_mask_sheet(description: DatasetDescription, images: Sequence[Path], target: Path) -> list[Path]:
    """Write an image sheet of class maps over their images, spread over the set; return its path, or nothing."""
    rules = MaskRules.of(description)
    if rules is None or not images:
        return []
    classes = pixel_classes(description)
    painter = ClassMapPainter(classes.names, classes.background)
    chosen = [images[int(i)] for i in np.linspace(0, len(images) - 1, min(_TILES, len(images)))]
    tiles = []
    for image in chosen:
        pixels = _read(image)
        try:
            found = np.array(rules.table)[read_mask(mask_path_for(image, rules.masks_dir))]
        except (DataError, IndexError):
            continue
        if pixels is None or pixels.shape[:2] != found.shape:
            continue
        drawn = painter.paint(pixels, np.where(found < 0, IGNORE, found).astype(np.uint8))
        tiles.append((image.stem[:24], cv2.resize(drawn, _TILE_PX, interpolation=cv2.INTER_AREA)))
    if not tiles:
        return []
    make_folder(target.parent)
    contact_sheet(tiles, target)
    return [target]


def _read(image: Path) -> NDArray[np.uint8] | None:
    try:
        with open_regular(image) as stream:
            return read_pixels(stream.read())
    except OSError:
        return None

"""Mask PNGs of task semantic: one channel whose values are classes, 255 where a pixel is unknown.

Read as Ultralytics reads them, but where it drops an image whose mask is missing or wrong with a line of its log, here
every one of them is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription
from reg_yolo.data.dataset.label_scan import LabelProblem
from reg_yolo.data.dataset.pixel_classes import IGNORE, pixel_classes
from reg_yolo.data.images.pixels import read_upright_size
from reg_yolo.errors import DataError


@dataclass
class MaskScan:
    """What the mask PNGs of one split hold.

    Attributes:
        split: Name of the split.
        class_names: Names of the pixels' classes.
        images: Images in the split.
        pixel_counts: By class.
        image_counts: By class, images that hold it.
        ignored: Pixels that are unknown.
        problems: Every mask that is missing, damaged, of another size, or with a value that is no class.
    """

    split: str
    class_names: list[str]
    images: int = 0
    pixel_counts: list[int] = field(default_factory=list)
    image_counts: list[int] = field(default_factory=list)
    ignored: int = 0
    problems: list[LabelProblem] = field(default_factory=list)

    @property
    def absent_classes(self) -> list[str]:
        """Names of the classes without a single pixel in the split."""
        return [name for name, count in zip(self.class_names, self.pixel_counts, strict=True) if count == 0]

    def raise_for_problems(self, shown: int = 5) -> None:
        """Raise one DataError that counts all bad masks and shows the first `shown`; return where none is."""
        if not self.problems:
            return
        count = len(self.problems)
        noun, them = ("mask", "it") if count == 1 else ("masks", "them")
        lines = [f"{count} bad {noun} in the '{self.split}' split; correct {them}, or remove the images:"]
        lines += [f"  {problem}" for problem in self.problems[:shown]]
        if count > shown:
            lines.append(f"  ... and {count - shown} more")
        raise DataError("\n".join(lines))


def mask_path_for(image: Path, masks_dir: str) -> Path:
    """Return the mask of an image: the last folder `images` of its path becomes `masks_dir`, the suffix `.png`."""
    parts = list(image.parts)
    places = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = masks_dir
    return Path(*parts).with_suffix(".png")


def read_mask(path: Path) -> NDArray[np.integer[Any]]:
    """Return the values of a mask PNG, [height, width].

    The values of a coloured palette are its indices, those of a grey palette the grey levels, those of one bit 0 and 1.

    Raises:
        DataError: If it does not decode, or has colours.
    """
    try:
        with PngImagePlugin.PngImageFile(str(path)) as image:
            if image.mode == "P":
                palette = np.array(image.getpalette()).reshape(-1, 3)
                grey = bool((palette == palette[:, :1]).all())
                return np.asarray(image.convert("L") if grey else image)
            values = np.asarray(image.convert("L") if image.mode == "LA" else image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"it does not decode ({type(error).__name__})") from None
    if values.ndim != 2:
        raise DataError("it has colours; expected one channel whose values are classes")
    return values.astype(np.uint8) if values.dtype == bool else values


def scan_masks(description: DatasetDescription, split: str, *, images: Sequence[Path] | None = None) -> MaskScan:
    """Read every mask PNG of a split.

    Args:
        description: A data set with `masks_dir:`.
        split: Its name.
        images: The images of the split, if they are known.

    Raises:
        DataError: If the split is not there, or the YAML does not name classes for pixels.
    """
    classes = pixel_classes(description)
    if classes.masks_dir is None:
        raise DataError(f"{description.yaml_path}: has no 'masks_dir', the folder of its mask PNGs")
    given = description.images(split) if images is None else list(images)
    table = value_table(description, len(classes.names))
    scan = MaskScan(split, list(classes.names), len(given), [0] * len(classes.names), [0] * len(classes.names))
    paths = [mask_path_for(image, classes.masks_dir) for image in given]
    with ThreadPoolExecutor(max_workers=8) as pool:
        for path, found in zip(paths, pool.map(_counts, given, paths, repeat(table)), strict=True):
            if isinstance(found, str):
                scan.problems.append(LabelProblem(path, None, found))
                continue
            scan.ignored += int(found[IGNORE])
            for index in range(len(classes.names)):
                scan.pixel_counts[index] += int(found[index])
                scan.image_counts[index] += bool(found[index])
    return scan


def value_table(description: DatasetDescription, classes: int) -> NDArray[np.int64]:
    """Return the class of each value 0 to 255 of a mask, 255 for unknown and -1 for a value that is no class.

    Raises:
        DataError: If `label_mapping:` is not a mapping from values to classes.
    """
    mapping = description.extra.get("label_mapping") or {}
    table = np.full(256, -1, dtype=np.int64)
    table[: min(classes, 256)] = np.arange(min(classes, 256))
    table[IGNORE] = IGNORE
    try:
        for value, target in mapping.items():
            to = IGNORE if target is None or str(target).strip() == "ignore_label" else int(target)
            if 0 <= int(value) <= 255:
                table[int(value)] = to if to == IGNORE or 0 <= to < classes else -1
    except (AttributeError, TypeError, ValueError):
        raise DataError(
            f"{description.yaml_path}: 'label_mapping' is {mapping!r}, expected values of masks and the class of each"
        ) from None
    return table


def mask_fault(path: Path, image: Path, size: tuple[int, int] | None, table: NDArray[np.int64]) -> str | None:
    """Return what is wrong with a mask, or None.

    Args:
        path: The mask.
        image: Its image, for the message.
        size: Width and height of the image in pixels; None where they cannot be told.
        table: What `value_table` gave.
    """
    if not path.is_file():
        return f"no such file, the mask of {image.name}"
    try:
        values = read_mask(path)
    except DataError as error:
        return str(error)
    if size is not None and values.shape != (size[1], size[0]):
        return f"is {values.shape[1]}x{values.shape[0]} pixels, and {image.name} is {size[0]}x{size[1]}"
    if values.size and (values.min() < 0 or values.max() > 255):
        return f"holds the value {int(values.max())}, expected classes or {IGNORE} for unknown"
    unknown = [int(value) for value in np.unique(values) if table[value] < 0]
    if unknown:
        return f"holds the value {', '.join(map(str, unknown[:5]))}, which is no class; {IGNORE} stands for unknown"
    return None


def _counts(image: Path, path: Path, table: NDArray[np.int64]) -> NDArray[np.int64] | str:
    """Return the pixels of each class of one mask, 255 the unknown ones, or what is wrong with it."""
    fault = mask_fault(path, image, read_upright_size(image), table)
    if fault is not None:
        return fault
    return np.bincount(table[read_mask(path)].reshape(-1), minlength=256)

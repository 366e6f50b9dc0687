"""Cut images together with their mask PNGs: a tile's mask is the part of the mask that lies in it."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reg_yolo.data.dataset.pixel_classes import IGNORE, PixelClasses
from reg_yolo.data.images.pixel_masks import mask_path_for, read_mask
from reg_yolo.data.tile.cutting import TileCounts, TileOptions, TileTask, keeps_empty_tile
from reg_yolo.data.tile.geometry import tile_windows
from reg_yolo.data.tile.pixels import SourceImage


def tile_masked(
    task: TileTask,
    *,
    folder: Path,
    options: TileOptions,
    classes: PixelClasses,
    table: NDArray[np.int64],
    channels: int,
) -> TileCounts:
    """Cut one image and its mask; a tile without an object's pixel is kept as `options.background` says.

    Args:
        task: The image.
        folder: The new set.
        options: How images are cut.
        classes: Of the pixels.
        table: The class of each value of a mask.
        channels: Of the image.
    """
    assert classes.masks_dir is not None, "only a set with mask PNGs is cut here"
    source = SourceImage(task.image, channels)
    width, height = source.size
    mask_path = mask_path_for(task.image, classes.masks_dir)
    mask = read_mask(mask_path)
    counts = TileCounts(images=1, objects=_pixels(table[mask]))
    name = folder / "images" / task.split / task.name
    if max(width, height) <= options.size:
        target = mask_path_for(name, classes.masks_dir)
        for path, copy in ((task.image, name), (mask_path, target)):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        counts.copied = counts.tiles = 1
        counts.backgrounds = int(not _has_object(counts.objects, classes))
        counts.rows = counts.objects.copy()
        return counts
    for window in tile_windows(width, height, options.size, options.overlap):
        area = slice(window.top, window.bottom), slice(window.left, window.right)
        part = mask[area]
        found = _pixels(table[part])
        if not _has_object(found, classes):
            if not keeps_empty_tile(task, window.left, window.top, options):
                counts.empty += 1
                continue
            counts.backgrounds += 1
        target = name.with_name(f"{task.name.stem}_x{window.left:05d}_y{window.top:05d}{source.suffix}")
        target.parent.mkdir(parents=True, exist_ok=True)
        source.write(np.ascontiguousarray(source.pixels[area]), target)
        mask_target = mask_path_for(target, classes.masks_dir)
        mask_target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(part)).save(mask_target, "PNG")
        counts.tiles += 1
        counts.rows.update(found)
    return counts


def _pixels(classes: NDArray[np.int64]) -> Counter[int]:
    counts = np.bincount(classes.reshape(-1), minlength=256)
    return Counter({index: int(count) for index, count in enumerate(counts) if count and index != IGNORE})


def _has_object(found: Counter[int], classes: PixelClasses) -> bool:
    return any(index != classes.background for index in found)

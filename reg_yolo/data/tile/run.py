"""Cut large images into tiles, so that small objects keep their pixels in training.

sahi cuts images too, and was looked at (0.12): its cutter takes COCO annotations only, so every YOLO row would go there
and back; a polygon that a cut divides becomes several polygons of one annotation, which a YOLO row cannot hold; holes
that are joined to their outline are lost; each tile's share is taken of the whole object, so an object that is larger
than the tile disappears from all of them; a JPEG becomes a PNG of five times the size; and it brings opencv-python,
which must not stand beside the headless twin. The geometry is shapely's here as well.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, find_dataset_yaml, label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.label_rows import LabelRow, read_label_file
from reg_yolo.data.dataset.label_scan import read_sound_labels
from reg_yolo.data.dataset.output_paths import refuse_inside
from reg_yolo.data.dataset.pixel_classes import pixel_classes
from reg_yolo.data.dataset.writing import dataset_yaml_text, unique_names
from reg_yolo.data.images.pixel_masks import scan_masks, value_table
from reg_yolo.data.tile.cutting import TileCounts, TileOptions, TileTask, keeps_empty_tile
from reg_yolo.errors import DataError
from reg_yolo.files import replace_text, whole_folder
from reg_yolo.parallel import available_cores, parallel_map

# A handful at once: a 4K image takes half a second, and a pool should share few of them evenly.
_CHUNK = 2


@dataclass(frozen=True)
class TileResult:
    """A tiled data set.

    Attributes:
        data_yaml: Its YAML.
        counts: By split, what became of the images.
        class_names: Class names by index.
        remarks: What was guessed or left out (`DatasetDescription.remarks`).
        counted: What is counted by class before and after.
    """

    data_yaml: Path
    counts: dict[str, TileCounts]
    class_names: list[str]
    remarks: list[str] = field(default_factory=list)
    counted: tuple[str, str] = ("objects", "rows")

    def as_text(self) -> str:
        """What a user wants to know, one paragraph for each split."""
        lines = [f"Note: {remark}" for remark in self.remarks]
        for split, counts in self.counts.items():
            lines.append(
                f"{split}: {counts.images} images ({counts.copied} copied whole) gave {counts.tiles} tiles, "
                f"{counts.backgrounds} of them without objects; {counts.empty} more of those left out, "
                f"{counts.fragments} fragments without a label"
            )
            for index, name in enumerate(self.class_names):
                before, after = self.counted
                lines.append(f"  {name}: {counts.objects[index]} {before}, {counts.rows[index]} {after}")
            if counts.without_area:
                lines.append(f"  {counts.without_area} rows without area left out")
        return "\n".join(lines)


def tile_dataset(
    data: str | Path,
    out: str | Path,
    *,
    size: int = 1280,
    overlap: float = 0.2,
    min_visible: float = 0.3,
    background: float = 0.1,
    blank_fragments: bool = False,
    seed: int = 0,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> TileResult:
    """Cut every image of a data set into tiles, with its boxes and polygons, or with its mask PNG.

    The splits stay, box rows stay boxes and polygon rows polygons. Images that are no larger than a tile are copied
    byte for byte. The same arguments give the same bytes with any number of workers.

    Args:
        data: A data-set YAML, or the folder of a data.yaml; it and its images stay as they are.
        out: Folder that is made, whole or not at all.
        size: See `TileOptions`, as for the next five.
        overlap: 0 to 0.9.
        min_visible: 0 to 1.
        background: 0 to 1.
        blank_fragments: Paint fragments grey.
        seed: Chooses the background tiles.
        workers: Processes; 0 takes one for each core. More than one need an importable main module.
        progress: Called with the images done and to do.

    Raises:
        ConfigError: If an argument is out of range, or `out` is inside the data set.
        DataError: If the data set, a label row or an image is wrong, shapely is not installed, or `out` holds anything.
    """
    options = TileOptions(size, overlap, min_visible, background, blank_fragments, seed)
    try:
        import shapely  # noqa: F401
    except ImportError:
        raise DataError('Cutting polygons needs the package shapely: pip install "reg-yolo[data]".') from None
    description = read_dataset_yaml(find_dataset_yaml(data), required=("train",))
    tasks = _tasks(description)
    counts = {task.split: TileCounts() for task in tasks}
    out = Path(out)
    refuse_inside("out", out, description)
    masked = description.extra.get("masks_dir") is not None
    with whole_folder(out) as folder:
        # Hours of cutting should not end at a bad row or mask.
        cut = (
            _mask_cutter(description, folder, options, counts)
            if masked
            else _row_cutter(description, folder, options, tasks)
        )
        results = parallel_map(cut, tasks, workers or available_cores(), chunk=_CHUNK)
        for done, (task, result) in enumerate(zip(tasks, results, strict=True), start=1):
            counts[task.split].add(result)
            if progress is not None:
                progress(done, len(tasks))
        comment = f"# Written by `reg-yolo data tile` from {description.yaml_path.name}: {options}"
        sources = {split: f"images/{split}" for split in counts}
        replace_text(folder / "data.yaml", dataset_yaml_text(description.without_keypoints(), sources, comment))
    if masked:
        names = list(pixel_classes(description).names)
        return TileResult(out / "data.yaml", counts, names, description.remarks, ("pixels", "in tiles"))
    return TileResult(out / "data.yaml", counts, description.class_names, description.remarks)


def _row_cutter(
    description: DatasetDescription, folder: Path, options: TileOptions, tasks: list[TileTask]
) -> Callable[[TileTask], TileCounts]:
    images = (task.image for task in tasks)
    for _ in read_sound_labels(images, len(description.names), description.keypoint_columns):
        continue
    return partial(
        _tile_image,
        folder=folder,
        options=options,
        classes=len(description.names),
        channels=description.channels,
        keypoints=description.keypoint_columns,
    )


def _mask_cutter(
    description: DatasetDescription, folder: Path, options: TileOptions, splits: Iterable[str]
) -> Callable[[TileTask], TileCounts]:
    from reg_yolo.data.tile.masks import tile_masked

    classes = pixel_classes(description)
    for split in splits:
        scan_masks(description, split).raise_for_problems()
    table = value_table(description, len(classes.names))
    return partial(
        tile_masked, folder=folder, options=options, classes=classes, table=table, channels=description.channels
    )


def _tasks(description: DatasetDescription) -> list[TileTask]:
    tasks = []
    for split in description.present_splits:
        images = description.images(split)
        names = unique_names(images, description.root)
        tasks += [TileTask(image, split, name) for image, name in zip(images, names, strict=True)]
    return tasks


def _tile_image(
    task: TileTask, *, folder: Path, options: TileOptions, classes: int, channels: int, keypoints: int
) -> TileCounts:
    from reg_yolo.data.tile.geometry import CutObject, labelled_pieces, tile_windows
    from reg_yolo.data.tile.pixels import SourceImage, blank

    rows = read_label_file(label_path_for(task.image), classes, keypoints).rows
    source = SourceImage(task.image, channels)
    width, height = source.size
    counts = TileCounts(images=1, objects=Counter(row.class_id for row in rows))
    if max(width, height) <= options.size:
        _copy(task, folder, rows if keypoints else None)
        counts.copied = counts.tiles = 1
        counts.backgrounds = int(not rows)
        counts.rows = counts.objects.copy()
        return counts
    windows = tile_windows(width, height, options.size, options.overlap)
    cuts = [labelled_pieces(CutObject(row, width, height), windows, options.min_visible) for row in rows]
    counts.without_area = sum(all(piece is None for piece, _ in cut) for cut in cuts)
    for number, window in enumerate(windows):
        kept = [piece for piece, labelled in (cut[number] for cut in cuts) if piece is not None and labelled]
        fragments = [piece for piece, labelled in (cut[number] for cut in cuts) if piece is not None and not labelled]
        counts.fragments += len(fragments)
        if not kept:
            # A visible fragment would teach that its class is background.
            clean = options.blank_fragments or not fragments
            if not (clean and keeps_empty_tile(task, window.left, window.top, options)):
                counts.empty += 1
                continue
            counts.backgrounds += 1
        pixels = np.ascontiguousarray(source.pixels[window.top : window.bottom, window.left : window.right])
        if fragments and options.blank_fragments:
            corner = (window.left, window.top)
            pixels = blank(pixels, [_corners(p) - corner for p in fragments], [_corners(p) - corner for p in kept])
        stem = f"{task.name.stem}_x{window.left:05d}_y{window.top:05d}"
        target = folder / "images" / task.split / task.name.with_name(stem + source.suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.write(pixels, target)
        _write_rows(label_path_for(target), [piece.label_row(window) for piece in kept])
        counts.tiles += 1
        counts.rows.update(piece.class_id for piece in kept)
    return counts


def _corners(piece: Any) -> NDArray[np.float64]:
    if piece.ring is not None:
        return np.asarray(piece.ring)
    left, top, right, bottom = piece.box
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _copy(task: TileTask, folder: Path, boxes: list[LabelRow] | None) -> None:
    """Copy an image and its label file, or write `boxes` where the file holds keypoints too."""
    target = folder / "images" / task.split / task.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(task.image, target)
    label, copy = label_path_for(task.image), label_path_for(target)
    copy.parent.mkdir(parents=True, exist_ok=True)
    if boxes is not None:
        _write_rows(copy, [" ".join([str(row.class_id), *map("{:.6f}".format, row.coordinates)]) for row in boxes])
    elif label.is_file():
        shutil.copyfile(label, copy)
    else:
        copy.touch()


def _write_rows(target: Path, rows: list[str]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8", newline="\n")

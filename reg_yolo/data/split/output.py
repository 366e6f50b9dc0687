"""Write a split: lists of images beside the data set, or a whole copy of it.

A line of a list begins with `./`, which Ultralytics and this package both resolve from the list's own folder, and the
YAML names no `path`, which both take for the YAML's folder: what is written works wherever the folder is moved.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, label_path_for
from reg_yolo.data.dataset.findings import csv_text
from reg_yolo.data.dataset.output_paths import refuse_inside
from reg_yolo.data.dataset.writing import dataset_yaml_text, unique_names
from reg_yolo.data.images.pixel_masks import mask_path_for
from reg_yolo.errors import DataError
from reg_yolo.files import make_folder, replace_text, whole_folder

_MARK = "# Written by `reg-yolo data split`"


def write_split_lists(
    description: DatasetDescription,
    chosen: Mapping[str, Sequence[Path]],
    group_of: Mapping[Path, str],
    target: Path,
    command: str,
) -> Path:
    """Write `NAME.yaml`, a list of images `NAME_SPLIT.txt` for each split and `NAME_groups.csv`, the YAML last.

    Raises:
        DataError: If the YAML is there and was not written by this function.
    """
    if target.suffix not in (".yaml", ".yml"):
        raise DataError(f"out: {target} must end in .yaml, it is a data-set YAML")
    if target.exists() and not target.read_text(encoding="utf-8", errors="replace").startswith(_MARK):
        raise DataError(f"{target} exists and was not written by `reg-yolo data split`; name another file as out")
    folder = Path(os.path.realpath(target.parent))
    make_folder(folder)
    target = folder / target.name
    for split, images in chosen.items():
        lines = [f"{_relative(image, folder)}\n" for image in images]
        replace_text(folder / f"{target.stem}_{split}.txt", "".join(lines))
    rows = ((_relative(image, folder), group_of[image], split) for split in chosen for image in chosen[split])
    replace_text(folder / f"{target.stem}_groups.csv", _group_table(rows))
    sources = {split: f"{target.stem}_{split}.txt" for split in chosen}
    replace_text(target, _yaml_text(description, sources, command))
    return target


def copy_split(
    description: DatasetDescription,
    chosen: Mapping[str, Sequence[Path]],
    group_of: Mapping[Path, str],
    out: Path,
    command: str,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Copy images, labels and mask PNGs into `OUT/images/SPLIT` and its like; OUT is whole or not there.

    `progress` is called with the images done and to do.

    Raises:
        ConfigError: If `out` is inside the data set.
        DataError: If `out` exists and is not empty.
    """
    refuse_inside("copy_to", out, description)
    masks_dir = description.extra.get("masks_dir")
    with whole_folder(out) as folder:
        rows = []
        total = sum(map(len, chosen.values()))
        for split, images in chosen.items():
            for image, name in zip(images, unique_names(images, description.root), strict=True):
                target = folder / "images" / split / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(image, target)
                if masks_dir is not None:
                    mask, mask_target = mask_path_for(image, masks_dir), mask_path_for(target, masks_dir)
                    if mask.is_file():
                        mask_target.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copy2(mask, mask_target)
                label = label_path_for(image)
                if label.is_file():
                    label_target = label_path_for(target)
                    label_target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(label, label_target)
                rows.append((f"images/{split}/{name}", group_of[image], split))
                if progress is not None:
                    progress(len(rows), total)
        replace_text(folder / "groups.csv", _group_table(rows))
        sources = {split: f"images/{split}" for split in chosen}
        replace_text(folder / "data.yaml", _yaml_text(description, sources, command))
    return out / "data.yaml"


def _yaml_text(description: DatasetDescription, sources: Mapping[str, str], command: str) -> str:
    return dataset_yaml_text(description, sources, f"{_MARK}: {command}")


def _group_table(rows: Iterable[tuple[str, str, str]]) -> str:
    return csv_text(["image", "group", "split"], rows)


def _relative(image: Path, folder: Path) -> str:
    try:
        return "./" + Path(os.path.relpath(image, folder)).as_posix()
    except ValueError:
        # On Windows there is no way from one drive to another.
        return str(image)

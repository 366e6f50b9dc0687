"""What every command that writes a YOLO set needs: names of images that share no label file, and the data-set YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from reg_yolo.config.yaml_text import dump_yaml
from reg_yolo.data.dataset.dataset_yaml import DatasetDescription
from reg_yolo.data.dataset.frame_names import name_below_images


def unique_names(images: Sequence[Path], root: Path) -> list[PurePosixPath]:
    """Return the name of every image below `images/SPLIT/`, numbered where two would share a label file."""
    taken: set[str] = set()
    names = []
    for image in images:
        name = name_below_images(image, root)
        stem, number = name.stem, 1
        while str(name.with_suffix("")).casefold() in taken:
            number += 1
            name = name.with_name(f"{stem}-{number}{name.suffix}")
        taken.add(str(name.with_suffix("")).casefold())
        names.append(name)
    return names


def dataset_yaml_text(description: DatasetDescription, sources: Mapping[str, str], comment: str) -> str:
    """Return a data-set YAML with these splits, relative to its own folder, and everything else of `description`."""
    mapping: dict[str, Any] = {**sources, "names": dict(description.names), **description.extra}
    return f"{comment}\n" + dump_yaml(mapping)

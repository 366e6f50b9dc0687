"""Where commands write: by default below ./runs, and never into a folder that a training reads."""

from __future__ import annotations

import os
from pathlib import Path

from reg_yolo.data.dataset.dataset_yaml import DatasetDescription, label_path_for
from reg_yolo.errors import ConfigError, DataError


def default_output(kind: str, yaml_path: Path) -> Path:
    """Return where a command writes unless told otherwise: ./runs/KIND/ and the data set's name."""
    path = yaml_path.absolute()
    return Path.cwd() / "runs" / kind / (path.parent.name if path.stem == "data" else path.stem)


def refuse_inside(parameter: str, out: Path, description: DatasetDescription) -> None:
    """Raise a ConfigError if a place is inside a folder of images or labels, where a training would read it.

    Args:
        parameter: What the caller calls it.
        out: The place.
        description: The data set.
    """
    target = out.resolve()
    for split, sources in description.splits.items():
        for source in sources:
            for folder in (source, label_path_for(source / "x.jpg").parent):
                if source.is_dir() and (target == folder or folder in target.parents):
                    raise ConfigError(
                        f"{parameter}: {out} is inside {folder} of the '{split}' split; nothing is written into a data "
                        "set. Name a folder next to it"
                    )


def refuse_unwritable(parameter: str, folder: Path) -> None:
    """Raise a DataError if a folder cannot be written to or made, before the work that should end there.

    Args:
        parameter: What the caller calls it.
        folder: The folder, which need not be there yet.
    """
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if not there.is_dir():
        raise DataError(f"{parameter}: {folder} cannot be made: {there} is not a folder")
    if not os.access(there, os.W_OK):
        raise DataError(f"{parameter}: nothing can be written to {there}; name another folder")

"""Read a data-set YAML as Ultralytics does, but with its paths relative to the file that says them.

Ultralytics resolves a relative ``path:`` against the working directory and then against its own datasets folder, so
the ``path: ./`` that CVAT writes means another place on every machine. Here it always means the folder of the YAML;
`DatasetDescription.write_for_ultralytics` hands upstream a copy in which every path is absolute.
"""

from __future__ import annotations

import glob
import os
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reg_yolo.config.yaml_text import dump_yaml
from reg_yolo.data.dataset.class_names import read_class_names
from reg_yolo.data.dataset.image_finder import IMAGE_SUFFIXES, ImageFinder, ends_below, path_parts
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.data.dataset.yaml_files import read_yaml_mapping
from reg_yolo.errors import DataError
from reg_yolo.files import open_regular, replace_text

SPLITS = ("train", "val", "test")

_KEYPOINT_KEYS = frozenset({"kpt_shape", "flip_idx", "kpt_names"})

# Upstream executes a data set's `download:` script when images are missing; ours must not reach it.
_DROPPED_KEYS = frozenset({"path", "names", "nc", "download", "yaml_file", "validation", *SPLITS})


@dataclass(frozen=True)
class DatasetDescription:
    """What a data-set YAML says, with every path absolute.

    Attributes:
        yaml_path: The file it was read from.
        root: The folder that the splits are relative to.
        names: Class names by class index, contiguous from 0.
        splits: By split name, the image folders and list files (``.txt``) that make it up. A split that the YAML does
            not name is absent.
        extra: Further keys of the YAML, passed through to Ultralytics unread (``channels``, for one).
        notes: Sentences about paths of another machine that were found elsewhere.
    """

    yaml_path: Path
    root: Path
    names: dict[int, str]
    splits: dict[str, list[Path]]
    extra: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def class_names(self) -> list[str]:
        """Class names in the order of their indices."""
        return [self.names[index] for index in range(len(self.names))]

    @property
    def channels(self) -> int:
        """Channels of the images: 3, unless the YAML says otherwise."""
        channels = self.extra.get("channels", 3)
        return channels if isinstance(channels, int) else 3

    @property
    def keypoint_columns(self) -> int:
        """Columns behind a box that hold its keypoints: K * D of a set with `kpt_shape: [K, D]`, 0 of any other."""
        shape = self.extra.get("kpt_shape")
        if not isinstance(shape, list) or len(shape) != 2 or not all(type(size) is int and size > 0 for size in shape):
            return 0
        return int(shape[0] * shape[1])

    @property
    def remarks(self) -> list[str]:
        """Sentences that every command shows: paths found elsewhere, keypoints left out."""
        if not self.keypoint_columns:
            return self.notes
        return [*self.notes, "a set with keypoints (kpt_shape): the box of every row is taken, its keypoints are not"]

    def without_keypoints(self) -> DatasetDescription:
        """Return the description of the same set with boxes only."""
        extra = {key: value for key, value in self.extra.items() if key not in _KEYPOINT_KEYS}
        return replace(self, extra=extra)

    @property
    def present_splits(self) -> list[str]:
        """Splits whose folders and lists are all there; upstream allows a YAML to name others too, and tools do."""
        return [split for split in SPLITS if self.splits.get(split) and all(s.exists() for s in self.splits[split])]

    def images(self, split: str) -> list[Path]:
        """List the images of a split in Ultralytics' order: folders recursively, list files line by line, sorted.

        Raises:
            DataError: If the YAML does not name the split, a source of it is missing, or it holds no image.
        """
        if split not in self.splits:
            known = ", ".join(self.splits) or "none"
            offer = offer_to_split(self.yaml_path) if split == "val" and "train" in self.splits else "."
            raise DataError(
                f"{self.yaml_path} names no '{split}:' split (it names: {known}); add it to the file{offer or '.'}"
            )
        sources = self.splits[split]
        found: list[str] = []
        for source in sources:
            if source.is_dir():
                found += glob.glob(os.path.join(glob.escape(str(source)), "**", "*.*"), recursive=True)  # noqa: PTH118, PTH207
            elif source.is_file():
                found += _read_image_list(source, self.root, self.notes)
            else:
                raise DataError(
                    f"{self.yaml_path}: '{split}:' points to {source}, which does not exist; paths are relative to "
                    f"{self.root}."
                )
        images = sorted(name for name in found if name.rpartition(".")[-1].lower() in IMAGE_SUFFIXES)
        if not images:
            where = ", ".join(str(source) for source in sources)
            raise DataError(
                f"{self.yaml_path}: the '{split}:' split has no images in {where}; expected files that end in "
                f"{', '.join(sorted(IMAGE_SUFFIXES))}."
            )
        return [Path(name) for name in images]

    def as_ultralytics_mapping(self) -> dict[str, Any]:
        """Return what Ultralytics' data-set YAML holds, with absolute paths and without a download script.

        A list file whose lines are relative to the working directory stays as it is here; `write_for_ultralytics`
        replaces it.
        """
        mapping: dict[str, Any] = {"path": str(self.root)}
        for split, sources in self.splits.items():
            paths = [str(source) for source in sources]
            mapping[split] = paths[0] if len(paths) == 1 else paths
        mapping["nc"] = len(self.names)
        mapping["names"] = dict(self.names)
        return {**mapping, **self.extra}

    def write_for_ultralytics(self, folder: Path, stem: str = "data") -> Path:
        """Write ``<folder>/<stem>.yaml`` for Ultralytics and return its path.

        A split that is listed by text files becomes ``<folder>/<stem>_<split>.txt`` with absolute image paths, since
        upstream resolves a plain relative line against the working directory.
        """
        folder.mkdir(parents=True, exist_ok=True)
        mapping = self.as_ultralytics_mapping()
        for split, sources in self.splits.items():
            if any(source.is_file() for source in sources):
                image_list = (folder / f"{stem}_{split}.txt").resolve()
                replace_text(image_list, "".join(f"{image}\n" for image in self.images(split)))
                mapping[split] = str(image_list)
        target = folder / f"{stem}.yaml"
        replace_text(target, dump_yaml(mapping))
        return target


def read_dataset_yaml(path: str | Path, required: Collection[str] = ("train", "val")) -> DatasetDescription:
    """Read a data-set YAML in any form that Ultralytics accepts.

    Args:
        path: The YAML file. ``names`` may be a list or a mapping from index; each split a folder, a ``.txt`` list of
            images, or a list of those; ``path`` may be absent (the YAML's folder), absolute, or relative to the YAML.
        required: Splits that must be there and hold images. Others may be named without existing, as upstream allows.

    Raises:
        DataError: If the file is missing or no YAML mapping, has no contiguous names, or a required split is not
            named, does not exist or holds no image.
    """
    yaml_path = Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would lose the folder of a linked YAML)
    content = read_yaml_mapping(yaml_path)
    names = read_class_names(content, yaml_path)
    notes: list[str] = []
    root = _read_root(content, yaml_path, notes)
    if content.get("val") is None and content.get("validation") is not None:
        content["val"] = content["validation"]
    splits = {
        split: _read_split(content[split], split, root, yaml_path, notes)
        for split in SPLITS
        if content.get(split) is not None
    }
    extra = {str(key): value for key, value in content.items() if key not in _DROPPED_KEYS}
    description = DatasetDescription(yaml_path, root, names, splits, extra, notes)
    for split in required:
        description.images(split)
    return description


def find_dataset_yaml(path: str | Path) -> Path:
    """Return the data-set YAML that a path names: the file itself, or in a folder data.yaml or else the only YAML.

    Raises:
        DataError: If a folder has no YAML, or several and none is called data.yaml.
    """
    folder = Path(path)
    if not folder.is_dir():
        return folder
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".yaml", ".yml") and file.is_file())
    named = [file for file in found if file.stem == "data"][:1] or found
    if len(named) != 1:
        listed = f"several YAML files ({', '.join(file.name for file in found)})" if found else "no YAML file"
        raise DataError(f"The folder {folder} has {listed}; name the data-set YAML itself.")
    return named[0]


def offer_to_split(yaml_path: Path) -> str:
    """Return the end of a sentence that offers to make a missing val split."""
    return f", or let this make one: reg-yolo data split {shlex.quote(str(yaml_path))} --by drive --val 0.2"


def label_path_for(image: str | Path) -> Path:
    """Return the label file of an image: the last ``/images/`` becomes ``/labels/``, the suffix ``.txt``."""
    before, found, after = str(image).rpartition(f"{os.sep}images{os.sep}")
    moved = f"{before}{os.sep}labels{os.sep}{after}" if found else str(image)
    return Path(moved.rpartition(".")[0] + ".txt")


def _read_root(content: Mapping[str, Any], yaml_path: Path, notes: list[str]) -> Path:
    raw = content.get("path")
    if raw is None:
        return yaml_path.parent.resolve()
    if not isinstance(raw, str):
        raise DataError(f"{yaml_path}: 'path' must be a folder, got {_kind(raw)}.")
    root = _resolve(yaml_path.parent, raw, "path", yaml_path)
    if root.exists():
        return root
    # A path of another machine: the folder of that name below the YAML, or the YAML's own.
    named = [(split, content[split]) for split in SPLITS if isinstance(content.get(split), str)]
    for below in (*(place for place, _ in ends_below(yaml_path.parent, raw)), yaml_path.parent):
        if any(_below(below, entry, split) for split, entry in named):
            notes.append(f"'path: {raw}' is not there: the splits are looked for in {below}")
            return below.resolve()
    return root


def _read_split(raw: Any, split: str, root: Path, yaml_path: Path, notes: list[str]) -> list[Path]:
    entries = raw if isinstance(raw, list) else [raw]
    if not entries or not all(isinstance(entry, str) and entry for entry in entries):
        raise DataError(f"{yaml_path}: '{split}' must be a folder, a .txt list of images or a list of those.")
    return [_resolve_source(entry, split, root, yaml_path, notes) for entry in entries]


def _resolve(base: Path, entry: str, key: str, yaml_path: Path) -> Path:
    try:
        return (base / Path(entry).expanduser()).resolve()
    except (ValueError, RuntimeError, OSError):
        # A zero byte, the home folder of a user that is not there, or a ring of links.
        raise DataError(f"{yaml_path}: '{key}' is {entry!r}, which cannot be a path.") from None


def _resolve_source(entry: str, split: str, root: Path, yaml_path: Path, notes: list[str]) -> Path:
    source = _resolve(root, entry, split, yaml_path)
    if source.exists():
        return source
    below = _below(root, entry, split) or _below(yaml_path.parent, entry, split)
    if below is None:
        return source
    if not entry.startswith("../"):
        # Roboflow exports say ../train/images and mean train/images; upstream forgives it as well.
        notes.append(f"'{split}: {entry}' is not there: {below} is taken")
    return below.resolve()


def _below(folder: Path, entry: str, split: str) -> Path | None:
    """Return where a path of another machine is below a folder; a last part such as `images` alone tells too little."""
    whole = len(path_parts(entry))
    for place, count in ends_below(folder, entry):
        if count == whole or count > 1 or place.is_file() or split_of(place.name) == split:
            return place
    return None


def _read_image_list(source: Path, root: Path, notes: list[str]) -> list[str]:
    """Read a list file; a relative line is looked for beside the list first, then under the data set's root.

    A line that is in neither place is found by the end of its path below them, which a note says, or stays as it is.
    """
    try:
        with open_regular(source) as stream:
            lines = stream.read().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{source} is not a list of images: it is not UTF-8 text.") from None
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error.strerror}.") from None
    images = []
    elsewhere: list[str] = []
    finder: ImageFinder | None = None
    for line in map(str.strip, lines):
        if not line:
            continue
        beside = os.path.normpath(source.parent / line)
        image = beside if line.startswith("./") or os.path.exists(beside) else os.path.normpath(root / line)  # noqa: PTH110
        if not os.path.exists(image):  # noqa: PTH110
            finder = finder or ImageFinder([source.parent, root])
            found = finder.find(line, source.parent).path
            if found is not None:
                image = os.path.abspath(found)  # noqa: PTH100
                elsewhere.append(f"{line} as {os.path.relpath(image, root)}")
        images.append(image)
    if elsewhere:
        note = f"{source.name}: lines found by the end of their path: {len(elsewhere)}, such as {elsewhere[0]}"
        # The list is read more than once.
        notes += [note] if note not in notes else []
    return images


def _kind(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"

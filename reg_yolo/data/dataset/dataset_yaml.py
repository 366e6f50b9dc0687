"""Read a data-set YAML as Ultralytics does, but with its paths relative to the file that says them.

Ultralytics resolves a relative ``path:`` against the working directory and then against its own datasets folder, so
the ``path: ./`` that CVAT writes means another place on every machine. Here it always means the folder of the YAML;
`DatasetDescription.write_for_ultralytics` hands upstream a copy in which every path is absolute.
"""

import glob
import os
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reg_yolo.config.yaml_text import dump_yaml
from reg_yolo.data.dataset.class_names import read_class_names
from reg_yolo.errors import DataError
from reg_yolo.files import replace_text

SPLITS = ("train", "val", "test")

# Upstream lists files by these suffixes (lower-cased) and passes over all others without a word.
IMAGE_SUFFIXES = frozenset(
    {"avif", "bmp", "dng", "heic", "heif", "jp2", "jpeg", "jpg", "mpo", "png", "tif", "tiff", "webp"}
)

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
    """

    yaml_path: Path
    root: Path
    names: dict[int, str]
    splits: dict[str, list[Path]]
    extra: dict[str, Any] = field(default_factory=dict)

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
                found += _read_image_list(source, self.root)
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
    content = _load_mapping(yaml_path)
    names = read_class_names(content, yaml_path)
    root = _read_root(content, yaml_path)
    if content.get("val") is None and content.get("validation") is not None:
        content["val"] = content["validation"]
    splits = {
        split: _read_split(content[split], split, root, yaml_path) for split in SPLITS if content.get(split) is not None
    }
    extra = {str(key): value for key, value in content.items() if key not in _DROPPED_KEYS}
    description = DatasetDescription(yaml_path, root, names, splits, extra)
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


def _load_mapping(yaml_path: Path) -> dict[str, Any]:
    if yaml_path.is_dir():
        raise DataError(f"{yaml_path} is a folder; name the data-set YAML file in it, such as {yaml_path}/data.yaml.")
    try:
        content = yaml.safe_load(yaml_path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"The data-set file {yaml_path} does not exist.") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{yaml_path} is not UTF-8 text ({error.reason} at byte {error.start}).") from None
    except OSError as error:
        raise DataError(f"{yaml_path} cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark is not None else ""
        reason = getattr(error, "problem", None) or "it cannot be parsed"
        raise DataError(f"{yaml_path}{place} is not valid YAML: {reason}.") from None
    except (ValueError, OverflowError, RecursionError) as error:
        # PyYAML lets these through: a date such as 2024-99-99, an escape that is no character, nesting without end.
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"{yaml_path} is not valid YAML: {reason}.") from None
    if not isinstance(content, Mapping):
        raise DataError(f"{yaml_path} is no data-set file: expected the keys 'train', 'val' and 'names'.")
    return dict(content)


def _read_root(content: Mapping[str, Any], yaml_path: Path) -> Path:
    raw = content.get("path")
    if raw is None:
        return yaml_path.parent.resolve()
    if not isinstance(raw, str):
        raise DataError(f"{yaml_path}: 'path' must be a folder, got {_kind(raw)}.")
    return _resolve(yaml_path.parent, raw, "path", yaml_path)


def _read_split(raw: Any, split: str, root: Path, yaml_path: Path) -> list[Path]:
    entries = raw if isinstance(raw, list) else [raw]
    if not entries or not all(isinstance(entry, str) and entry for entry in entries):
        raise DataError(f"{yaml_path}: '{split}' must be a folder, a .txt list of images or a list of those.")
    return [_resolve_source(entry, split, root, yaml_path) for entry in entries]


def _resolve(base: Path, entry: str, key: str, yaml_path: Path) -> Path:
    try:
        return (base / Path(entry).expanduser()).resolve()
    except (ValueError, RuntimeError, OSError):
        # A zero byte, the home folder of a user that is not there, or a ring of links.
        raise DataError(f"{yaml_path}: '{key}' is {entry!r}, which cannot be a path.") from None


def _resolve_source(entry: str, split: str, root: Path, yaml_path: Path) -> Path:
    source = _resolve(root, entry, split, yaml_path)
    if not source.exists() and entry.startswith("../"):
        # Roboflow exports say ../train/images and mean train/images; upstream forgives it as well.
        beside = _resolve(root, entry[3:], split, yaml_path)
        if beside.exists():
            return beside
    return source


def _read_image_list(source: Path, root: Path) -> list[str]:
    """Read a list file; a relative line is looked for beside the list first, then under the data set's root."""
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{source} is no list of images: it is not UTF-8 text.") from None
    images = []
    for line in map(str.strip, lines):
        if not line:
            continue
        beside = os.path.normpath(source.parent / line)
        images.append(beside if line.startswith("./") or Path(beside).exists() else os.path.normpath(root / line))
    return images


def _kind(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"

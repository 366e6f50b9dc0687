"""One layer of settings, a file or the command line: its values, where each key stands, and its paths made absolute."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reg_yolo.config.problems import KeyPath, did_you_mean, with_hint
from reg_yolo.config.shipped import shipped_file, shipped_model, shipped_names, shipped_weights

_YOLOV8_STEMS = [
    f"yolov8{size}{variant}" for size in "nsmlx" for variant in ("", "-seg", "-p2", "-p6", "-seg-p6", "-ghost")
]
_STOCK_MODEL = re.compile(r"yolov8[nsmlx]?(?:-(?:seg|p2|p6|seg-p6|ghost|ghost-p2|ghost-p6))?\.(?P<suffix>yaml|pt)")
# Other families pass: whether their head takes our criterion shows when the model is built.
_OTHER_FAMILY = re.compile(r"yolov?(?!8)\d+[\w-]*\.(?P<suffix>yaml|pt)")
ABSENT = object()
"""What lies at a key that is not given; null is a value."""

_PATHS_IN_TRAIN = ("pretrained", "distill_model")


@dataclass(frozen=True)
class Layer:
    """The settings that one source gives.

    Attributes:
        values: Nested plain data.
        source: A file's name, or `command line`.
        lines: The line of each key in a file.
        missing: For a path that leads nowhere, what to say if no later layer replaces it.
    """

    values: dict[str, Any]
    source: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    missing: dict[KeyPath, str] = field(default_factory=dict)

    def says(self, path: KeyPath) -> bool:
        """Return whether this layer gives a value for the key, or for a key under it."""
        return value_at(self.values, path) is not ABSENT

    def place(self, path: KeyPath) -> str:
        """Return `file:line` of a key, or `command line`."""
        line = self.lines.get(path)
        return f"{self.source}:{line}" if line is not None else self.source


def value_at(values: Any, path: KeyPath) -> Any:
    """Return the value that lies at a path, or ABSENT."""
    for part in path:
        if isinstance(values, Mapping):
            values = values.get(str(part), ABSENT)
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
        else:
            return ABSENT
    return values


def place_of(path: KeyPath, layers: Sequence[Layer]) -> str:
    """Return where a key was last given, as ` (file:line)`; for a key given nowhere, where its section stands."""
    for length in range(len(path), 0, -1):
        for layer in reversed(layers):
            if layer.says(path[:length]):
                return f" ({layer.place(path[:length])})"
    return f" ({layers[-1].source})" if len(layers) == 1 else ""


def absolute_paths(layer: Layer, folder: Path) -> Layer:
    """Return the layer with `data`, `model` and weights given as existing files made absolute against `folder`."""
    values = dict(layer.values)
    data = values.get("data")
    if isinstance(data, Mapping):
        values["data"] = {
            key: _data_path(value, folder, ("data", key), layer) if isinstance(value, str) else value
            for key, value in data.items()
        }
    elif isinstance(data, str):
        values["data"] = _data_path(data, folder, ("data",), layer)
    if isinstance(values.get("model"), str):
        values["model"] = _model_path(values["model"], folder, layer)
    train = values.get("train")
    if isinstance(train, Mapping):
        named = {key: train[key] for key in _PATHS_IN_TRAIN if isinstance(train.get(key), str)}
        found = {key: _existing(text, folder) or shipped_weights(text) for key, text in named.items()}
        values["train"] = {**train, **{key: str(path) for key, path in found.items() if path is not None}}
    return Layer(values, layer.source, layer.lines, layer.missing)


def _existing(text: str, folder: Path) -> Path | None:
    """Return the absolute path of an existing file, or None; text that no file system takes counts as missing."""
    try:
        path = (folder / Path(text).expanduser()).resolve()
        return path if text and path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _data_path(text: str, folder: Path, key: KeyPath, layer: Layer) -> str:
    found = _existing(text, folder) or shipped_file(text, "datasets")
    if found is not None:
        return str(found)
    if "://" not in text:
        hint = did_you_mean(text, shipped_names("datasets"))
        message = f"no file {text} in {folder}, and no shipped data set of that name{{where}}"
        layer.missing[key] = with_hint(message, hint)
    return text


def _model_path(text: str, folder: Path, layer: Layer) -> str:
    known = _STOCK_MODEL.fullmatch(text) or _OTHER_FAMILY.fullmatch(text)
    # The name of a stock architecture never means a file next to it: detect/yolov8n.yaml is a configuration of ours.
    if (known is not None and known["suffix"] == "yaml") or shipped_model(text):
        return text
    found = _existing(text, folder)
    if found is not None:
        return str(found)
    if known is None and "://" not in text:
        names = [f"{stem}.{suffix}" for stem in _YOLOV8_STEMS for suffix in ("yaml", "pt")]
        names += [f"yolov8{size}-sem.yaml" for size in "nsmlx"]
        hint = did_you_mean(text, names) or " Expected a path, or a stock name such as yolov8n.yaml or yolov8n.pt"
        layer.missing[("model",)] = with_hint(f"no file {text} in {folder}{{where}}", hint)
    return text

"""Load a configuration: a file or a shipped one, what it extends, and the command line above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reg_yolo.config.layers import Layer, absolute_paths, place_of, value_at
from reg_yolo.config.merging import merge_layers
from reg_yolo.config.overrides import read_overrides
from reg_yolo.config.problems import KeyedError, KeyPath, did_you_mean, explain, show_path, with_hint
from reg_yolo.config.schema import RunConfig
from reg_yolo.config.shipped import shipped_file, shipped_names
from reg_yolo.config.train_arguments import read_arguments
from reg_yolo.config.yaml_text import dump_yaml, read_yaml
from reg_yolo.errors import ConfigError
from reg_yolo.files import replace_text

_LARGEST_FILE = 1_000_000


def load_config(
    source: str | Path,
    overrides: Sequence[str] = (),
    *,
    train_keys: Mapping[str, object] | None = None,
    cwd: Path | None = None,
    above: Sequence[Layer] = (),
) -> RunConfig:
    r"""Return the settings of a run, resolved and validated; paths in it are absolute.

    Args:
        source: A YAML file, or the name of a shipped one such as `detect/yolov8n`.
        overrides: `key=value` words that cover what the files say.
        train_keys: The arguments of Ultralytics with their defaults; without them, `train` is not checked for names.
        cwd: Folder that paths on the command line are relative to; None is the working directory.
        above: Further layers between the files and the command line, with paths relative to `cwd` too.

    Raises:
        ConfigError: If a file is missing or malformed, a key unknown, a value wrong, or keys contradict each other.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "run.yaml"
        ...     _ = file.write_text("model: yolov8n.yaml\ndata: highway_detect\nreg: gfl\n", encoding="utf-8")
        ...     config = load_config(file, ["reg.focal.gamma=1.5", "epochs=3"])
        >>> config.reg.preset, config.reg.focal.gamma, config.train
        ('gfl', 1.5, {'epochs': 3})
    """
    folder = Path.cwd() if cwd is None else Path(cwd).absolute()
    layers = _read_chain(_find_source(str(source), folder), folder)
    layers += [absolute_paths(layer, folder) for layer in above]
    if overrides:
        layers.append(absolute_paths(read_overrides(overrides, train_keys), folder))
    merged: dict[str, Any] = reduce(merge_layers, (layer.values for layer in layers), {})

    def where(path: KeyPath) -> str:
        return place_of(path, layers)

    known = dict(train_keys or {})
    try:
        if isinstance(merged.get("train"), dict) and train_keys is not None:
            merged["train"] = read_arguments(merged["train"], known, list(RunConfig.model_fields))
        config = RunConfig.model_validate(merged)
    except ValidationError as error:
        other_keys = [f"train.{name}" for name in known]
        raise ConfigError(explain(error, RunConfig, where=where, other_keys=other_keys)) from None
    except KeyedError as error:
        message = f"{show_path(error.path)}: {error}{where(error.path)}"
        raise ConfigError(with_hint(message, error.hint)) from None
    _require_files(layers, merged)
    return config


def where_given(
    key: str, source: str | Path, overrides: Sequence[str] = (), *, train_keys: Mapping[str, object] | None = None
) -> str:
    """Returns where a key was last given, as ` (file:line)` or ` (command line)`; empty for one that was not.

    For what is found wrong after loading, by somebody who knows the key alone.

    Args:
        key: a key of the top level or an argument of Ultralytics.
        source: as for `load_config`, which has taken it.
        overrides: likewise.
        train_keys: likewise.
    """
    folder = Path.cwd()
    layers = _read_chain(_find_source(str(source), folder), folder)
    if overrides:
        layers.append(read_overrides(overrides, train_keys))
    path: KeyPath = (key,) if key in RunConfig.model_fields else ("train", key)
    return place_of(path, layers) if any(layer.says(path) for layer in layers) else ""


def dump_config(config: RunConfig) -> str:
    """Return the settings as YAML with every value visible, which `load_config` reads back to an equal object.

    Example:
        >>> config = load_config("detect/yolov8n", ["epochs=3"])
        >>> dump_config(config).splitlines()[0]
        'task: detect'
    """
    return dump_yaml(config.to_dict())


def write_yaml_atomic(path: str | Path, values: Mapping[str, Any] | RunConfig, *, comment: str = "") -> None:
    """Write settings to a YAML file that is never seen half-written.

    Args:
        path: The file; its folder must exist.
        values: Plain data, or a whole configuration.
        comment: Text for the top of the file, without `#`.

    Raises:
        ConfigError: If a value is not plain data.
        OutputError: If the file cannot be written.
    """
    text = dump_yaml(values.to_dict() if isinstance(values, RunConfig) else dict(values))
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    replace_text(Path(path), head + text)


def _find_source(source: str, folder: Path) -> Path:
    path = _as_file(source, folder)
    if path is not None:
        return path
    names = shipped_names()
    hint = did_you_mean(source.removesuffix(".yaml"), names) or f" Shipped are {', '.join(names)}"
    shown = source if source.isprintable() and source else repr(source)
    message = f"No configuration {shown}: no such file in {folder}, and no shipped one of that name"
    raise ConfigError(with_hint(message, hint))


def _as_file(source: str, folder: Path) -> Path | None:
    """Return the file of a path or a shipped name; a file of the user's comes first."""
    try:
        path = folder / Path(source).expanduser()
        if path.is_file():
            return path.resolve()
        if source and path.is_dir() and shipped_file(source) is None:
            raise ConfigError(f"{source} is a folder; expected a configuration, a YAML file")
    except (OSError, ValueError, RuntimeError):
        return None
    return shipped_file(source)


def _read_chain(first: Path, cwd: Path) -> list[Layer]:
    """Return the layers of a file and of what it extends, the base first."""
    layers: list[Layer] = []
    chain: list[Path] = []
    path = first
    while True:
        name = _display(path, cwd)
        shown = " -> ".join(_display(one, cwd) for one in [*chain, path])
        if path in chain:
            raise ConfigError(f"extends: goes round in a circle: {shown}")
        chain.append(path)
        values, lines = read_yaml_file(path, name)
        base = values.pop("extends", None)
        layers.insert(0, absolute_paths(Layer(values, name, lines), path.parent))
        if base is None:
            return layers
        place = layers[0].place(("extends",))
        if not isinstance(base, str) or not base:
            raise ConfigError(f"extends: got {base!r}, expected one path or shipped name ({place})")
        found = _as_file(base, path.parent)
        if found is None:
            hint = did_you_mean(base.removesuffix(".yaml"), shipped_names())
            message = f"extends: no file {base} in {path.parent} ({place}; chain: {shown} -> {base})"
            raise ConfigError(with_hint(message, hint))
        path = found


def read_yaml_file(path: Path, name: str) -> tuple[dict[str, Any], Mapping[KeyPath, int]]:
    """Return the mapping that a YAML file holds, and the line of each key.

    Args:
        path: The file.
        name: What it is called in errors.

    Raises:
        ConfigError: If it cannot be read, is not a YAML mapping, or is a data-set YAML.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ConfigError(f"{name} is larger than 1 MB; expected a configuration, a YAML file")
        # Editors on Windows put a byte-order mark first.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{name} is not UTF-8 text; expected a configuration, a YAML file") from None
    except OSError as error:
        raise ConfigError(f"Cannot read {name}: {error.strerror or error}") from None
    document = read_yaml(text, name)
    values = document.value
    if values is None:
        raise ConfigError(f"{name} is empty; expected task:, model:, data: and what else the run needs")
    if not isinstance(values, dict):
        raise ConfigError(f"{name}: expected keys (task:, model:, data: ...), got {type(values).__name__}")
    if "names" in values and "model" not in values and "extends" not in values:
        raise ConfigError(f"{name} is a data-set YAML, not a configuration; give it as data={name}")
    return values, document.lines


def _require_files(layers: Sequence[Layer], merged: Mapping[str, Any]) -> None:
    """Refuse a path that leads nowhere, unless a later layer has replaced it."""
    for index, layer in enumerate(layers):
        later = layers[index + 1 :]
        for path, message in layer.missing.items():
            counts = value_at(merged, path) == value_at(layer.values, path)
            if counts and not any(above.says(path) for above in later):
                where = f" ({layer.place(path)})"
                raise ConfigError(f"{show_path(path)}: " + message.replace("{where}", where))


def _display(path: Path, cwd: Path) -> str:
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)

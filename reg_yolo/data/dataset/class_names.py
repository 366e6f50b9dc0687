"""The class names of a data-set YAML: a list, or a mapping from class index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reg_yolo.errors import DataError


def read_class_names(content: Mapping[str, Any], yaml_path: Path) -> dict[int, str]:
    """Return the class names of a data-set YAML by class index, contiguous from 0 and in that order.

    Args:
        content: What the file holds.
        yaml_path: The file, for messages.

    Raises:
        DataError: If names are missing, empty or repeated, indices have gaps, or `nc` is another number.
    """
    raw = content.get("names")
    if raw is None:
        raise DataError(f"{yaml_path} has no class names; add 'names:' with one name for each class index from 0.")
    if isinstance(raw, list):
        raw = dict(enumerate(raw))
    if not isinstance(raw, Mapping):
        raise DataError(
            f"{yaml_path}: 'names' must be a list or a mapping from class index, got {type(raw).__name__} {raw!r}."
        )
    if not raw:
        raise DataError(f"{yaml_path}: 'names' is empty; a data set needs at least one class.")
    names: dict[int, str] = {}
    for key, value in raw.items():
        try:
            index = int(key)
        except (TypeError, ValueError):
            raise DataError(f"{yaml_path}: 'names' has the key {key!r}; expected class indices 0, 1, 2 ...") from None
        if isinstance(value, list | Mapping) or value is None or not str(value).strip():
            raise DataError(f"{yaml_path}: 'names' gives class {index} no name (got {value!r}).")
        names[index] = str(value)
    if len(names) != len(raw) or sorted(names) != list(range(len(names))):
        listed = ", ".join(str(index) for index in sorted(names)[:12])
        raise DataError(
            f"{yaml_path}: class indices in 'names' must run from 0 to {len(raw) - 1} without a gap, got {listed}."
        )
    repeated = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    if repeated:
        raise DataError(f"{yaml_path}: class names must differ, but {', '.join(map(repr, repeated))} stands twice.")
    _check_count(content, len(names), yaml_path)
    return {index: names[index] for index in sorted(names)}


def _check_count(content: Mapping[str, Any], names: int, yaml_path: Path) -> None:
    if "nc" not in content:
        return
    try:
        count = float(content["nc"])
    except (TypeError, ValueError):
        raise DataError(f"{yaml_path}: 'nc' must be the number of classes, got {content['nc']!r}.") from None
    if count != names:
        raise DataError(f"{yaml_path}: 'nc' is {content['nc']} but 'names' has {names}; drop 'nc' or make them agree.")

"""What the columns of a foreign inventory mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reg_yolo.config.problems import did_you_mean, with_hint
from reg_yolo.errors import ConfigError
from reg_yolo.inventory.datum import parse_crs
from reg_yolo.inventory.settings_files import read_settings_file

MEANINGS = (
    "asset_id", "class", "longitude", "latitude", "easting", "northing", "bearing_deg", "distance_m", "sigma_along_m",
    "sigma_across_m", "geometry_kind", "route", "side", "facing_deg", "reviewed_by",
    "height_m", "width_m", "lower_edge_m",
)  # fmt: skip
"""What a column can be said to hold."""
_KEYS = ("columns", "class", "classes", "crs")
_SIDES = ("old", "new")


@dataclass(frozen=True)
class ForeignColumns:
    """How a file is read whose columns are not this package's.

    Attributes:
        columns: The file's column by meaning; those not named are looked for under their own names.
        class_name: The class of everything in it, where no column tells; None where one does.
        classes: This package's name of a class by the file's.
        crs: Of a file that does not state its system; None where it does.
    """

    columns: dict[str, str] = field(default_factory=dict)
    class_name: str | None = None
    classes: dict[str, str] = field(default_factory=dict)
    crs: str | None = None

    def column(self, meaning: str) -> str:
        """Return the file's name of a column."""
        return self.columns.get(meaning, meaning)


def read_columns(path: Path) -> tuple[ForeignColumns, ForeignColumns]:
    """Read `columns: {MEANING: COLUMN}`, `class`, `classes` and `crs`, for both files or below `old` and `new`.

    Returns:
        What the older file's columns mean, and what the newer one's.

    Raises:
        ConfigError: If it cannot be read or names what is not known.
    """
    content = read_settings_file(path)
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"{path}: expected {', '.join(_KEYS)}, for both files or below old and new")
    if set(content) <= set(_SIDES):
        old, new = (_columns(path, content.get(side) or {}, f"{side}.") for side in _SIDES)
        return old, new
    both = _columns(path, content, "")
    return both, both


def _columns(path: Path, content: Any, prefix: str) -> ForeignColumns:
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: {prefix.rstrip('.')}: expected {', '.join(_KEYS)}, got {content!r}")
    for key in set(content) - set(_KEYS):
        hint = did_you_mean(str(key), (*_KEYS, *_SIDES))
        raise ConfigError(with_hint(f"{path}: unknown key '{prefix}{key}'", hint))
    columns = _texts(path, content, "columns", prefix)
    for meaning in set(columns) - set(MEANINGS):
        hint = did_you_mean(meaning, MEANINGS)
        raise ConfigError(with_hint(f"{path}: {prefix}columns: an asset has no {meaning!r}", hint))
    for key in ("class", "crs"):
        if content.get(key) is not None and not isinstance(content[key], str):
            raise ConfigError(f"{path}: {prefix}{key}: expected text, got {content[key]!r}")
    if content.get("crs"):
        parse_crs(content["crs"], f"{path}: {prefix}crs")
    return ForeignColumns(columns, content.get("class"), _texts(path, content, "classes", prefix), content.get("crs"))


def _texts(path: Path, content: dict[str, Any], key: str, prefix: str) -> dict[str, str]:
    values = content.get(key) or {}
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ConfigError(f"{path}: {prefix}{key}: expected NAME: NAME, got {values!r}")
    return {str(name): value for name, value in values.items()}

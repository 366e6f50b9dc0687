"""Columns of an agency's schema: which of the inventory's columns are written, and under which names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reg_yolo.config.problems import did_you_mean, with_hint
from reg_yolo.errors import ConfigError
from reg_yolo.inventory.assets import COLUMNS
from reg_yolo.inventory.settings_files import read_settings_file

_TAKEN = {"fid", "geom", "longitude", "latitude"}
_OTHERS = ("keep", "drop")


@dataclass(frozen=True)
class FieldMapping:
    """How columns are renamed and chosen.

    Attributes:
        names: New name by column, in the order in which they are written.
        keep_others: Whether the columns that are not named follow under their own names.
    """

    names: dict[str, str] = field(default_factory=dict)
    keep_others: bool = True

    def written(self, columns: Sequence[str]) -> dict[str, str]:
        """Return the name that each written column gets, in the order in which they are written.

        Example:
            >>> FieldMapping({"class": "TYPE"}, keep_others=False).written(["asset_id", "class"])
            {'class': 'TYPE'}
        """
        others = {name: name for name in columns if name not in self.names} if self.keep_others else {}
        return {name: new for name, new in self.names.items() if name in columns} | others


def read_fields(path: Path) -> FieldMapping:
    """Read `columns: {COLUMN: NEW_NAME}` and `others: keep|drop`; a column without a new name keeps its own.

    Raises:
        ConfigError: If it cannot be read, names an unknown column, or gives two columns one name.
    """
    content = read_settings_file(path)
    columns = content.get("columns") if isinstance(content, dict) else None
    if not isinstance(columns, dict) or not columns:
        raise ConfigError(f"{path}: expected columns: with COLUMN: NEW_NAME, such as class: ASSET_TYPE")
    for key in set(content) - {"columns", "others"}:
        hint = did_you_mean(str(key), ("columns", "others"))
        raise ConfigError(with_hint(f"{path}: unknown key {key!r}; expected columns and others", hint))
    others = content.get("others", "keep")
    if others not in _OTHERS:
        raise ConfigError(f"{path}: others must be keep or drop, got {others!r}")
    names = {}
    for column, new in columns.items():
        if column not in COLUMNS:
            hint = did_you_mean(str(column), COLUMNS)
            raise ConfigError(with_hint(f"{path}: columns: the inventory has no column {column!r}", hint))
        if not (new is None or (isinstance(new, str) and new.strip())):
            raise ConfigError(f"{path}: columns: {column}: expected a name, got {new!r}")
        names[column] = column if new is None else new.strip()
    mapping = FieldMapping(names, others == "keep")
    _refuse_clashes(path, mapping)
    return mapping


def _refuse_clashes(path: Path, mapping: FieldMapping) -> None:
    """Databases do not tell upper from lower case in the names of columns."""
    taken: dict[str, str] = {}
    for column, new in mapping.written(COLUMNS).items():
        key = new.casefold()
        if key in _TAKEN:
            raise ConfigError(f"{path}: columns: {column}: the name {new} is taken by the file formats themselves")
        if key in taken:
            raise ConfigError(f"{path}: columns: {taken[key]} and {column} would both be called {new}")
        taken[key] = column

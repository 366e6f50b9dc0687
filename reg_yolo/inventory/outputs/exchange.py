"""Shapefile and FileGDB, for agencies that ask for them."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.files import replace_bytes
from reg_yolo.inventory.building import Inventory
from reg_yolo.inventory.outputs.fields import FieldMapping
from reg_yolo.inventory.outputs.folders import new_folder
from reg_yolo.inventory.outputs.layers import Layer, layers_of
from reg_yolo.inventory.outputs.vector import import_pyogrio, write_layer

DRIVERS = {"shapefile": "ESRI Shapefile", "filegdb": "OpenFileGDB"}
"""Formats that are written on request, with GDAL's names of them."""
_NAME_LENGTH = 10
_TEXT_BYTES = 254


def check_formats(formats: Sequence[str]) -> None:
    """Refuse a format that is not known, or that the installed GDAL cannot write.

    Raises:
        ConfigError: Naming it.
    """
    for name in formats:
        if name not in DRIVERS:
            raise ConfigError(f"--format: expected {' or '.join(DRIVERS)}, got {name!r}")
        pyogrio = import_pyogrio()
        if "w" not in pyogrio.list_drivers().get(DRIVERS[name], ""):
            version = ".".join(map(str, pyogrio.__gdal_version__))
            raise ConfigError(f"--format {name}: the installed GDAL {version} cannot write {DRIVERS[name]}")


def write_shapefiles(folder: Path, inventory: Inventory, crs: str, mapping: FieldMapping | None = None) -> list[str]:
    """Write a folder with a Shapefile a layer, and return what the format cost.

    Names of columns are cut to 10 characters; `columns.csv` lists them. Texts are cut to 254 bytes.

    Raises:
        DataError: If it cannot be written.
    """
    said = []
    with _new_folder(folder) as part:
        listed = [("layer", "column", "column in the Shapefile")]
        cut_texts = 0
        for layer in layers_of(inventory, mapping):
            names = _short_names([layer.written.get(name, name) for name in layer.columns])
            short = dict(zip(layer.columns, names, strict=True))
            listed += [(layer.name, layer.written.get(name, name), short[name]) for name in layer.columns]
            cut, count = _cut_texts(layer)
            cut_texts += count
            # A table without geometry becomes a lone .dbf, which has no field for the layer's system.
            written = replace(cut, written=short)
            write_layer(part / f"{layer.name}.shp", written, crs, DRIVERS["shapefile"], encoding="UTF-8")
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\r\n").writerows(listed)
        replace_bytes(part / "columns.csv", b"\xef\xbb\xbf" + stream.getvalue().encode("utf-8"))
        changed = sum(column != short_name for _, column, short_name in listed[1:])
        if changed:
            said.append(
                f"Shapefile: {changed} names of columns cut to {_NAME_LENGTH} characters, listed in columns.csv"
            )
        if cut_texts:
            said.append(f"Shapefile: {cut_texts} texts cut to {_TEXT_BYTES} bytes")
    return said


def write_filegdb(folder: Path, inventory: Inventory, crs: str, mapping: FieldMapping | None = None) -> None:
    """Write a FileGDB, which is a folder.

    Raises:
        DataError: If it cannot be written.
    """
    with _new_folder(folder) as part:
        for number, layer in enumerate(layers_of(inventory, mapping)):
            write_layer(part, layer, crs, DRIVERS["filegdb"], append=number > 0)


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Yield a place for a new folder of GDAL's that replaces `folder` once it is whole."""
    pyogrio = import_pyogrio()
    try:
        with warnings.catch_warnings(), new_folder(folder) as part:
            # GDAL warns of names that a reader of columns.csv knows of.
            warnings.simplefilter("ignore", RuntimeWarning)
            yield part
    except pyogrio.errors.DataSourceError as error:
        raise DataError(f"{folder} cannot be written: {str(error).splitlines()[0]}") from None


def _short_names(names: Sequence[str]) -> list[str]:
    """Cut names to 10 bytes, numbering those that would be the same."""
    short: list[str] = []
    taken: set[str] = set()
    for name in names:
        candidate, number = _cut(name, _NAME_LENGTH), 1
        while candidate.casefold() in taken:
            tail = f"_{number}"
            candidate, number = _cut(name, _NAME_LENGTH - len(tail)) + tail, number + 1
        taken.add(candidate.casefold())
        short.append(candidate)
    return short


def _cut_texts(layer: Layer) -> tuple[Layer, int]:
    count = 0
    rows: list[dict[str, Any]] = []
    for row in layer.rows:
        cut = {name: _cut(value, _TEXT_BYTES) if isinstance(value, str) else value for name, value in row.items()}
        count += sum(value != row[name] for name, value in cut.items())
        rows.append(cut)
    return replace(layer, rows=rows), count


def _cut(text: str, length: int) -> str:
    """Cut to bytes of UTF-8, never within a letter."""
    return text.encode("utf-8")[:length].decode("utf-8", "ignore")

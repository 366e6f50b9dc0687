"""Filled forms as people and programs leave them: other separators, encodings, order of columns, decimal commas."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import shapely

from reg_yolo.config.problems import did_you_mean, with_hint
from reg_yolo.errors import DataError
from reg_yolo.files import open_regular
from reg_yolo.inventory.audit.forms import ASSETS, KINDS, LAYERS, LISTED, STRETCHES, Kind
from reg_yolo.inventory.datum import WGS84, conversion
from reg_yolo.inventory.outputs.vector import import_pyogrio

Say = Callable[[str], None]
LARGEST = 64 << 20
_SEPARATORS = (",", ";", "\t")
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True)
class TypedRow:
    """A row as somebody left it.

    Attributes:
        kind: `assets`, `stretches`, `listed` or `disputed`.
        where: What an error names, such as `form_a_assets.csv: row 7`.
        cells: Text by column, stripped; columns that the form does not have are kept too.
    """

    kind: str
    where: str
    cells: Mapping[str, str]

    @property
    def is_mark(self) -> bool:
        """Whether it is a stretch of a GeoPackage: the points of `listed` say what stands along it."""
        return self.kind == STRETCHES and "checked" in self.cells and "class" not in self.cells

    def text(self, column: str) -> str:
        """Return a cell; "" where there is none."""
        return self.cells.get(column, "")

    def number(self, column: str) -> float | None:
        """Return a cell as a number, None where it is empty; a decimal comma is one.

        Raises:
            DataError: If it is none.
        """
        text = self.text(column)
        if not text:
            return None
        plain = text.replace("\u00a0", "").replace(" ", "").removesuffix("m").removesuffix("°")
        try:
            value = float(plain if "." in plain else plain.replace(",", "."))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DataError(f"{self.where}: {column}: expected a number, got {text!r}")
        return value


def read_filled(path: Path, say: Say = lambda _line: None) -> list[TypedRow]:
    """Read a filled form, CSV or GeoPackage; empty rows are left out.

    Args:
        path: The file.
        say: Called where something was guessed.

    Raises:
        DataError: If it cannot be read, or is not a form of an audit.
    """
    suffix = path.suffix.lower()
    if suffix in (".csv", ".txt", ".tsv"):
        return _table(path, say)
    if suffix == ".gpkg":
        return _geopackage(path)
    hint = "; save the sheet as CSV" if suffix in (".xlsx", ".xls", ".ods") else ""
    raise DataError(f"{path}: expected a form as .csv or .gpkg{hint}")


def _table(path: Path, say: Say) -> list[TypedRow]:
    text = _decoded(path, say)
    lines = text.splitlines()
    if lines and lines[0].lower().startswith("sep="):
        # Some programs tell Excel the separator in a line of its own.
        text = text[len(lines[0]) :].lstrip("\r\n")
        lines = lines[1:]
    if not lines:
        raise DataError(f"{path} is empty")
    separator = max(_SEPARATORS, key=lines[0].count)
    table: list[list[str]] = []
    try:
        # A quote that is opened and not closed would swallow all rows after it.
        table.extend(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}: after row {len(table)}: {error}; look for a single quotation mark") from None
    header = [name.strip().strip("\ufeff").casefold() for name in table[0]]
    kind = _kind(path, header)
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: column {twice[0]!r} is there twice")
    rows = []
    for number, cells in enumerate(table[1:], start=2):
        stripped = [_cell(cell) for cell in cells]
        if not any(stripped):
            continue
        if any(stripped[len(header) :]):
            raise DataError(f"{path}: row {number} has {len(cells)} cells, the header {len(header)}")
        own = {name: cell for name, cell in zip(header, stripped, strict=False) if name or cell}
        rows.append(TypedRow(kind.name, f"{path.name}: row {number}", own))
    return rows


def _decoded(path: Path, say: Say) -> str:
    try:
        with open_regular(path) as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise DataError(f"{path}: larger than {LARGEST >> 20} MB, not a form of an audit")
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    for name in ("utf-16",) if marked else ("utf-8-sig", "cp874"):
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        if name == "cp874":
            say(f"{path}: not UTF-8; read as Windows-874, the code page of Thai Windows")
        return text
    raise DataError(f"{path} is not text that can be read; save it as CSV UTF-8")


def _kind(path: Path, header: list[str]) -> Kind:
    for kind in KINDS:
        if kind.key in header and kind.asked in header:
            lacking = [name for name in ("audit", "form") if name not in header]
            if lacking:
                raise _lacks(path, lacking[0], header)
            return kind
    begun = next((kind for kind in KINDS if kind.key in header), None)
    if begun is not None:
        raise _lacks(path, begun.asked, header)
    raise DataError(f"{path} is not a form of an audit: expected a column {' or '.join(kind.key for kind in KINDS)}")


def _lacks(path: Path, column: str, header: list[str]) -> DataError:
    message = f"{path}: no column {column!r}; take the form as it was written"
    return DataError(with_hint(message, did_you_mean(column, header)))


def _cell(text: str) -> str:
    """A cell without the apostrophe that keeps a spreadsheet from running it."""
    text = text.strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _geopackage(path: Path) -> list[TypedRow]:
    pyogrio = import_pyogrio()
    if not path.is_file():
        raise DataError(f"{path} cannot be read: no such file")
    try:
        names = [str(name) for name, _ in pyogrio.list_layers(path)]
        if not {STRETCHES, ASSETS, LISTED} & set(names):
            raise DataError(f"{path} is not a form of an audit: expected layers {', '.join(LAYERS)}")
        tables = {name: pyogrio.raw.read(path, layer=name, return_fids=True) for name in LAYERS if name in names}
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    rows = []
    for name, (meta, fids, shapes, data) in tables.items():
        if not meta["crs"]:
            raise DataError(f"{path}: layer {name} states no coordinate reference system")
        convert = conversion(meta["crs"], WGS84, str(path))
        fields = [str(field).casefold() for field in meta["fields"]]
        for n, fid in enumerate(fids.tolist()):
            cells = {key: _written(column[n]) for key, column in zip(fields, data, strict=True)}
            shape = shapely.from_wkb(shapes[n]) if shapes is not None and shapes[n] is not None else None
            if name != STRETCHES:
                if shape is None or shape.is_empty:
                    raise DataError(f"{path.name}: layer {name}, feature {fid}: no geometry")
                x, y = convert(shapely.get_coordinates(shape)[:1])[0]
                cells |= {"drawn_longitude": f"{x:.7f}", "drawn_latitude": f"{y:.7f}"}
            rows.append(TypedRow(name, f"{path.name}: layer {name}, feature {fid}", cells))
    return _with_form(rows)


def _with_form(rows: list[TypedRow]) -> list[TypedRow]:
    """Points that somebody drew get audit and form from the layers that were written."""
    known = {key: {row.text(key) for row in rows if row.text(key)} for key in ("audit", "form")}
    filled = {key: next(iter(values)) for key, values in known.items() if len(values) == 1}
    return [
        TypedRow(row.kind, row.where, {**row.cells, **{k: v for k, v in filled.items() if not row.text(k)}})
        for row in rows
    ]


def _written(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()

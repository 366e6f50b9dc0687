"""results.csv of a run that is resumed: its rows are those of the epochs that the checkpoint has behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reg_yolo.files import replace_text


def cut_results(path: Path, epochs: int, stored: Mapping[str, Sequence[Any]]) -> int:
    """Leave one row for each of the first `epochs` epochs, and return how many rows or parts of rows went.

    A process that is killed between writing a row and its checkpoint leaves a row too many, or half of one.

    Args:
        path: The file; where it or a row of it is missing, `stored` fills in.
        epochs: How many epochs the checkpoint has behind it.
        stored: Columns of the file by name as the checkpoint holds them, `epoch` among them.
    """
    before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    header, _, body = before.partition("\n")
    lines = body.splitlines(keepends=True)
    rows = {number: line for line in lines if (number := _epoch_of(line, header)) and number <= epochs}
    names = ",".join(stored)
    if names and (not rows or names == header):
        header = names
        rows = {number: line for number, line in _stored_rows(stored).items() if number <= epochs} | rows
    text = "".join([header + "\n", *(rows[number] for number in sorted(rows))]) if rows else ""
    if text == before:
        return 0
    if text:
        replace_text(path, text)
    else:
        path.unlink(missing_ok=True)
    return max(len(lines) - len(rows), 0)


def _epoch_of(line: str, header: str) -> int:
    """Return the epoch of a whole row, counted from 1; 0 where it is cut off or another text."""
    first = line.partition(",")[0].strip()
    whole = line.endswith("\n") and line.count(",") == header.count(",")
    return int(first) if whole and first.isascii() and first.isdigit() else 0


def _stored_rows(stored: Mapping[str, Sequence[Any]]) -> dict[int, str]:
    rows = {}
    for values in zip(*stored.values(), strict=False):
        row = dict(zip(stored, values, strict=True))
        if isinstance(row.get("epoch"), int):
            # Upstream's own format of a row.
            rows[row["epoch"]] = ",".join(f"{value:.6g}" if value is not None else "" for value in values) + "\n"
    return rows

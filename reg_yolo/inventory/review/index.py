"""`review.sqlite`: where each asset stands in an inventory's files, by doubt, so that a review opens at once."""

from __future__ import annotations

import hashlib
import json
import math
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from reg_yolo.errors import DataError, OutputError
from reg_yolo.files import open_regular, replacing
from reg_yolo.inventory.outputs.observed import SCHEMA
from reg_yolo.inventory.review.doubt import doubt_of

INDEX, FEATURES, OBSERVED = "review.sqlite", "inventory.geojson", "observations.jsonl"
REVIEWED = "reviewed"
"""State of an asset that an earlier review has confirmed."""
REJECTED = "rejected"
"""State of one that an earlier review has rejected: it is in observations.jsonl alone."""
CELL_DEG = 0.001
_VERSION = 1
_SAMPLE = 1 << 16
_ID = re.compile(rb'"asset_id":("(?:[^"\\]|\\.)*")')
_COLUMNS = (
    "rank INTEGER PRIMARY KEY, id TEXT, class TEXT, doubt REAL, longitude REAL, latitude REAL, cell INTEGER, "
    "start INTEGER, length INTEGER, offset INTEGER, base TEXT"
)


def cell_of(longitude_deg: float, latitude_deg: float) -> int:
    """Return the number of the cell of 0.001 degrees that a place lies in; those to the north are 1,000,000 further."""
    return math.floor(latitude_deg / CELL_DEG) * 1_000_000 + math.floor(longitude_deg / CELL_DEG)


def open_file(path: Path) -> BinaryIO:
    """Open a file of an inventory.

    Raises:
        DataError: If it cannot be opened.
    """
    try:
        return open_regular(path)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path} cannot be read: {reason}; name the folder of `inventory build`") from None


def open_index(folder: Path, features: BinaryIO, observed: BinaryIO) -> sqlite3.Connection:
    """Return the index of an inventory; it is made where there is none, or one of another build.

    Where the folder cannot be written it is made in a temporary place.

    Raises:
        DataError: If the files are no inventory, or of different builds.
    """
    key = _key(features, observed)
    known = _opened(folder / INDEX, key)
    if known is not None:
        return known
    try:
        with replacing(folder / INDEX) as part, closing(sqlite3.connect(part)) as database:
            _fill(database, folder, features, observed, key)
    except (OutputError, sqlite3.OperationalError, PermissionError):
        database = sqlite3.connect("")
        _fill(database, folder, features, observed, key)
        return database
    known = _opened(folder / INDEX, key)
    assert known is not None
    return known


def write_index(folder: Path) -> None:
    """Write the index of an inventory that was just built.

    Raises:
        DataError: If its files are not there.
        OutputError: If it cannot be written.
    """
    with open_file(folder / FEATURES) as features, open_file(folder / OBSERVED) as observed:
        open_index(folder, features, observed).close()


def _key(*files: BinaryIO) -> str:
    """What two builds differ in: sizes, beginnings and ends of their files."""
    digest = hashlib.sha256(str(_VERSION).encode())
    for stream in files:
        size = stream.seek(0, 2)
        digest.update(str(size).encode())
        for place in (0, max(0, size - _SAMPLE)):
            stream.seek(place)
            digest.update(stream.read(_SAMPLE))
    return digest.hexdigest()


def _opened(path: Path, key: str) -> sqlite3.Connection | None:
    if not path.is_file():
        return None
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        if database.execute("SELECT key FROM build").fetchall() == [(key,)]:
            return database
    except sqlite3.DatabaseError:
        pass
    database.close()
    return None


def _fill(database: sqlite3.Connection, folder: Path, features: BinaryIO, observed: BinaryIO, key: str) -> None:
    offsets = _offsets(folder / OBSERVED, observed)
    rows = _rows(folder / FEATURES, features)
    missing = next((row[0] for row in rows if row[0] not in offsets), None)
    if missing is not None:
        raise DataError(f"{folder / OBSERVED} is of another build: it lacks {missing}; build again")
    rows.sort(key=lambda row: -row[2])
    with database:
        database.execute(f"CREATE TABLE assets ({_COLUMNS})")
        insert = "INSERT INTO assets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        database.executemany(insert, ((rank, *row[:-1], offsets.pop(row[0]), row[-1]) for rank, row in enumerate(rows)))
        # What is left was rejected at the build: known, not shown.
        left = enumerate(offsets.items(), start=len(rows))
        database.executemany(
            "INSERT INTO assets (rank, id, offset, base) VALUES (?, ?, ?, ?)",
            ((rank, asset_id, offset, REJECTED) for rank, (asset_id, offset) in left),
        )
        database.execute("CREATE UNIQUE INDEX ids ON assets (id)")
        database.execute("CREATE INDEX cells ON assets (cell)")
        database.execute("CREATE TABLE build (key TEXT)")
        database.execute("INSERT INTO build VALUES (?)", (key,))


def _rows(path: Path, features: BinaryIO) -> list[tuple[Any, ...]]:
    """Id, class, doubt, place, cell, first byte, length and state of the listed assets, in the order of the file."""
    features.seek(0)
    try:
        text = features.read().decode("utf-8")
        rows: list[tuple[Any, ...]] = []
        for start, length, feature in _features(text):
            values = feature["properties"]
            points = points_of(feature["geometry"])
            longitude, latitude = (
                (first + last) / 2 for first, last in zip(points[0][:2], points[-1][:2], strict=True)
            )
            base = REVIEWED if values.get("reviewed_by") or values.get("decisions") else ""
            known = str(values["asset_id"]), str(values["class"]), doubt_of(values), longitude, latitude
            rows.append((*known, cell_of(longitude, latitude), start, length, base))
    except (ValueError, KeyError, TypeError, IndexError):
        raise DataError(f"{path} is no inventory that `inventory build` wrote; build it again") from None
    return rows


def _offsets(path: Path, observed: BinaryIO) -> dict[str, int]:
    """Where each asset's line starts, by id."""
    observed.seek(0)
    header = observed.readline()
    try:
        known = json.loads(header)
        schema, count = known["schema"], known["assets"]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is no observations file of `inventory build`") from None
    if schema != SCHEMA:
        raise DataError(f"{path}: schema is {schema!r}; this version of reg_yolo reads {SCHEMA!r}")
    offsets: dict[str, int] = {}
    place = len(header)
    for line in observed:
        found = _ID.search(line)
        if found is not None:
            offsets[json.loads(found[1])] = place
        place += len(line)
    if len(offsets) != count:
        raise DataError(f"{path} is cut off: it holds {len(offsets)} assets of {count}; build it again")
    return offsets


def _features(text: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield the first byte and the number of bytes of each feature of a FeatureCollection, and itself.

    One after the other: 150,000 of them at once would take a gigabyte.

    Raises:
        ValueError: If there is no list of features.
    """
    decode = json.JSONDecoder().raw_decode
    space = re.compile(r"[\s,]*")
    head = re.search(r'"features"\s*:\s*\[', text)
    if head is None:
        raise ValueError("no features")
    plain = text.isascii()
    place = space.match(text, head.end()).end()  # type: ignore[union-attr]
    first = len(text[:place].encode())
    while text[place : place + 1] != "]":
        feature, end = decode(text, place)
        following = space.match(text, end).end()  # type: ignore[union-attr]
        length = end - place if plain else len(text[place:end].encode())
        yield first, length, feature
        first += length + following - end
        place = following


def points_of(geometry: dict[str, Any]) -> Sequence[Sequence[float]]:
    """Return the vertices of a GeoJSON geometry, longitude first."""
    places = geometry["coordinates"]
    return [places] if geometry["type"] == "Point" else places

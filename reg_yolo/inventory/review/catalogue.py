"""The assets of a built inventory in the order of doubt, paged from a temporary SQL table and observations.jsonl."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from reg_yolo.errors import DataError
from reg_yolo.files import open_regular
from reg_yolo.inventory.outputs.observed import SCHEMA
from reg_yolo.inventory.review.doubt import doubt_of

REVIEWED = "reviewed"
"""State of an asset that an earlier review has confirmed."""
REJECTED = "rejected"
"""State of one that an earlier review has rejected: it is in observations.jsonl alone."""
_METRES_PER_DEGREE = 111_320.0
_ID = re.compile(rb'"asset_id":("(?:[^"\\]|\\.)*")')
_TABLE = (
    "CREATE TABLE assets (rank INTEGER PRIMARY KEY, id TEXT, class TEXT, doubt REAL, longitude REAL, latitude REAL, "
    "feature TEXT, offset INTEGER, base TEXT, state TEXT)"
)


@dataclass(frozen=True)
class Entry:
    """An asset as it is reviewed.

    Attributes:
        rank: Its position by doubt, from 0.
        asset_id, class_name: Its name and class.
        doubt: In [0, 1].
        state: What was last decided; "" for nothing yet.
        feature: GeoJSON.
    """

    rank: int
    asset_id: str
    class_name: str
    doubt: float
    state: str
    feature: dict[str, Any]


class Catalogue:
    """Context manager that reads `inventory.geojson` and finds each asset's line in `observations.jsonl`.

    The GeoPackage may have renamed columns, and may be edited meanwhile; these two files are as they were built.
    observations.jsonl stays open, so that a build that replaces it changes nothing here.

    Args:
        folder: Of the inventory.

    Raises:
        DataError: If a file is missing, is none of these, or both are of different builds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Catalogue:
        with ExitStack() as stack:
            self._observed = stack.enter_context(_opened(self.folder / "observations.jsonl"))
            # A temporary database: SQLite keeps it on the disk where it grows.
            self._database = sqlite3.connect("")
            stack.callback(self._database.close)
            self._load()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def _load(self) -> None:
        offsets = self._offsets()
        path = self.folder / "inventory.geojson"
        text = _text_of(path)
        rows = []
        try:
            for start, end, feature in _features(text):
                values = feature["properties"]
                points = _points(feature["geometry"])
                middle = [(first + last) / 2 for first, last in zip(points[0], points[-1], strict=True)]
                known = str(values["asset_id"]), str(values["class"]), middle[0], middle[1]
                base = REVIEWED if values.get("reviewed_by") or values.get("decisions") else ""
                rows.append((doubt_of(values), start, end, *known, base))
        except (ValueError, KeyError, TypeError, IndexError):
            raise DataError(f"{path} is no inventory that `inventory build` wrote; build it again") from None
        rows.sort(key=lambda row: -row[0])
        missing = next((row[3] for row in rows if row[3] not in offsets), None)
        if missing is not None:
            raise DataError(
                f"{self.folder / 'observations.jsonl'} is of another build: it lacks {missing}; build again"
            )
        self._database.execute(_TABLE)
        self._database.executemany(
            "INSERT INTO assets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (rank, asset_id, name, value, longitude, latitude, text[start:end], offsets.pop(asset_id), base, base)
                for rank, (value, start, end, asset_id, name, longitude, latitude, base) in enumerate(rows)
            ),
        )
        self.total = len(rows)
        # What is left was rejected at the build: known, not shown.
        left = (
            (len(rows) + n, asset_id, None, 0.0, None, None, None, offset, REJECTED, REJECTED)
            for n, (asset_id, offset) in enumerate(offsets.items())
        )
        self._database.executemany("INSERT INTO assets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", left)
        for index in ("UNIQUE INDEX ids ON assets (id)", "INDEX places ON assets (latitude)"):
            self._database.execute(f"CREATE {index}")

    def _offsets(self) -> dict[str, int]:
        """Where each asset's line starts, by id."""
        path = self.folder / "observations.jsonl"
        header = self._observed.readline()
        try:
            self.header: dict[str, Any] = json.loads(header)
            schema, count = self.header["schema"], self.header["assets"]
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path} is no observations file of `inventory build`") from None
        if schema != SCHEMA:
            raise DataError(f"{path}: schema is {schema!r}; this version of reg_yolo reads {SCHEMA!r}")
        offsets: dict[str, int] = {}
        place = len(header)
        for line in self._observed:
            found = _ID.search(line)
            if found is not None:
                offsets[json.loads(found[1])] = place
            place += len(line)
        if len(offsets) != count:
            raise DataError(f"{path} is cut off: it holds {len(offsets)} assets of {count}; build it again")
        return offsets

    def classes(self) -> list[str]:
        """Return the classes of the assets, sorted."""
        found = self._database.execute("SELECT DISTINCT class FROM assets WHERE rank < ?", (self.total,))
        return sorted(name for (name,) in found)

    def count_reviewed(self) -> int:
        """Return how many of the assets have been decided on."""
        row = self._database.execute("SELECT count(*) FROM assets WHERE state != '' AND rank < ?", (self.total,))
        return int(row.fetchone()[0])

    def queue(self, first: int, count: int, class_name: str | None = None) -> list[Entry]:
        """Return assets that nobody has decided on, from a rank on, the most doubtful first."""
        condition, values = ("AND class = ?", [class_name]) if class_name else ("", [])
        rows = self._database.execute(
            f"SELECT rank FROM assets WHERE rank >= ? AND rank < ? AND state = '' {condition} ORDER BY rank LIMIT ?",
            [first, self.total, *values, count],
        )
        return [self._entry(rank) for (rank,) in rows.fetchall()]

    def rank_of(self, asset_id: str) -> int | None:
        """Return the rank of an asset; None where it is not listed."""
        row = self._database.execute("SELECT rank FROM assets WHERE id = ?", (asset_id,)).fetchone()
        return None if row is None or row[0] >= self.total else int(row[0])

    def entries(self, most: int | None = None) -> Iterator[Entry]:
        """Yield the listed assets, the most doubtful first."""
        for rank in range(self.total if most is None else min(most, self.total)):
            yield self._entry(rank)

    def entry(self, asset_id: str) -> Entry | None:
        """Return a listed asset."""
        rank = self.rank_of(asset_id)
        return None if rank is None else self._entry(rank)

    def _entry(self, rank: int) -> Entry:
        row = self._database.execute(
            "SELECT id, class, doubt, state, feature FROM assets WHERE rank = ?", (rank,)
        ).fetchone()
        *known, feature = row
        return Entry(rank, *known, json.loads(feature))

    def near(self, entry: Entry, within_m: float, most: int) -> list[tuple[float, Entry]]:
        """Return listed assets within a distance with their distances, the nearest first."""
        longitude, latitude = self._database.execute(
            "SELECT longitude, latitude FROM assets WHERE rank = ?", (entry.rank,)
        ).fetchone()
        shrunk = max(math.cos(math.radians(latitude)), 1e-6)
        high, wide = within_m / _METRES_PER_DEGREE, within_m / _METRES_PER_DEGREE / shrunk
        rows = self._database.execute(
            "SELECT rank, longitude, latitude FROM assets WHERE latitude BETWEEN ? AND ? AND longitude BETWEEN ? AND ? "
            "AND rank != ?",
            (latitude - high, latitude + high, longitude - wide, longitude + wide, entry.rank),
        )
        found = [(math.hypot((x - longitude) * shrunk, y - latitude) * _METRES_PER_DEGREE, rank) for rank, x, y in rows]
        nearest = sorted(one for one in found if one[0] <= within_m)[:most]
        return [(distance, self._entry(rank)) for distance, rank in nearest]

    def observed(self, asset_id: str) -> dict[str, Any] | None:
        """Return an asset's record in observations.jsonl, rejected ones included; None where it has none."""
        row = self._database.execute("SELECT offset FROM assets WHERE id = ?", (asset_id,)).fetchone()
        if row is None:
            return None
        self._observed.seek(row[0])
        return dict(json.loads(self._observed.readline()))

    def every_record(self) -> Iterator[dict[str, Any]]:
        """Yield all records of observations.jsonl; slow for many assets."""
        self._observed.seek(0)
        self._observed.readline()
        for line in self._observed:
            yield json.loads(line)

    def set_state(self, asset_id: str, state: str | None) -> None:
        """Note what was decided on an asset; None for what it was at the build."""
        self._database.execute("UPDATE assets SET state = coalesce(?, base) WHERE id = ?", (state, asset_id))


def _opened(path: Path) -> Any:
    try:
        return open_regular(path)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path} cannot be read: {reason}; name the folder of `inventory build`") from None


def _text_of(path: Path) -> str:
    with _opened(path) as stream:
        try:
            return str(stream.read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise DataError(f"{path} is not UTF-8 text; build the inventory again") from None


def _features(text: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield where each feature of a FeatureCollection starts and ends in the text, and itself.

    One after the other: 150,000 of them at once would take a gigabyte.

    Raises:
        ValueError: If there is no list of features.
    """
    decode = json.JSONDecoder().raw_decode
    space = re.compile(r"[\s,]*")
    head = re.search(r'"features"\s*:\s*\[', text)
    if head is None:
        raise ValueError("no features")
    place = space.match(text, head.end()).end()  # type: ignore[union-attr]
    while text[place : place + 1] != "]":
        feature, end = decode(text, place)
        yield place, end, feature
        place = space.match(text, end).end()  # type: ignore[union-attr]


def _points(geometry: dict[str, Any]) -> Sequence[Sequence[float]]:
    places = geometry["coordinates"]
    return [places] if geometry["type"] == "Point" else places

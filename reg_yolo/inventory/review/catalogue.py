"""The assets of a built inventory in the order of doubt, paged from the disk."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from reg_yolo.inventory.review.index import CELL_DEG, FEATURES, OBSERVED, REJECTED, cell_of, open_file, open_index

_METRES_PER_DEGREE = 111_320.0


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
    """Context manager that reads an inventory's `inventory.geojson` and `observations.jsonl` by their index.

    The GeoPackage may have renamed columns, and may be edited meanwhile; these two files are as they were built. They
    stay open, so that a build that replaces them changes nothing here.

    Args:
        folder: Of the inventory.

    Attributes:
        total: How many assets are listed.

    Raises:
        DataError: If a file is missing, is none of these, or both are of different builds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.total = 0
        self._stack = ExitStack()
        self._states: dict[str, str] = {}

    def __enter__(self) -> Catalogue:
        with ExitStack() as stack:
            self._observed = stack.enter_context(open_file(self.folder / OBSERVED))
            self._features = stack.enter_context(open_file(self.folder / FEATURES))
            self._database = open_index(self.folder, self._features, self._observed)
            stack.callback(self._database.close)
            for base, count in self._database.execute("SELECT base, count(*) FROM assets GROUP BY base").fetchall():
                self.total += count if base != REJECTED else 0
            self._reviewed = self._count("base != ''")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def _count(self, condition: str) -> int:
        found = self._database.execute(f"SELECT count(*) FROM assets WHERE {condition} AND rank < ?", (self.total,))
        return int(found.fetchone()[0])

    def classes(self) -> list[str]:
        """Return the classes of the assets, sorted."""
        found = self._database.execute("SELECT DISTINCT class FROM assets WHERE rank < ?", (self.total,))
        return sorted(name for (name,) in found)

    def count_reviewed(self) -> int:
        """Return how many of the assets have been decided on."""
        return self._reviewed

    def queue(self, first: int, count: int, class_name: str | None = None) -> list[Entry]:
        """Return assets that nobody has decided on, from a rank on, the most doubtful first."""
        condition, values = ("AND class = ?", [class_name]) if class_name else ("", [])
        rows = self._database.execute(
            f"SELECT rank, id FROM assets WHERE rank >= ? AND rank < ? AND base = '' {condition} ORDER BY rank",
            [first, self.total, *values],
        )
        found: list[int] = []
        while len(found) < count and (row := rows.fetchone()) is not None:
            if row[1] not in self._states:
                found.append(row[0])
        return [self._entry(rank) for rank in found]

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
            "SELECT id, class, doubt, base, start, length FROM assets WHERE rank = ?", (rank,)
        ).fetchone()
        asset_id, name, value, base, start, length = row
        self._features.seek(start)
        feature = json.loads(self._features.read(length))
        return Entry(rank, asset_id, name, value, self._states.get(asset_id, base), feature)

    def near(self, entry: Entry, within_m: float, most: int) -> list[tuple[float, Entry]]:
        """Return listed assets within a distance with their distances, the nearest first."""
        longitude, latitude = self._database.execute(
            "SELECT longitude, latitude FROM assets WHERE rank = ?", (entry.rank,)
        ).fetchone()
        shrunk = max(math.cos(math.radians(latitude)), 1e-6)
        high, wide = within_m / _METRES_PER_DEGREE, within_m / _METRES_PER_DEGREE / shrunk
        found = []
        south, north = math.floor((latitude - high) / CELL_DEG), math.floor((latitude + high) / CELL_DEG)
        for row in range(south, north + 1):
            middle = (row + 0.5) * CELL_DEG
            cells = cell_of(longitude - wide, middle), cell_of(longitude + wide, middle)
            rows = self._database.execute(
                "SELECT rank, longitude, latitude FROM assets WHERE cell BETWEEN ? AND ? AND rank != ?",
                (*cells, entry.rank),
            )
            found += [
                (math.hypot((x - longitude) * shrunk, y - latitude) * _METRES_PER_DEGREE, rank) for rank, x, y in rows
            ]
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
        row = self._database.execute("SELECT rank, base FROM assets WHERE id = ?", (asset_id,)).fetchone()
        if row is None:
            return
        before = bool(self._states.pop(asset_id, row[1]))
        if state is not None:
            self._states[asset_id] = state
        if row[0] < self.total:
            self._reviewed += bool(self._states.get(asset_id, row[1])) - before

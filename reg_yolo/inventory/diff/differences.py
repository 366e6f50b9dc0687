"""Two inventories compared: one to one by class, route, side and place, gated by both deviations."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.files import replace_bytes
from reg_yolo.inventory.diff.columns import ForeignColumns, read_columns
from reg_yolo.inventory.diff.known import Known, read_known
from reg_yolo.inventory.diff.surveyed import Survey, read_survey
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.report.template import write_page
from reg_yolo.text_tables import csv_cell

FloatArray = NDArray[np.float64]

STATES = ("same", "moved", "reclassified", "new", "missing", "not surveyed", "ambiguous")
_MOVED = 3.0
_APART = 1e6


def match_known(old: Sequence[Known], new: Sequence[Known], within_m: float) -> dict[int, int]:
    """Return the cheapest one-to-one matching within each class, old to new positions.

    Two that state different routes, or different sides of one road, are matched only where they stand so near each
    other that their deviations explain it.
    """
    if not old or not new:
        return {}
    projection = LocalProjection.around(*np.array([[one.longitude_deg, one.latitude_deg] for one in new]).T)
    places = [_metres(some, projection) for some in (old, new)]

    def allowed(i: int, j: int) -> bool:
        apart = float(np.linalg.norm(places[0][i] - places[1][j]))
        return _one_place(old[i], new[j]) or apart <= same_within_m(old[i], new[j])

    pairs: dict[int, int] = {}
    for name in {one.class_name for one in old} & {one.class_name for one in new}:
        rows = [n for n, one in enumerate(old) if one.class_name == name]
        columns = [n for n, one in enumerate(new) if one.class_name == name]
        pairs |= one_to_one(places[0], places[1], rows, columns, within_m, allowed)
    return pairs


def same_within_m(old: Known, new: Known) -> float:
    """Return the distance within which two are one that has not moved: three deviations, at least a metre."""
    return max(_MOVED * math.hypot(old.sigma_m, new.sigma_m), 1.0)


def _one_place(old: Known, new: Known) -> bool:
    """Whether neither route nor side tells two apart."""
    if old.route and new.route and old.route != new.route:
        return False
    return {old.side, new.side} != {"left", "right"}


def one_to_one(
    first: FloatArray,
    second: FloatArray,
    rows: Sequence[int],
    columns: Sequence[int],
    within_m: float,
    allowed: Callable[[int, int], bool] = lambda _i, _j: True,
) -> dict[int, int]:
    """Match points one to one within a distance: as many as possible, then as near as possible, cluster by cluster.

    Args:
        first, second: Places, shape (N, 2) and (M, 2).
        rows, columns: Which of them take part.
        within_m: The distance.
        allowed: Whether a pair may be matched.
    """
    if not len(rows) or not len(columns):
        return {}
    rows_, columns_ = np.asarray(rows), np.asarray(columns)
    near = cKDTree(second[columns_]).query_ball_point(first[rows_], within_m)
    edges = [(i, j) for i, some in enumerate(near) for j in some if allowed(int(rows_[i]), int(columns_[j]))]
    if not edges:
        return {}
    count = len(rows_) + len(columns_)
    at = np.array(edges)
    graph = coo_matrix((np.ones(len(at)), (at[:, 0], len(rows_) + at[:, 1])), shape=(count, count))
    _, label = connected_components(graph, directed=False)
    clusters: dict[int, list[tuple[int, int]]] = {}
    for i, j in edges:
        clusters.setdefault(int(label[i]), []).append((i, j))
    pairs = {}
    for some in clusters.values():
        own = {i: n for n, i in enumerate(sorted({i for i, _ in some}))}
        other = {j: n for n, j in enumerate(sorted({j for _, j in some}))}
        cost = np.full((len(own), len(other)), _APART)
        for i, j in some:
            cost[own[i], other[j]] = np.linalg.norm(first[rows_[i]] - second[columns_[j]])
        chosen, taken = linear_sum_assignment(cost)
        for a, b in zip(chosen, taken, strict=True):
            if cost[a, b] < _APART:
                pairs[int(rows_[list(own)[a]])] = int(columns_[list(other)[b]])
    return pairs


def compare(
    old: Sequence[Known], new: Sequence[Known], within_m: float, survey: Survey | None = None
) -> list[dict[str, object]]:
    """Return one row a difference: same, moved, reclassified, missing, not surveyed, new, ambiguous.

    What stands where its deviations let it stand is the same; of what is left, another class at the same place is
    reclassified; of what is left then, the same class farther away on the same side has moved.

    Args:
        old, new: Assets.
        within_m: What is farther apart than three times this has not moved but is missing and new.
        survey: Where frames of the newer survey looked; None where that is not known, and nothing is "not surveyed".
    """
    projection = LocalProjection.around(*np.array([[one.longitude_deg, one.latitude_deg] for one in [*old, *new]]).T)
    places = [_metres(some, projection) for some in (old, new)]

    def apart(i: int, j: int) -> float:
        return float(np.linalg.norm(places[0][i] - places[1][j]))

    def left(pairs: dict[int, int]) -> tuple[list[int], list[int]]:
        taken = set(pairs.values())
        return [i for i in range(len(old)) if i not in pairs], [j for j in range(len(new)) if j not in taken]

    def one_class(i: int, j: int) -> bool:
        return old[i].class_name == new[j].class_name

    states: dict[int, str] = {}
    pairs: dict[int, int] = {}
    widest = _MOVED * math.hypot(max(one.sigma_m for one in old), max(one.sigma_m for one in new))
    steps: tuple[tuple[str, float, Callable[[int, int], bool]], ...] = (
        ("same", max(widest, 1.0), lambda i, j: one_class(i, j) and apart(i, j) <= same_within_m(old[i], new[j])),
        ("reclassified", within_m / 2, lambda i, j: not one_class(i, j)),
        ("moved", 3 * within_m, lambda i, j: one_class(i, j) and _one_place(old[i], new[j])),
    )
    for state, reach, allowed in steps:
        found = one_to_one(places[0], places[1], *left(pairs), reach, allowed)
        pairs |= found
        states |= dict.fromkeys(found, state)
    looked_at = survey.looked_at(old) if survey is not None else np.ones(len(old), np.bool_)
    _, unclaimed = left(pairs)
    rivals = cKDTree(places[1][unclaimed]) if unclaimed else None
    rows: list[dict[str, object]] = []
    for i, one in enumerate(old):
        if i not in pairs:
            rows.append(_row("missing" if looked_at[i] else "not surveyed", one, None, None))
            continue
        state, j = states[i], pairs[i]
        if state == "moved" and rivals is not None:
            near = rivals.query_ball_point(places[0][i], apart(i, j) * 1.3 + 0.5)
            state = "ambiguous" if any(one_class(i, unclaimed[k]) for k in near) else state
        rows.append(_row(state, one, new[j], apart(i, j)))
    return [*rows, *(_row("new", None, new[j], None) for j in unclaimed)]


@dataclass(frozen=True)
class DiffResult:
    """What a comparison of two files left.

    Attributes:
        lines: What to say.
        counts: Assets by state.
        table: The CSV.
        map: The page with the map.
    """

    lines: list[str]
    counts: dict[str, int]
    table: Path
    map: Path


def diff_files(
    old: Path,
    new: Path,
    out: Path,
    within_m: float,
    columns: Path | None = None,
    surveyed: Path | None = None,
) -> DiffResult:
    """Compare two files, and write the differences as CSV and as a map next to it.

    Args:
        old, new: Inventories: GeoJSON, GeoPackage, Shapefile, FileGDB or CSV.
        out: The CSV; the map has the same name and ends in `.html`.
        within_m: See `compare`.
        columns: YAML file of what foreign columns mean.
        surveyed: GeoPackage whose layer `surveyed_stretches` says where the newer survey looked; None for `new` itself.

    Raises:
        ConfigError: If an option is wrong.
        DataError: If a file cannot be read.
    """
    if out.suffix.lower() != ".csv":
        raise ConfigError(f"--out: expected a name that ends in .csv, got {out.name}")
    said: list[str] = []
    meanings = read_columns(columns) if columns else (ForeignColumns(), ForeignColumns())
    olds, news = read_known(old, meanings[0], said.append), read_known(new, meanings[1], said.append)
    survey = read_survey(surveyed or new)
    if surveyed is not None and survey is None:
        raise DataError(f"{surveyed}: expected a GeoPackage with a layer surveyed_stretches")
    rows = compare(olds, news, within_m, survey)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else csv_cell(value) for key, value in row.items()} for row in rows)
    replace_bytes(out, b"\xef\xbb\xbf" + stream.getvalue().encode("utf-8"))
    if survey is None and any(row["state"] == "missing" for row in rows):
        said.append(
            f"Where frames looked is not known ({surveyed or new} has no layer surveyed_stretches): what is called "
            "missing may not have been surveyed; --surveyed names the newer inventory's GeoPackage"
        )
    counts = Counter(str(row["state"]) for row in rows)
    summary = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    page = out.with_suffix(".html")
    write_page(page, _map(rows, [*said, summary], survey))
    lines = [*said, summary, f"Differences: {out}, map: {page}"]
    return DiffResult(lines, {state: counts[state] for state in STATES}, out, page)


def _map(rows: Sequence[dict[str, object]], notes: list[str], survey: Survey | None) -> dict[str, object]:
    shapes = []
    for row in rows:
        ends = [[row[f"{age}_latitude"], row[f"{age}_longitude"]] for age in ("old", "new")]
        # What has moved is drawn as the way it has gone, everything else as a point.
        shapes.append(ends if row["state"] in ("moved", "ambiguous") else [[row["latitude"], row["longitude"]]])
    columns = list(rows[0])
    lines = [] if survey is None else [np.round(line[:, ::-1], 6).tolist() for line in survey.lines]
    return {
        "title": "Differences between two inventories",
        "by": "state",
        "columns": columns,
        "rows": [[row[name] for name in columns] for row in rows],
        "shapes": shapes,
        "stretches": lines,
        "notes": notes,
    }


def _row(state: str, old: Known | None, new: Known | None, apart: float | None) -> dict[str, object]:
    place = new or old
    assert place is not None
    return {
        "state": state,
        "old_id": old.asset_id if old else "",
        "new_id": new.asset_id if new else "",
        "old_class": old.class_name if old else "",
        "new_class": new.class_name if new else "",
        "longitude": round(place.longitude_deg, 7),
        "latitude": round(place.latitude_deg, 7),
        "old_longitude": round(old.longitude_deg, 7) if old else None,
        "old_latitude": round(old.latitude_deg, 7) if old else None,
        "new_longitude": round(new.longitude_deg, 7) if new else None,
        "new_latitude": round(new.latitude_deg, 7) if new else None,
        "apart_m": None if apart is None else round(apart, 2),
        "same_within_m": round(same_within_m(old, new), 2) if old and new else None,
    }


def _metres(some: Sequence[Known], projection: LocalProjection) -> FloatArray:
    return projection.to_metres([one.longitude_deg for one in some], [one.latitude_deg for one in some])

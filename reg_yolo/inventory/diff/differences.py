"""Two inventories compared: one to one by class and place, gated by both deviations."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from reg_yolo.errors import DataError
from reg_yolo.files import replace_bytes
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

_GATE = 3.0
_MOVED = 3.0
_UNSTATED_SIGMA_M = 2.0


@dataclass(frozen=True)
class Known:
    """An asset of a file.

    Attributes:
        asset_id: "" where it has none.
        class_name: Its class.
        longitude_deg, latitude_deg: Of its middle.
        sigma_along_m, sigma_across_m: Deviations; None where not stated.
        kind: What the file calls its geometry.
    """

    asset_id: str
    class_name: str
    longitude_deg: float
    latitude_deg: float
    sigma_along_m: float | None = None
    sigma_across_m: float | None = None
    kind: str = ""

    @property
    def sigma_m(self) -> float:
        """Of one axis."""
        if self.sigma_along_m is None or self.sigma_across_m is None:
            return _UNSTATED_SIGMA_M
        return math.hypot(self.sigma_along_m, self.sigma_across_m) / math.sqrt(2)


def read_known(path: Path) -> list[Known]:
    """Read assets from GeoJSON: every feature with a property `class`.

    Raises:
        DataError: If it cannot be read or holds no feature with a class.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        features = content["features"]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} is not GeoJSON: expected a FeatureCollection") from None
    crs = str(content.get("crs", "CRS84"))
    if not any(code in crs for code in ("CRS84", "4326")):
        raise DataError(f"{path}: its coordinates are {crs}; convert it to EPSG:4326 first")
    known = []
    for number, feature in enumerate(features, start=1):
        values = feature.get("properties") or {}
        if "class" not in values:
            continue
        shape = shapely.from_geojson(json.dumps(feature["geometry"]), on_invalid="ignore")
        if shape is None or shape.is_empty:
            raise DataError(f"{path}: feature {number} has no geometry")
        points = shapely.get_coordinates(shape)
        middle = (points[0] + points[-1]) / 2
        known.append(
            Known(
                str(values.get("asset_id") or feature.get("id") or ""),
                str(values["class"]),
                float(middle[0]),
                float(middle[1]),
                _number(values.get("sigma_along_m")),
                _number(values.get("sigma_across_m")),
                str(values.get("geometry_kind", "")),
            )
        )
    if not known:
        raise DataError(f"{path}: no feature has a property class")
    return known


def match_known(old: Sequence[Known], new: Sequence[Known], within_m: float) -> dict[int, int]:
    """Return the cheapest one-to-one matching within each class, old to new positions."""
    if not old or not new:
        return {}
    projection = LocalProjection.around(*np.array([[one.longitude_deg, one.latitude_deg] for one in new]).T)
    places = [_metres(some, projection) for some in (old, new)]
    pairs: dict[int, int] = {}
    for name in {one.class_name for one in old} & {one.class_name for one in new}:
        rows = [n for n, one in enumerate(old) if one.class_name == name]
        columns = [n for n, one in enumerate(new) if one.class_name == name]
        pairs |= one_to_one(places[0], places[1], rows, columns, within_m)
    return pairs


def one_to_one(
    first: FloatArray, second: FloatArray, rows: Sequence[int], columns: Sequence[int], within_m: float
) -> dict[int, int]:
    """Match points one to one within a distance: as many as possible, then as near as possible, cluster by cluster."""
    if not len(rows) or not len(columns):
        return {}
    rows_, columns_ = np.asarray(rows), np.asarray(columns)
    near = cKDTree(second[columns_]).query_ball_point(first[rows_], within_m)
    edges = [(i, j) for i, some in enumerate(near) for j in some]
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
        own, other = sorted({i for i, _ in some}), sorted({j for _, j in some})
        apart = np.linalg.norm(first[rows_[own]][:, None] - second[columns_[other]][None], axis=-1)
        cost = np.where(apart <= within_m, apart, 1e6)
        for a, b in zip(*linear_sum_assignment(cost), strict=True):
            if cost[a, b] < 1e6:
                pairs[int(rows_[own[a]])] = int(columns_[other[b]])
    return pairs


def compare(old: Sequence[Known], new: Sequence[Known], within_m: float) -> list[dict[str, object]]:
    """Return one row a difference: same, moved, reclassified, missing, new, ambiguous."""
    projection = LocalProjection.around(*np.array([[one.longitude_deg, one.latitude_deg] for one in [*old, *new]]).T)
    places = [_metres(some, projection) for some in (old, new)]
    pairs = match_known(old, new, 3 * within_m)
    rows: list[dict[str, object]] = []
    left_old = [n for n in range(len(old)) if n not in pairs]
    left_new = [n for n in range(len(new)) if n not in set(pairs.values())]
    near = one_to_one(places[0], places[1], left_old, left_new, within_m / 2)
    rivals = cKDTree(places[1])
    for i, one in enumerate(old):
        if i in pairs:
            j = pairs[i]
            apart = float(np.linalg.norm(places[0][i] - places[1][j]))
            sigma = math.hypot(one.sigma_m, new[j].sigma_m)
            state = "same" if apart <= max(_MOVED * sigma, 1.0) else "moved"
            others = [k for k in rivals.query_ball_point(places[0][i], apart * 1.3 + 0.5) if k != j]
            unclaimed = [k for k in others if new[k].class_name == one.class_name and k in left_new]
            rows.append(_row("ambiguous" if unclaimed and state == "moved" else state, one, new[j], apart))
        elif i in near:
            rows.append(
                _row("reclassified", one, new[near[i]], float(np.linalg.norm(places[0][i] - places[1][near[i]])))
            )
        else:
            rows.append(_row("missing", one, None, None))
    rows += [_row("new", None, new[j], None) for j in left_new if j not in set(near.values())]
    return rows


def diff_files(old: Path, new: Path, out: Path, within_m: float) -> list[str]:
    """Compare two files, write the differences as CSV, and return what to say."""
    rows = compare(read_known(old), read_known(new), within_m)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_bytes(out, b"\xef\xbb\xbf" + stream.getvalue().encode("utf-8"))
    counts = Counter(str(row["state"]) for row in rows)
    return [", ".join(f"{counts[state]} {state}" for state in _STATES if counts[state]), f"Differences: {out}"]


_STATES = ("same", "moved", "reclassified", "new", "missing", "ambiguous")


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
        "apart_m": "" if apart is None else round(apart, 2),
    }


def _metres(some: Sequence[Known], projection: LocalProjection) -> FloatArray:
    return projection.to_metres([one.longitude_deg for one in some], [one.latitude_deg for one in some])


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None

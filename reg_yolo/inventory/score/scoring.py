"""An inventory against the truth."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.inventory.classes import LINE
from reg_yolo.inventory.diff.differences import one_to_one
from reg_yolo.inventory.diff.known import Known, read_known
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.route.reference import side_of

FloatArray = NDArray[np.float64]

_LINE_TOLERANCE_M = 3.0
_GRADES = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Score:
    """What came of the comparison.

    Attributes:
        built, true: How many points and spans there are on each side.
        found: How many true ones were found.
        false, double: Built ones that stand for nothing, and those beside one that was found.
        errors_m: Of the found ones.
        reclassified: Built ones where one of another class stands.
        by_class: Recall by class.
        line_overlap: Shared length over all length of lines; NaN without lines.
        sides: Found ones whose side is right, and those whose side both state.
        chainage_errors_m: Differences in chainage of the found ones, where both state it.
    """

    built: int
    true: int
    found: int
    false: int
    double: int
    reclassified: int
    errors_m: FloatArray
    by_class: dict[str, tuple[int, int]] = field(default_factory=dict)
    line_overlap: float = float("nan")
    sides: tuple[int, int] = (0, 0)
    chainage_errors_m: FloatArray = field(default_factory=lambda: np.zeros(0))

    @property
    def recall(self) -> float:
        """Share of the true ones that was found."""
        return self.found / max(self.true, 1)

    @property
    def precision(self) -> float:
        """Share of the built ones that stands for something."""
        return (self.built - self.false - self.double) / max(self.built, 1)

    @property
    def duplicates_removed(self) -> float:
        """Share of the found ones that is listed once only."""
        return max(0.0, (self.found - self.double) / max(self.found, 1))

    @property
    def strict(self) -> float:
        """Share of the true ones that has exactly one built one."""
        return max(0.0, (self.found - self.double) / max(self.true, 1))

    def to_dict(self) -> dict[str, Any]:
        """Return counts, rates and errors as plain data for JSON."""
        known = len(self.errors_m) > 0
        return {
            "built": self.built,
            "true": self.true,
            "found": self.found,
            "false": self.false,
            "double": self.double,
            "reclassified": self.reclassified,
            "recall": self.recall,
            "precision": self.precision,
            "duplicates_removed": self.duplicates_removed,
            "strict": self.strict,
            "error_median_m": float(np.median(self.errors_m)) if known else None,
            "error_p90_m": float(np.quantile(self.errors_m, 0.9)) if known else None,
            "within_m": {f"{grade:g}": float((self.errors_m <= grade).mean()) for grade in _GRADES} if known else {},
            "line_overlap": self.line_overlap if np.isfinite(self.line_overlap) else None,
            "side_right": self.sides[0] / self.sides[1] if self.sides[1] else None,
            "chainage_error_median_m": float(np.median(self.chainage_errors_m))
            if len(self.chainage_errors_m)
            else None,
            "classes": {name: {"found": found, "true": true} for name, (found, true) in self.by_class.items()},
        }

    def as_text(self) -> str:
        """Return the figures for managers, and below them those for engineers."""
        share = 100 / max(self.true, 1)
        misplaced = int((self.errors_m > 5).sum()) if len(self.errors_m) else 0
        lines = [
            f"per 100 assets: {(self.true - self.found) * share:.1f} missed, {self.false * share:.1f} false, "
            f"{self.double * share:.1f} double, {misplaced * share:.1f} misplaced by more than 5 m"
        ]
        if len(self.errors_m):
            grades = ", ".join(
                f"{100 * float((self.errors_m <= grade).mean()):.0f} % within {grade:g} m" for grade in _GRADES
            )
            lines.append(f"position: {grades}")
            lines.append(f"error: median {np.median(self.errors_m):.2f} m, p90 {np.quantile(self.errors_m, 0.9):.2f} m")
        lines.append(
            f"recall {self.recall:.3f}, precision {self.precision:.3f}, "
            f"duplicates removed {self.duplicates_removed:.3f}, strict one-to-one {self.strict:.3f}"
        )
        if np.isfinite(self.line_overlap):
            lines.append(f"line overlap {self.line_overlap:.3f}")
        if self.sides[1]:
            lines.append(f"side right for {self.sides[0]} of {self.sides[1]}: {self.sides[0] / self.sides[1]:.3f}")
        if len(self.chainage_errors_m):
            lines.append(f"chainage: median error {np.median(self.chainage_errors_m):.2f} m")
        lines += [f"  {name}: {found} of {true}" for name, (found, true) in sorted(self.by_class.items())]
        return "\n".join(lines)


def score_files(built: Path, truth: Path, within_m: float = 10.0, seen: set[str] | None = None) -> Score:
    """Score a built inventory.

    Args:
        built, truth: GeoJSON with a property `class`.
        within_m: Distance within which an asset counts as found.
        seen: Ids of the true assets that count; None for all. Built ones that match another true asset are not false.

    Raises:
        DataError: If a file cannot be read.
    """
    ours, true = read_known(built), read_known(truth)
    lines = _line_classes(truth)
    projection = LocalProjection.around(*np.array([[one.longitude_deg, one.latitude_deg] for one in true]).T)
    return _scored(
        [one for one in ours if one.class_name not in lines],
        [one for one in true if one.class_name not in lines],
        projection,
        within_m,
        seen,
        _overlap(built, truth, lines, projection, seen) if lines else float("nan"),
    )


def _scored(
    ours: list[Known],
    true: list[Known],
    projection: LocalProjection,
    within_m: float,
    seen: set[str] | None,
    overlap: float,
) -> Score:
    places = [_metres(some, projection) for some in (ours, true)]
    pairs: dict[int, int] = {}
    for name in {one.class_name for one in true}:
        rows = [n for n, one in enumerate(ours) if one.class_name == name]
        columns = [n for n, one in enumerate(true) if one.class_name == name]
        pairs |= one_to_one(places[0], places[1], rows, columns, within_m)
    counted = {n for n, one in enumerate(true) if seen is None or one.asset_id in seen}
    hit = set(pairs.values()) & counted
    false = double = other = 0
    for n, one in enumerate(ours):
        if n in pairs:
            continue
        apart = np.linalg.norm(places[1] - places[0][n], axis=1)
        same = [k for k in np.flatnonzero(apart <= within_m) if true[k].class_name == one.class_name]
        if same:
            double += 1
        else:
            false += 1
            other += bool((apart <= within_m / 2).any())
    errors = np.array([np.linalg.norm(places[0][i] - places[1][j]) for i, j in pairs.items() if j in counted])
    totals = Counter(true[n].class_name for n in counted)
    found = Counter(true[n].class_name for n in hit)
    by_class = {name: (found[name], total) for name, total in totals.items()}
    both = [(ours[i], true[j]) for i, j in pairs.items() if j in counted]
    sides = [(one.side, _true_side(other)) for one, other in both if one.side and _true_side(other)]
    chainages = [
        abs(one.chainage_m - other.chainage_m)
        for one, other in both
        if one.chainage_m is not None and other.chainage_m is not None
    ]
    right = sum(built == stated for built, stated in sides)
    return Score(
        len(ours), len(counted), len(hit), false, double, other, errors, by_class, overlap, (right, len(sides)),
        np.array(chainages, np.float64),
    )  # fmt: skip


def _true_side(one: Known) -> str:
    """Return the side that the truth states, or that its offset to the right of the route makes it."""
    if one.side or one.offset_m is None:
        return one.side
    return side_of(one.kind, one.offset_m)


def _line_classes(path: Path) -> set[str]:
    features = json.loads(path.read_text(encoding="utf-8-sig"))["features"]
    return {
        str(feature["properties"]["class"])
        for feature in features
        if (feature.get("properties") or {}).get("geometry_kind") == LINE
    }


def _overlap(built: Path, truth: Path, classes: set[str], projection: LocalProjection, seen: set[str] | None) -> float:
    """Length that both sides share, over the length that either has."""
    ours, true = _lines(built, classes, projection, None), _lines(truth, classes, projection, seen)
    everything = _lines(truth, classes, projection, None)
    if not true:
        return float("nan")
    shared, missed, extra = line_lengths(ours, true, everything)
    return shared / max(shared + missed + extra, 1e-9)


def line_lengths(
    ours: Sequence[shapely.LineString], true: Sequence[shapely.LineString], everything: Sequence[shapely.LineString]
) -> tuple[float, float, float]:
    """Return metres of true lines that are built within 3 m, that are not, and of built lines where none is.

    Args:
        ours: Built lines.
        true: Those that count.
        everything: All true lines, on which nothing that is built is too much.

    Example:
        >>> rails = [shapely.LineString([(0, 0), (0, 40)])]
        >>> line_lengths([shapely.LineString([(1, 10), (1, 60)])], rails, rails)
        (30.0, 10.0, 20.0)
    """
    tolerance = {"quad_segs": 2, "cap_style": "flat"}
    own = shapely.union_all([shapely.buffer(line, _LINE_TOLERANCE_M, **tolerance) for line in ours])
    all_true = shapely.union_all([shapely.buffer(line, _LINE_TOLERANCE_M, **tolerance) for line in everything])
    shared = float(sum(line.intersection(own).length for line in true))
    missed = float(sum(line.length for line in true)) - shared
    return shared, missed, float(sum(line.difference(all_true).length for line in ours))


def _lines(path: Path, classes: set[str], projection: LocalProjection, seen: set[str] | None) -> list[Any]:
    found = []
    for feature in json.loads(path.read_text(encoding="utf-8-sig"))["features"]:
        values = feature.get("properties") or {}
        name = str(values.get("asset_id") or feature.get("id"))
        if (
            values.get("class") in classes
            and feature["geometry"]["type"] == "LineString"
            and (not seen or name in seen)
        ):
            degrees = np.array([point[:2] for point in feature["geometry"]["coordinates"]])
            found.append(shapely.LineString(projection.to_metres(degrees[:, 0], degrees[:, 1])))
    return found


def _metres(some: list[Known], projection: LocalProjection) -> FloatArray:
    if not some:
        return np.zeros((0, 2))
    return projection.to_metres([one.longitude_deg for one in some], [one.latitude_deg for one in some])

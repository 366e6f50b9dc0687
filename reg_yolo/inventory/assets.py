"""An asset of the finished inventory."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from reg_yolo.inventory.classes import LINE, POINT, SPAN, ClassShape, shape_of
from reg_yolo.inventory.existence import by_pass, probability
from reg_yolo.inventory.network.lines import bridged, votes_text
from reg_yolo.inventory.network.shifts import Shifted
from reg_yolo.inventory.network.sightings import Sighting
from reg_yolo.inventory.observations import Observations, SeenBy, View
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

_ONE_POST_M = 1.0
_SEVERAL_PASSES = 1.22
"""Looks of one pass share errors, such as a pitch that is a little off, which do not average out as the fit of passes
to each other takes them to: over 50 draws of the positions the variances of what two passes saw were too small by this.
"""
_ENDS_LOOKS = 2
"""Looks that must have shown an end of a span."""
_LEAST_SPAN_M = 1.0
COLUMNS = (
    "asset_id", "class", "geometry_kind", "probability", "sigma_along_m", "sigma_across_m", "observations", "passes",
    "first_seen", "last_seen", "height_m", "width_m", "lower_edge_m", "facing_deg", "length_m", "ends_seen", "track_m",
    "route", "carriageway", "chainage_m", "chainage", "chainage_also", "offset_m", "side", "support_id", "source",
    "best_frame", "camera_longitude", "camera_latitude", "method", "class_votes", "weights_digest", "settings_digest",
    "reviewed_by", "decisions", "thumbnail",
)  # fmt: skip
"""Columns of every output, in their order."""


@dataclass
class Asset:
    """One asset.

    Attributes:
        class_name: Its class.
        kind: `point`, `line` or `span`.
        points_m: Shape (K, 2) in the inventory's projection: the point, or both ends and what lies between.
        covariance: Of its middle, shape (2, 2).
        probability: That it exists.
        values: The other columns.
        asset_id: Its name; given at the end.
        seen: What it was seen by in each pass.
        view: The frame that shows it best.
        found_as: Class and middle before reviewers changed them; None where they have not. Its name comes from them, so
            that it stays what it was.
    """

    class_name: str
    kind: str
    points_m: FloatArray
    covariance: FloatArray
    probability: float
    values: dict[str, Any] = field(default_factory=dict)
    asset_id: str = ""
    seen: Sequence[SeenBy] = ()
    view: View | None = None
    found_as: tuple[str, FloatArray] | None = None

    @property
    def observations(self) -> Observations:
        """The boxes that it was seen by; they are put together, or read, whenever it is asked for."""
        return Observations.joined([one.observations for one in self.seen])

    @property
    def middle_m(self) -> FloatArray:
        """Its middle, shape (2,)."""
        return np.asarray((self.points_m[0] + self.points_m[-1]) / 2)

    def row(self) -> dict[str, Any]:
        """Return its columns; None where one does not apply."""
        known = {
            "asset_id": self.asset_id,
            "class": self.class_name,
            "geometry_kind": self.kind,
            "probability": round(self.probability, 4),
            **self.values,
        }
        return {name: known.get(name) for name in COLUMNS}


def assemble(
    sightings: Sequence[Sighting],
    groups: Sequence[Sequence[int]],
    shifted: Shifted,
    projection: LocalProjection,
    shapes: Mapping[str, ClassShape],
    names: Mapping[int, str] | None = None,
    receivers: Sequence[int | None] | None = None,
    numbers: Sequence[int] | None = None,
    unseen: FloatArray | None = None,
) -> list[Asset]:
    """Make assets of what the network of drives found.

    Args:
        sightings: Of all drives.
        groups: Sightings of each asset.
        shifted: The drives fitted to each other.
        projection: What the metres mean.
        shapes: Geometry of the classes.
        names: Classes by group where the votes do not count.
        receivers: By drive, where cameras share one: their looks are of one pass.
        numbers: Groups to make assets of; all of them if left out.
        unseen: What passes say that did not see an object, by group; see `network/unseen.py`.
    """
    assets = []
    for number in range(len(groups)) if numbers is None else numbers:
        members = groups[number]
        some = [sightings[n] for n in members]
        moved = [shifted.moved_m[n] for n in members]
        place, covariance = shifted.places_m[number], shifted.covariances[number]
        name = (names or {}).get(number)
        passes = len({one.drive if receivers is None else receivers[one.drive] for one in some})
        if passes > 1:
            covariance = covariance * _SEVERAL_PASSES
        exists = probability(by_pass(some), unseen=None if unseen is None else float(unseen[number]))
        assets.append(_asset(some, moved, place, covariance, exists, projection, shapes, name, passes))
    return assets


def _asset(
    some: Sequence[Sighting],
    moved: Sequence[FloatArray],
    place: FloatArray,
    covariance: FloatArray,
    exists: float,
    projection: LocalProjection,
    shapes: Mapping[str, ClassShape],
    stated: str | None,
    passes: int,
) -> Asset:
    votes: Counter[str] = Counter()
    for one in some:
        votes.update(one.votes)
    voted = votes.most_common(1)[0][0]
    name = stated or voted
    best = max(some, key=lambda one: one.frames)
    shape = shape_of(name, dict(shapes))
    weights = np.array([one.frames for one in some], float)
    kind, points = shape.geometry, place[None]
    with_ends = [(one, shift) for one, shift in zip(some, moved, strict=True) if one.ends_m is not None]
    lower = float(np.average([one.lower_m for one in some], weights=weights))
    width = float(np.average([one.width_m for one in some], weights=weights))
    way = best.way
    ends_seen = None
    if kind == LINE and with_ends:
        one, shift = max(with_ends, key=lambda pair: pair[0].frames)
        assert one.ends_m is not None
        points = one.ends_m + shift
    elif kind == SPAN or (kind == POINT and lower > shape.span_from_m):
        kind = SPAN
        points, ends_seen = _span(some, moved, place, way)
        width = float(np.linalg.norm(points[1] - points[0]))
    along_sigma = math.sqrt(max(float(way @ covariance @ way), 0.0))
    across_way = np.array([way[1], -way[0]])
    across_sigma = math.sqrt(max(float(across_way @ covariance @ across_way), 0.0))
    camera = projection.to_degrees(np.array([best.camera_m]))[0]
    view = best.seen.view
    values: dict[str, Any] = {
        "sigma_along_m": round(along_sigma, 2),
        "sigma_across_m": round(across_sigma, 2),
        "observations": int(sum(one.frames for one in some)),
        "passes": passes,
        "first_seen": utc_text(min(one.first_s for one in some)),
        "last_seen": utc_text(max(one.last_s for one in some)),
        "height_m": round(float(np.average([one.height_m for one in some], weights=weights)), 2),
        "width_m": round(width, 2),
        "lower_edge_m": round(lower, 2),
        "length_m": round(float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum()), 2) if kind == LINE else None,
        "facing_deg": round((math.degrees(math.atan2(way[0], way[1])) + 180) % 360, 1) if shape.is_sign else None,
        "ends_seen": ends_seen,
        "track_m": round(best.track_m, 1),
        "source": view.source if view else None,
        "best_frame": view.frame if view else None,
        "camera_longitude": round(float(camera[0]), 7),
        "camera_latitude": round(float(camera[1]), 7),
        "method": best.method,
        "class_votes": ", ".join(f"{key} {value:.1f}" for key, value in votes.most_common()),
    }
    return Asset(
        name,
        kind,
        points,
        covariance,
        exists,
        values,
        seen=[one.seen for one in some],
        view=view,
        found_as=None if name == voted else (voted, (points[0] + points[-1]) / 2),
    )


def _span(
    some: Sequence[Sighting], moved: Sequence[FloatArray], place: FloatArray, way: FloatArray
) -> tuple[FloatArray, str]:
    """Return both ends of what spans the road, left one first, and which of them frames have shown.

    Each pass knows the ends that lay within its frames; passes of both directions are put together. An end that none
    has shown lies where the box's width puts it.
    """
    ends, looks = np.zeros((2, 2)), np.zeros(2)
    width = float(np.average([abs(one.width_m) for one in some], weights=[one.frames for one in some]))
    for one, shift in zip(some, moved, strict=True):
        own = one.way
        across = np.array([own[1], -own[0]]) * one.width_m / 2
        both = np.stack([one.place_m + shift - across, one.place_m + shift + across])
        seen = np.array(one.ends_looks, float)
        if own @ way < 0:
            both, seen = both[::-1], seen[::-1]
        ends += both * seen[:, None]
        looks += seen
    known = looks >= _ENDS_LOOKS
    across = np.array([way[1], -way[0]]) * width / 2
    plain = np.stack([place - across, place + across])
    points = np.where(known[:, None], ends / np.maximum(looks, 1)[:, None], plain)
    if known.all():
        # The network knows the middle better than the passes do.
        points += place - points.mean(axis=0)
    if np.linalg.norm(points[1] - points[0]) < _LEAST_SPAN_M:
        # An unobserved width can be estimated as 0, and the outputs need two distinct points.
        across = np.array([way[1], -way[0]]) * _LEAST_SPAN_M / 2
        points = points.mean(axis=0) + np.stack([-across, across])
    return points, {(1, 1): "both", (1, 0): "left", (0, 1): "right", (0, 0): "none"}[int(known[0]), int(known[1])]


def bridge_lines(assets: Sequence[Asset]) -> list[Asset]:
    """Join lines of one class over holes under 20 m; those that reviewers decided on stay as they are.

    Returns:
        All assets; a joined line has the values of its longest piece, and what is counted of all of them.
    """
    free = [asset for asset in assets if asset.kind == LINE and not asset.values.get("decisions")]
    kept = [asset for asset in assets if asset.kind != LINE or asset.values.get("decisions")]
    for members, points in bridged([asset.points_m for asset in free], [asset.class_name for asset in free]):
        some = [free[n] for n in members]
        if len(some) > 1:
            asset = some[0]
            asset.points_m = points
            asset.probability = max(one.probability for one in some)
            asset.seen = [seen for one in some for seen in one.seen]
            asset.values |= {
                "observations": sum(one.values["observations"] for one in some),
                "passes": max(one.values["passes"] for one in some),
                "first_seen": min(one.values["first_seen"] for one in some),
                "last_seen": max(one.values["last_seen"] for one in some),
                "track_m": min(one.values["track_m"] for one in some),
                "length_m": round(float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum()), 2),
                "class_votes": votes_text([one.values["class_votes"] for one in some]),
            }
        kept.append(some[0])
    return kept


def mark_supports(assets: Sequence[Asset], shapes: Mapping[str, ClassShape]) -> None:
    """Give signs that stand within a metre of each other one `support_id`: they hang on one post.

    Args:
        assets: Named ones.
        shapes: Geometry of their classes.
    """
    signs = [asset for asset in assets if asset.kind == POINT and shape_of(asset.class_name, dict(shapes)).is_sign]
    if len(signs) < 2:
        return
    pairs = cKDTree(np.array([asset.middle_m for asset in signs])).query_pairs(_ONE_POST_M, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), pairs.reshape(-1, 2).T), shape=(len(signs),) * 2)
    _, label = connected_components(graph, directed=False)
    for post in set(label[pairs.ravel()].tolist()):
        together = [signs[n] for n in np.flatnonzero(label == post)]
        for asset in together:
            asset.values["support_id"] = f"post-{min(one.asset_id for one in together)}"


def name_assets(assets: Sequence[Asset], projection: LocalProjection, kept: Mapping[int, str]) -> None:
    """Give every asset its id: one that an earlier inventory gave it, or one made of its class and place.

    Args:
        assets: In the order of the inventory.
        projection: What their metres mean.
        kept: Ids from an earlier inventory, by position in `assets`.
    """
    taken = set(kept.values())
    found = [asset.found_as or (asset.class_name, asset.middle_m) for asset in assets]
    middles = projection.to_degrees(np.array([middle for _, middle in found]).reshape(-1, 2))
    for number, asset in enumerate(assets):
        if number in kept:
            asset.asset_id = kept[number]
            continue
        longitude, latitude = middles[number]
        name = found[number][0]
        text = f"{name} {longitude:.5f} {latitude:.5f}"
        digest, length = hashlib.sha256(text.encode()).hexdigest(), 8
        while (asset_id := f"{name}-{digest[:length]}") in taken:
            length += 1
            if length > 60:
                digest, length = hashlib.sha256(digest.encode()).hexdigest(), 8
        asset.asset_id = asset_id
        taken.add(asset_id)


def utc_text(time_s: float) -> str:
    """Return a POSIX time as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""`inventory audit plan`: from an inventory and a contract's limits to a sample."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from reg_yolo.config.problems import with_hint
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.files import file_sha256
from reg_yolo.inventory.audit.assets import GEOJSON, GEOPACKAGE, Listed, read_assets
from reg_yolo.inventory.audit.estimates import design_effect
from reg_yolo.inventory.audit.passes import BOTH, FIRST, SECOND, Opposite
from reg_yolo.inventory.audit.plan import (
    INVENTORY_FILES,
    Nearby,
    Passes,
    Plan,
    SampledAsset,
    SampledStretch,
    Terms,
    Twin,
    named,
)
from reg_yolo.inventory.audit.sampling import draw_assets, draw_stratified
from reg_yolo.inventory.audit.sizes import SampleSize, drawn_for, sample_size
from reg_yolo.inventory.audit.stretches import Piece, Surveyed, cut_route, cut_surveyed, read_surveyed
from reg_yolo.inventory.audit.terms import check_terms
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.route.axis import read_routes

IntArray = NDArray[np.int64]
Say = Callable[[str], None]
Progress = Callable[[int, int], None]

ELSEWHERE = "elsewhere"
_FAR_M = 200.0
_STEPS = 5


@dataclass(frozen=True)
class _Frame:
    """What is sampled from.

    Attributes:
        assets, pieces: All of both.
        projection: Around the assets.
        roads: Of each asset.
        counts: Assets of the inventory at each piece, shape (P,).
        shapes: Of each asset in metres: its middle, or the line of a long one.
    """

    assets: list[Listed]
    pieces: list[Piece]
    projection: LocalProjection
    roads: list[str]
    counts: IntArray
    shapes: NDArray[np.object_]


def plan_audit(
    inventory: Path,
    terms: Terms,
    routes: Sequence[Path] = (),
    say: Say = lambda _line: None,
    progress: Progress = lambda _done, _total: None,
) -> Plan:
    """Plan an audit.

    Args:
        inventory: inventory.gpkg, inventory.geojson, or the folder with both.
        terms: What the contract asks for.
        routes: Axes with chainage; the stretches are cut along them instead of along the drives.
        say: Called with each line that the user should read.
        progress: Called with the steps done and to do.

    Raises:
        ConfigError: If terms do not fit each other.
        DataError: If the inventory cannot be read, or does not say where it was surveyed and no route does.
    """
    check_terms(terms)
    path, ways = _files(inventory)
    progress(0, _STEPS)
    assets = read_assets(path)
    surveyed = read_surveyed(ways) if ways else []
    progress(1, _STEPS)
    notes: list[str] = []

    def tell(line: str) -> None:
        notes.append(line)
        say(line)

    if terms.checkers == 1:
        tell("One person checks, as planned (--checkers 1): nobody sees what that person overlooks")
    known = {asset.class_name.casefold() for asset in assets}
    lacking = [name for name in terms.contract_classes if name.casefold() not in known]
    if lacking:
        tell(f"The inventory has none of these classes of the contract: {', '.join(lacking)}")

    places = np.array([asset.place_deg for asset in assets])
    projection = LocalProjection.around(places[:, 0], places[:, 1])
    pieces = _pieces(path, surveyed, routes, projection, terms, tell)
    progress(2, _STEPS)
    frame = _frame(assets, pieces, projection, terms)
    rng = np.random.default_rng(terms.seed)
    asset_size, asset_rows = _sample_assets(frame, terms, rng, tell)
    stretch_size, stretch_rows = _sample_stretches(frame, terms, rng, tell)
    progress(3, _STEPS)
    passes = Opposite(surveyed, projection)
    seen = passes.seen(assets)
    stretches = [_sampled_stretch(pieces[row], projection, passes) for row in stretch_rows.tolist()]
    progress(4, _STEPS)
    plan = Plan(
        terms,
        path.name,
        file_sha256(path),
        datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        asset_size,
        stretch_size,
        dict(sorted(Counter(asset.class_name for asset in assets).items())),
        dict(sorted(Counter(piece.road for piece in pieces).items())),
        _sampled_assets(frame, _travelled(frame, asset_rows), terms),
        tuple(stretches),
        _nearby(frame, stretch_rows, seen, terms),
        _passes(assets, seen),
        tuple(notes),
        sections=_sections(pieces),
        surveyed=_times(surveyed),
    )
    progress(_STEPS, _STEPS)
    return replace(plan, audit=named(json.loads(json.dumps(plan.to_dict()))))


def _files(inventory: Path) -> tuple[Path, Path | None]:
    """The file with the assets, and the one that says where was surveyed."""
    if inventory.is_dir():
        found = [inventory / name for name in INVENTORY_FILES]
        there = [path for path in found if path.is_file()]
        if not there:
            inner = inventory / "inventory"
            hint = f" Did you mean {inner}?" if any((inner / name).is_file() for name in INVENTORY_FILES) else ""
            raise DataError(with_hint(f"{inventory}: expected {' or '.join(INVENTORY_FILES)} in it", hint))
        return there[0], found[1] if found[1].is_file() else None
    if inventory.suffix.lower() in GEOPACKAGE:
        return inventory, inventory if inventory.is_file() else None
    sibling = inventory.with_suffix(GEOPACKAGE[0])
    return inventory, sibling if inventory.suffix.lower() in GEOJSON and sibling.is_file() else None


def _pieces(
    path: Path, surveyed: list[Surveyed], routes: Sequence[Path], projection: LocalProjection, terms: Terms, tell: Say
) -> list[Piece]:
    pieces: list[Piece] = []
    read: dict[str, Path] = {}
    for file in routes:
        axes = [piece for route in read_routes(file) for piece in route.rising()]
        digest = file_sha256(file)
        if digest in read:
            raise ConfigError(f"--route {file}: the same as {read[digest]}; give every road once")
        read[digest] = file
        left_out = twice = 0
        for axis in axes:
            some, off, again = cut_route(axis, surveyed, projection, terms.stretch_m, terms.reach_m, pieces)
            pieces += some
            left_out, twice = left_out + off, twice + again
        if left_out:
            tell(f"{file}: {left_out} stretches left out, no drive came within {terms.reach_m:g} m of their middle")
        if twice:
            tell(f"{file}: {twice} stretches left out, they lie within {terms.reach_m:g} m of an earlier --route")
    if not routes:
        if not surveyed:
            raise DataError(
                f"{path}: no surveyed stretches in it or next to it; give inventory.gpkg, or the axis with --route"
            )
        pieces, left_out = cut_surveyed(surveyed, projection, terms.stretch_m, terms.reach_m)
        if left_out:
            tell(f"{left_out} stretches left out: driven before, within {terms.reach_m:g} m")
    if not pieces:
        raise DataError(f"{path}: no drive came within {terms.reach_m:g} m of the routes; nothing to draw from")
    return pieces


def _frame(assets: list[Listed], pieces: list[Piece], projection: LocalProjection, terms: Terms) -> _Frame:
    degrees = np.array([asset.place_deg for asset in assets])
    points = shapely.points(projection.to_metres(degrees[:, 0], degrees[:, 1]))
    tree = shapely.STRtree([piece.line for piece in pieces])
    nearest = tree.nearest(points)
    lines = np.array([piece.line for piece in pieces], dtype=object)
    apart = shapely.distance(points, lines[nearest])
    roads = [
        pieces[piece].road if distance <= _FAR_M else ELSEWHERE
        for piece, distance in zip(nearest.tolist(), apart.tolist(), strict=True)
    ]
    counts = np.bincount(nearest[apart <= terms.reach_m], minlength=len(pieces)).astype(np.int64)
    long = np.array([asset.is_line for asset in assets])
    shapes = points.copy()
    shapes[long] = shapely.transform(
        np.array([asset.shape for asset in assets], dtype=object)[long], lambda xy: projection.to_metres(*xy.T)
    )
    return _Frame(assets, pieces, projection, roads, counts, shapes)


def _size(name: str, limit: float, expected: float, terms: Terms, population: int | None = None) -> SampleSize:
    try:
        return sample_size(limit, expected, terms.confidence, terms.power, population)
    except ConfigError as error:
        raise ConfigError(f"--expected-{name}: {error}") from None


def _sample_assets(frame: _Frame, terms: Terms, rng: np.random.Generator, tell: Say) -> tuple[SampleSize, IntArray]:
    total = len(frame.assets)
    size = _size("precision", terms.precision, terms.expected_precision, terms, total)
    # Positions are measured of right ones only.
    right = max(round(total * terms.expected_precision), 1)
    placed = _size("position", terms.position_share, terms.expected_position, terms, right)
    count = min(max(size.checked, drawn_for(placed.checked, terms.expected_precision, terms.power)), total)
    if count >= total:
        tell(f"Assets: no sample of {total} would do; all of them are checked (a census)")
    else:
        tell(
            f"Precision: {size.checked} of {total} assets, {size.allowed} faults allowed; position: {placed.checked} "
            f"right ones, {placed.allowed} farther than {terms.position_m:g} m allowed; {count} are drawn"
        )
    classes = [asset.class_name for asset in frame.assets]
    rows = draw_assets(classes, frame.roads, count, terms.each_class, rng)
    if len(rows) > count:
        tell(f"Assets: {len(rows) - count} more, so that {terms.each_class} of every class are checked where there are")
    census = SampleSize(total, size.allowed, census=True)
    return census if count >= total else SampleSize(count, size.allowed), rows


def _sample_stretches(frame: _Frame, terms: Terms, rng: np.random.Generator, tell: Say) -> tuple[SampleSize, IntArray]:
    size = _size("recall", terms.recall, terms.expected_recall, terms)
    stand = frame.counts / terms.expected_recall
    effect = design_effect(stand, terms.clustering)
    total, mean = len(frame.pieces), float(stand.mean())
    if mean <= 0:
        raise DataError(
            f"no asset of the inventory lies within {terms.reach_m:g} m of a stretch; give the right axis with "
            "--route, or a larger --reach"
        )
    count = min(math.ceil(size.checked * effect / mean), total)
    census = count >= total
    said = f"{size.checked} listed assets, {size.allowed} missed ones allowed"
    if census:
        tell(f"Recall: {said}, would need more than all {total} stretches; all of them are checked (a census)")
    else:
        tell(
            f"Recall: {said}; with a design effect of {effect:.2f} and {mean:.2f} assets each that takes {count} of "
            f"{total} stretches of {terms.stretch_m:g} m"
        )
    rows = draw_stratified([piece.road for piece in frame.pieces], count, rng)
    return SampleSize(size.checked, size.allowed, census), rows


def _travelled(frame: _Frame, rows: IntArray) -> list[int]:
    """Rows in an order in which they can be visited."""
    return sorted(rows.tolist(), key=lambda row: (frame.roads[row], *_along(frame.assets[row])))


def _along(asset: Listed) -> tuple[str, float, float]:
    longitude, latitude = asset.place_deg
    return asset.chainage.zfill(12), longitude, latitude


def _sampled_assets(frame: _Frame, rows: list[int], terms: Terms) -> tuple[SampledAsset, ...]:
    """Sampled assets, each with the others of its class that may be the same real thing: an asset stands for what lies
    within `within_m` of it, so that two of them may be twice as far apart.
    """
    twins: dict[int, list[Twin]] = {row: [] for row in rows}
    near = shapely.STRtree(frame.shapes).query(frame.shapes[rows], predicate="dwithin", distance=2 * terms.within_m)
    for row, other in zip([rows[n] for n in near[0].tolist()], near[1].tolist(), strict=True):
        one = frame.assets[other]
        if row != other and one.class_name == frame.assets[row].class_name:
            apart = round(float(frame.shapes[row].distance(frame.shapes[other])), 1)
            twins[row].append(Twin(one.asset_id, *_place(one), apart))
    return tuple(
        SampledAsset(
            one.asset_id, one.class_name, frame.roads[row], *_place(one), one.chainage, one.side, one.length_m,
            tuple(sorted(twins[row], key=lambda twin: (twin.apart_m, twin.asset_id))),
        )
        for row, one in ((row, frame.assets[row]) for row in rows)
    )  # fmt: skip


def _place(asset: Listed) -> tuple[float, float]:
    longitude, latitude = asset.place_deg
    return round(longitude, 7), round(latitude, 7)


def _sections(pieces: Sequence[Piece]) -> dict[str, tuple[str, str]]:
    """First and last chainage of each road; pieces lie in their order."""
    found: dict[str, tuple[str, str]] = {}
    for piece in pieces:
        first, _ = found.get(piece.road, (piece.chainage_from, ""))
        found[piece.road] = first, piece.chainage_to
    return dict(sorted(found.items()))


def _times(surveyed: Sequence[Surveyed]) -> tuple[str, ...]:
    times = [time for way in surveyed for time in (way.first_seen, way.last_seen) if time]
    return (min(times), max(times)) if times else ()


def _sampled_stretch(piece: Piece, projection: LocalProjection, passes: Opposite) -> SampledStretch:
    degrees = projection.to_degrees(piece.points_m)
    marks = shapely.get_coordinates(shapely.line_interpolate_point(piece.line, (0.1, 0.5, 0.9), normalized=True))
    looked = passes.pairs([(float(x), float(y)) for x, y in projection.to_degrees(marks)])
    return SampledStretch(
        piece.stretch_id,
        piece.road,
        tuple((round(float(x), 7), round(float(y), 7)) for x, y in degrees),
        round(float(piece.line.length), 1),
        piece.chainage_from,
        piece.chainage_to,
        all(looked),
    )


def _nearby(frame: _Frame, rows: IntArray, seen: Sequence[str | None], terms: Terms) -> tuple[Nearby, ...]:
    """Assets that something listed at the sampled stretches may be."""
    reach = terms.reach_m + 2 * terms.within_m
    shapes = shapely.transform(
        np.array([asset.shape for asset in frame.assets], dtype=object),
        lambda points: frame.projection.to_metres(points[:, 0], points[:, 1]),
    )
    lines = [frame.pieces[row].line for row in rows.tolist()]
    near = shapely.STRtree(shapes).query(lines, predicate="dwithin", distance=reach)
    found = []
    for row in sorted(set(near[1].tolist())):
        asset = frame.assets[row]
        points = shapely.get_coordinates(asset.shape) if asset.is_line else np.array([asset.place_deg])
        line = tuple((round(float(x), 7), round(float(y), 7)) for x, y in points)
        found.append(Nearby(asset.asset_id, asset.class_name, line, asset.is_line, seen[row]))
    return tuple(found)


def _passes(assets: Sequence[Listed], seen: Sequence[str | None]) -> Passes:
    counts: dict[str, Counter[str]] = {}
    for asset, one in zip(assets, seen, strict=True):
        if one is not None:
            counts.setdefault(asset.class_name, Counter())[one] += 1
    table = {name: (own[FIRST] + own[BOTH], own[SECOND] + own[BOTH], own[BOTH]) for name, own in sorted(counts.items())}
    return Passes(table, sum(one is None for one in seen))


def terms_with_expected(terms: Terms, recall: float | None, precision: float | None, position: float | None) -> Terms:
    """Return terms with what the producer expects; where not stated, half of the faults that are allowed.

    Example:
        >>> terms_with_expected(Terms(recall=0.8), None, None, 0.99).expected_recall
        0.9
    """
    return Terms(
        **{
            **asdict(terms),
            "expected_recall": (1 + terms.recall) / 2 if recall is None else recall,
            "expected_precision": (1 + terms.precision) / 2 if precision is None else precision,
            "expected_position": (1 + terms.position_share) / 2 if position is None else position,
        }
    )

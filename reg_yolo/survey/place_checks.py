"""Preflight of positions, clock and route: can this drive be located, and what of the road is missing?"""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

import numpy as np
import shapely

from reg_yolo.errors import DataError
from reg_yolo.inventory.positions.trajectory import HELD_BELOW_MPS, MAX_HOLE_S
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.inventory.route.axis import Route
from reg_yolo.inventory.route.reference import chainage_text
from reg_yolo.inventory.timing import check_overlap
from reg_yolo.survey.items import Item, Verdict
from reg_yolo.survey.places import Located, Way, time_text, way_of

LEAST_WAY_M = 50.0
"""A drive shorter than this has not moved."""
MOST_DROPPED = 0.1
FASTEST_MPS = 60.0
MOST_LOST = 0.05
"""Share of a drive without positions above which a line is said."""
NEAR_ROUTE_M = 40.0
LEAST_GAP_M = 50.0
_STEP_M = 10.0
_MOST_NAMED = 5


def position_item(located: Located, way: Way | None) -> Item:
    """Judge whether positions are there, and whether they move."""
    drive, found = located.drive.name, located.positions
    if found is None or way is None:
        why = "; ".join(located.reasons[:2]) or "none on the card, in the files or in EXIF"
        advice = located.advice or "copy the receiver's log next to the files, or name it with --gnss"
        return Item(drive, "positions", "problem", f"none: {why}", advice, blocks=True)
    fixes = found.fixes
    dropped = sum(fixes.dropped.values())
    share = dropped / max(1, dropped + len(fixes))
    steps = np.linalg.norm(np.diff(way.points_m, axis=0), axis=1)
    values = {
        "source": found.kind,
        "fixes": len(fixes),
        "dropped": dict(fixes.dropped),
        "km": round(way.length_m / 1000, 3),
    }
    text = f"{len(fixes)} fixes ({found.kind}), {way.length_m / 1000:.2f} km"
    if way.length_m < LEAST_WAY_M or _extent_m(way) < LEAST_WAY_M / 2:
        text += f", within {_extent_m(way):.0f} m: they do not move"
        advice = "check the receiver; a frozen fix locates nothing"
        return Item(drive, "positions", "problem", text, advice, True, values)
    if not fixes.names:
        seconds = np.maximum(np.diff(way.time_s), 1e-3)
        speed = steps / seconds
        inside = np.concatenate([rows[:-1] for rows in way.pieces]) if way.pieces else np.zeros(0, np.int64)
        moving = speed[inside] >= HELD_BELOW_MPS
        travelled = float(steps[inside].sum() / max(1e-3, float(seconds[inside][moving].sum()))) * 3.6
        values |= {"moving_share": round(float(moving.mean()), 3), "kmh": round(travelled, 1)}
        text += f", {travelled:.0f} km/h while moving"
        jumps = int((speed[inside] > FASTEST_MPS).sum())
        if jumps:
            values["jumps"] = jumps
            text += f", {jumps} jumps faster than {FASTEST_MPS * 3.6:.0f} km/h"
            return Item(drive, "positions", "warning", text, "check the receiver's view of the sky", values=values)
    if share > MOST_DROPPED:
        reasons = ", ".join(f"{count} {reason}" for reason, count in fixes.dropped.items())
        text += f", {share:.0%} dropped ({reasons})"
        return Item(drive, "positions", "warning", text, "check the receiver's view of the sky", values=values)
    return Item(drive, "positions", "ok", text, values=values)


def clock_item(located: Located, way: Way | None) -> Item | None:
    """Judge whether the video's time and that of its positions overlap; None where there is nothing to compare."""
    drive, found, start = located.drive, located.positions, located.start
    if found is None:
        return None
    if found.fixes.names:
        names = {path.name for path in drive.files}
        known = len(names & {name.replace("\\", "/").rpartition("/")[2] for name in found.fixes.names})
        lost = 1 - known / len(names)
        text = f"positions by file name for {known} of {len(names)} images"
        if not known:
            return Item(drive.name, "clock", "problem", text, "check that the list is of these images", True)
        verdict: Verdict = "warning" if lost > MOST_LOST else "ok"
        return Item(drive.name, "clock", verdict, text, "the others cannot be located" if lost > MOST_LOST else "")
    first, last = float(found.fixes.time_s[0]), float(found.fixes.time_s[-1])
    if start is None:
        return _without_start(located, first, last, shared=found.shared)
    length = drive.seconds
    begin, end = start.time_s, start.time_s + (length or 0.0)
    values = {
        "start": time_text(begin),
        "from": start.source,
        "seconds": length,
        "positions": [time_text(first), time_text(last)],
    }
    try:
        check_overlap(np.array([begin, end]), first, last, drive.name)
    except DataError as error:
        text = str(error).removeprefix(f"{drive.name}: ")
        advice = "correct it with --start or --time-base, or give the positions of this drive with --gnss"
        if found.shared:
            # What lies next to several drives may be another's: an offset would put this one on its way.
            text = f"{text.partition('; an offset')[0]}, which may be of another drive"
            advice = "give the positions of this drive with --gnss, or correct its time with --start or --time-base"
        else:
            values["offset_s"] = round(first - begin, 1)
        return Item(drive.name, "clock", "problem", f"by {start.source}, {text}", advice, True, values)
    if length is None:
        text = f"starts {time_text(begin)} by {start.source}; how long it is its container does not say"
        return Item(drive.name, "clock", "ok", text, values=values)
    covered = _covered_s(way, begin, end) if way is not None else 0.0
    lost_s = max(0.0, length - covered)
    values["without_position_s"] = round(lost_s, 1)
    text = f"starts {time_text(begin)} by {start.source}; {lost_s:.0f} of {length:.0f} s without a position"
    if lost_s > max(2.0, MOST_LOST * length):
        if lost_s > 0.5 * length:
            advice = "most of the drive cannot be located: check --start, --time-base and the receiver"
            return Item(drive.name, "clock", "problem", text, advice, values=values)
        return Item(drive.name, "clock", "warning", text, "that part cannot be located", values=values)
    return Item(drive.name, "clock", "ok", text, values=values)


def _without_start(located: Located, first_s: float, last_s: float, *, shared: bool) -> Item:
    """Say what is known of a drive whose positions run from one time to another, and of which no time is known."""
    drive = located.drive
    why = located.reasons[-1] if located.reasons else "nothing tells when it started"
    why = why.partition("; give")[0].removeprefix(f"{drive.files[0]}: ").removeprefix(f"{drive.name}: ")
    text = f"{why}; its positions run from {time_text(first_s)} to {time_text(last_s)}"
    if not drive.is_video:
        advice = "give positions by file name with --gnss, or images with EXIF"
    elif shared:
        advice = f"state it with --start {quote(f'{drive.name}=TIME')}, a time between these"
    else:
        advice = f"state it, such as --start {quote(f'{drive.name}={time_text(first_s)}')} if it began with them"
    return Item(drive.name, "clock", "problem", text, advice, blocks=True)


def drive_way(located: Located, projection: LocalProjection) -> Way | None:
    """Return the way during the drive; the whole of the positions where its time is not known or does not fit."""
    if located.positions is None:
        return None
    span = None
    if located.start is not None and located.drive.seconds is not None:
        span = located.start.time_s, located.start.time_s + located.drive.seconds
    way = way_of(located.positions.fixes, projection.to_metres, span, MAX_HOLE_S)
    if span is not None and len(way.points_m) < 2:
        way = way_of(located.positions.fixes, projection.to_metres, None, MAX_HOLE_S)
    return way


def route_item(route: Route, ways: Sequence[Way], projection: LocalProjection) -> Item:
    """Judge which kilometres of a route no drive has covered."""
    points = projection.to_metres(route.degrees[:, 0], route.degrees[:, 1])
    axis = shapely.LineString(points)
    along = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))))
    lines = [shapely.LineString(way.points_m[rows]) for way in ways for rows in way.pieces]
    at = np.append(np.arange(0.0, axis.length, _STEP_M), axis.length)
    near = np.zeros(len(at), np.bool_)
    if lines:
        driven = shapely.union_all([line.buffer(NEAR_ROUTE_M) for line in lines])
        shapely.prepare(driven)
        near = shapely.covers(driven, shapely.line_interpolate_point(axis, at))
    runs = np.split(np.arange(len(at)), np.flatnonzero(np.diff(near)) + 1)
    gaps = [(float(at[run[0]]), float(at[run[-1]])) for run in runs if not near[run[0]]]
    gaps = [gap for gap in gaps if gap[1] - gap[0] >= LEAST_GAP_M]
    missing = sum(end - begin for begin, end in gaps)
    named = [tuple(float(np.interp(end, along, route.chainage_m)) for end in gap) for gap in gaps]
    name = f"route {route.name}" if route.name else "route"
    values = {"km": round(axis.length / 1000, 3), "missing_km": round(missing / 1000, 3), "missing_m": named}
    if not gaps:
        return Item("", name, "ok", f"all of its {axis.length / 1000:.2f} km are covered", values=values)
    text = ", ".join(f"{chainage_text(min(pair))} to {chainage_text(max(pair))}" for pair in named[:_MOST_NAMED])
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    found = f"{missing / 1000:.2f} of {axis.length / 1000:.2f} km missing: {text}{more}"
    if not near.any():
        return Item("", name, "problem", found, "check that --route is of this road", values=values)
    return Item("", name, "warning", found, "drive them before you leave", values=values)


def _covered_s(way: Way, begin_s: float, end_s: float) -> float:
    spans = [(way.time_s[rows[0]], way.time_s[rows[-1]]) for rows in way.pieces]
    # A fix once a second leaves up to a second at either end.
    return float(sum(max(0.0, min(last + 1, end_s) - max(first - 1, begin_s)) for first, last in spans))


def _extent_m(way: Way) -> float:
    return float(np.linalg.norm(np.ptp(way.points_m, axis=0))) if len(way.points_m) else 0.0

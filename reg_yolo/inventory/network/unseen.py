"""Whether passes that came by an object have seen it: what one saw and the others should have is doubtful.

How often a pass sees what stands at some distance from its way is learned from what other passes saw surely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from reg_yolo.inventory.drive.missed import odds_without, rates_of
from reg_yolo.inventory.drive.stretches import Stretch
from reg_yolo.inventory.existence import probability
from reg_yolo.inventory.network.sightings import Sighting

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_STEP_M = 5.0
_BEFORE_M = 40.0
"""Way in front of an object that a camera must have come along to have seen it."""
_ASIDE_M = np.array([5.0, 10.0, 15.0, 22.0, 30.0])
"""Distances from the way between which rates are taken to be alike; what is farther away counts for nothing."""
_SURE = 0.9
_LEAST = -3.0


def unseen_odds(
    stretches: Sequence[Stretch],
    sightings: Sequence[Sighting],
    groups: Sequence[Sequence[int]],
    places_m: FloatArray,
    receivers: Sequence[int | None] | None = None,
) -> FloatArray:
    """Return what the passes that came by an object and have not seen it say of it, shape (G,).

    It is the logarithm of the odds that they leave: 0 where none missed it, and -3 at least. Of signs, which are named
    from their front only, and of lines nothing is said.

    Args:
        stretches: Where frames of all drives looked.
        sightings: Of all drives.
        groups: Sightings of each object, G of them.
        places_m: Of the objects, shape (G, 2).
        receivers: By drive, where cameras share one: they are of one pass.
    """
    odds = np.zeros(len(groups))
    kinds = [_kind(sightings, members) for members in groups]
    names = {name: n for n, name in enumerate(dict.fromkeys(kinds))}
    classes = np.array([names[kind] if kind else -1 for kind in kinds], np.int64)

    def pass_of(drive: int) -> tuple[int, int | None]:
        receiver = None if receivers is None else receivers[drive]
        return (drive, None) if receiver is None else (-1, receiver)

    ways: dict[tuple[int, int | None], list[Stretch]] = {}
    for stretch in stretches:
        ways.setdefault(pass_of(stretch.drive), []).append(stretch)
    if len(ways) < 2 or not groups:
        return odds
    seen = [_seen_by(sightings, members, pass_of) for members in groups]
    rows, bands, hits, known = [], [], [], []
    for number, some in ways.items():
        near, band = _came_by(some, places_m, classes >= 0)
        rows.append(near)
        bands.append(band)
        hits += [number in seen[g] for g in near.tolist()]
        known += [any(p > _SURE for other, p in seen[g].items() if other != number) for g in near.tolist()]
    row, band, hit, sure = np.concatenate(rows), np.concatenate(bands), np.array(hits, bool), np.array(known, bool)
    rate = rates_of(classes[row[sure]], band[sure], hit[sure], (len(names), len(_ASIDE_M)))[classes[row], band]
    np.add.at(odds, row, np.where(hit, 0.0, odds_without(rate)))
    return np.clip(odds, _LEAST, 0.0)


def _kind(sightings: Sequence[Sighting], members: Sequence[int]) -> str:
    """Return the class of an object that may be seen from everywhere, empty for signs and lines."""
    best = max((sightings[n] for n in members), key=lambda one: one.frames)
    return "" if best.is_sign or best.ends_m is not None else best.class_name


def _seen_by(
    sightings: Sequence[Sighting], members: Sequence[int], pass_of: Callable[[int], tuple[int, int | None]]
) -> dict[tuple[int, int | None], float]:
    """Return how probable an object is by each pass that saw it."""
    found: dict[tuple[int, int | None], float] = {}
    for n in members:
        number = pass_of(sightings[n].drive)
        found[number] = max(found.get(number, 0.0), probability([sightings[n].features]))
    return found


def _came_by(ways: Sequence[Stretch], places_m: FloatArray, counts: NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
    """Return the objects that a pass has come by, and in which band of distances each lay; both of shape (K,)."""
    pieces = [_looked_at(way) for way in ways]
    points, looked = np.concatenate([some for some, _ in pieces]), np.concatenate([flags for _, flags in pieces])
    reach = float(_ASIDE_M[-1])
    inside = ((places_m > points.min(axis=0) - reach) & (places_m < points.max(axis=0) + reach)).all(axis=1)
    rows = np.flatnonzero(counts & inside)
    if not len(rows):
        return rows, rows
    distance, nearest = cKDTree(points).query(places_m[rows])
    near = (distance < reach) & looked[nearest]
    return rows[near], np.searchsorted(_ASIDE_M, distance[near])


def _looked_at(way: Stretch) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return points of a way about 5 m apart, shape (N, 2), and whether a camera that came by has looked at each."""
    points = way.points_m[::-1] if math.cos(math.radians(way.yaw_deg)) < 0 else way.points_m
    driven = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))))
    kept = np.unique(np.append(np.searchsorted(driven, np.arange(0.0, driven[-1], _STEP_M)), len(points) - 1))
    # What is nearest to the end lies beyond it.
    return points[kept], (driven[kept] >= _BEFORE_M) & (kept < len(points) - 1)

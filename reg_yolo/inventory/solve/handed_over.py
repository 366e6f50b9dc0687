"""Pieces of one object in the images: one begins where the other ends, though they were solved to different places.

Far looks at something that is partly hidden can be consistent with one another and wrong together by many metres, so
that neither their place nor its deviation tells that the near looks are of the same object. The images do: from one
frame to the next a box does not vanish while another one of its class appears just there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.growing import advance, goes_back
from reg_yolo.inventory.drive.overlaps import iou_of_each
from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.solve.problem import Views

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_PAUSE_M = 16.0
"""Way without a look that a piece may begin after."""
_GROWTH, _SHAPE = math.log(1.5), math.log(1.5)
"""How much a box may grow from look to look, and how much more in one direction than in the other, as logarithms."""
_APART = 0.35
"""How far the middles of two boxes may be apart, in sizes."""
_AT_MOST = 2.0
"""How many times as far away as it was solved to be a piece may really be."""
_UNKNOWN_M = 12.0
_SLACK = math.radians(0.3)
_LEAST_IOU = 0.33
_RATE_WAY_M, _RATE = 20.0, 0.02
"""Way that a box's growth is taken over, and how much it may change, in shares a metre."""


class _Boxes(NamedTuple):
    """Looks in the order of the way.

    Attributes:
        frame: Shape (K,).
        position_m: Of the camera, easting and northing, shape (K, 2).
        distance_m: To where the piece was solved to stand, shape (K,).
        track_m, heading_rad: Of the camera, shape (K,).
        sides: Shape (K, 4).
        whole: Whether width and height are the object's, shape (K, 2).
        sigma: Deviation of each side, shape (K, 4).
    """

    frame: IntArray
    position_m: FloatArray
    distance_m: FloatArray
    track_m: FloatArray
    heading_rad: FloatArray
    sides: FloatArray
    whole: NDArray[np.bool_]
    sigma: FloatArray

    def at(self, rows: IntArray) -> _Boxes:
        """Return the chosen looks."""
        return _Boxes(
            self.frame[rows],
            self.position_m[rows],
            self.distance_m[rows],
            self.track_m[rows],
            self.heading_rad[rows],
            self.sides[rows],
            self.whole[rows],
            self.sigma[rows],
        )

    @property
    def size(self) -> FloatArray:
        """Width and height as tangents, shape (K, 2)."""
        return np.maximum(self.sides[:, 2:] - self.sides[:, :2], 1e-4)


def join_handed_over(
    groups: list[IntArray], rays: Rays, sigma: FloatArray, views: Views, main: IntArray, places: FloatArray
) -> list[list[int]]:
    """Put together what the images show to be one object.

    Args:
        groups: Rows of each object's rays.
        rays: What was seen.
        sigma: Deviation of every side, shape (M, 4), infinite where it was not seen.
        views: The camera at all frames.
        main: Each object's class, shape (N,).
        places: Where each was solved to stand, easting and northing, shape (N, 2).

    Returns:
        Members of each joined object.
    """
    pieces = [_boxes(rows, rays, sigma, views, place) for rows, place in zip(groups, places, strict=True)]
    frames = [set(rays.frame[rows].tolist()) for rows in groups]
    scored = []
    order = np.argsort([piece.track_m[0] for piece in pieces], kind="stable")
    begins = np.array([pieces[n].track_m[0] for n in order])
    for place, i in enumerate(order.tolist()):
        until = np.searchsorted(begins, pieces[i].track_m[-1] + _PAUSE_M, side="right")
        for j in order[place + 1 : until].tolist():
            if main[i] == main[j] and frames[i].isdisjoint(frames[j]):
                cost, _ = _cost(pieces[i], pieces[j])
                if cost <= 1:
                    scored.append((cost, i, j))
    members = {n: [n] for n in range(len(groups))}
    leader = list(range(len(groups)))
    for _, i, j in sorted(scored):
        a, b = leader[i], leader[j]
        if a == b or not frames[a].isdisjoint(frames[b]):
            continue
        # Joined pieces show more of how each goes on than the two that this pair is of.
        cost, joined = _cost(pieces[a], pieces[b])
        if cost > 1:
            continue
        frames[a] |= frames[b]
        pieces[a] = joined
        members[a] += members.pop(b)
        for n in members[a]:
            leader[n] = a
    return list(members.values())


def piece_to_trust(some: Sequence[int], largest: Sequence[float], sigma_m: FloatArray) -> int:
    """Return the piece of an object that tells where it stands.

    It is the one with the largest box, as far looks can be wrong together; but not one whose few looks do not tell its
    place at all, as where the frame's border cuts one end of a bridge in each.

    Args:
        some: Numbers of the object's pieces.
        largest: Area of the largest box of each piece, by number.
        sigma_m: The greatest deviation of each piece's place, metres, by number.

    Example:
        >>> piece_to_trust([0, 1], [0.01, 0.04], np.array([2.0, 5.0]))
        1
        >>> piece_to_trust([0, 1], [0.01, 0.04], np.array([2.0, 16.0]))
        0
    """
    return max(some, key=lambda n: (sigma_m[n] <= _UNKNOWN_M, largest[n]))


def _boxes(rows: IntArray, rays: Rays, sigma: FloatArray, views: Views, place: FloatArray) -> _Boxes:
    frame, seen = rays.frame[rows], rays.seen[rows]
    order = np.argsort(views.track_m[frame], kind="stable")
    whole = seen[:, :2] & seen[:, 2:]
    where = views.position_m[frame]
    path = where, np.linalg.norm(where - place, axis=1), views.track_m[frame], views.heading_rad[frame]
    piece = _Boxes(frame, *path, rays.sides[rows], whole, sigma[rows]).at(order)
    if len(rows) < 3:
        return piece
    # A stray look, with no other one near it on the way, would join its piece to what it is really of.
    apart = np.diff(piece.track_m, prepend=-np.inf, append=np.inf)
    held = np.flatnonzero(np.minimum(apart[:-1], apart[1:]) <= _PAUSE_M)
    return piece.at(held) if len(held) else piece


def _cost(one: _Boxes, other: _Boxes) -> tuple[float, _Boxes]:
    """Return how badly the boxes go on where one piece goes over into the other, 1 being the limit, and both as one."""
    joined = _Boxes(*(np.concatenate(values) for values in zip(one, other, strict=True)))
    order = np.argsort(joined.track_m, kind="stable")
    joined = joined.at(order)
    switches = np.flatnonzero(np.diff((order >= len(one.frame)).astype(np.int64)))
    before, after = joined.at(switches), joined.at(switches + 1)
    if not len(switches):
        return math.inf, joined
    worst = _jumps(before, after).max()
    if worst <= 1:
        worst = max(worst, *(_bend(joined, switch) for switch in switches.tolist()))
    return float(worst), joined


def _jumps(before: _Boxes, after: _Boxes) -> FloatArray:
    """How badly each box goes on from the one before it; shape (S,), infinite where it does not."""
    grown = np.log(after.size / before.size)
    known = before.whole & after.whole
    growth = np.where(known[:, 1], grown[:, 1], grown[:, 0])
    shape = np.where(known.all(axis=1), np.abs(grown[:, 0] - grown[:, 1]), 0.0)
    # What stands still moves away from where the camera drives to as it grows, and against the camera's turn.
    turned = (after.heading_rad - before.heading_rad + math.pi) % (2 * math.pi) - math.pi
    turn = np.stack([turned, np.zeros(len(turned))], 1)
    first, second = ((boxes.sides[:, :2] + boxes.sides[:, 2:]) / 2 for boxes in (before, after))
    allowed = _APART * np.maximum(before.size, after.size) + _SLACK
    apart = (np.abs(second - first * np.exp(growth)[:, None] + turn) / allowed).max(axis=1)
    possible = known.any(axis=1) & (np.abs(growth) <= _GROWTH) & (shape <= _SHAPE)
    apart = np.where(possible, apart, np.inf)
    # What hides a part of a box, or the frame's border, changes its size at once; then it must lie on the other.
    turn = np.tile(turn, 2)
    ways = [np.zeros_like(growth), *np.clip(grown, 0.0, _GROWTH).T]
    shared = np.max([iou_of_each(before.sides * np.exp(way)[:, None] - turn, after.sides) for way in ways], axis=0)
    apart = np.minimum(apart, (1 - shared) / (1 - _LEAST_IOU))
    advanced = advance(after.position_m - before.position_m, before.heading_rad)
    # Even of what is twice as far away as it was solved to be, a box must change by so much on the way between.
    share = np.minimum((after.track_m - before.track_m) / (_AT_MOST * np.maximum(before.distance_m, 1.0)), 0.5)
    least = np.abs(np.log1p(-advanced * share))
    back = goes_back(before.sides - turn, after.sides, before.sigma, after.sigma, advanced, least=least)
    return np.asarray(np.where((after.track_m - before.track_m <= _PAUSE_M) & ~back, apart, np.inf))


def _bend(joined: _Boxes, switch: int) -> float:
    """How much the growth of the boxes changes at a switch, 1 being the limit: it tells near things from far ones."""
    rates = []
    for last, step in ((switch, -1), (switch + 1, 1)):
        way = np.abs(joined.track_m - joined.track_m[last])
        inside = np.arange(len(way)) * step >= last * step
        rows = np.flatnonzero(inside & (way <= _RATE_WAY_M) & (way > 0))
        if not len(rows):
            return 0.0
        far = rows[0] if step < 0 else rows[-1]
        both = joined.whole[far] & joined.whole[last]
        if not both.any():
            return 0.0
        side = 1 if both[1] else 0
        sizes = joined.size[[far, last], side]
        unsure = joined.sigma[[far, last]][:, side::2]
        noise = math.sqrt(float((unsure**2).sum(axis=1) @ sizes**-2.0)) / way[far]
        rates.append((-step * math.log(sizes[1] / sizes[0]) / way[far], noise))
    (slow, first), (fast, second) = rates
    return abs(fast - slow) / (_RATE + 2 * math.hypot(first, second))

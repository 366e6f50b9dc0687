"""Looks given to solved objects by where these must appear in each frame."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.ranges import ranges
from reg_yolo.inventory.solve.pairing import cheapest_pairs
from reg_yolo.inventory.solve.problem import Anchors, Priors, Problem, Sights, Views

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SIDE_LIMIT, _BEYOND_LIMIT = 3.0, 6.0
"""Deviations that a side counts for at most: inside of where it must be seen, as hidden ones lie, and beyond it."""
_OUTWARD = np.array([-1.0, -1.0, 1.0, 1.0])
_SLACK = math.radians(0.3)
_WRONG_CLASS = 5.0
_MORE_M = 110.0
_NOTHING = 14.0
_FAR = 1e3
"""Above the cost of any pair."""
_PIECE = 200_000
"""Looks that are tried on objects at once."""


def look_again(
    rays: Rays,
    sigma: FloatArray,
    views: Views,
    frames: IntArray,
    groups: list[IntArray],
    anchors: Anchors,
    priors: Priors,
    x: FloatArray,
    votes: FloatArray,
    standing: NDArray[np.bool_],
) -> list[IntArray]:
    """Return for each object the rows of the rays that fit it best, one to one in every frame.

    Args:
        rays: What was seen.
        sigma: Deviation of each side, shape (M, 4), infinite where not seen.
        views: The camera at all frames.
        frames: Rows of the frames that count.
        groups: Rows of each object's rays so far.
        anchors, priors, x: The problem and its solution for these objects.
        votes: By object and class, shape (N, C).
        standing: Which rays may be of a static object, shape (M,).
    """
    if not groups:
        return []
    starts = np.searchsorted(rays.frame, np.arange(len(views.track_m) + 1))
    track = views.track_m[frames]
    # All that may be of a static object, in the order of the frames that count, and where each frame's begin.
    counts = starts[frames + 1] - starts[frames]
    in_order = ranges(starts[frames], counts)
    owner = np.repeat(np.arange(len(frames)), counts)[standing[in_order]]
    in_order = in_order[standing[in_order]]
    begins = np.searchsorted(owner, np.arange(len(frames) + 1))
    own = [views.track_m[rays.frame[rows]] for rows in groups]
    first = begins[np.searchsorted(track, [some.min() - _MORE_M for some in own])]
    last = begins[np.searchsorted(track, [some.max() + _MORE_M for some in own])]
    pieces = []
    # Objects have many looks within their reach, of which few fit; so they are sorted out piece by piece.
    piece = np.cumsum(last - first) // _PIECE
    for chosen in np.split(np.arange(len(groups)), np.flatnonzero(np.diff(piece)) + 1):
        counts = (last - first)[chosen]
        objects, candidates = np.repeat(chosen, counts), in_order[ranges(first[chosen], counts)]
        sights = Sights(
            objects, rays.frame[candidates], rays.sides[candidates], sigma[candidates], rays.delay_s[candidates]
        )
        total = _misfit(sights, Problem(views, sights, anchors, priors), x)
        total += np.where(rays.votes[candidates, votes[objects].argmax(axis=1)] <= 0, _WRONG_CLASS, 0.0)
        fits = total < 2.2 * _NOTHING
        pieces.append((objects[fits], candidates[fits], total[fits]))
    objects, candidates, total = (np.concatenate(some) for some in zip(*pieces, strict=True))
    # An object takes one look of a frame, and a look belongs to one object; as many hold as can.
    frame = rays.frame[candidates]
    _, of_object = np.unique(objects * len(views.track_m) + frame, return_inverse=True)
    taken = cheapest_pairs(of_object, candidates, total, _FAR, frame)
    objects, candidates = objects[taken], candidates[taken]
    order = np.lexsort((candidates, objects))
    return np.split(candidates[order], np.searchsorted(objects[order], np.arange(1, len(groups))))


def _misfit(sights: Sights, problem: Problem, x: FloatArray) -> FloatArray:
    """Return how badly each look fits its object, shape (K,); infinite where it cannot be one of it."""
    predicted, parts = problem.predict(x)
    scaled = np.abs(sights.sides - predicted) / np.sqrt(sights.sigma**2 + _SLACK**2)
    # What hides a part of an object makes its box smaller: one that reaches beyond it is of something else.
    beyond = (sights.sides - predicted) * _OUTWARD > 0
    limit = np.where(beyond, _BEYOND_LIMIT, _SIDE_LIMIT)
    cost = np.minimum(np.where(np.isfinite(sights.sigma), scaled, 0.0), limit) ** 2
    across, up = cost[:, [0, 2]].min(axis=1), cost[:, [1, 3]].min(axis=1)
    # One side of each direction must be where it should: the others may be hidden.
    fits = (across < _SIDE_LIMIT**2) & (up < _SIDE_LIMIT**2) & (parts["middle"] > 0.6)
    return np.where(fits, cost.sum(axis=1), np.inf)

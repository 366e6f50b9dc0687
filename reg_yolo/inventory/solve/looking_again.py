"""Looks given to solved objects by where these must appear in each frame."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.solve.problem import Anchors, Priors, Problem, Sights, Views

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SIDE_LIMIT = 3.0
_SLACK = math.radians(0.3)
_WRONG_CLASS = 5.0
_MORE_M = 110.0
_NOTHING = 14.0


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
    used = np.zeros(len(views.track_m), np.bool_)
    used[frames] = True
    starts = np.searchsorted(rays.frame, np.arange(len(views.track_m) + 1))
    track = views.track_m[frames]
    if not groups:
        return []
    pairs: list[tuple[IntArray, IntArray]] = []
    for n, rows in enumerate(groups):
        own = views.track_m[rays.frame[rows]]
        near = frames[np.searchsorted(track, own.min() - _MORE_M) : np.searchsorted(track, own.max() + _MORE_M)]
        if len(near):
            found = np.concatenate([np.arange(starts[frame], starts[frame + 1]) for frame in near])
            found = found[standing[found]]
            pairs.append((np.full(len(found), n), found))
    objects = np.concatenate([pair[0] for pair in pairs])
    candidates = np.concatenate([pair[1] for pair in pairs])
    sights = Sights(objects, rays.frame[candidates], rays.sides[candidates], sigma[candidates])
    predicted, parts = Problem(views, sights, anchors, priors).predict(x)
    scaled = np.abs(sights.sides - predicted) / np.sqrt(sights.sigma**2 + _SLACK**2)
    scaled = np.where(np.isfinite(sights.sigma), scaled, 0.0)
    cost = np.minimum(scaled, _SIDE_LIMIT) ** 2
    across, up = cost[:, [0, 2]].min(axis=1), cost[:, [1, 3]].min(axis=1)
    wrong = rays.votes[candidates, votes[objects].argmax(axis=1)] <= 0
    total = cost.sum(axis=1) + np.where(wrong, _WRONG_CLASS, 0.0)
    # One side of each direction must be where it should: the others may be hidden.
    fits = (across < _SIDE_LIMIT**2) & (up < _SIDE_LIMIT**2) & (total < 2.2 * _NOTHING) & (parts["middle"] > 0.6)
    objects, candidates, total = objects[fits], candidates[fits], total[fits]
    chosen: list[list[int]] = [[] for _ in groups]
    order = np.argsort(rays.frame[candidates], kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(rays.frame[candidates][order])) + 1):
        if not len(rows):
            continue
        which, object_at = np.unique(objects[rows], return_inverse=True)
        boxes, box_at = np.unique(candidates[rows], return_inverse=True)
        matrix = np.full((len(which), len(boxes)), 1e3)
        matrix[object_at, box_at] = total[rows]
        for n, k in zip(*linear_sum_assignment(matrix), strict=True):
            if matrix[n, k] < 1e3:
                chosen[which[n]].append(int(boxes[k]))
    return [np.array(sorted(rows), np.int64) for rows in chosen]

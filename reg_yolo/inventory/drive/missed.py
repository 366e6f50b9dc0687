"""Whether an object was seen where it must be in sight, and whether it was missed there.

How often a detector finds a class at a size is learned from what the drive saw best. An object that is not seen in
frames in which such ones nearly always are is doubtful, however consistent its few looks are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.ranges import ranges
from reg_yolo.inventory.solve.passes import PassObjects
from reg_yolo.inventory.solve.problem import LOWER, UPPER, WIDTH, Views

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NEAREST_M, _FARTHEST_M = 4.0, 150.0
_REACH_M = 120.0
"""Way before the first and after the last look in which an object may be in sight."""
_BORDER_SHARE = 0.015
_SIZES = np.array([0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.11, 0.15, 0.2, 0.3])
"""Heights in the image, as tangents, between which rates are taken to be alike."""
_WELL_SEEN, _UNRIVALLED = 5, 0.5
_LIKE_ALL = 3.0
"""Frames by which a class's rate at a size is drawn to that of all classes."""
_LEAST_RATE, _MOST_RATE = 0.02, 0.95
_BY_CHANCE = 0.03
"""How often something that is not there has a look that fits it."""
_FEW = 2.0
_LEAST = -0.7


def missed_looks(
    rays: Rays, objects: PassObjects, views: Views, frames: IntArray, camera: Camera, rival: FloatArray
) -> FloatArray:
    """Return what frames without a look say of each object, where it must be in sight whole; shape (N,).

    It is the logarithm of the odds that they leave, a frame in sight: 0 where none is missed, and -0.7 at least, as
    something may hide it for long.

    Args:
        rays: What was seen.
        objects: The objects of a pass, N of them.
        views: The camera at all frames.
        frames: Rows of the frames that count, in the order of time.
        camera: Its image borders what is in sight.
        rival: How far a like object close by was seen instead of each, 0 to 1, shape (N,).
    """
    if not len(objects):
        return np.zeros(0)
    number, at = _in_reach(rays, objects, views, frames)
    size, whole = _seen_at(objects.values[number], views, frames[at], camera)
    number, at, group = number[whole], at[whole], np.searchsorted(_SIZES, size[whole])
    owner = np.repeat(np.arange(len(objects)), [len(rows) for rows in objects.rows])
    looked = owner * len(views.track_m) + rays.frame[np.concatenate(objects.rows)]
    hit = np.isin(number * len(views.track_m) + frames[at], looked)
    main = objects.votes.argmax(axis=1)
    strong = np.bincount(owner, rays.strong[np.concatenate(objects.rows)], len(objects))
    sure = ((strong >= _WELL_SEEN) & (rival < _UNRIVALLED))[number]
    shape = objects.votes.shape[1], len(_SIZES) + 1
    rate = rates_of(main[number[sure]], group[sure], hit[sure], shape)[main[number], group]
    count = np.bincount(number, minlength=len(objects)) + _FEW
    odds = np.where(hit, 0.0, odds_without(rate))
    return np.maximum(np.bincount(number, odds, len(objects)) / count, _LEAST)


def _in_reach(rays: Rays, objects: PassObjects, views: Views, frames: IntArray) -> tuple[IntArray, IntArray]:
    """Return pairs of an object and a place in `frames` that may show it."""
    track = views.track_m[frames]
    own = [views.track_m[rays.frame[rows]] for rows in objects.rows]
    first = np.searchsorted(track, [some.min() - _REACH_M for some in own])
    last = np.searchsorted(track, [some.max() + _REACH_M for some in own])
    counts = last - first
    number = np.repeat(np.arange(len(objects)), counts)
    return number, ranges(first, counts)


def _seen_at(
    values: FloatArray, views: Views, frames: IntArray, camera: Camera
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return heights in the image as tangents, and whether an object must be in it whole; both of shape (K,)."""
    heading = views.heading_rad[frames]
    sin, cos = np.sin(heading), np.cos(heading)
    east, north = (values[:, :2] - views.position_m[frames]).T
    ahead, right = east * sin + north * cos, east * cos - north * sin
    near = (ahead > _NEAREST_M) & (ahead < _FARTHEST_M)
    depth = np.where(near, ahead, 1.0)
    middle, half = right / depth, np.abs(values[:, WIDTH]) / depth / 2
    top, bottom = -values[:, UPPER] / depth, -values[:, LOWER] / depth
    margin = _BORDER_SHARE * camera.width
    corners = np.array([[margin, margin], [camera.width - margin, camera.height - margin]])
    (low_x, low_y), (high_x, high_y) = camera.normalized(corners)
    inside = (middle - half > low_x) & (middle + half < high_x) & (top > low_y) & (bottom < high_y)
    return bottom - top, near & inside


def rates_of(class_id: IntArray, group: IntArray, hit: NDArray[np.bool_], shape: tuple[int, int]) -> FloatArray:
    """Return how often something was seen, by class and group, drawn to the rate of all classes; `shape` is (C, S).

    Args:
        class_id: Of each case, shape (K,).
        group: What cases are alike in, such as a size or a distance, shape (K,).
        hit: Whether it was seen, shape (K,).
        shape: Numbers of classes and groups.
    """
    cell = class_id * shape[1] + group
    seen = np.bincount(cell, hit, shape[0] * shape[1]).reshape(shape)
    shown = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    of_all = (seen.sum(axis=0) + 0.5) / (shown.sum(axis=0) + 1)
    return np.clip((seen + _LIKE_ALL * of_all) / (shown + _LIKE_ALL), _LEAST_RATE, _MOST_RATE)


def odds_without(rate: FloatArray) -> FloatArray:
    """Return the logarithm of the odds that not being seen leaves, where what is there is seen at a rate."""
    return np.asarray(np.log((1 - rate) / (1 - _BY_CHANCE)))

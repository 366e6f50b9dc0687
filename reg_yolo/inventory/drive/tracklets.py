"""Looks at one object over the frames of a pass, joined by where their rays must lie.

Each object in sight is followed by an extended Kalman filter in inverse-depth form (Civera, Davison and Montiel,
*Inverse depth parametrization for monocular SLAM*, IEEE T-RO 24, 2008): inverse depth, and the tangents of the four
sides of its box as first seen. The known motion of the vehicle says where it appears next, whether frames are 0.1 or
10 m apart; looks are assigned to objects one to one. Trackers' identities and classes shift the odds only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.solve.sizes import ClassSizes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_GATE = 16.0
_NEW_COST = 20.0
_WRONG_CLASS = 6.0
_SAME_TRACK = -5.0
_OTHER_TRACK = 1.5
_LOST_AFTER_M, _LOST_AFTER_S = 70.0, 4.0
_YAW_SIGMA = math.radians(0.25)
_PITCH_SIGMA = math.radians(0.25)
_SHAPE_SIGMA = 0.04
"""Deviation of a side as a share of the box: parts are hidden, and nothing is quite flat."""
_HIDDEN, _HIDDEN_COST = 3.0, 4.5
_RHO, _RHO_SIGMA = 0.03, 0.03
_RHO_MIN = 1 / 400
_HIDDEN_SHARE = 0.12
"""Of a box's height that may be hidden as it is first seen."""


@dataclass(frozen=True)
class Tracklet:
    """Looks at one object in the order of the frames.

    Attributes:
        rows: Rows of the rays.
        position_m: Where the filter ends, easting and northing.
        distance_sigma: Deviation of the first distance as a share of it.
    """

    rows: IntArray
    position_m: FloatArray
    distance_sigma: float


class _Followed:
    """The state of all objects in sight, one row each."""

    def __init__(self, classes: int) -> None:
        self.origin = np.zeros((0, 2))
        self.heading = np.zeros(0)
        self.state = np.zeros((0, 5))
        self.covariance = np.zeros((0, 5, 5))
        self.votes = np.zeros((0, classes))
        self.track = np.zeros(0, np.int64)
        self.last_m = np.zeros(0)
        self.last_s = np.zeros(0)
        self.rows: list[list[int]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def positions(self) -> FloatArray:
        tangent = (self.state[:, 1] + self.state[:, 3]) / 2
        sin, cos = np.sin(self.heading), np.cos(self.heading)
        ray = np.stack([sin + tangent * cos, cos - tangent * sin], 1)
        return np.asarray(self.origin + ray / np.maximum(self.state[:, :1], _RHO_MIN))

    def keep(self, kept: NDArray[np.bool_]) -> None:
        for name in ("origin", "heading", "state", "covariance", "votes", "track", "last_m", "last_s"):
            setattr(self, name, getattr(self, name)[kept])
        self.rows = [rows for rows, stays in zip(self.rows, kept, strict=True) if stays]


def follow(
    rays: Rays,
    frames: IntArray,
    position_m: FloatArray,
    heading_rad: FloatArray,
    track_m: FloatArray,
    time_s: FloatArray,
    sigma_tangent: float,
    sizes: ClassSizes,
) -> list[Tracklet]:
    """Join the looks of a pass.

    Args:
        rays: What was seen; lines should be left out.
        frames: Rows of the frames to go through, in the order of time; looks of other frames are left alone.
        position_m, heading_rad, track_m, time_s: Of the camera by frame: easting and northing, view direction.
        sigma_tangent: Deviation of a box's side as a tangent.
        sizes: What is known of the classes' heights, which turn a box into a distance.
    """
    starts = np.searchsorted(rays.frame, np.arange(len(position_m) + 1))
    noise = _noise(rays, sigma_tangent)
    inverse = _inverse_distances(rays, sizes, sigma_tangent)
    followed, done = _Followed(rays.votes.shape[1]), []
    for frame in frames:
        rows = np.arange(starts[frame], starts[frame + 1])
        where, view = position_m[frame], heading_rad[frame]
        if len(followed):
            ahead = (followed.positions() - where) @ np.array([math.sin(view), math.cos(view)])
            fresh = (track_m[frame] - followed.last_m < _LOST_AFTER_M) & (
                (time_s[frame] - followed.last_s < _LOST_AFTER_S) | (track_m[frame] - followed.last_m < 15)
            )
            kept = (ahead > 0.5) & fresh
            if not kept.all():
                done += _finish(followed, ~kept)
                followed.keep(kept)
        new = rows
        if len(followed) and len(rows):
            new = _assign(followed, rays, noise, rows, where, view, float(track_m[frame]), float(time_s[frame]))
        if len(new):
            _begin(followed, rays, noise, inverse, new, where, view, float(track_m[frame]), float(time_s[frame]))
    return done + _finish(followed, np.ones(len(followed), np.bool_))


def _noise(rays: Rays, sigma_tangent: float) -> FloatArray:
    """Covariances of the sides, shape (M, 4, 4): turns of the camera move opposite sides together."""
    left, top, right, bottom = rays.sides.T
    extent = np.stack([right - left, bottom - top, right - left, bottom - top], 1)
    sigma = np.where(np.isfinite(rays.sigma), rays.sigma, sigma_tangent)
    variance = sigma**2 + (_SHAPE_SIGMA * extent) ** 2 + np.where(rays.seen, 0.0, 100.0)
    together = np.zeros((4, 4))
    together[np.ix_([0, 2], [0, 2])] = _YAW_SIGMA**2
    together[np.ix_([1, 3], [1, 3])] = _PITCH_SIGMA**2
    return np.asarray(np.eye(4) * variance[:, None] + together)


def _inverse_distances(rays: Rays, sizes: ClassSizes, sigma_tangent: float) -> FloatArray:
    """First guess of each ray's inverse depth and its deviation, shape (M, 2): from its height where that is known."""
    main = rays.votes.argmax(axis=1)
    height = np.maximum(rays.sides[:, 3] - rays.sides[:, 1], 1e-4)
    whole = rays.seen[:, 1] & rays.seen[:, 3] & np.isfinite(sizes.height_m[main])
    guess = height / np.nan_to_num(sizes.height_m[main], nan=1.0)
    relative = np.sqrt(np.minimum(sizes.spread[main], 9.0) ** 2 + 2 * (sigma_tangent / height) ** 2 + _HIDDEN_SHARE**2)
    rho = np.where(whole, guess, _RHO)
    sigma = np.where(whole, np.minimum(guess * relative, 2 * _RHO_SIGMA), _RHO_SIGMA)
    return np.stack([np.maximum(rho, _RHO_MIN), np.maximum(sigma, 1e-3)], 1)


def _predict(followed: _Followed, where: FloatArray, view: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Predicted sides (N, 4), their Jacobians (N, 4, 5), and depths over the first depth (N,)."""
    rho, sides = followed.state[:, 0], followed.state[:, 1:]
    turn = followed.heading - view
    cos, sin = np.cos(turn), np.sin(turn)
    back = followed.origin - where
    # In the axes of the view: right and forward of the first camera's place, times the inverse depth.
    east, north = math.cos(view), math.sin(view)
    across = back[:, 0] * east - back[:, 1] * north
    along = back[:, 0] * north + back[:, 1] * east
    middle = (sides[:, 0] + sides[:, 2]) / 2
    z = cos - middle * sin + rho * along
    safe = np.where(z > 0.02, z, 0.02)
    predicted = np.empty((len(z), 4))
    jacobian = np.zeros((len(z), 4, 5))
    for side in (0, 2):
        x = sides[:, side] * cos + sin + rho * across
        predicted[:, side] = x / safe
        jacobian[:, side, 0] = across / safe - x * along / safe**2
        jacobian[:, side, 1 + side] = cos / safe
        jacobian[:, side, [1, 3]] += (x * sin / (2 * safe**2))[:, None]
    for side in (1, 3):
        predicted[:, side] = sides[:, side] / safe
        jacobian[:, side, 0] = -sides[:, side] * along / safe**2
        jacobian[:, side, 1 + side] = 1 / safe
        jacobian[:, side, [1, 3]] += (sides[:, side] * sin / (2 * safe**2))[:, None]
    return predicted, jacobian, z


def _assign(
    followed: _Followed,
    rays: Rays,
    noise: FloatArray,
    rows: IntArray,
    where: FloatArray,
    view: float,
    track_m: float,
    time_s: float,
) -> IntArray:
    """Give looks to the objects that they fit best, and return the rows that fit none."""
    predicted, jacobian, depth = _predict(followed, where, view)
    spread = jacobian @ followed.covariance @ jacobian.transpose(0, 2, 1)
    total = spread[:, None] + noise[rows][None]
    residual = rays.sides[rows][None] - predicted[:, None]
    # A side that something hides lies elsewhere; it is nearly ignored, at a price.
    scaled = np.abs(residual) / np.sqrt(np.einsum("nkii->nki", total))
    hidden = scaled > _HIDDEN
    total = total + np.eye(4) * np.where(hidden, residual**2, 0.0)[..., None]
    solved = np.linalg.solve(total, residual[..., None])[..., 0]
    distance = np.einsum("nkc,nkc->nk", residual, solved)
    # A box far from where the object can be is not its own, however unsure the size is.
    place = np.sqrt(np.einsum("nii->ni", spread)[:, :2].prod(axis=1))
    known = followed.votes.argmax(axis=1)
    share = rays.votes[rows][:, known].T > 0
    hint = np.where(
        (followed.track[:, None] < 0) | (rays.track[rows][None] < 0),
        0.0,
        np.where(followed.track[:, None] == rays.track[rows][None], _SAME_TRACK, _OTHER_TRACK),
    )
    cost = (
        distance
        + _HIDDEN_COST * hidden.sum(-1)
        + 10 * np.clip(place, 0, 0.5)[:, None]
        + np.where(share, 0.0, _WRONG_CLASS)
        + hint
    )
    gated = (distance > _GATE) | (hidden.sum(-1) > 2) | (depth[:, None] < 0.02)
    cost = np.where(gated, 1e3, cost)
    padded = np.concatenate([cost, np.full((len(rows), len(rows)), _NEW_COST)], axis=0)
    chosen, taken = linear_sum_assignment(padded)
    new = np.ones(len(rows), np.bool_)
    pairs = [(n, k) for n, k in zip(chosen, taken, strict=True) if n < len(followed) and cost[n, k] < _NEW_COST]
    if pairs:
        n, k = np.array(pairs).T
        new[k] = False
        gain = followed.covariance[n] @ jacobian[n].transpose(0, 2, 1) @ np.linalg.inv(total[n, k])
        followed.state[n] += np.einsum("nij,nj->ni", gain, residual[n, k])
        followed.state[n, 0] = np.maximum(followed.state[n, 0], _RHO_MIN)
        followed.covariance[n] -= gain @ jacobian[n] @ followed.covariance[n]
        followed.votes[n] += rays.votes[rows[k]]
        followed.track[n] = rays.track[rows[k]]
        followed.last_m[n], followed.last_s[n] = track_m, time_s
        for one, row in zip(n, rows[k], strict=True):
            followed.rows[one].append(int(row))
    return rows[new]


def _begin(
    followed: _Followed,
    rays: Rays,
    noise: FloatArray,
    inverse: FloatArray,
    rows: IntArray,
    where: FloatArray,
    view: float,
    track_m: float,
    time_s: float,
) -> None:
    count = len(rows)
    covariance = np.zeros((count, 5, 5))
    covariance[:, 1:, 1:] = noise[rows]
    covariance[:, 0, 0] = inverse[rows, 1] ** 2
    followed.origin = np.concatenate([followed.origin, np.repeat(where[None], count, 0)])
    followed.heading = np.concatenate([followed.heading, np.full(count, view)])
    started = np.concatenate([inverse[rows, :1], rays.sides[rows]], 1)
    followed.state = np.concatenate([followed.state, started])
    followed.covariance = np.concatenate([followed.covariance, covariance])
    followed.votes = np.concatenate([followed.votes, rays.votes[rows]])
    followed.track = np.concatenate([followed.track, rays.track[rows]])
    followed.last_m = np.concatenate([followed.last_m, np.full(count, track_m)])
    followed.last_s = np.concatenate([followed.last_s, np.full(count, time_s)])
    followed.rows += [[int(row)] for row in rows]


def _finish(followed: _Followed, ended: NDArray[np.bool_]) -> list[Tracklet]:
    positions = followed.positions()
    return [
        Tracklet(
            np.array(followed.rows[n], np.int64),
            positions[n],
            float(math.sqrt(followed.covariance[n, 0, 0]) / max(followed.state[n, 0], _RHO_MIN)),
        )
        for n in np.flatnonzero(ended)
    ]

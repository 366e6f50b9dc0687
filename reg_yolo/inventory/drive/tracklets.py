"""Looks at one object over the frames of a pass, joined by where their rays must lie.

Each object in sight is followed by an extended Kalman filter in inverse-depth form (Civera, Davison and Montiel,
*Inverse depth parametrization for monocular SLAM*, IEEE T-RO 24, 2008): inverse depth, and the tangents of the four
sides of its box as first seen. The known motion of the vehicle says where it appears next, whether frames are 0.1 or
10 m apart; looks are assigned to objects one to one. Trackers' identities and classes shift the odds only.

Frames are many and objects in sight few, so a long pass is cut into lanes that are followed side by side, one frame of
each at once. A lane goes on into the next one's frames until it has in sight what that one had there, from the same
looks: from then on both are the same, and the result is that of one lane over the whole pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.growing import advance, goes_back
from reg_yolo.inventory.drive.in_sight import MIX, RHO_MIN, InSight
from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.solve.pairing import cheapest_pairs
from reg_yolo.inventory.solve.sizes import ClassSizes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_GATE = 16.0
_NEW_COST = 20.0
_WRONG_CLASS = 6.0
_SAME_TRACK = -5.0
_OTHER_TRACK = 1.5
_LOST_AFTER_M, _LOST_AFTER_S = 70.0, 4.0
_STILL_NEAR_M = 15.0
"""Way after which an object may be lost for the time alone."""
_YAW_SIGMA = math.radians(0.25)
_PITCH_SIGMA = math.radians(0.25)
_SHAPE_SIGMA = 0.04
"""Deviation of a side as a share of the box: parts are hidden, and nothing is quite flat."""
_HIDDEN, _HIDDEN_COST, _MOST_HIDDEN = 3.0, 4.5, 2
_RHO, _RHO_SIGMA = 0.03, 0.03
_NEAREST = 0.02
"""Least depth over the first depth."""
_UNIT = np.eye(5)
_LANE, _MOST_LANES = 150, 24
"""Frames with looks that make a lane, and how many lanes there are at most."""
_HIDDEN_SHARE = 0.12
"""Of a box's height that may be hidden as it is first seen."""


@dataclass(frozen=True)
class Tracklet:
    """Looks at one object in the order of the frames.

    Attributes:
        rows: Rows of the rays.
        position_m: Where the filter ends, easting and northing.
    """

    rows: IntArray
    position_m: FloatArray


class _Seen(NamedTuple):
    """What is to be joined.

    Attributes:
        rays: All rays.
        noise: Covariances of their sides, shape (M, 4, 4).
        inverse: First guess of each one's inverse depth, and its deviation, shape (M, 2).
        sigma: Deviations of their sides, infinite where not seen, shape (M, 4).
        where, view: Of the camera then, shapes (M, 2) and (M,).
        has_tracks: Whether a tracker gave identities.
    """

    rays: Rays
    noise: FloatArray
    inverse: FloatArray
    sigma: FloatArray
    where: FloatArray
    view: FloatArray
    has_tracks: bool


class _Path(NamedTuple):
    """The camera by frame or by lane: easting and northing, view direction, what it travelled and when, its axes."""

    where: FloatArray
    view: FloatArray
    gone: FloatArray
    axes: FloatArray

    def at(self, rows: IntArray) -> _Path:
        """Return the chosen rows."""
        return _Path(*(values[rows] for values in self))


class _Bearing(NamedTuple):
    """Objects in the axes of a view, shape (N,): turn since first seen, way driven since, depth over first depth."""

    cos: FloatArray
    sin: FloatArray
    across: FloatArray
    along: FloatArray
    depth: FloatArray


class _Lane:
    """What came of the frames of one lane.

    Attributes:
        done: Tracklets with the number of the frame in which they ended.
        seen: What was in sight after each of its own frames, as a hash.
        met: The lane that it goes over into, and the number of the frame after which; None where it ends by itself.
    """

    def __init__(self) -> None:
        self.done: list[tuple[int, Tracklet]] = []
        self.seen: list[tuple[int, int]] = []
        self.met: tuple[int, int] | None = None


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
    sigma = np.where(rays.seen, np.where(np.isfinite(rays.sigma), rays.sigma, sigma_tangent), np.inf)
    seen = _Seen(
        rays,
        noise,
        _inverse_distances(rays, sizes, sigma_tangent),
        sigma,
        position_m[rays.frame],
        heading_rad[rays.frame],
        bool((rays.track >= 0).any()),
    )
    sin, cos = np.sin(heading_rad), np.cos(heading_rad)
    axes = np.stack([cos, sin, -sin, cos], 1).reshape(-1, 2, 2)
    path = _Path(position_m, heading_rad, np.stack([track_m, time_s], 1), axes)
    # Nothing changes in frames that show nothing: what has gone out of sight ends with the next one that does.
    frames = frames[starts[frames + 1] > starts[frames]]
    begins = np.linspace(0, len(frames), min(max(len(frames) // _LANE, 1), _MOST_LANES) + 1).astype(np.int64)
    lanes = [_Lane() for _ in begins[1:]]
    followed, running = InSight(rays.votes.shape[1]), list(range(len(lanes)))
    step = 0
    while running:
        # The frame that each lane is at, by its number among those that show something.
        at = {lane: int(begins[lane]) + step for lane in running}
        ended = [lane for lane in running if at[lane] == len(frames)]
        _end(followed, np.isin(followed.lane, ended), lanes, at)
        running = [lane for lane in running if at[lane] < len(frames)]
        at = {lane: at[lane] for lane in running}
        if not running:
            break
        numbers = np.array([at.get(lane, 0) for lane in range(len(lanes))])
        here = path.at(frames[numbers])
        some = frames[[at[lane] for lane in running]]
        rows = np.concatenate([np.arange(starts[frame], starts[frame + 1]) for frame in some.tolist()])
        lane_of = np.repeat(running, starts[some + 1] - starts[some])
        if len(followed):
            bearing = _bearing(followed, here.at(followed.lane))
            # The depth over the first depth, times the first depth, is how far ahead it lies.
            ahead = bearing.depth > 0.5 * followed.state[:, 0]
            driven, passed = (here.gone[followed.lane] - followed.last).T
            kept = ahead & (driven < _LOST_AFTER_M) & ((passed < _LOST_AFTER_S) | (driven < _STILL_NEAR_M))
            if not kept.all():
                _end(followed, ~kept, lanes, at)
                bearing = _Bearing(*(values[kept] for values in bearing))
            new = _assign(followed, seen, rows, lane_of, here, bearing)
            rows, lane_of = rows[new], lane_of[new]
        if len(rows):
            _begin(followed, seen, rows, lane_of, here)
        _note(followed, lanes, at, begins)
        met = [lane for lane in running if lanes[lane].met is not None]
        if met:
            followed.keep(~np.isin(followed.lane, met))
            running = [lane for lane in running if lanes[lane].met is None]
        step += 1
    return _gathered(lanes)


def _end(followed: InSight, ended: NDArray[np.bool_], lanes: list[_Lane], at: dict[int, int]) -> None:
    """Take objects out of sight."""
    if not ended.any():
        return
    positions, lane_of = followed.positions(), followed.lane
    for n in np.flatnonzero(ended).tolist():
        lane = int(lane_of[n])
        lanes[lane].done.append((at[lane], Tracklet(np.array(followed.rows[n], np.int64), positions[n])))
    followed.keep(~ended)


def _note(followed: InSight, lanes: list[_Lane], at: dict[int, int], begins: IntArray) -> None:
    """Note what each lane has in sight, and which lane has in sight what that of these frames had."""
    hashes, counts = np.zeros(len(lanes), np.uint64), np.bincount(followed.lane, minlength=len(lanes))
    np.add.at(hashes, followed.lane, followed.history * (followed.history ^ MIX))
    for lane, number in at.items():
        sight = int(hashes[lane]), int(counts[lane])
        if number < begins[lane + 1]:
            lanes[lane].seen.append(sight)
            continue
        owner = int(np.searchsorted(begins, number, side="right")) - 1
        if lanes[owner].seen[number - int(begins[owner])] == sight:
            lanes[lane].met = owner, number


def _gathered(lanes: list[_Lane]) -> list[Tracklet]:
    """Return the tracklets of the first lane, and of those that it goes over into what ends later."""
    found, lane, after = [], lanes[0], -1
    while True:
        found += [tracklet for number, tracklet in lane.done if number > after]
        if lane.met is None:
            return found
        owner, after = lane.met
        lane = lanes[owner]


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
    return np.stack([np.maximum(rho, RHO_MIN), np.maximum(sigma, 1e-3)], 1)


def _bearing(followed: InSight, here: _Path) -> _Bearing:
    """Turn objects into the axes of the view."""
    turn = followed.heading - here.view
    cos, sin = np.cos(turn), np.sin(turn)
    across, along = ((followed.origin - here.where)[:, None] @ here.axes)[:, 0].T
    state = followed.state
    depth = cos - (state[:, 1] + state[:, 3]) * (0.5 * sin) + state[:, 0] * along
    return _Bearing(cos, sin, across, along, depth)


def _predict(followed: InSight, bearing: _Bearing) -> tuple[FloatArray, FloatArray]:
    """Predicted sides (N, 4) and their Jacobians (N, 4, 5)."""
    cos, sin, across, along, depth = bearing
    count, rho, sides = len(cos), followed.state[:, 0], followed.state[:, 1:]
    inverse = 1 / np.maximum(depth, _NEAREST)
    scale = np.ones((count, 4))
    scale[:, ::2] = cos[:, None]
    predicted = sides * scale
    predicted[:, ::2] += (sin + rho * across)[:, None]
    predicted *= inverse[:, None]
    jacobian = np.zeros((count, 4, 5))
    jacobian[:, :, 0] = -predicted * along[:, None]
    jacobian[:, ::2, 0] += across[:, None]
    # Each side moves with its own tangent.
    jacobian.reshape(count, 20)[:, 1::6] = scale
    tilt = predicted * (0.5 * sin)[:, None]
    jacobian[:, :, 1] += tilt
    jacobian[:, :, 3] += tilt
    jacobian *= inverse[:, None, None]
    return predicted, jacobian


def _assign(
    followed: InSight, seen: _Seen, rows: IntArray, lane_of: IntArray, here: _Path, bearing: _Bearing
) -> NDArray[np.bool_]:
    """Give looks to the objects of their lanes that they fit best, and return which fit none."""
    new = np.ones(len(rows), np.bool_)
    if not len(followed):
        return new
    rays = seen.rays
    predicted, jacobian = _predict(followed, bearing)
    moved = jacobian @ followed.covariance
    spread = moved @ jacobian.transpose(0, 2, 1)
    # A box far from where the object can be is not its own, however unsure the size is.
    place = 10 * np.minimum(np.sqrt(spread[:, 0, 0] * spread[:, 1, 1]), 0.5)
    n, k = np.nonzero(followed.lane[:, None] == lane_of)
    residual = rays.sides[rows[k]] - predicted[n]
    errors = seen.noise[rows[k]]
    # A side that something hides lies elsewhere; it is nearly ignored, at a price.
    diagonal, square = errors.reshape(-1, 16)[:, ::5], residual**2
    hidden = square > _HIDDEN**2 * (diagonal + spread.reshape(-1, 16)[n, ::5])
    parts = hidden.sum(axis=-1)
    possible = np.flatnonzero((parts <= _MOST_HIDDEN) & (bearing.depth[n] >= _NEAREST))
    diagonal += square * hidden
    n, k, parts = n[possible], k[possible], parts[possible]
    residual, errors = residual[possible], errors[possible]
    inverse = np.linalg.inv(spread[n] + errors)
    distance = ((inverse @ residual[..., None])[..., 0] * residual).sum(axis=-1)
    wrong = rays.votes[rows[k], followed.votes.argmax(axis=1)[n]] <= 0
    cost = distance + _HIDDEN_COST * parts + place[n] + _WRONG_CLASS * wrong
    if seen.has_tracks:
        own, other = followed.track[n], rays.track[rows[k]]
        hint = np.where(own == other, _SAME_TRACK, _OTHER_TRACK)
        cost += hint * ((own >= 0) & (other >= 0))
    fits = np.flatnonzero((distance <= _GATE) & (cost < _NEW_COST))
    # Of what may be passed already nothing is told of where its box must be: any one would fit.
    passed = bearing.depth < 2 * np.abs(bearing.along) * np.sqrt(followed.covariance[:, 0, 0])
    fits = fits[~_goes_back(followed.latest[n[fits]], rows[k[fits]], passed[n[fits]], seen)]
    chosen = fits[cheapest_pairs(n[fits], k[fits], cost[fits], _NEW_COST)]
    if not len(chosen):
        return new
    n, k, inverse, errors, apart = n[chosen], k[chosen], inverse[chosen], errors[chosen], residual[chosen, :, None]
    new[k] = False
    gain = moved[n].transpose(0, 2, 1) @ inverse
    followed.state[n] += (gain @ apart)[..., 0]
    followed.state[n, 0] = np.maximum(followed.state[n, 0], RHO_MIN)
    # Joseph's form: the covariance stays positive however near an object is passed.
    left, back = _UNIT - gain @ jacobian[n], gain.transpose(0, 2, 1)
    followed.covariance[n] = left @ followed.covariance[n] @ left.transpose(0, 2, 1) + gain @ errors @ back
    followed.votes[n] += rays.votes[rows[k]]
    followed.track[n] = rays.track[rows[k]]
    followed.last[n] = here.gone[lane_of[k]]
    followed.note(n, rows[k])
    return new


def _goes_back(before: IntArray, after: IntArray, passed: NDArray[np.bool_], seen: _Seen) -> NDArray[np.bool_]:
    """Whether looks go back from those that would come before them, as one at the next thing in line does."""
    turn = (seen.view[after] - seen.view[before] + math.pi) % (2 * math.pi) - math.pi
    sides = seen.rays.sides[before]
    sides[:, ::2] -= turn[:, None]
    advanced = advance(seen.where[after] - seen.where[before], seen.view[before])
    return goes_back(sides, seen.rays.sides[after], seen.sigma[before], seen.sigma[after], advanced, passed)


def _begin(followed: InSight, seen: _Seen, rows: IntArray, lane_of: IntArray, here: _Path) -> None:
    some = followed.add(rows, lane_of)
    followed.origin[some], followed.heading[some] = here.where[lane_of], here.view[lane_of]
    followed.track[some] = seen.rays.track[rows]
    followed.last[some] = here.gone[lane_of]
    followed.state[some, 0], followed.state[some, 1:] = seen.inverse[rows, 0], seen.rays.sides[rows]
    followed.covariance[some, 1:, 1:] = seen.noise[rows]
    followed.covariance[some, 0, 0] = seen.inverse[rows, 1] ** 2
    followed.votes[some] = seen.rays.votes[rows]

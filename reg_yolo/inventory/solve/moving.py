"""Objects that move along the road, such as signs on lorries, told apart from static ones by their rays.

In road coordinates an object is at station `s0 + u * travelled` and at a constant offset from the way driven: `u` is
its speed along the road as a share of ours, 0 for what stands, 1 for what moves with us, -1 for what comes towards us
as fast as we drive. At constant speeds an object of another size that stands elsewhere has the same rays, so what is
known of the heights of its class decides: an object is not static where no height that its class may have lets a static
one fit, and a moving one fits well. An object that moves with us shows under constant bearing and size however far we
drive, which no static object does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.classes import ClassShape
from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.solve.adjustment import Adjusted
from reg_yolo.inventory.solve.problem import FOCAL, KNOT_M, PITCH, YAW, Views
from reg_yolo.inventory.solve.sizes import ClassSizes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_WINDOW_M = 120.0
"""Way over which the speed of a vehicle ahead is taken as constant."""
_LEAST_LOOKS, _LEAST_WAY_M = 4, 12.0
_MOST_LOOKS = 24
_HEIGHT_M, _HEIGHT_SPREAD = 1.5, 0.5
"""Height of what is along roads where the class is not known, and deviation of its logarithm."""
_LEAST_SPREAD = 0.2
_LEAST_NOISE = 0.5
_SUSPECT = 2.0
"""Deviations of the height beyond which a closer look is taken."""
_SLOWEST, _FASTEST = 0.25, 1.4
"""Shares of our speed between which an object may move: faster ones are static signs that were taken for one."""
_GAIN = 5.0
"""By how much the cost of a static object must be higher."""
_CLEAR_M, _IN_THE_WAY_M = 1.0, 1.0
"""What stands in the way: less above the lens, and less to the side of it."""
_FITS = 4.0
"""Highest cost a look of an object that moves; looks with errors as expected cost 1.9."""
_F_SCALE, _WORST, _MOST_STEPS = 2.0, 1e3, 25
_REACH_M, _ALIKE = 40.0, 0.4
_CLAIM, _SHAPE_SHARE = 3.5, 0.1
_UNKNOWNS = 6
_STATION, _SPEED, _OFFSET, _LOG_HEIGHT, _LOWER, _WIDTH = range(_UNKNOWNS)


@dataclass(frozen=True)
class Moving:
    """An object that moves along the road.

    Attributes:
        rows: Rows of its rays, in the order of the frames.
        speed: Its speed along the road as a share of ours.
        largest: Row of the ray that shows it largest.
        place_m: Where it was then, shape (2,).
    """

    rows: IntArray
    speed: float
    largest: int
    place_m: FloatArray


@dataclass(frozen=True)
class _Window:
    """A piece of an object's rays and the model that fits them: `values` at the way `middle_m`."""

    rows: IntArray
    values: FloatArray
    middle_m: float
    cost: float


class MovingFinder:
    """Finds what moves along the road among objects that were followed through a pass.

    Args:
        rays: What was seen.
        sigma: Deviation of each side, shape (M, 4); infinite where it was not seen.
        views: The camera at all frames.
        frames: Rows of the frames that count, in the order of time.
        solved: A solution of the pass, whose camera is taken over.
        sizes: What is known of the classes' heights.
        shapes: Geometry of each class; only signs may move.
    """

    def __init__(
        self,
        rays: Rays,
        sigma: FloatArray,
        views: Views,
        frames: IntArray,
        solved: Adjusted,
        sizes: ClassSizes,
        shapes: tuple[ClassShape, ...],
    ) -> None:
        self._rays, self._views, self._sizes = rays, views, sizes
        self._sigma = sigma * max(solved.noise, _LEAST_NOISE)
        # Poles stand in rows at even spaces: one seen after another fits an object that moves with us.
        self._carried = np.array([shape.is_sign for shape in shapes], np.bool_)
        track = views.track_m[frames]
        distinct = np.concatenate(([True], np.diff(track) > 0))
        self._track, self._way = track[distinct], views.position_m[frames][distinct]
        place = (views.track_m[rays.frame] - views.track_m[0]) / KNOT_M
        knots = np.arange(len(solved.turns))
        self._turn = np.interp(place, knots, solved.turns) + solved.camera[YAW]
        self._nod = np.interp(place, knots, solved.nods) + solved.camera[PITCH]
        self._scale = 1 + float(solved.camera[FOCAL])
        self._used = np.zeros(len(views.track_m), np.bool_)
        self._used[frames] = True

    def find(self, groups: list[IntArray]) -> list[Moving]:
        """Return the moving objects among `groups`, with further rays that fit them, the longest first."""
        found: list[Moving] = []
        taken = np.zeros(len(self._rays), np.bool_)
        for rows in sorted(groups, key=len, reverse=True):
            main = int(self._rays.votes[rows].sum(axis=0).argmax())
            if not self._carried[main] or len(self._track) < 2 or taken[rows].mean() > 0.5:
                continue
            windows = self._windows(rows[~taken[rows]])
            moving = [window for window in map(self._moving, windows) if window is not None]
            if not moving or 2 * len(moving) < len(windows):
                continue
            everything = self._claimed(rows[~taken[rows]], moving, taken)
            taken[everything] = True
            found.append(self._object(everything, moving))
        return found

    def _windows(self, rows: IntArray) -> list[IntArray]:
        """Pieces of an object's rays that are long enough to tell."""
        whole = rows[self._rays.seen[rows][:, [1, 3]].all(axis=1)]
        if len(whole) < _LEAST_LOOKS:
            return []
        track = self._views.track_m[self._rays.frame[whole]]
        number = ((track - track.min()) // _WINDOW_M).astype(np.int64)
        pieces = [whole[number == n] for n in np.unique(number)]
        return [piece for piece in pieces if len(piece) >= _LEAST_LOOKS and self._travelled(piece) >= _LEAST_WAY_M]

    def _travelled(self, rows: IntArray) -> float:
        return float(np.ptp(self._views.track_m[self._rays.frame[rows]]))

    def _height(self, rows: IntArray) -> tuple[float, float]:
        """Logarithm of the height that the class of some rays has, and its deviation."""
        main = int(self._rays.votes[rows].sum(axis=0).argmax())
        height, spread = float(self._sizes.height_m[main]), float(self._sizes.spread[main])
        if not math.isfinite(height):
            return math.log(_HEIGHT_M), _HEIGHT_SPREAD
        return math.log(height), max(spread, _LEAST_SPREAD)

    def _approach(self, rows: IntArray) -> tuple[float, float]:
        """Metres by which an object of its class's height comes nearer a metre driven, and twice their deviation.

        One over the angle under which a height shows falls by the way driven over the height.
        """
        tall = np.maximum(self._rays.sides[rows, 3] - self._rays.sides[rows, 1], 1e-4)
        weight = (tall**2 / (np.hypot(self._sigma[rows, 1], self._sigma[rows, 3]) + 0.03 * tall)) ** 2
        track = self._views.track_m[self._rays.frame[rows]]
        middle = np.average(track, weights=weight)
        spread = float((weight * (track - middle) ** 2).sum())
        slope = float((weight * (track - middle) / tall).sum()) / max(spread, 1e-12)
        unsure = 2 / math.sqrt(max(spread, 1e-12))
        height = math.exp(self._height(rows)[0])
        return -slope * height, unsure * height

    def _moving(self, rows: IntArray) -> _Window | None:
        """The model of a window's object if it moves, else None."""
        nearer, unsure = self._approach(rows)
        likely = math.exp(_SUSPECT * self._height(rows)[1])
        if 1 / likely < nearer + unsure and nearer - unsure < likely:
            return None
        some = rows[np.unique(np.linspace(0, len(rows) - 1, _MOST_LOOKS).astype(np.int64))]
        middle = float(np.mean(self._views.track_m[self._rays.frame[some]]))
        static = self._fit(some, middle, None)
        if static.cost < _GAIN and not self._driven_through(static):
            return None
        moving = self._fit(some, middle, float(np.clip(1 - nearer, -2.0, 2.0)))
        speed = float(moving.values[_SPEED])
        if abs(speed) < _SLOWEST or speed > _FASTEST or moving.cost > _FITS * len(some):
            return None
        return moving if static.cost - moving.cost > _GAIN or self._driven_through(static) else None

    def _driven_through(self, static: _Window) -> bool:
        """Whether a static object would stand in the way that was driven later."""
        is_low, is_near = static.values[_LOWER] < _CLEAR_M, abs(static.values[_OFFSET]) < _IN_THE_WAY_M
        return is_low and is_near and float(static.values[_STATION]) < self._track[-1]

    def _fit(self, rows: IntArray, middle: float, speed: float | None) -> _Window:
        """Fit the model, starting from a speed; None fits what stands still."""
        log_height, spread = self._height(rows)
        sigma = self._sigma[rows]
        near = rows[np.argmax(self._rays.sides[rows, 3] - self._rays.sides[rows, 1])]
        sides = self._rays.sides[near]
        depth = math.exp(log_height) / max(float(sides[3] - sides[1]), 1e-4)
        track = float(self._views.track_m[self._rays.frame[near]])
        start = np.zeros(_UNKNOWNS)
        start[_SPEED] = speed or 0.0
        start[_STATION] = track + depth - start[_SPEED] * (track - middle)
        start[_OFFSET], start[_LOG_HEIGHT] = (sides[0] + sides[2]) / 2 * depth, log_height
        start[_LOWER], start[_WIDTH] = -sides[3] * depth, (sides[2] - sides[0]) * depth
        free = [n for n in range(_UNKNOWNS) if n != _SPEED or speed is not None]

        def residuals(some: FloatArray) -> FloatArray:
            """Of several sets of unknowns, shape (S, free)."""
            values = np.tile(start, (*some.shape[:-1], 1))
            values[..., free] = some
            scaled = np.nan_to_num((self._rays.sides[rows] - self._predicted(rows, values, middle)[0]) / sigma)
            expected = (values[..., _LOG_HEIGHT, None] - log_height) / spread
            flat = np.clip(scaled, -_WORST, _WORST).reshape(*some.shape[:-1], -1)
            return np.concatenate([flat, expected], axis=-1)

        values = start.copy()
        values[free], cost = _least_squares(residuals, start[free])
        return _Window(rows, values, middle, cost)

    def _predicted(self, rows: IntArray, values: FloatArray, middle: float) -> tuple[FloatArray, FloatArray]:
        """Tangents of the sides that some rays should have, shape (..., N, 4), and where the object was, (..., N, 2).

        `values` has the shape (..., 6).
        """
        station, speed, offset, log_height, lower, width = np.moveaxis(values, -1, 0)[..., None]
        frame = self._rays.frame[rows]
        at = station + speed * (self._views.track_m[frame] - middle)
        ahead = self._road(at + 2.0) - self._road(at - 2.0)
        ahead /= np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-6)
        place = self._road(at) + offset[..., None] * np.stack([ahead[..., 1], -ahead[..., 0]], -1)
        heading = self._views.heading_rad[frame] + self._turn[rows]
        apart = place - self._views.position_m[frame]
        sin, cos = np.sin(heading), np.cos(heading)
        depth = np.maximum(apart[..., 0] * sin + apart[..., 1] * cos, 0.5)
        across = apart[..., 0] * cos - apart[..., 1] * sin
        upper = lower + np.exp(np.minimum(log_height, 10.0))
        plain = [across - width / 2, -upper + 0 * across, across + width / 2, -lower + 0 * across]
        sides = np.stack(plain, -1) / depth[..., None] * self._scale
        sides[..., 1::2] += self._nod[rows, None]
        return sides, place

    def _road(self, station: FloatArray) -> FloatArray:
        """Points of the way driven, straight on before its start and beyond its end, shape (..., 2)."""
        track, way = self._track, self._way
        points = np.stack([np.interp(station, track, way[:, axis]) for axis in range(2)], -1)
        points += np.minimum(station - track[0], 0)[..., None] * ((way[1] - way[0]) / (track[1] - track[0]))
        points += np.maximum(station - track[-1], 0)[..., None] * ((way[-1] - way[-2]) / (track[-1] - track[-2]))
        return np.asarray(points)

    def _claimed(self, rows: IntArray, windows: list[_Window], taken: NDArray[np.bool_]) -> IntArray:
        """Rows of an object and those of other frames that fit one of its windows."""
        track = self._views.track_m[self._rays.frame]
        main = int(self._rays.votes[rows].sum(axis=0).argmax())
        free = self._used[self._rays.frame] & ~taken & (self._rays.votes[:, main] > 0)
        free &= ~np.isin(self._rays.frame, self._rays.frame[rows])
        best: dict[int, tuple[float, int]] = {}
        for window in windows:
            own = track[window.rows]
            near = np.flatnonzero(free & (track > own.min() - _REACH_M) & (track < own.max() + _REACH_M))
            if not len(near):
                continue
            sides = self._rays.sides[near]
            extent = np.tile(sides[:, 2:] - sides[:, :2], 2)
            slack = np.hypot(self._sigma[near], _SHAPE_SHARE * extent)
            apart = np.abs(sides - self._predicted(near, window.values, window.middle_m)[0]) / slack
            worst = np.where(np.isfinite(self._sigma[near]), apart, 0.0).max(axis=1)
            for row, distance in zip(near[worst < _CLAIM].tolist(), worst[worst < _CLAIM].tolist(), strict=True):
                frame = int(self._rays.frame[row])
                best[frame] = min(best.get(frame, (math.inf, -1)), (distance, row))
        more = np.array([row for _, row in best.values()], np.int64)
        return np.sort(np.concatenate([rows, more]))

    def _object(self, rows: IntArray, windows: list[_Window]) -> Moving:
        own = np.concatenate([window.rows for window in windows])
        tall = np.where(np.isin(rows, own), self._rays.sides[rows, 3] - self._rays.sides[rows, 1], 0.0)
        largest = int(rows[tall.argmax()])
        window = next(one for one in windows if largest in one.rows)
        place = self._predicted(np.array([largest]), window.values, window.middle_m)[1][0]
        return Moving(rows, float(np.median([one.values[_SPEED] for one in windows])), largest, place)


def _least_squares(residuals: Callable[[FloatArray], FloatArray], start: FloatArray) -> tuple[FloatArray, float]:
    """Return the unknowns that fit best, and their cost: of large residuals it grows in proportion, not as squares.

    Steps are Levenberg's and Marquardt's. Residuals and slopes of each are taken in one call, as calls are what costs.

    Args:
        residuals: Of several sets of unknowns, shape (S, U), returns (S, R).
        start: First guess, shape (U,).
    """

    def at(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        steps = 1e-5 * np.maximum(np.abs(x), 1.0)
        found = residuals(np.concatenate([x[None], x + np.diag(steps), x - np.diag(steps)]))
        plain, more, less = found[0], found[1 : len(x) + 1], found[len(x) + 1 :]
        root = np.sqrt(1 + (plain / _F_SCALE) ** 2)
        return plain, (more - less) / (2 * steps[:, None]), 1 / root, float(_F_SCALE**2 * (root - 1).sum())

    x, damping = start, 1e-3
    plain, slopes, weight, cost = at(x)
    for _ in range(_MOST_STEPS):
        normal = (slopes * weight) @ slopes.T
        normal[np.diag_indices(len(x))] += damping * normal.diagonal() + 1e-9
        trial = x - np.linalg.solve(normal, slopes @ (weight * plain))
        after = at(trial)
        if after[3] < cost:
            gained, damping = cost - after[3], max(damping / 6, 1e-7)
            x, (plain, slopes, weight, cost) = trial, after
            if gained < 1e-7 * cost:
                break
        elif damping > 1e4:
            break
        else:
            damping *= 6
    return x, cost


def join_moving(rays: Rays, track_m: FloatArray, moving: list[Moving]) -> tuple[Moving, ...]:
    """Join pieces of one moving object: of one class, alike in speed, never in one frame, and little apart.

    Args:
        rays: The rays that the objects' rows count.
        track_m: Way driven by frame.
        moving: The pieces.
    """

    def reach(one: Moving) -> tuple[float, float, int]:
        along = track_m[rays.frame[one.rows]]
        return float(along.min()), float(along.max()), int(rays.votes[one.rows].sum(axis=0).argmax())

    joined: list[Moving] = []
    for piece in sorted(moving, key=lambda one: reach(one)[0]):
        start, _, main = reach(piece)
        for n, one in enumerate(joined):
            near = reach(one)[2] == main and start - reach(one)[1] < _REACH_M
            apart = np.intersect1d(rays.frame[one.rows], rays.frame[piece.rows]).size == 0
            if near and apart and abs(one.speed - piece.speed) < _ALIKE:
                longer, shorter = (one, piece) if len(one.rows) >= len(piece.rows) else (piece, one)
                joined[n] = replace(longer, rows=np.sort(np.concatenate([longer.rows, shorter.rows])))
                break
        else:
            joined.append(piece)
    return tuple(joined)

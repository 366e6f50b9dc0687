"""Lines along the road (guardrails): where they start and end, in metres along the vehicle's way and to its side.

A box around a line tells two things: near the camera its lower edge shows how far to the side it runs, as the height of
the lens over the ground is known; and its ends show under bearings that cross the line at that distance to the side.
The line follows the way, through bends as well. Ends that the frame's border cuts off say nothing. Boxes are put in
order by side and by the stretch of road that they cover. Each line's distance to the side and its two ends are then a
robust least-squares fit of all their bearings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.drive.task import DriveTask
from reg_yolo.inventory.network.sightings import Features, Sighting
from reg_yolo.inventory.observations import Observations, SeenAtHand, View
from reg_yolo.inventory.positions.trajectory import Poses
from reg_yolo.inventory.solve.adjustment import Adjusted
from reg_yolo.inventory.solve.problem import FOCAL, KNOT_M, PITCH, YAW, Views

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SLOPE_SHARE = 0.12
"""Share by which depths on the ground are off, as the ground is not quite the road's plane."""
_HALF_WIDTH_M = 0.25
_FITS = 6
_NEAREST_M, _FARTHEST_M = 2.0, 120.0
_STATION_M, _TRIED = 2.0, 200
_FREEDOM = 4.0
_HIDDEN = 5.0
"""Deviations from which on it does not count by how much a bearing is off: something hides that end."""
_END_M = 0.25
"""How well the end of a line is the end of its box."""
_MOST_OFFSET_M, _MOST_END_M = 3.0, 15.0
"""How far one step of the fit goes."""
_ENOUGH = 2
_LOST_AFTER_M = 30.0
_BACK_RAD = 0.06
"""How far the bearing of an end may go back: an end is hidden, or a box is not exact."""


class _Way:
    """The vehicle's way, and places given by the metres along it and to its right.

    Args:
        track_m: Metres along it, rising, shape (N,).
        position_m: East and north, shape (N, 2).
        heading_rad: Clockwise from grid north, shape (N,).
    """

    def __init__(self, track_m: FloatArray, position_m: FloatArray, heading_rad: FloatArray) -> None:
        self._track, self._position, self._heading = track_m, position_m, np.unwrap(heading_rad)

    def at(self, station_m: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return places on the way, and units along it and to its right, shape (..., 2); it goes straight on at both
        ends.
        """
        angle = np.interp(station_m, self._track, self._heading)
        along = np.stack([np.sin(angle), np.cos(angle)], -1)
        place = np.stack([np.interp(station_m, self._track, self._position[:, axis]) for axis in range(2)], -1)
        beyond = station_m - np.clip(station_m, self._track[0], self._track[-1])
        return place + beyond[..., None] * along, along, np.stack([along[..., 1], -along[..., 0]], -1)

    def points(self, station_m: FloatArray, offset_m: float) -> FloatArray:
        """Return the places at some metres to its right, shape (..., 2)."""
        place, _, right = self.at(station_m)
        return place + offset_m * right

    def locate(self, points_m: FloatArray, station_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the metres along the way and to its right of places, from a first guess of the former."""
        for _ in range(3):
            place, along, right = self.at(station_m)
            apart = points_m - place
            station_m = station_m + (apart * along).sum(axis=-1)
        place, along, right = self.at(station_m)
        return station_m, ((points_m - place) * right).sum(axis=-1)


@dataclass(frozen=True)
class _Ends:
    """What each box says, shape (M,) each; NaN where it says nothing.

    Attributes:
        side: 1 to the right of the way, -1 to the left.
        near, far: Bearings of both ends clockwise from grid north, radians, where they were seen.
        offset, offset_sigma: Distance to the right of the way, from the ground's depth.
    """

    side: FloatArray
    near: FloatArray
    far: FloatArray
    offset: FloatArray
    offset_sigma: FloatArray


class LineFinder:
    """Finds the lines of a pass.

    Args:
        task: The drive.
        rays: Looks at lines only.
        views, poses: The camera and the vehicle at all frames.
        frames: Rows of the frames that were used.
        solved: The solution of the pass's points, whose camera is taken over; None where there was none.
    """

    def __init__(
        self, task: DriveTask, rays: Rays, views: Views, poses: Poses, frames: IntArray, solved: Adjusted | None
    ) -> None:
        self.task, self.rays, self.views, self.poses, self.frames = task, rays, views, poses, frames
        self.solved = solved
        self._way = _Way(views.track_m[frames], poses.position_m[frames], poses.heading_rad[frames])

    def sightings(self, regroup: Callable[[list[IntArray]], list[IntArray]] | None = None) -> list[Sighting]:
        """Return one sighting a line; `regroup` says which rows are of one line where somebody knows better."""
        ends = self._ends()
        found = []
        groups = self._stretches(ends)
        for rows in groups if regroup is None else regroup(groups):
            if len(rows) >= _ENOUGH:
                sighting = self._sighting(rows, ends)
                if sighting is not None:
                    found.append(sighting)
        return found

    def _sides(self) -> FloatArray:
        """Tangents with the estimated turn, nod and focal length taken out, shape (M, 4)."""
        if self.solved is None:
            return self.rays.sides
        place = (self.views.track_m[self.rays.frame] - self.views.track_m[0]) / KNOT_M
        turn = np.interp(place, np.arange(len(self.solved.turns)), self.solved.turns) + self.solved.camera[YAW]
        nod = np.interp(place, np.arange(len(self.solved.nods)), self.solved.nods) + self.solved.camera[PITCH]
        sides = self.rays.sides.copy()
        sides[:, 1::2] -= nod[:, None]
        sides /= 1 + self.solved.camera[FOCAL]
        sides[:, ::2] = np.tan(np.arctan(sides[:, ::2]) + turn[:, None] + math.radians(self.task.camera.yaw_deg))
        return sides

    def _ends(self) -> _Ends:
        sides, seen = self._sides(), self.rays.seen
        left, _, right, bottom = sides.T
        frame = self.rays.frame
        # The far end is the one next to the vanishing point, the near end the other.
        is_right = left + right > 0
        near, far = np.where(is_right, right, left), np.where(is_right, left, right)
        near_seen = np.where(is_right, seen[:, 2], seen[:, 0])
        far_seen = np.where(is_right, seen[:, 0], seen[:, 2])
        track, camera, heading = self.views.track_m[frame], self.views.position_m[frame], self.poses.heading_rad[frame]
        ahead = np.stack([np.sin(heading), np.cos(heading)], 1)
        aside = np.stack([ahead[:, 1], -ahead[:, 0]], 1)
        sigma = self._sigma()
        low = np.where((bottom > 0.02) & seen[:, 3], bottom, np.nan)
        depth = self.task.camera.height_m / low
        # The lower edge belongs to the near end; where the frame's border cuts the line, to the place at the border.
        ray = ahead + near[:, None] * aside
        station, offset = self._way.locate(camera + depth[:, None] * ray, track + depth)
        across = (ray * self._way.at(station)[2]).sum(axis=1)
        return _Ends(
            np.where(is_right, 1.0, -1.0),
            np.where(near_seen, heading + np.arctan(near), np.nan),
            np.where(far_seen, heading + np.arctan(far), np.nan),
            offset,
            depth * np.abs(across) * np.hypot(sigma / low, _SLOPE_SHARE) + _END_M,
        )

    def _sigma(self) -> float:
        return math.hypot(self.task.side_sigma_px / self.task.camera.focal_px, math.radians(0.2))

    def _fit(self, rows: IntArray, ends: _Ends) -> tuple[float, float, float] | None:
        """Distance to the right, start and end of one line; None where it cannot be told."""
        ground = _weighted_median(ends.offset[rows], ends.offset_sigma[rows])
        if not math.isfinite(ground) or abs(ground) < 0.5:
            return None
        frame = self.rays.frame[rows]
        track, camera = self.views.track_m[frame], self.views.position_m[frame]
        # What is seen of the near end is its outer corner, of the far end the inner one.
        corner = ends.side[rows[0]] * _HALF_WIDTH_M
        shown = [
            (column, some[known], camera[known], own)
            for column, some, own in ((1, ends.near[rows], corner), (2, ends.far[rows], -corner))
            if (known := np.isfinite(some)).any()
        ]
        solved = self._first(ground, track, shown)
        for _ in range(_FITS):
            design, right = [np.array([[1.0, 0.0, 0.0]])], [np.array([ground - solved[0]])]
            sigma = [np.array([abs(ground) * _SLOPE_SHARE])]
            for column, bearings, cameras, own in shown:
                place, along, aside = self._way.at(solved[column])
                apart = place + (solved[0] + own) * aside - cameras
                off, distance = _off(apart, bearings)
                own_sigma = np.hypot(self._sigma(), _END_M / np.maximum(distance, 1.0))
                # Ends that something hides lie elsewhere and count little.
                own_sigma = own_sigma * np.sqrt(1 + (off / (2 * own_sigma)) ** 2)
                line = np.zeros((len(off), 3))
                turned = np.stack([apart[:, 1], -apart[:, 0]], 1) / distance[:, None] ** 2
                line[:, 0], line[:, column] = turned @ aside, turned @ along
                good = (distance > _NEAREST_M) & (distance < _FARTHEST_M)
                design.append(line[good])
                right.append(off[good])
                sigma.append(own_sigma[good])
            weights = 1 / np.concatenate(sigma)
            matrix = np.concatenate(design)
            used = np.abs(matrix).sum(axis=0) > 0
            step = np.zeros(3)
            step[used] = np.linalg.lstsq(matrix[:, used] * weights[:, None], np.concatenate(right) * weights)[0]
            limit = np.array([_MOST_OFFSET_M, _MOST_END_M, _MOST_END_M])
            trial = solved + np.clip(step, -limit, limit)
            # A line does not change sides.
            if trial[0] * ground <= 0:
                trial[0] = solved[0]
            solved = trial
        start = float(solved[1]) if math.isfinite(solved[1]) else float(track.min())
        end = float(solved[2])
        return (float(solved[0]), start, end) if math.isfinite(end) and end - start >= 1.0 else None

    def _first(
        self, offset: float, track: FloatArray, shown: list[tuple[int, FloatArray, FloatArray, float]]
    ) -> FloatArray:
        """Distance, start and end to begin with: the best of places along the way."""
        stations = np.arange(float(track.min()) + _NEAREST_M, float(track.max()) + _FARTHEST_M, _STATION_M)
        first = np.array([offset, np.nan, np.nan])
        for column, bearings, cameras, own in shown:
            points = self._way.points(stations, offset + own)
            # Of a rail of kilometres that is enough, and little to keep.
            some = slice(None, None, 1 + len(bearings) // _TRIED)
            off, distance = _off(points[None] - cameras[some, None], bearings[some, None])
            inside = (distance > _NEAREST_M) & (distance < _FARTHEST_M)
            scaled = np.minimum(np.abs(off) / np.hypot(self._sigma(), _END_M / np.maximum(distance, 1.0)), _HIDDEN)
            cost = np.log1p(np.where(inside, scaled, _HIDDEN) ** 2 / _FREEDOM).sum(axis=0)
            first[column] = stations[cost.argmin()]
        return first

    def _stretches(self, ends: _Ends) -> list[IntArray]:
        """Rows of the boxes that show one line: side by side in a frame they are two, one after the other maybe one."""
        track = self.views.track_m[self.rays.frame]
        groups: list[dict[str, Any]] = []
        near: list[dict[str, Any]] = []
        for row in range(len(self.rays)):
            best, best_cost = None, 1e9
            near = [group for group in near if track[row] - group["track"] <= _LOST_AFTER_M]
            for group in near:
                if group["side"] != ends.side[row] or group["frame"] == self.rays.frame[row]:
                    continue
                previous = self.rays.sides[int(group["last"])]
                cost = float(np.abs(previous - self.rays.sides[row]).sum()) + 0.01 * (
                    track[row] - float(group["track"])
                )
                if self._goes_back(int(group["last"]), row, ends):
                    continue
                if cost < best_cost:
                    best, best_cost = group, cost
            if best is None or best_cost > 1.6:
                near.append(
                    {"side": ends.side[row], "frame": self.rays.frame[row], "track": float(track[row]), "last": row,
                     "rows": [row]}
                )  # fmt: skip
                groups.append(near[-1])
                continue
            best["rows"].append(row)
            best["frame"], best["track"], best["last"] = self.rays.frame[row], float(track[row]), row
        return [np.array(group["rows"], np.int64) for group in groups]

    def _goes_back(self, last: int, row: int, ends: _Ends) -> bool:
        """Whether an end of a box lies further back than in one before it, which is of another line then."""
        turned = np.array([bearing[row] - bearing[last] for bearing in (ends.near, ends.far)])
        return bool(((_turn(turned) * ends.side[row]) < -_BACK_RAD).any())

    def _sighting(self, rows: IntArray, ends: _Ends) -> Sighting | None:
        track = self.views.track_m[self.rays.frame[rows]]
        fitted = self._fit(rows, ends)
        if fitted is None:
            return None
        offset, start, end = fitted
        points = self._way.points(np.linspace(start, end, max(2, int((end - start) / 10) + 2)), offset)
        middle = int(rows[np.argmin(np.abs(track - (start + end) / 2))])
        frame = int(self.rays.frame[middle])
        votes = {self.task.looks.classes[c]: float(v) for c, v in enumerate(self.rays.votes[rows].sum(axis=0)) if v > 0}
        seen_in = self.rays.frame[rows]
        between = np.searchsorted(self.views.track_m[self.frames], track)
        return Sighting(
            self.task.number,
            float(self.task.time_s[frame]),
            points[[0, -1]].mean(axis=0),
            np.eye(2) * 1.0,
            self.poses.velocity_mps[frame].copy(),
            votes,
            False,
            0.8,
            0.3,
            0.0,
            float(self.task.time_s[seen_in].min()),
            float(self.task.time_s[seen_in].max()),
            len(np.unique(seen_in)),
            Features(
                way=math.log1p(float(np.ptp(track))),
                strong=math.log1p(len(rows)),
                density=len(rows) / max(int(between.max() - between.min()) + 1, 1),
                purity=max(votes.values()) / sum(votes.values()),
            ),
            ends_m=points,
            camera_m=tuple(self.views.position_m[frame].tolist()),
            track_m=start,
            method="side of the road",
            seen=SeenAtHand(
                Observations.of_looks(self.task.looks, self.rays.look[rows]),
                View.of_look(self.task.looks, int(self.rays.look[middle])),
            ),
        )


def _off(apart: FloatArray, bearing: FloatArray) -> tuple[FloatArray, FloatArray]:
    """By how much measured bearings are off from those of places (..., 2) against the camera, and their distances."""
    return _turn(bearing - np.arctan2(apart[..., 0], apart[..., 1])), np.hypot(apart[..., 0], apart[..., 1])


def _turn(angle: FloatArray) -> FloatArray:
    """Return angles from -pi to pi."""
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def _weighted_median(values: FloatArray, sigma: FloatArray) -> float:
    """Median with weights of one over the variance; NaN where nothing is known."""
    known = np.isfinite(values) & np.isfinite(sigma) & (sigma > 0)
    if not known.any():
        return float("nan")
    values, weight = values[known], sigma[known] ** -2.0
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])

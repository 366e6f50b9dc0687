"""Lines along the road (guardrails): where they start and end, in metres along the vehicle's way and to its side.

A box around a line tells two things: near the camera its lower edge shows how far to the side it runs, as the height of
the lens over the ground is known; and its ends show under bearings that cross the line at that distance to the side.
Ends that the frame's border cuts off say nothing. Boxes are put in order by side and by the stretch of road that they
cover. Each line's distance to the side and its two ends are then a robust least-squares fit of all their bearings.
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
_NEAREST_M, _FARTHEST_M = 2.0, 90.0
_ENOUGH = 2
_LOST_AFTER_M = 30.0


@dataclass(frozen=True)
class _Ends:
    """What each box says, shape (M,) each; NaN where it says nothing.

    Attributes:
        side: 1 to the right of the way, -1 to the left.
        near, far: Tangents of the bearings of both ends, where they were seen.
        start: Way at which the near end stands, from the ground's depth.
        offset, offset_sigma: Distance to the right of the way, from the ground's depth.
    """

    side: FloatArray
    near: FloatArray
    far: FloatArray
    start: FloatArray
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
        # The far end is the one next to the vanishing point, the near end the other.
        far_is_right = np.abs(right) < np.abs(left)
        side = np.where(far_is_right, -1.0, 1.0)
        near, far = np.where(far_is_right, left, right), np.where(far_is_right, right, left)
        near_seen = np.where(far_is_right, seen[:, 0], seen[:, 2])
        far_seen = np.where(far_is_right, seen[:, 2], seen[:, 0])
        sigma = self._sigma()
        low = np.where((bottom > 0.02) & seen[:, 3], bottom, np.nan)
        depth = self.task.camera.height_m / low
        # Where the frame's border cuts the line, the lower edge belongs to the place at the border.
        offset = near * depth
        offset_sigma = np.abs(offset) * np.hypot(sigma / low, _SLOPE_SHARE)
        track = self.views.track_m[self.rays.frame]
        return _Ends(
            side,
            np.where(near_seen, near, np.nan),
            np.where(far_seen, far, np.nan),
            np.where(near_seen, track + depth, np.nan),
            offset,
            offset_sigma,
        )

    def _sigma(self) -> float:
        return math.hypot(self.task.side_sigma_px / self.task.camera.focal_px, math.radians(0.2))

    def _fit(self, rows: IntArray, ends: _Ends) -> tuple[float, float, float] | None:
        """Distance to the right, start and end of one line; None where it cannot be told."""
        offset = _weighted_median(ends.offset[rows], ends.offset_sigma[rows])
        if not math.isfinite(offset) or abs(offset) < 0.5:
            return None
        track = self.views.track_m[self.rays.frame[rows]]
        prior, prior_sigma = offset, abs(offset) * _SLOPE_SHARE
        solved = np.array([offset, np.nan, np.nan])
        for _ in range(_FITS):
            design, right, sigma = [], [], []
            for column, tangents in ((1, ends.near[rows]), (2, ends.far[rows])):
                # What is seen of the near end is its outer corner, of the far end the inner one.
                corner = ends.side[rows[0]] * _HALF_WIDTH_M * (1.0 if column == 1 else -1.0)
                ahead = (solved[0] + corner) / np.where(np.abs(tangents) > 0.01, tangents, np.nan)
                good = (ahead > _NEAREST_M) & (ahead < _FARTHEST_M)
                own_sigma = np.abs(ahead) * self._sigma() * (1 + tangents**2) / np.abs(tangents) + 0.2
                place = track + ahead
                if not good.any():
                    continue
                middle = solved[column]
                if not math.isfinite(middle):
                    middle = _weighted_median(np.where(good, place, np.nan), own_sigma)
                # Ends that something hides lie elsewhere and count little.
                strength = 1 / np.sqrt(1 + ((place - middle) / (2 * own_sigma)) ** 2)
                for k in np.flatnonzero(good):
                    line = [-1 / tangents[k], 0.0, 0.0]
                    line[column] = 1.0
                    design.append(line)
                    right.append(track[k] + corner / tangents[k])
                    sigma.append(own_sigma[k] / strength[k])
            design.append([1.0, 0.0, 0.0])
            right.append(prior)
            sigma.append(prior_sigma)
            weights = 1 / np.array(sigma)
            used = np.abs(np.array(design)).sum(axis=0) > 0
            answer = np.linalg.lstsq(
                np.array(design)[:, used] * weights[:, None], np.array(right) * weights, rcond=None
            )[0]
            solved = np.full(3, np.nan)
            solved[used] = answer
            # A line does not change sides.
            if solved[0] * offset <= 0:
                solved[0] = offset
        start = float(solved[1]) if math.isfinite(solved[1]) else float(track.min())
        end = float(solved[2])
        return (float(solved[0]), start, end) if math.isfinite(end) and end - start >= 1.0 else None

    def _stretches(self, ends: _Ends) -> list[IntArray]:
        """Rows of the boxes that show one line: side by side in a frame they are two, one after the other maybe one."""
        track = self.views.track_m[self.rays.frame]
        groups: list[dict[str, Any]] = []
        near: list[dict[str, Any]] = []
        for row in range(len(self.rays)):
            reach = float(ends.start[row])
            best, best_cost = None, 1e9
            near = [group for group in near if track[row] - group["track"] <= _LOST_AFTER_M]
            for group in near:
                if group["side"] != ends.side[row] or group["frame"] == self.rays.frame[row]:
                    continue
                previous = self.rays.sides[int(group["last"])]
                cost = float(np.abs(previous - self.rays.sides[row]).sum()) + 0.01 * (
                    track[row] - float(group["track"])
                )
                start = float(group["start"])
                if math.isfinite(reach) and math.isfinite(start) and reach - start > 60.0:
                    continue
                if cost < best_cost:
                    best, best_cost = group, cost
            if best is None or best_cost > 1.6:
                near.append(
                    {"side": ends.side[row], "frame": self.rays.frame[row], "track": float(track[row]), "last": row,
                     "start": reach, "rows": [row]}
                )  # fmt: skip
                groups.append(near[-1])
                continue
            best["rows"].append(row)
            best["frame"], best["track"], best["last"] = self.rays.frame[row], float(track[row]), row
            if math.isfinite(reach):
                best["start"] = reach
        return [np.array(group["rows"], np.int64) for group in groups]

    def _sighting(self, rows: IntArray, ends: _Ends) -> Sighting | None:
        track = self.views.track_m[self.rays.frame[rows]]
        fitted = self._fit(rows, ends)
        if fitted is None:
            return None
        offset, start, end = fitted
        points = self._points(np.linspace(start, end, max(2, int((end - start) / 10) + 2)), offset)
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

    def _points(self, track_m: FloatArray, offset: float) -> FloatArray:
        """Points at a distance to the right of the vehicle's way."""
        own = self.views.track_m[self.frames]
        heading = np.unwrap(self.poses.heading_rad[self.frames])
        position = self.poses.position_m[self.frames]
        beyond = np.maximum(track_m - own[-1], 0.0)
        angle = np.interp(track_m, own, heading)
        base = np.stack([np.interp(track_m, own, position[:, axis]) for axis in range(2)], 1)
        base += beyond[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)
        return np.asarray(base + offset * np.stack([np.cos(angle), -np.sin(angle)], 1))


def _weighted_median(values: FloatArray, sigma: FloatArray) -> float:
    """Median with weights of one over the variance; NaN where nothing is known."""
    known = np.isfinite(values) & np.isfinite(sigma) & (sigma > 0)
    if not known.any():
        return float("nan")
    values, weight = values[known], sigma[known] ** -2.0
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])

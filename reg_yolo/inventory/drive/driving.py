"""A drive from its detections, positions and camera to sightings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.classes import LINE
from reg_yolo.inventory.drive.clock import ClockOffset, estimate, next_shift, way_sigma
from reg_yolo.inventory.drive.looks import DriveLooks
from reg_yolo.inventory.drive.missed import missed_looks
from reg_yolo.inventory.drive.not_static import NotStatic, not_static
from reg_yolo.inventory.drive.rays import Rays, build_rays
from reg_yolo.inventory.drive.task import DriveTask as DriveTask
from reg_yolo.inventory.existence import Usual, pass_features, rivals
from reg_yolo.inventory.network.shifts import DriveErrors
from reg_yolo.inventory.network.sightings import Sighting
from reg_yolo.inventory.observations import Observations, SeenAtHand, View
from reg_yolo.inventory.positions.trajectory import Poses
from reg_yolo.inventory.solve.lines import LineFinder
from reg_yolo.inventory.solve.passes import Known, PassObjects, PassOptions, first_objects, solve_pass
from reg_yolo.inventory.solve.problem import CLOCK, FOCAL, LOWER, PITCH, UPPER, WIDTH, YAW, Priors, Views

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MOVED_M = 0.2
_OWN_YAW, _MEASURED_YAW = math.radians(0.25), math.radians(0.1)
_SCALE_SIGMA = 0.012
"""Share by which distances are unsure because the smoothed way is a little too long or too short."""
_SLACK_M = 0.12
_FIXED = 1e-6
_CLOCK_ROUNDS, _CLOCK_ENOUGH_S = 5, 0.03


@dataclass(frozen=True)
class DriveResult:
    """What came of a drive.

    Attributes:
        sightings: Its objects.
        errors: What is known of its errors.
        camera: Estimated yaw and pitch (degrees), focal factor, clock (s), and their deviations.
        counts: What was used and what was dropped, and why.
        poses: The vehicle at every frame.
        frames: Rows of the frames that were used.
        not_static: What moves along the road.
    """

    sightings: list[Sighting]
    errors: DriveErrors
    camera: dict[str, float]
    counts: dict[str, int]
    poses: Poses
    frames: IntArray
    not_static: list[NotStatic]


Regroup = Callable[[DriveLooks, Rays, list[IntArray]], list[IntArray]]
"""Takes a drive's looks, rays, and for each object the rows of its rays, and returns the groups of rows that count."""

Confirm = Callable[[DriveLooks, Rays, list[IntArray]], list[int]]
"""Takes a drive's looks, rays, and the rows of each object's rays, and returns the numbers of those that exist."""


def run_drive(task: DriveTask, regroup: Regroup | None = None, confirm: Confirm | None = None) -> DriveResult:
    """Find what stands along a drive.

    Args:
        task: The drive.
        regroup: Says what rays are of one object where somebody knows better than the association.
        confirm: Says which moving objects are assets where somebody knows better.
    """
    shift_s = 0.0
    for _ in range(_CLOCK_ROUNDS):
        result, offset = _run_shifted(task, shift_s, regroup, confirm)
        # A solution knows the way only near the times that it was given.
        step = next_shift(offset, shift_s) - shift_s
        if not offset.gross or abs(step) < _CLOCK_ENOUGH_S:
            break
        shift_s += step
    return result


def _run_shifted(
    task: DriveTask, shift_s: float, regroup: Regroup | None, confirm: Confirm | None
) -> tuple[DriveResult, ClockOffset]:
    """Find what stands along a drive whose positions' clock is ahead by about `shift_s`."""
    poses = task.trajectory.at(task.time_s + shift_s + abs(task.camera.readout_s) / 2)
    views = _views(task, poses)
    counts: Counter[str] = Counter(frames=task.looks.frames, looks=len(task.looks))
    counts["weak looks not believed"] = task.looks.weak_left_out
    counts["doubled looks left out"] = task.looks.doubles_left_out
    frames = _used_frames(task, poses, counts)
    rays = build_rays(task.looks, task.camera, poses.roll_rad, views.turn_rate)
    is_line = np.array([shape.geometry == LINE for shape in task.shapes])[rays.votes.argmax(axis=1)]
    used = np.zeros(task.looks.frames, np.bool_)
    used[frames] = True
    counts["looks without a position"] = int((~poses.located[rays.frame]).sum())
    options = PassOptions(
        task.shapes,
        Priors(
            yaw=math.radians(task.camera.yaw_sigma_deg),
            pitch=math.radians(task.camera.pitch_sigma_deg),
            focal=task.camera.focal_sigma,
            clock_s=task.clock_sigma_s,
        ),
        task.side_sigma_px / task.camera.focal_px,
        _most_focal(task.camera.focal_sigma),
        task.camera.looks_ahead,
    )
    points = np.flatnonzero(~is_line & used[rays.frame])
    own = rays.take(points)
    known = Known(
        None if regroup is None else partial(regroup, task.looks, own),
        None if confirm is None else partial(confirm, task.looks, own),
    )
    first = first_objects(own, views, task.time_s, frames, options)
    objects = solve_pass(own, views, task.time_s, frames, options, known, first)
    if objects.solved is not None and abs(objects.solved.camera[FOCAL]) > options.most_focal:
        # Drives hardly tell the focal length; what is far from all that was known comes from wrong associations.
        counts["focal lengths not believed"] = 1
        fixed = replace(options, priors=replace(options.priors, focal=_FIXED))
        objects = solve_pass(own, views, task.time_s, frames, fixed, known, first)
    close = rivals(own, objects)
    usual = Usual.of(task.looks.confidence[task.looks.strong])
    missed = missed_looks(own, objects, views, frames, task.camera, close)
    sightings = [
        _sighting(task, own, objects, n, views, poses, frames, close[n], missed[n], usual) for n in range(len(objects))
    ]
    offset = ClockOffset(0.0, task.clock_sigma_s)
    if objects.solved is not None:
        solved_s, sigma_s = float(objects.solved.camera[CLOCK]), float(objects.solved.camera_sigma[CLOCK])
        unsure_s = way_sigma(poses, task.time_s, frames)
        offset = estimate(solved_s, sigma_s, unsure_s, task.clock_sigma_s, shift_s)
    camera = _camera_estimate(task, objects, offset)
    lines = rays.take(np.flatnonzero(is_line & used[rays.frame] & rays.strong))
    if not task.camera.looks_ahead:
        counts["looks at lines by cameras that do not look ahead"] = len(lines)
    elif len(lines):
        finder = LineFinder(task, lines, views, poses, frames, objects.solved)
        sightings += finder.sightings(None if regroup is None else partial(regroup, task.looks, lines))
    errors = DriveErrors(
        task.trajectory.start_s,
        task.trajectory.end_s,
        task.trajectory.drift.sigma_m,
        task.trajectory.drift.correlation_s,
        offset.value_s - shift_s,
        offset.sigma_s,
        task.number if task.receiver is None else task.receiver,
    )
    moving = not_static(task, own, views, objects.moving)
    return DriveResult(sightings, errors, camera, dict(counts), poses, frames, moving), offset


def _most_focal(sigma: float) -> float:
    """By what share of it a focal length may be refined: a field of view is often a guess, a stated length is not."""
    return 2.5 * sigma if sigma < 0.02 else 0.4


def _views(task: DriveTask, poses: Poses) -> Views:
    order = np.argsort(task.time_s)
    heading = poses.heading_rad + math.radians(task.camera.yaw_deg)
    rate = np.zeros(len(heading))
    known = order[np.isfinite(heading[order]) & np.isfinite(task.time_s[order])]
    if len(known) > 2:
        time_s = task.time_s[known]
        distinct = np.concatenate(([True], np.diff(time_s) > 0))
        turned = np.gradient(np.unwrap(heading[known][distinct]), time_s[distinct])
        rate[known[distinct]] = turned
    speed = np.maximum(np.linalg.norm(poses.velocity_mps, axis=1), 2.0)
    # Turns along the way also take up what the positions wander to the side, whatever the heading is known by.
    own = np.where(np.isfinite(poses.heading_noise_rad), np.fmax(poses.heading_noise_rad, _MEASURED_YAW), _OWN_YAW)
    open_heading = np.hypot(poses.velocity_sigma_mps / speed, own)
    lever = task.camera.lever_arm_m
    sin, cos = np.sin(poses.heading_rad), np.cos(poses.heading_rad)
    offset = np.stack([lever[0] * cos + lever[1] * sin, -lever[0] * sin + lever[1] * cos], 1)
    # Frames without a position stand where the last one with a position stood: a track does not fall.
    reached = np.where(np.isfinite(poses.track_m), poses.track_m, -np.inf)[order]
    track = np.empty(len(reached))
    track[order] = np.maximum.accumulate(reached)
    first = poses.track_m[np.isfinite(poses.track_m)]
    track = np.where(np.isfinite(track), track, first.min() if len(first) else 0.0)
    return Views(poses.position_m + offset, heading, rate, poses.velocity_mps, track, open_heading)


def _used_frames(task: DriveTask, poses: Poses, counts: Counter[str]) -> IntArray:
    """Rows of located frames in the order of time, without those that the vehicle stood still for."""
    located = np.flatnonzero(poses.located)
    counts["frames without a position"] = task.looks.frames - len(located)
    order = located[np.argsort(task.time_s[located], kind="stable")]
    kept, last = [], -math.inf
    for row in order:
        if poses.track_m[row] - last >= _MOVED_M:
            kept.append(row)
            last = poses.track_m[row]
    counts["frames standing still"] = len(order) - len(kept)
    return np.array(kept, np.int64)


def _sighting(
    task: DriveTask,
    rays: Rays,
    objects: PassObjects,
    n: int,
    views: Views,
    poses: Poses,
    frames: IntArray,
    rival: float,
    missed: float,
    usual: Usual,
) -> Sighting:
    rows = objects.rows[n]
    seen_in = rays.frame[rows]
    values = objects.values[n]
    distance = np.linalg.norm(values[:2] - views.position_m[seen_in], axis=1)
    nearest = int(seen_in[distance.argmin()])
    away = values[:2] - views.position_m[nearest]
    # Distances go with the length of the way between the looks, which the smoothed way knows to a percent or so.
    typical = float(np.median(distance))
    ray = away / max(float(np.hypot(*away)), 1e-6)
    covariance = objects.covariance[n] + np.outer(ray, ray) * (_SCALE_SIGMA * typical) ** 2 + np.eye(2) * _SLACK_M**2
    votes = {task.looks.classes[c]: float(v) for c, v in enumerate(objects.votes[n]) if v > 0}
    shape = task.shapes[int(objects.votes[n].argmax())]
    best = _best_frame(task.looks, rays, rows)
    return Sighting(
        task.number,
        float(task.time_s[nearest]),
        values[:2].copy(),
        covariance,
        poses.velocity_mps[nearest].copy(),
        votes,
        shape.is_sign,
        float(max(values[UPPER] - values[LOWER], 0.0)),
        float(abs(values[WIDTH])),
        float(values[LOWER] + task.camera.height_m),
        float(task.time_s[seen_in].min()),
        float(task.time_s[seen_in].max()),
        len(np.unique(seen_in)),
        pass_features(rays, rows, objects, n, views, frames, float(rival), float(missed), usual),
        camera_m=tuple(views.position_m[rays.frame[best]].tolist()),
        track_m=float(views.track_m[nearest]),
        method="rays" if len(rows) > 1 else "one look",
        ends_looks=tuple(rays.seen[rows][:, [0, 2]].sum(axis=0).tolist()),
        seen=SeenAtHand(
            Observations.of_looks(task.looks, rays.look[rows]),
            View.of_look(task.looks, int(rays.look[best])),
        ),
        looks_back=math.cos(math.radians(task.camera.yaw_deg)) < 0,
    )


def _best_frame(looks: DriveLooks, rays: Rays, rows: IntArray) -> int:
    """Row of the ray that shows the object largest, whole and surely."""
    boxes = looks.xyxy[rays.look[rows]]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    whole = rays.seen[rows].all(axis=1)
    return int(rows[np.argmax(area * looks.confidence[rays.look[rows]] * np.where(whole, 1.0, 0.2))])


def _camera_estimate(task: DriveTask, objects: PassObjects, offset: ClockOffset) -> dict[str, float]:
    if objects.solved is None:
        return {"clock_s": offset.value_s, "clock_sigma_s": offset.sigma_s}
    values, sigma = objects.solved.camera, objects.solved.camera_sigma
    return {
        "yaw_deg": task.camera.yaw_deg + math.degrees(values[YAW]),
        "yaw_sigma_deg": math.degrees(sigma[YAW]),
        "pitch_deg": task.camera.pitch_deg + math.degrees(values[PITCH]),
        "pitch_sigma_deg": math.degrees(sigma[PITCH]),
        "focal_px": task.camera.focal_px * (1 + float(values[FOCAL])),
        "focal_sigma_px": task.camera.focal_px * float(sigma[FOCAL]),
        "clock_s": offset.value_s,
        "clock_sigma_s": offset.sigma_s,
        "clock_observed": float(offset.observed),
        "side_sigma_px": task.side_sigma_px * objects.solved.noise,
    }


def with_camera(task: DriveTask, camera: Camera) -> DriveTask:
    """Return the same drive seen by another calibration."""
    return replace(task, camera=camera)

"""One pass of a camera: looks joined to objects, solved, and joined again by where the solved objects must appear."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.classes import OUTER, ClassShape
from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.drive.tracklets import follow
from reg_yolo.inventory.solve.adjustment import Adjusted, adjust, start_of
from reg_yolo.inventory.solve.handed_over import join_handed_over, piece_to_trust
from reg_yolo.inventory.solve.joining import join_fragments
from reg_yolo.inventory.solve.looking_again import look_again
from reg_yolo.inventory.solve.moving import Moving, MovingFinder, join_moving
from reg_yolo.inventory.solve.problem import FOCAL, PER_OBJECT, Anchors, Priors, Problem, Sights, Views
from reg_yolo.inventory.solve.sizes import ClassSizes, learn_sizes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Founded = tuple[list[IntArray], FloatArray]
"""Rows of each object's rays, and first guesses of the objects, shape (N, 6)."""

_SHAPE_SIGMA = 0.02
_NOD_SIGMA = math.radians(0.12)
_FAR_M = 250.0
_ROUNDS = 2
_HOPELESS = 2.5
_LOOSE = np.array([4.0, 1.0, 4.0, 8.0])
"""By how much the sides of a loose object (left, top, right, bottom) are trusted less."""


@dataclass(frozen=True)
class PassOptions:
    """How a pass is solved.

    Attributes:
        shapes: Geometry of each class, in the order of the class indices.
        priors: What is known of the camera.
        sigma_tangent: Deviation of a box's side, as a tangent, where it is not stated.
        most_focal: Share by which a focal length may be refined. A solution that is far beyond it soon is given up, and
            returned as it is.
        finds_moving: Whether to tell apart what moves along the road, which takes a camera that looks ahead.
    """

    shapes: tuple[ClassShape, ...]
    priors: Priors
    sigma_tangent: float
    most_focal: float = math.inf
    finds_moving: bool = True


@dataclass(frozen=True)
class Known:
    """What somebody knows better than the solution.

    Attributes:
        regroup: Takes the rows of each object's rays, and returns the groups of rows that count.
        confirm: Takes the rows of each moving object's rays, and returns the numbers of those that are assets.
    """

    regroup: Callable[[list[IntArray]], list[IntArray]] | None = None
    confirm: Callable[[list[IntArray]], list[int]] | None = None


@dataclass(frozen=True)
class PassObjects:
    """The objects of a pass, N of them.

    Attributes:
        rows: For each object its rays' rows, in the order of the frames.
        votes: Sum of confidences by class, shape (N, C).
        values: East, north, upper and lower edge against the lens, width, length, shape (N, 6).
        covariance: Of east and north, the vehicle's way taken as true, shape (N, 2, 2).
        misfit: Mean square of the object's residuals in deviations, shape (N,).
        solved: The whole solution; None where there is nothing to solve.
        moving: What moves along the road; its rays are of no object.
    """

    rows: list[IntArray]
    votes: FloatArray
    values: FloatArray
    covariance: FloatArray
    misfit: FloatArray
    solved: Adjusted | None
    moving: tuple[Moving, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, kept: list[int]) -> PassObjects:
        """Return some of the objects, in the same solution."""
        rows = [self.rows[n] for n in kept]
        numbers = np.array(kept, np.int64)
        return PassObjects(
            rows,
            self.votes[numbers],
            self.values[numbers],
            self.covariance[numbers],
            self.misfit[numbers],
            self.solved,
        )


def solve_pass(
    rays: Rays,
    views: Views,
    time_s: FloatArray,
    frames: IntArray,
    options: PassOptions,
    known: Known | None = None,
    first: Founded | None = None,
) -> PassObjects:
    """Find the objects of a pass (points and spans; lines are found elsewhere).

    Objects are founded by strong looks; weak ones join what is there, where it must appear.

    Args:
        rays: What was seen.
        views: The camera at all frames.
        time_s: Of all frames.
        frames: Rows of the frames to go through, in the order of time: located, and not standing still.
        options: How.
        known: What somebody knows better; it counts in the end, and all is solved once more then.
        first: What `first_objects` returns, where it is known already.
    """
    sigma = _sigma(rays, options.sigma_tangent)
    sizes = ClassSizes.unknown(rays.votes.shape[1])

    def found(rows: IntArray) -> Founded:
        return _found(rays, rows, views, time_s, frames, options.sigma_tangent, sizes)

    standing = np.ones(len(rays), np.bool_)
    moving: list[Moving] = []

    def without_moving(some: list[IntArray], solution: Adjusted) -> list[int]:
        """Find what moves among some objects, and return the numbers of the others."""
        if not options.finds_moving:
            return list(range(len(some)))
        new = MovingFinder(rays, sigma, views, frames, solution, sizes, options.shapes).find(some)
        moving.extend(new)
        standing[np.concatenate([np.zeros(0, np.int64), *(one.rows for one in new)])] = False
        return [n for n, rows in enumerate(some) if standing[rows].all()]

    strong = np.flatnonzero(rays.strong)
    groups, objects = found(strong) if first is None else first
    solved: Adjusted | None = None
    for step in range(_ROUNDS + 2):
        if not groups:
            break
        anchors = _anchors(rays, views, groups, objects, options.shapes, sizes)
        problem = Problem(views, _sights(rays, sigma, groups, options.shapes), anchors, options.priors)
        solved = adjust(problem, objects, None if solved is None else start_of(solved))
        done = _finished(rays, groups, solved)
        if step < _ROUNDS and abs(solved.camera[FOCAL]) > _HOPELESS * options.most_focal:
            return done
        if step == _ROUNDS + 1:
            done = _handed_over(rays, sigma, views, done.take(without_moving(groups, solved)))
            return _with_known(rays, views, sigma, options, sizes, done, moving, known or Known())
        looks = np.array([len(rows) for rows in groups])
        sizes = learn_sizes(done.votes, done.values, done.covariance, done.misfit, looks)
        if step == 0:
            without_moving(groups, solved)
            strong = np.flatnonzero(rays.strong & standing)
            # With the classes' heights known, a box tells its distance, and everything is followed from the start.
            groups, objects = found(strong)
            continue
        kept = without_moving(groups, solved)
        done, anchors, groups = done.take(kept), anchors.take(kept), [groups[n] for n in kept]
        members = join_fragments(groups, rays.frame, done.values, done.covariance, done.votes)
        leaders = [max(some, key=lambda n: len(groups[n])) for some in members]
        groups = [np.sort(np.concatenate([groups[n] for n in some])) for some in members]
        objects, anchors = done.values[leaders], anchors.take(leaders)
        x = np.concatenate([start_of(solved), objects.ravel()])
        votes = _votes(rays, groups)
        groups = look_again(rays, sigma, views, frames, groups, anchors, options.priors, x, votes, standing)
        kept = [n for n, rows in enumerate(groups) if len(rows)]
        groups, objects = [groups[n] for n in kept], objects[kept]
        taken = np.zeros(len(rays), np.bool_)
        taken[np.concatenate([*groups, np.zeros(0, np.int64)])] = True
        new_groups, new_objects = found(np.flatnonzero(~taken & rays.strong & standing))
        groups += new_groups
        objects = np.concatenate([objects, new_objects])
    none = np.zeros((0, rays.votes.shape[1])), np.zeros((0, 6)), np.zeros((0, 2, 2)), np.zeros(0)
    return PassObjects([], *none, None, join_moving(rays, views.track_m, moving))


def _handed_over(rays: Rays, sigma: FloatArray, views: Views, done: PassObjects) -> PassObjects:
    """Join pieces of one object, each joined one where the piece is that is to be trusted most."""
    if not len(done):
        return done
    members = join_handed_over(done.rows, rays, sigma, views, done.votes.argmax(axis=1), done.values[:, :2])
    area = np.prod(rays.sides[:, 2:] - rays.sides[:, :2], axis=1)
    largest = [float(area[rows].max()) for rows in done.rows]
    sigma_m = np.sqrt(np.linalg.eigvalsh(done.covariance)[:, -1])
    joined = done.take([piece_to_trust(some, largest, sigma_m) for some in members])
    rows = [np.sort(np.concatenate([done.rows[n] for n in some])) for some in members]
    return replace(joined, rows=rows, votes=_votes(rays, rows))


def _with_known(
    rays: Rays,
    views: Views,
    sigma: FloatArray,
    options: PassOptions,
    sizes: ClassSizes,
    done: PassObjects,
    moving: list[Moving],
    known: Known,
) -> PassObjects:
    """Return the objects of a pass and what moves, after what somebody knows better of them."""
    joined = join_moving(rays, views.track_m, moving)
    confirmed = known.confirm([one.rows for one in joined]) if known.confirm else []
    extra = [joined[n].rows for n in confirmed]
    left = tuple(one for n, one in enumerate(joined) if n not in confirmed)
    places = np.array([joined[n].place_m for n in confirmed]).reshape(-1, 2)
    earlier = [*done.rows, *extra]
    groups = known.regroup(earlier) if known.regroup else earlier
    if not extra and groups is earlier:
        return replace(done, moving=left)
    assert done.solved is not None
    values = np.concatenate([done.values, _first_guesses(rays, views, extra, places)])
    objects = _objects_of(groups, earlier, values)
    anchors = _anchors(rays, views, groups, objects, options.shapes, sizes)
    problem = Problem(views, _sights(rays, sigma, groups, options.shapes), anchors, options.priors)
    solved = adjust(problem, objects, start_of(done.solved))
    return replace(_finished(rays, groups, solved), moving=left)


def first_objects(rays: Rays, views: Views, time_s: FloatArray, frames: IntArray, options: PassOptions) -> Founded:
    """Return the rows of what strong looks found before anything is solved, and guesses; see `solve_pass`."""
    sizes = ClassSizes.unknown(rays.votes.shape[1])
    return _found(rays, np.flatnonzero(rays.strong), views, time_s, frames, options.sigma_tangent, sizes)


def _found(
    rays: Rays,
    rows: IntArray,
    views: Views,
    time_s: FloatArray,
    frames: IntArray,
    sigma_tangent: float,
    sizes: ClassSizes,
) -> Founded:
    some = rays.take(rows)
    tracklets = follow(some, frames, views.position_m, views.heading_rad, views.track_m, time_s, sigma_tangent, sizes)
    groups = [tracklet.rows for tracklet in tracklets]
    places = np.array([tracklet.position_m for tracklet in tracklets]).reshape(-1, 2)
    return [rows[group] for group in groups], _first_guesses(some, views, groups, places)


def _objects_of(groups: list[IntArray], earlier: list[IntArray], objects: FloatArray) -> FloatArray:
    """First guesses of regrouped objects: the values of the one that most of the rows belonged to."""
    owner = {int(row): n for n, rows in enumerate(earlier) for row in rows}
    return objects[[Counter(owner[int(row)] for row in rows).most_common(1)[0][0] for rows in groups]]


def _sigma(rays: Rays, sigma_tangent: float) -> FloatArray:
    """Deviation of every side, infinite where the frame's border cuts it."""
    left, top, right, bottom = rays.sides.T
    extent = np.stack([right - left, bottom - top, right - left, bottom - top], 1)
    plain = np.where(np.isfinite(rays.sigma), rays.sigma, sigma_tangent)
    variance = plain**2 + (_SHAPE_SIGMA * extent) ** 2
    variance[:, 1::2] += _NOD_SIGMA**2
    return np.asarray(np.where(rays.seen, np.sqrt(variance), np.inf))


def _sights(rays: Rays, sigma: FloatArray, groups: list[IntArray], shapes: tuple[ClassShape, ...]) -> Sights:
    rows = np.concatenate(groups)
    objects = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    loose = np.array([shapes[class_id].loose for class_id in _votes(rays, groups).argmax(axis=1)])[objects]
    widened = sigma[rows] * np.where(loose[:, None], _LOOSE, 1.0)
    return Sights(objects, rays.frame[rows], rays.sides[rows], widened, rays.delay_s[rows])


def _votes(rays: Rays, groups: list[IntArray]) -> FloatArray:
    return np.array([rays.votes[rows].sum(axis=0) for rows in groups]).reshape(-1, rays.votes.shape[1])


def _anchors(
    rays: Rays,
    views: Views,
    groups: list[IntArray],
    objects: FloatArray,
    shapes: tuple[ClassShape, ...],
    sizes: ClassSizes,
) -> Anchors:
    """Where each object's width lies: around its place, or from it towards the road."""
    classes = _votes(rays, groups).argmax(axis=1)
    left, right = np.full(len(groups), -0.5), np.full(len(groups), 0.5)
    deep = np.full((len(groups), 4), -0.5)
    for n, rows in enumerate(groups):
        frame = rays.frame[rows[-1]]
        heading = views.heading_rad[frame]
        apart = objects[n, :2] - views.position_m[frame]
        is_right = apart[0] * math.cos(heading) - apart[1] * math.sin(heading) > 0
        # Of a box beside the road the side next to the road ends at its far corner.
        deep[n, 0 if is_right else 2] = 0.5
        if shapes[classes[n]].anchor == OUTER:
            left[n], right[n] = (-1.0, 0.0) if is_right else (0.0, 1.0)
    length = np.array([shapes[class_id].length_m for class_id in classes])
    height = np.nan_to_num(sizes.height_m[classes], nan=1.0)
    return Anchors(left, right, deep, length, height, height * sizes.spread[classes])


def _first_guesses(rays: Rays, views: Views, groups: list[IntArray], places: FloatArray) -> FloatArray:
    """Heights and widths of objects at first places, from the last look at each."""
    objects = np.zeros((len(groups), PER_OBJECT))
    objects[:, :2] = places
    for n, rows in enumerate(groups):
        frame, sides = rays.frame[rows[-1]], rays.sides[rows[-1]]
        heading = views.heading_rad[frame]
        apart = places[n] - views.position_m[frame]
        distance = float(np.hypot(*apart))
        if distance > _FAR_M:
            apart *= _FAR_M / distance
            objects[n, :2] = views.position_m[frame] + apart
        depth = max(float(apart @ [math.sin(heading), math.cos(heading)]), 2.0)
        objects[n, 2:5] = -sides[1] * depth, -sides[3] * depth, (sides[2] - sides[0]) * depth
    return objects


def _finished(rays: Rays, groups: list[IntArray], solved: Adjusted) -> PassObjects:
    ends = np.cumsum([len(rows) for rows in groups])
    square = np.minimum(solved.residuals**2, 25.0)
    misfit = np.array([part.mean() for part in np.split(square, ends[:-1])])
    return PassObjects(groups, _votes(rays, groups), solved.objects, solved.covariance, misfit, solved)

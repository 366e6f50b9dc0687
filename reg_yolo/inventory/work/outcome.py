"""What is kept of a drive once it is processed: what an inventory of many drives is built from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.driving import DriveResult
from reg_yolo.inventory.drive.looks import MediaFacts
from reg_yolo.inventory.drive.not_static import NotStatic
from reg_yolo.inventory.drive.stretches import Stretch, surveyed_stretches
from reg_yolo.inventory.drive.task import DriveTask
from reg_yolo.inventory.drive.unlocated import Unlocated, unlocated_objects
from reg_yolo.inventory.network.shifts import DriveErrors
from reg_yolo.inventory.network.sightings import Sighting
from reg_yolo.inventory.projection import LocalProjection

FloatArray = NDArray[np.float64]

_HOLE_M = 200.0


@dataclass(frozen=True)
class DriveOutcome:
    """One drive of one camera.

    Attributes:
        name: What it is called in messages.
        centre: Longitude and latitude of the projection that all metres are of.
        sightings: Its objects.
        errors: What is known of its errors.
        counts: What was used and what was dropped, and why.
        ways: Its way in metres, in pieces, shape (N, 2) each.
        stretches: Where its frames looked.
        unlocated: What was seen where no position is known.
        not_static: What moves along the road.
        digests: Of the weights that made its detections.
        classes: Of its detections.
        sources: Of its frames.
        media: What the detections files say of them.
        lines: What the user should read.
    """

    name: str
    centre: tuple[float, float]
    sightings: list[Sighting]
    errors: DriveErrors
    counts: dict[str, int]
    ways: list[FloatArray]
    stretches: list[Stretch]
    unlocated: list[Unlocated]
    not_static: list[NotStatic]
    digests: tuple[str, ...]
    classes: tuple[str, ...]
    sources: tuple[str, ...]
    media: MediaFacts
    lines: list[str]


def outcome_of(task: DriveTask, result: DriveResult, lines: list[str]) -> DriveOutcome:
    """Return what is kept of a drive; its detections and the vehicle at each frame are not.

    Args:
        task: The drive.
        result: What came of it.
        lines: What the user should read.
    """
    lost, left_out = unlocated_objects(task, result.poses)
    projection = task.trajectory.projection
    # A sum of two would leave out what is 0, which a report says, too.
    counts = Counter(result.counts)
    counts.update(left_out)
    return DriveOutcome(
        task.name, (projection.longitude_deg, projection.latitude_deg), result.sightings, result.errors,
        dict(counts), _pieces(result),
        surveyed_stretches(task, result.poses, result.frames), lost, result.not_static, task.looks.digests,
        task.looks.classes, tuple(dict.fromkeys(task.looks.sources)), task.looks.media, lines,
    )  # fmt: skip


def renumbered(outcome: DriveOutcome, number: int, receiver: int, target: LocalProjection) -> DriveOutcome:
    """Return a drive with another number, in the metres of another projection.

    Args:
        outcome: The drive; it must not be used any more.
        number: Its number among all drives.
        receiver: Number of its receiver among all.
        target: What metres are to mean.
    """
    for sighting in outcome.sightings:
        sighting.drive = number
    errors = replace(outcome.errors, receiver=receiver)
    stretches = [replace(one, drive=number) for one in outcome.stretches]
    unlocated = [replace(one, drive=number) for one in outcome.unlocated]
    moving = [replace(one, drive=number) for one in outcome.not_static]
    if outcome.centre == (target.longitude_deg, target.latitude_deg):
        return replace(outcome, errors=errors, stretches=stretches, unlocated=unlocated, not_static=moving)
    own = LocalProjection(*outcome.centre)

    def moved(points: FloatArray) -> FloatArray:
        degrees = own.to_degrees(points)
        return target.to_metres(degrees[:, 0], degrees[:, 1]).reshape(np.shape(points))

    if outcome.sightings:
        places = np.array([one.place_m for one in outcome.sightings])
        degrees = own.to_degrees(places).T
        turns = _turns(target.true_north_rad(*degrees) - own.true_north_rad(*degrees))
        cameras = moved(np.array([one.camera_m for one in outcome.sightings]))
        for one, place, turn, camera in zip(outcome.sightings, moved(places), turns, cameras.tolist(), strict=True):
            one.place_m, one.covariance = place, turn @ one.covariance @ turn.T
            one.velocity_mps = turn @ one.velocity_mps
            one.ends_m = None if one.ends_m is None else moved(one.ends_m)
            one.camera_m = tuple(camera)
    last = [None if one.last_place_m is None else moved(one.last_place_m) for one in unlocated]
    return replace(
        outcome, centre=(target.longitude_deg, target.latitude_deg), errors=errors,
        ways=[moved(piece) for piece in outcome.ways],
        stretches=[replace(one, points_m=moved(one.points_m)) for one in stretches],
        unlocated=[replace(one, last_place_m=place) for one, place in zip(unlocated, last, strict=True)],
        not_static=[replace(one, place_m=moved(one.place_m)) for one in moving],
    )  # fmt: skip


def _turns(angles: FloatArray) -> FloatArray:
    """Matrices that turn vectors clockwise, shape (N, 2, 2)."""
    sin, cos = np.sin(angles), np.cos(angles)
    return np.stack([cos, sin, -sin, cos], 1).reshape(-1, 2, 2)


def _pieces(result: DriveResult) -> list[FloatArray]:
    """The way of a drive, cut where its positions have a hole."""
    rows = result.frames
    points = result.poses.position_m[rows]
    if not len(rows):
        return []
    far = np.flatnonzero(np.linalg.norm(np.diff(points, axis=0), axis=1) > _HOLE_M) + 1
    return [piece for piece in np.split(points, far) if len(piece) > 1]

"""Where frames looked: the way of a drive in pieces, each with what its camera could see."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.task import DriveTask
from reg_yolo.inventory.positions.trajectory import Poses

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RANGE_M = 40.0
"""How far ahead a frame counts as having looked: nearly every asset of a road has boxes at this distance."""
_APART_M = 25.0
_LONE_M = 1.0


@dataclass(frozen=True)
class Stretch:
    """A piece of a drive along which frames with a position follow each other.

    Attributes:
        drive: Number of the drive.
        source: File of the first frame.
        points_m: Shape (N, 2), N at least 2, in the order of driving.
        frames: How many frames were used.
        first_s, last_s: POSIX times of the first and last frame.
        track_from_m, track_to_m: Distance travelled at both ends.
        hfov_deg: The camera's horizontal field of view.
        yaw_deg: The camera's direction against the way, to the right.
        range_m: How far it counts as seeing.
    """

    drive: int
    source: str
    points_m: FloatArray
    frames: int
    first_s: float
    last_s: float
    track_from_m: float
    track_to_m: float
    hfov_deg: float
    yaw_deg: float
    range_m: float = RANGE_M

    @property
    def length_m(self) -> float:
        """Length of the piece."""
        return float(np.linalg.norm(np.diff(self.points_m, axis=0), axis=1).sum())


def surveyed_stretches(task: DriveTask, poses: Poses, frames: IntArray) -> list[Stretch]:
    """Return the pieces of a drive; frames more than 25 m apart belong to different pieces.

    Args:
        task: The drive.
        poses: The vehicle at all frames.
        frames: Rows of the frames that were used, in the order of time.
    """
    if not len(frames):
        return []
    hfov = math.degrees(2 * math.atan(task.camera.width / 2 / task.camera.focal_px))
    apart = np.linalg.norm(np.diff(poses.position_m[frames], axis=0), axis=1)
    return [
        Stretch(
            task.number,
            task.looks.sources[int(rows[0])],
            _points(poses, rows),
            len(rows),
            float(task.time_s[rows[0]]),
            float(task.time_s[rows[-1]]),
            float(poses.track_m[rows[0]]),
            float(poses.track_m[rows[-1]]),
            hfov,
            task.camera.yaw_deg,
        )
        for rows in np.split(frames, np.flatnonzero(apart > _APART_M) + 1)
    ]


def _points(poses: Poses, rows: IntArray) -> FloatArray:
    points = poses.position_m[rows]
    if len(rows) > 1:
        return points
    # A lone frame is a line of a metre, so that it has a direction.
    heading = float(poses.heading_rad[rows[0]])
    return np.stack([points[0], points[0] + _LONE_M * np.array([math.sin(heading), math.cos(heading)])])

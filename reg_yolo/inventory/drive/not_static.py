"""What moves along the road, such as signs on lorries: listed with its speed, and no asset."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.drive.task import DriveTask
from reg_yolo.inventory.solve.moving import Moving
from reg_yolo.inventory.solve.problem import Views

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class NotStatic:
    """An object that moves along the road.

    Attributes:
        class_name: The class with the most votes.
        votes: Sum of confidences by class.
        drive: Number of the drive.
        source, first_frame, last_frame: Where it was seen.
        first_s, last_s: POSIX times.
        observations: Frames in which it was seen.
        confidence: The highest.
        speed_kmh: Along the road in our direction; negative for what comes towards us.
        travelled_m: Way that we drove while it was seen.
        best_frame: Frame that shows it largest.
        xyxy: Its box there, pixels.
        place_m: Where it was then, shape (2,).
    """

    class_name: str
    votes: dict[str, float]
    drive: int
    source: str
    first_frame: int
    last_frame: int
    first_s: float
    last_s: float
    observations: int
    confidence: float
    speed_kmh: float
    travelled_m: float
    best_frame: int
    xyxy: tuple[float, float, float, float]
    place_m: FloatArray


def not_static(task: DriveTask, rays: Rays, views: Views, moving: tuple[Moving, ...]) -> list[NotStatic]:
    """Describe the moving objects of a drive, in the order in which they were first seen.

    Args:
        task: The drive.
        rays: The rays that the objects' rows count.
        views: The camera at all frames.
        moving: What was found.
    """
    found = []
    for one in sorted(moving, key=lambda some: float(task.time_s[rays.frame[some.rows]].min())):
        frames = rays.frame[one.rows]
        first, last, best = int(frames[0]), int(frames[-1]), int(rays.look[one.largest])
        votes = rays.votes[one.rows].sum(axis=0)
        own = math.sqrt(float((views.velocity_mps[frames] ** 2).sum(axis=1).mean()))
        x1, y1, x2, y2 = task.looks.xyxy[best].tolist()
        found.append(
            NotStatic(
                task.looks.classes[int(votes.argmax())],
                {task.looks.classes[c]: float(value) for c, value in enumerate(votes) if value > 0},
                task.number,
                task.looks.sources[first],
                int(task.looks.frame[first]),
                int(task.looks.frame[last]),
                float(task.time_s[first]),
                float(task.time_s[last]),
                len(np.unique(frames)),
                float(rays.votes[one.rows].max()),
                one.speed * own * 3.6,
                float(np.ptp(views.track_m[frames])),
                int(task.looks.frame[rays.frame[one.largest]]),
                (x1, y1, x2, y2),
                one.place_m,
            )
        )
    return found

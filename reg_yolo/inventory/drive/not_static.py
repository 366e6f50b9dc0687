"""What moves along the road, such as signs on lorries: listed with its speed, and no asset."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.followed import Followed, followed
from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.drive.task import DriveTask
from reg_yolo.inventory.solve.moving import Moving
from reg_yolo.inventory.solve.problem import Views

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class NotStatic(Followed):
    """An object that moves along the road.

    Attributes:
        speed_kmh: Along the road in our direction; negative for what comes towards us.
        travelled_m: Way that we drove while it was seen.
        best_frame: Frame that shows it largest.
        xyxy: Its box there, pixels.
        place_m: Where it was then, shape (2,).
    """

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
        own = math.sqrt(float((views.velocity_mps[frames] ** 2).sum(axis=1).mean()))
        x1, y1, x2, y2 = task.looks.xyxy[int(rays.look[one.largest])].tolist()
        found.append(
            NotStatic(
                **followed(task, rays, one.rows),
                speed_kmh=one.speed * own * 3.6,
                travelled_m=float(np.ptp(views.track_m[frames])),
                best_frame=int(task.looks.frame[rays.frame[one.largest]]),
                xyxy=(x1, y1, x2, y2),
                place_m=one.place_m,
            )
        )
    return found

"""Objects that were tracked through a drive but are not assets, and the fields they all have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.drive.task import DriveTask


@dataclass(frozen=True)
class Followed:
    """An object, and where it was seen.

    Attributes:
        class_name: The class with the most votes.
        votes: Sum of confidences by class.
        drive: Number of the drive.
        source, first_frame, last_frame: Where it was seen.
        first_s, last_s: POSIX times; NaN where unknown.
        observations: Frames in which it was seen.
        confidence: The highest.
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


def followed(task: DriveTask, rays: Rays, rows: NDArray[np.int64]) -> dict[str, Any]:
    """Return the values of `Followed` for rows of rays in the order of the frames."""
    looks, frames = task.looks, rays.frame[rows]
    votes = rays.votes[rows].sum(axis=0)
    first, last = int(frames[0]), int(frames[-1])
    return {
        "class_name": looks.classes[int(votes.argmax())],
        "votes": {looks.classes[c]: float(value) for c, value in enumerate(votes) if value > 0},
        "drive": task.number,
        "source": looks.sources[first],
        "first_frame": int(looks.frame[first]),
        "last_frame": int(looks.frame[last]),
        "first_s": float(task.time_s[first]),
        "last_s": float(task.time_s[last]),
        "observations": len(np.unique(frames)),
        "confidence": float(rays.votes[rows].max()),
    }

"""What is known of one drive before it is processed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.classes import ClassShape
from reg_yolo.inventory.drive.looks import DriveLooks
from reg_yolo.inventory.positions.trajectory import Trajectory

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class DriveTask:
    """One drive to process.

    Attributes:
        number: Its place among the drives.
        name: What it is called in messages and provenance.
        looks: Its detections.
        time_s: POSIX time of each frame, NaN where unknown.
        trajectory: Its positions.
        camera: Its calibration.
        shapes: Geometry of each class.
        clock_sigma_s: How unsure the frames' times are against the positions'.
        side_sigma_px: Deviation of a box's side where it is not stated.
        receiver: Number of the receiver that its positions are of, where cameras share one; None for one of its own.
    """

    number: int
    name: str
    looks: DriveLooks
    time_s: FloatArray
    trajectory: Trajectory
    camera: Camera
    shapes: tuple[ClassShape, ...]
    clock_sigma_s: float = 0.1
    side_sigma_px: float = 2.0
    receiver: int | None = None

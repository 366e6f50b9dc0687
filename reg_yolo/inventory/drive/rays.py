"""Boxes as bundles of rays: the tangents of their four sides, and which sides are really the object's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.drive.looks import DriveLooks
from reg_yolo.inventory.drive.overlaps import Least, surest_on_each

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BORDER_SHARE = 0.0125
"""Of the frame's width: a side this near to the border may be the border's, as boxes are never exact."""
_ONE_OBJECT = Least(same_class=0.9, other_class=0.7)
"""Of one class the detector has already kept what it takes for two; poles that stand in line overlap by as much."""


@dataclass(frozen=True)
class Rays:
    """What a drive saw, one row an object in a frame, in the order of the frames.

    Attributes:
        frame: Row of its frame, shape (M,).
        sides: Tangents to the right of the left and right side, and downwards of the top and bottom: shape (M, 4), in
            the order left, top, right, bottom.
        seen: Whether a side is the object's and not the frame's border, shape (M, 4).
        sigma: Deviation of each side as a tangent, shape (M, 4); NaN where it was not stated.
        track: Tracker's identity or -1, shape (M,).
        look: Row of the look that gave the box, shape (M,).
        strong: Whether one of its boxes reaches the threshold of its class, shape (M,).
        votes: Confidence by class, shape (M, C): boxes of two classes on one object are one row.
        delay_s: When the middle of the box was read, against the middle of the frame's readout, shape (M,).
    """

    frame: IntArray
    sides: FloatArray
    seen: NDArray[np.bool_]
    sigma: FloatArray
    track: IntArray
    look: IntArray
    strong: NDArray[np.bool_]
    votes: FloatArray
    delay_s: FloatArray

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: IntArray | NDArray[np.bool_]) -> Rays:
        """Return the chosen rows."""
        return Rays(
            self.frame[rows],
            self.sides[rows],
            self.seen[rows],
            self.sigma[rows],
            self.track[rows],
            self.look[rows],
            self.strong[rows],
            self.votes[rows],
            self.delay_s[rows],
        )


def build_rays(
    looks: DriveLooks, camera: Camera, roll_rad: FloatArray | None = None, turn_rate: FloatArray | None = None
) -> Rays:
    """Turn boxes into rays; boxes of several classes that lie on one another in a frame become one.

    Args:
        looks: All boxes.
        camera: Its mount's pitch and roll are taken out.
        roll_rad: Of the vehicle at each frame, shape (F,), taken out as well; None where not measured.
        turn_rate: Of the camera's heading at each frame, radians a second, shape (F,): rows are turned to the heading
            that it had at the middle of the frame's readout. None where it is not known.
    """
    leader = surest_on_each(looks.of_frame, looks.xyxy, looks.class_id, looks.confidence, _ONE_OBJECT)
    rows = np.flatnonzero(leader == np.arange(len(looks)))
    votes = np.zeros((len(looks), len(looks.classes)))
    np.maximum.at(votes, (leader, looks.class_id), looks.confidence)
    strong = np.zeros(len(looks), np.bool_)
    np.logical_or.at(strong, leader, looks.strong)
    boxes = looks.xyxy[rows]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    # A side's tangent is taken at the middle of the side: with distortion and roll it depends on both.
    points = [
        np.stack([boxes[:, 0], middle[:, 1]], 1),
        np.stack([middle[:, 0], boxes[:, 1]], 1),
        np.stack([boxes[:, 2], middle[:, 1]], 1),
        np.stack([middle[:, 0], boxes[:, 3]], 1),
    ]
    frame = looks.of_frame[rows]
    roll: FloatArray | float = 0.0 if roll_rad is None else roll_rad[frame]
    sides = np.stack([camera.normalized(point, roll)[:, k % 2] for k, point in enumerate(points)], 1)
    delay = camera.delay_s(middle[:, 1])
    if turn_rate is not None:
        # Upper and lower sides change by less than a hundredth of this.
        sides[:, ::2] = np.tan(np.arctan(sides[:, ::2]) + (turn_rate[frame] * delay)[:, None])
    limits = np.array([looks.width, looks.height])
    margin = max(2.0, _BORDER_SHARE * looks.width)
    seen = np.concatenate([boxes[:, :2] > margin, boxes[:, 2:] < limits - margin], 1)
    return Rays(
        frame,
        sides,
        seen,
        looks.sigma[rows] / camera.focal_px,
        looks.track[rows],
        rows,
        strong[rows],
        votes[rows],
        delay,
    )

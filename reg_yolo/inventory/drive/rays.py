"""Boxes as bundles of rays: the tangents of their four sides, and which sides are really the object's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.drive.looks import DriveLooks

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BORDER_SHARE = 0.0125
"""Of the frame's width: a side this near to the border may be the border's, as boxes are never exact."""
_SAME_BOX_IOU, _SAME_CLASS_IOU = 0.7, 0.9
"""From which two boxes of a frame are of one object: of two classes, and of one, of which the detector has already kept
what it takes for two. Poles that stand in line overlap by as much."""


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
    leader = _leaders(looks)
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


def _leaders(looks: DriveLooks) -> IntArray:
    """For each look the row of the most confident look that covers the same object in its frame."""
    leader = np.arange(len(looks))
    starts = np.searchsorted(looks.of_frame, np.arange(looks.frames + 1))
    # Few frames have two boxes on one object; which ones is found out for all of them at once.
    after = starts[looks.of_frame + 1] - leader - 1
    one = np.repeat(leader, after)
    other = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(after) - after, after)
    shared = iou_of_each(looks.xyxy[one], looks.xyxy[other]) > _least(looks.class_id[one], looks.class_id[other])
    for frame in np.unique(looks.of_frame[one[shared]]).tolist():
        start, end = starts[frame], starts[frame + 1]
        boxes = looks.xyxy[start:end]
        class_id = looks.class_id[start:end]
        alike = iou(boxes, boxes) > _least(class_id[:, None], class_id)
        order = np.argsort(-looks.confidence[start:end], kind="stable")
        taken = np.zeros(end - start, np.bool_)
        for k in order:
            if taken[k]:
                continue
            same = np.flatnonzero(alike[k] & ~taken)
            taken[same] = True
            leader[start + same] = start + k
    return leader


def _least(one: IntArray, other: IntArray) -> FloatArray:
    """Overlap from which boxes of two classes, or of one, are of one object."""
    return np.where(one == other, _SAME_CLASS_IOU, _SAME_BOX_IOU)


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of boxes xyxy, shapes (N, 4) and (K, 4): shape (N, K)."""
    return iou_of_each(a[:, None], b[None])


def iou_of_each(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of each two boxes, shapes (..., 4) and (..., 4): shape (...)."""
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (a, b)]
    union = areas[0] + areas[1] - common
    return np.asarray(common / np.maximum(union, 1e-9))

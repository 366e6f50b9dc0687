"""What a drive saw while its position was not known: listed without one, so that nobody takes it for not there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.followed import Followed, followed
from reg_yolo.inventory.drive.rays import build_rays
from reg_yolo.inventory.drive.task import DriveTask
from reg_yolo.inventory.positions.trajectory import Poses

FloatArray = NDArray[np.float64]

_SAME_IOU = 0.3
_GONE_FRAMES = 3
_SURE_ALONE = 0.5


@dataclass(frozen=True)
class Unlocated(Followed):
    """An object without a position.

    Attributes:
        xyxy: Its box of the highest confidence, pixels.
        last_place_m: The vehicle's last known position before, shape (2,); None where there is none.
    """

    xyxy: tuple[float, float, float, float]
    last_place_m: FloatArray | None


def unlocated_objects(task: DriveTask, poses: Poses) -> tuple[list[Unlocated], dict[str, int]]:
    """Return the objects of frames without a position, and how many were left out.

    Boxes are joined by the tracker's identity, else by their overlap from frame to frame. An identity that was also
    seen from a known position is left out: it is among the assets. So is what was seen once with a confidence under
    0.5.

    Args:
        task: The drive.
        poses: The vehicle at all frames.
    """
    looks = task.looks
    lost = ~poses.located
    if not lost[looks.of_frame].any():
        return [], {}
    rays = build_rays(looks, task.camera)
    order = np.argsort(np.where(np.isfinite(task.time_s), task.time_s, np.inf), kind="stable")
    turn = np.empty(len(order), np.int64)
    turn[order] = np.arange(len(order))
    elsewhere = set(rays.track[~lost[rays.frame]].tolist()) - {-1}
    rows = np.flatnonzero(lost[rays.frame])
    rows = rows[np.argsort(turn[rays.frame[rows]], kind="stable")]
    chains = _chains(rows, turn[rays.frame], rays.track, looks.xyxy[rays.look])
    last_known = _last_known(poses, order)
    found, left_out = [], Counter[str]()
    for chain in chains:
        members = np.array(chain)
        track = int(rays.track[members[0]])
        if track in elsewhere:
            left_out["objects without a position that were also seen from a known one"] += 1
            continue
        confidence = rays.votes[members].max(axis=1)
        if len(members) == 1 and confidence[0] < _SURE_ALONE:
            left_out["single weak looks without a position"] += 1
            continue
        best = int(members[confidence.argmax()])
        before = last_known[rays.frame[members[0]]]
        x1, y1, x2, y2 = looks.xyxy[rays.look[best]].tolist()
        found.append(
            Unlocated(
                **followed(task, rays, members),
                xyxy=(x1, y1, x2, y2),
                last_place_m=poses.position_m[before] if before >= 0 else None,
            )
        )
    return found, dict(left_out)


def _chains(
    rows: NDArray[np.int64], turn: NDArray[np.int64], track: NDArray[np.int64], xyxy: FloatArray
) -> list[list[int]]:
    """Join rays to objects, in the order of time."""
    chains: list[list[int]] = []
    by_track: dict[int, list[int]] = {}
    open_: list[list[int]] = []
    for row in rows.tolist():
        identity = int(track[row])
        if identity >= 0:
            if identity not in by_track:
                chains.append(by_track.setdefault(identity, []))
            by_track[identity].append(row)
            continue
        open_ = [chain for chain in open_ if turn[row] - turn[chain[-1]] <= _GONE_FRAMES]
        waiting = [chain for chain in open_ if turn[chain[-1]] < turn[row]]
        overlaps = [_iou(xyxy[chain[-1]], xyxy[row]) for chain in waiting]
        if overlaps and max(overlaps) >= _SAME_IOU:
            waiting[int(np.argmax(overlaps))].append(row)
        else:
            open_.append([row])
            chains.append(open_[-1])
    return chains


def _iou(first: FloatArray, second: FloatArray) -> float:
    shared = np.prod(np.maximum(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]), 0))
    areas = np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2])
    return float(shared / max(areas - shared, 1e-9))


def _last_known(poses: Poses, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row of the last frame with a position before each frame, or -1."""
    located = poses.located[order]
    latest = np.maximum.accumulate(np.where(located, np.arange(len(order)), -1))
    result = np.full(len(order), -1, np.int64)
    result[order] = np.where(latest >= 0, order[latest], -1)
    return result

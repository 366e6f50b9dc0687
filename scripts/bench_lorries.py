"""Signs on vehicles for embedded drives: boxes of boards that move along the road, put among a drive's true boxes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.drive.overlaps import iou
from reg_yolo.inventory.observations import Observations

FloatArray = NDArray[np.float64]

_BOARD_M = (0.6, 1.1)
_NEAREST_M, _FARTHEST_M = 6.0, 70.0
_LANE_M = 3.5
SPEEDS = (1.0, 1.0, 0.9, 0.7, 1.15, -1.0)
"""Shares of the camera's own speed: with it, slower ones, one that overtakes, and one that comes towards it."""
PREFIX = "lorry-"


def add_lorries(
    records: list[dict[str, Any]], calibration: dict[str, Any], names: list[str], count: int, seed: int
) -> None:
    """Add boards on lorries to frames.

    A board drives in the camera's lane, or in the next one where it overtakes or comes towards it, along the way that
    the camera takes later. It is seen while it is from 6 to 70 m ahead and its box is 7 px wide and high.

    Args:
        records: Frames as frames.jsonl has them; their `objects` grow.
        calibration: `width`, `height`, `focal_px`, `cx`, `cy`.
        names: Classes; boards are of those that are signs.
        count: How many lorries.
        seed: Of what is drawn.
    """
    rng = np.random.default_rng([seed, 78])
    poses = [record["pose"] for record in records]
    east, north, up = (np.array([pose[f"{axis}_m"] for pose in poses]) for axis in ("easting", "northing", "height"))
    steps = np.hypot(np.diff(east), np.diff(north))
    track = np.concatenate(([0.0], np.cumsum(steps)))
    signs = [n for n, name in enumerate(names) if "sign" in name]
    for number in range(count):
        speed = SPEEDS[number % len(SPEEDS)]
        own_lane = 0.0 < speed <= 1.0
        across = float(rng.normal(0, 0.2)) + (0.0 if own_lane else _LANE_M * (1.0 if speed > 0 else 2.0))
        gap = float(rng.uniform(12, 30)) if speed > 0.8 and speed <= 1.0 else (_NEAREST_M if speed > 1 else _FARTHEST_M)
        start, length = float(rng.uniform(0, track[-1] - 100)), float(rng.uniform(80, 300))
        width, height = rng.uniform(*_BOARD_M, 2)
        lower = float(rng.uniform(-0.6, 0.8))
        class_id = int(rng.choice(signs))
        for k in np.flatnonzero((track >= start) & (track <= start + length)):
            ahead = gap + (speed - 1) * (track[k] - start)
            station = track[k] + ahead
            if not (_NEAREST_M <= ahead <= _FARTHEST_M and station < track[-1] - 5):
                continue
            here, there = (
                np.array([np.interp(station + further, track, axis) for axis in (east, north, up)])
                for further in (0, 2)
            )
            way = (there - here)[:2] / max(float(np.hypot(*(there - here)[:2])), 1e-9)
            place = here[:2] + across * np.array([way[1], -way[0]])
            box = board_box(poses[k], calibration, place, float(here[2]) + lower, float(width), float(height))
            if box is not None:
                found = {"asset_id": f"{PREFIX}{number:03d}", "class_id": class_id, "class": names[class_id]}
                records[k]["objects"].append({**found, "xyxy": box})


def listed_lorries(frames: Path, count: int, seed: int, observations: Sequence[Observations]) -> tuple[int, int]:
    """Return how many lorries were seen in four frames or more, and how many assets are mostly made of one's boxes.

    Args:
        frames: frames.jsonl without lorries.
        count, seed: As they were added.
        observations: Of each asset that is listed.
    """
    with frames.open(encoding="utf-8") as stream:
        head = json.loads(next(stream))
        records = [json.loads(line) for line in stream]
    add_lorries(records, head["calibration"], head["names"], count, seed)
    boxes: dict[int, list[tuple[bool, FloatArray]]] = {}
    seen: Counter[str] = Counter()
    for record in records:
        for one in record["objects"]:
            seen[one["asset_id"]] += one["asset_id"].startswith(PREFIX)
            own = one["asset_id"].startswith(PREFIX), np.array(one["xyxy"], float)
            boxes.setdefault(record["frame"], []).append(own)
    listed = 0
    for some in observations:
        on_lorries = 0
        for frame, xyxy in zip(some.frame.tolist(), some.xyxy, strict=True):
            there = boxes.get(frame, [])
            if there:
                overlaps = iou(xyxy[None], np.array([box for _, box in there]))[0]
                on_lorries += there[int(overlaps.argmax())][0] and overlaps.max() > 0.4
        listed += 2 * on_lorries > len(some)
    return sum(frames >= 4 for frames in seen.values()), listed


def board_box(
    pose: dict[str, float], calibration: dict[str, Any], place: FloatArray, lower: float, width: float, height: float
) -> list[float] | None:
    """Return the box of a board that faces along the road, or None where it is under 7 px or next to the camera."""
    heading, pitch = math.radians(pose["heading_deg"]), math.radians(pose["pitch_deg"])
    apart = place - [pose["easting_m"], pose["northing_m"]]
    flat = float(apart @ [math.sin(heading), math.cos(heading)])
    right = float(apart @ [math.cos(heading), -math.sin(heading)])
    low = lower - pose["height_m"]
    depth = flat * math.cos(pitch) + (low + height / 2) * math.sin(pitch)
    if depth < 2:
        return None
    edges = [-flat * math.sin(pitch) + (low + h) * math.cos(pitch) for h in (height, 0.0)]
    focal, cx, cy = (float(calibration[key]) for key in ("focal_px", "cx", "cy"))
    x1, x2 = (cx + focal * (right + side * width / 2) / depth for side in (-1, 1))
    y1, y2 = (cy - focal * edge / depth for edge in edges)
    limits = calibration["width"], calibration["height"]
    box = [float(np.clip(v, 0, limits[n % 2])) for n, v in enumerate((x1, y1, x2, y2))]
    return box if min(box[2] - box[0], box[3] - box[1]) >= 7 else None

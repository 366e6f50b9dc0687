"""Measure labels of an inventory on embedded drives: boxes that fill gaps, and boxes that an old list proposes.

    python scripts/bench_labels.py DRIVE [DRIVE ...]

DRIVES are folders that `reg-yolo scenes OUT --drive 1 --truth-only` wrote. No image is looked at: what
`inventory labels` would write is compared with the true boxes of the same frames. A table is printed.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.camera import Camera
from reg_yolo.inventory.classes import LINE
from reg_yolo.inventory.diff.known import Known
from reg_yolo.inventory.labels.choosing import between
from reg_yolo.inventory.labels.projecting import Projector, View
from reg_yolo.inventory.labels.typical_sizes import Size, size_of
from reg_yolo.inventory.positions.gpx import read_gpx
from reg_yolo.inventory.positions.smoothing import Drift
from reg_yolo.inventory.positions.trajectory import build_trajectory
from reg_yolo.inventory.projection import LocalProjection
from reg_yolo.text_tables import markdown_table

FloatArray = NDArray[np.float64]
GAPS = (1, 3, 9, 19)
JITTER_PX = 3.0
LIST_SIGMA_M = 2.0
NEAR_PX = (5.0, 10.0, 20.0)


@dataclass(frozen=True)
class Direction:
    """One direction of a drive: its frames, camera and tracks."""

    folder: Path
    head: dict[str, Any]
    frames: list[dict[str, Any]]
    assets: dict[str, dict[str, Any]]

    @property
    def start_s(self) -> float:
        """POSIX time of the first frame."""
        return datetime.fromisoformat(self.head["start_utc"]).timestamp()

    def camera(self, kind: str) -> Camera:
        """Return the true camera, or the one that is a little off."""
        known = json.loads((self.folder / f"calibration_{kind}.json").read_text(encoding="utf-8"))
        mount = {key: known["mount"][key] for key in ("height_m", "pitch_deg", "yaw_deg", "roll_deg")}
        return Camera(known["width"], known["height"], known["focal_px"], known["cx"], known["cy"], **mount)


def directions_of(roots: list[Path]) -> Iterator[Direction]:
    """Yield every direction of every drive."""
    for root in roots:
        features = json.loads((root / "assets.geojson").read_text(encoding="utf-8"))["features"]
        assets = {str(one["properties"]["asset_id"]): one for one in features}
        for path in sorted(root.glob("*/frames.jsonl")):
            head, *rest = map(json.loads, path.read_text(encoding="utf-8").splitlines())
            yield Direction(path.parent, head, rest, assets)


def gap_row(some: list[Direction], gap: int, jitter_px: float) -> list[str]:
    """Return how far boxes are that fill gaps of so many frames, by projection and straight in the image."""
    rng = np.random.default_rng([gap, round(jitter_px)])
    first, last, share, truth = [], [], [], []
    for one in some:
        boxes: dict[str, dict[int, list[float]]] = defaultdict(dict)
        for frame in one.frames:
            for found in frame["objects"]:
                boxes[str(found["asset_id"])][frame["frame"]] = found["xyxy"]
        for seen in boxes.values():
            for start in sorted(seen):
                if all(start + n in seen for n in range(gap + 2)):
                    for n in range(1, gap + 1):
                        first.append(seen[start])
                        last.append(seen[start + gap + 1])
                        share.append(n / (gap + 1))
                        truth.append(seen[start + n])
    ends = [np.array(boxes, float) + rng.normal(0, jitter_px, (len(boxes), 4)) for boxes in (first, last)]
    shares = np.array(share)
    straight = ends[0] * (1 - shares[:, None]) + ends[1] * shares[:, None]
    cells = [str(gap), f"{jitter_px:g}", str(len(truth))]
    for boxes in (between(ends[0], ends[1], shares), straight):
        cells += figures(boxes, np.array(truth, float))[:3]
    return cells


def figures(boxes: FloatArray, truth: FloatArray) -> list[str]:
    """Return the median IoU, the share of an IoU of 0.5 or more, and the share of middles within some pixels."""
    common = np.clip(np.minimum(boxes[:, 2:], truth[:, 2:]) - np.maximum(boxes[:, :2], truth[:, :2]), 0, None).prod(1)
    areas = [(some[:, 2:] - some[:, :2]).prod(axis=1) for some in (boxes, truth)]
    overlaps = common / (areas[0] + areas[1] - common)
    apart = np.linalg.norm((boxes[:, :2] + boxes[:, 2:] - truth[:, :2] - truth[:, 2:]) / 2, axis=1)
    near = [f"{100 * float(np.mean(apart <= limit)):.0f} %" for limit in NEAR_PX]
    share = f"{100 * float(np.mean(overlaps >= 0.5)):.0f} %"
    return [f"{float(np.median(overlaps)):.2f}", share, *near]


def proposal_row(some: list[Direction], kind: str, sized: bool, sigma_m: float) -> list[str]:
    """Return how far proposed boxes are from the true ones of the same asset, and how many are of none.

    Args:
        some: What is driven.
        kind: `clean` or `noisy` camera and track.
        sized: Whether sizes are the median true ones of the class, or what the name of the class tells.
        sigma_m: Deviation of the places in the list on each axis.
    """
    boxes, truth, alone, missed = [], [], 0, 0
    for number, one in enumerate(some):
        rng = np.random.default_rng([number, round(10 * sigma_m)])
        fixes = read_gpx(one.folder / f"track_{kind}.gpx")
        projection = LocalProjection.around(fixes.longitude_deg, fixes.latitude_deg)
        trajectory = build_trajectory(fixes, projection, Drift())
        camera = one.camera(kind)
        known, ids = listed(one, projection, rng, sigma_m)
        stated = true_sizes(one) if sized else None
        sizes = [size_of(asset.class_name, stated)[0] for asset in known]
        project = Projector(known, sizes, projection, camera, View())
        poses = trajectory.at(np.array([one.start_s + frame["time_s"] for frame in one.frames]))
        for row, frame in enumerate(one.frames):
            found = {ids[item.number]: item.xyxy for item in project(poses, row)}
            true = {str(item["asset_id"]): item["xyxy"] for item in frame["objects"] if str(item["asset_id"]) in ids}
            both = sorted(set(found) & set(true))
            boxes += [found[name] for name in both]
            truth += [true[name] for name in both]
            alone += len(set(found) - set(true))
            missed += len(set(true) - set(found))
    what = [kind, "of the class, true" if sized else "by the name", f"{sigma_m:g} m", str(len(boxes))]
    rates = [f"{100 * alone / (alone + len(boxes)):.0f} %", f"{100 * missed / (missed + len(boxes)):.0f} %"]
    return [*what, *rates, *figures(np.array(boxes, float), np.array(truth, float))]


def listed(
    one: Direction, projection: LocalProjection, rng: np.random.Generator, sigma_m: float
) -> tuple[list[Known], list[str]]:
    """Return the points and spans of a drive as a list has them, and their names."""
    known, ids = [], []
    for name, feature in one.assets.items():
        if feature["properties"]["geometry_kind"] == LINE:
            continue
        shape = np.array(feature["geometry"]["coordinates"], float).reshape(-1, 3)[:, :2]
        place = projection.to_metres(*shape.mean(axis=0)[None].T) + rng.normal(0, sigma_m, (1, 2))
        longitude, latitude = projection.to_degrees(place)[0].tolist()
        known.append(Known(name, feature["properties"]["class"], longitude, latitude))
        ids.append(name)
    return known, ids


def true_sizes(one: Direction) -> dict[str, Size]:
    """Return the median size of each class, measured in true boxes at the true distance."""
    camera, sizes = one.camera("clean"), defaultdict(list)
    for frame in one.frames:
        pose = frame["pose"]
        looking = np.radians(pose["heading_deg"])
        for found in frame["objects"]:
            asset = one.assets[str(found["asset_id"])]["properties"]
            away = np.array(asset["position_utm"][:2]) - (pose["easting_m"], pose["northing_m"])
            forward = float(away @ (np.sin(looking), np.cos(looking)))
            x1, y1, x2, y2 = found["xyxy"]
            inside = x1 > 4 and y1 > 4 and x2 < camera.width - 4 and y2 < camera.height - 4
            if inside and 8 < forward < 40 and asset["geometry_kind"] != LINE:
                down = camera.normalized(np.array([[0.0, y1], [0.0, y2]]))[:, 1] * forward
                lower = max(camera.height_m - float(down[1]), 0.0)
                sizes[asset["class"]].append((float(np.ptp(down)), (x2 - x1) / camera.focal_px * forward, lower))
    return {name: Size(*np.median(np.array(some), axis=0).tolist()) for name, some in sizes.items()}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drives", type=Path, nargs="+")
    some = list(directions_of(parser.parse_args().drives))
    print(f"{len(some)} drives, {sum(len(one.frames) for one in some)} frames\n")
    head = ["frames missing", "jitter, px", "boxes"]
    head += [f"{how}: {what}" for how in ("projected", "straight") for what in ("IoU", "IoU 0.5", "within 5 px")]
    print(markdown_table(head, [gap_row(some, gap, jitter) for jitter in (0.0, JITTER_PX) for gap in GAPS]))
    print()
    head = ["camera, track", "sizes", "list", "boxes", "not to be seen", "not proposed", "IoU", "IoU 0.5"]
    head += [f"within {limit:g} px" for limit in NEAR_PX]
    cases = (("clean", True, 0.0), ("clean", False, 0.0), ("clean", True, LIST_SIGMA_M), ("noisy", True, LIST_SIGMA_M))
    print(markdown_table(head, [proposal_row(some, *case) for case in cases]))


if __name__ == "__main__":
    main()

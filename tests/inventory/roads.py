"""A short road that bends, with poles along it, as any cameras on a vehicle see them: without images."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.files import DetectionsWriter
from reg_yolo.detections.header import DetectionsHeader
from reg_yolo.inventory.projection import LocalProjection

ORIGIN = LocalProjection(100.0, 14.0)
WIDTH, HEIGHT, FOCAL_PX, LENS_M = 640, 384, 532.0, 1.6
SPEED_MPS, FPS, LENGTH_M, BEND = 20.0, 4.0, 400.0, 0.002
START = datetime(2024, 5, 1, 3, tzinfo=UTC)


@dataclass(frozen=True)
class Mounted:
    """A camera on the vehicle.

    Attributes:
        name: Its files are called after it.
        yaw_deg: To the right of the way.
        ahead_m: Where it sits before the antenna.
        clock_s: By how much later than the vehicle's its clock started.
        readout_s: From the first row to the last; negative where the lowest is read first.
    """

    name: str
    yaw_deg: float = 0.0
    ahead_m: float = 0.0
    clock_s: float = 0.0
    readout_s: float = 0.0


def place_at(time_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the vehicle is, shape (N, 2), and where it heads, shape (N,)."""
    heading = BEND * SPEED_MPS * time_s
    return np.stack([1 - np.cos(heading), np.sin(heading)], -1) / BEND, heading


def poles(count: int = 20) -> np.ndarray:
    """Return true places of poles, on both sides by turns, shape (N, 2)."""
    where, heading = place_at(np.linspace(40, LENGTH_M - 40, count) / SPEED_MPS)
    side = np.where(np.arange(count) % 2, 6.0, -5.0)[:, None]
    return where + side * np.stack([np.cos(heading), -np.sin(heading)], 1)


def box_of(place: np.ndarray, time_s: float, camera: Mounted) -> tuple[float, ...] | None:
    """Return the box of what is 1.2 m wide, from 1 to 3 m above the road; None where it is not seen."""
    sides = []
    for side, (across, height) in enumerate([(-0.6, 2.0), (0.0, 3.0), (0.6, 2.0), (0.0, 1.0)]):
        row = HEIGHT / 2
        # The row that a point is read in says when it is seen, and that where.
        for _ in range(4 if camera.readout_s else 1):
            where, heading = place_at(np.array([time_s + row / HEIGHT * camera.readout_s - min(camera.readout_s, 0.0)]))
            east, north = place - where[0] - camera.ahead_m * np.array([np.sin(heading[0]), np.cos(heading[0])])
            view = heading[0] + np.radians(camera.yaw_deg)
            depth = east * np.sin(view) + north * np.cos(view)
            if not 6 < depth < 60:
                return None
            column = WIDTH / 2 + FOCAL_PX * (east * np.cos(view) - north * np.sin(view) + across) / depth
            row = HEIGHT / 2 + FOCAL_PX * (LENS_M - height) / depth
        sides.append((column, row)[side % 2])
    x1, y1, x2, y2 = sides
    return (x1, y1, x2, y2) if x1 > 12 and y1 > 12 and x2 < WIDTH - 12 and y2 < HEIGHT - 12 else None


def write_road(root: Path, cameras: list[Mounted], noise_px: float = 0.3, without: Collection[int] = ()) -> np.ndarray:
    """Write track.gpx, and for each camera NAME.jsonl and NAME.yaml; return the true places, shape (N, 2).

    Poles `without` are there, and no camera sees them.
    """
    truth, rng = poles(), np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    for camera in cameras:
        header = DetectionsHeader(
            source=f"{camera.name}.mp4", classes=("pole",), weights_name="t", weights_sha256="0" * 64,
            engine="pytorch", precision="f32", imgsz=(HEIGHT, WIDTH), device="cpu", thresholds={},
            reg_yolo_version="0", width=WIDTH, height=HEIGHT,
        )  # fmt: skip
        with DetectionsWriter(root / f"{camera.name}.jsonl", header) as writer:
            for frame in range(int(LENGTH_M / SPEED_MPS * FPS)):
                time_s = frame / FPS
                seen = [place for n, place in enumerate(truth) if n not in without]
                boxes = [box for place in seen if (box := box_of(place, time_s + camera.clock_s, camera))]
                noisy = np.array(boxes).reshape(-1, 4) + rng.normal(0, noise_px, (len(boxes), 4))
                found = tuple(Detection("pole", 0, 0.9, tuple(box)) for box in noisy.tolist())
                writer.write(FrameDetections(f"{camera.name}.mp4", frame, time_s, WIDTH, HEIGHT, found))
        known = {"width": WIDTH, "height": HEIGHT, "focal_px": FOCAL_PX, "height_m": LENS_M}
        known |= {"yaw_deg": camera.yaw_deg, "pitch_deg": 0.0, "readout_s": camera.readout_s}
        known |= {"lever_arm_m": [0.0, camera.ahead_m, 0.0]}  # type: ignore[dict-item]
        (root / f"{camera.name}.yaml").write_text("".join(f"{key}: {json.dumps(one)}\n" for key, one in known.items()))
    fixes = np.arange(-1.0, LENGTH_M / SPEED_MPS + 1.5, 0.5)
    degrees = ORIGIN.to_degrees(place_at(fixes)[0]).tolist()
    stamps = [(START + timedelta(seconds=when)).isoformat() for when in fixes.tolist()]
    points = "".join(
        f'<trkpt lat="{latitude:.9f}" lon="{longitude:.9f}"><time>{stamp}</time></trkpt>'
        for (longitude, latitude), stamp in zip(degrees, stamps, strict=True)
    )
    (root / "track.gpx").write_text(
        '<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>'
        f"{points}</trkseg></trk></gpx>"
    )
    return truth

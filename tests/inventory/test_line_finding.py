"""Guardrails along a road that bends, found by their boxes: distance to the side, start and end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.files import DetectionsWriter
from reg_yolo.detections.header import DetectionsHeader
from reg_yolo.inventory.building import build_inventory
from reg_yolo.inventory.opening import BuildOptions
from tests.inventory.roads import (
    FOCAL_PX,
    FPS,
    HEIGHT,
    LENGTH_M,
    LENS_M,
    ORIGIN,
    SPEED_MPS,
    START,
    WIDTH,
    Mounted,
    place_at,
    write_road,
)

Rail = tuple[float, float, float]
"""Start and end along the way, and distance to its right, in metres."""


def rail_points(rail: Rail, step_m: float = 0.25) -> np.ndarray:
    """Return true places along a rail, shape (N, 2)."""
    where, heading = place_at(np.arange(rail[0], rail[1] + step_m, step_m) / SPEED_MPS)
    return np.asarray(where + rail[2] * np.stack([np.cos(heading), -np.sin(heading)], 1))


def rail_box(rail: Rail, time_s: float) -> tuple[float, ...] | None:
    """Return the box of what is 0.8 m high and 0.5 m wide, cut by the frame; None where it is not seen."""
    where, heading = place_at(np.array([time_s]))
    start, end, side = rail
    apart = np.concatenate([rail_points((start, end, side + half)) for half in (-0.25, 0.25)]) - where[0]
    depth = apart @ [np.sin(heading[0]), np.cos(heading[0])]
    across = (apart @ [np.cos(heading[0]), -np.sin(heading[0])])[(depth > 2.5) & (depth < 80)]
    depth = depth[(depth > 2.5) & (depth < 80)]
    columns = WIDTH / 2 + FOCAL_PX * across / np.maximum(depth, 1e-3)
    inside = (columns > 0) & (columns < WIDTH)
    if not inside.any():
        return None
    # Where it leaves the frame the box ends at the border.
    rows = HEIGHT / 2 + FOCAL_PX * (LENS_M - np.array([[0.8], [0.0]])) / depth[inside]
    cut = (columns <= 0).any(), (columns >= WIDTH).any()
    left, right = 0.0 if cut[0] else columns.min(), float(WIDTH) if cut[1] else columns.max()
    box = (left, max(rows.min(), 0.0), right, min(rows.max(), float(HEIGHT)))
    return box if box[2] - box[0] > 8 and box[3] - box[1] > 3 else None


def built(root: Path, rails: list[Rail], hidden: range = range(0), stated_m: float = LENS_M) -> list[np.ndarray]:
    """Return the lines that are built of some rails, points in metres.

    A part of each rail is hidden in some frames; the lens is stated to be so high above the ground.
    """
    write_road(root, [Mounted("a")])
    camera = root / "a.yaml"
    camera.write_text(camera.read_text().replace(f"height_m: {LENS_M}", f"height_m: {stated_m}"))
    rng = np.random.default_rng(1)
    header = DetectionsHeader(
        source="a.mp4", classes=("guardrail",), weights_name="t", weights_sha256="0" * 64, engine="pytorch",
        precision="f32", imgsz=(HEIGHT, WIDTH), device="cpu", thresholds={}, reg_yolo_version="0", width=WIDTH,
        height=HEIGHT,
    )  # fmt: skip
    with DetectionsWriter(root / "rails.jsonl", header) as writer:
        for frame in range(int(LENGTH_M / SPEED_MPS * FPS)):
            boxes = [box for rail in rails if (box := rail_box(rail, frame / FPS))]
            if frame in hidden:
                boxes = [(x1, y1, x1 + 0.4 * (x2 - x1), y1 + 0.6 * (y2 - y1)) for x1, y1, x2, y2 in boxes]
            noisy = np.array(boxes).reshape(-1, 4) + rng.normal(0, 0.3, (len(boxes), 4))
            noisy = np.clip(noisy, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
            found = tuple(Detection("guardrail", 0, 0.9, tuple(box)) for box in noisy.tolist())
            writer.write(FrameDetections("a.mp4", frame, frame / FPS, WIDTH, HEIGHT, found))
    files = (root / "rails.jsonl",), (root / "track.gpx",), (root / "a.yaml",), (START.isoformat(),)
    inventory = build_inventory(BuildOptions(*files))
    lines = [asset.points_m for asset in inventory.assets if asset.kind == "line"]
    return [ORIGIN.to_metres(*inventory.projection.to_degrees(points).T) for points in lines]


def apart_m(line: np.ndarray, rail: Rail) -> tuple[float, float]:
    """Return how far both ends of a line are from a rail's, and the farthest of its points from the rail."""
    truth = rail_points(rail)
    ends = float(np.linalg.norm(line[[0, -1]] - truth[[0, -1]], axis=1).max())
    return ends, float(np.linalg.norm(line[:, None] - truth, axis=2).min(axis=1).max())


@pytest.mark.parametrize(
    "rail",
    [(120.0, 150.0, 7.0), (200.0, 245.0, -4.0), (250.0, 270.0, 15.0), (160.0, 180.0, -12.0)],
    ids=["right", "left", "far to the right", "far to the left"],
)
def test_a_rail_follows_the_bend_of_the_road(tmp_path: Path, rail: Rail) -> None:
    (line,) = built(tmp_path, [rail])
    ends, farthest = apart_m(line, rail)
    assert ends < 1.5
    assert farthest < 1.5


def test_rails_in_line_and_on_both_sides_are_each_their_own(tmp_path: Path) -> None:
    rails = [(100.0, 130.0, 7.0), (160.0, 190.0, 7.0), (120.0, 150.0, -4.0), (250.0, 265.0, 7.0)]
    lines = built(tmp_path, rails)
    assert len(lines) == len(rails)
    for rail in rails:
        assert min(apart_m(line, rail)[0] for line in lines) < 2.0


def test_what_hides_a_part_for_a_while_does_not_move_its_ends(tmp_path: Path) -> None:
    rail = (200.0, 230.0, 7.0)
    lines = built(tmp_path, [rail], hidden=range(30, 34))
    assert len(lines) == 1
    assert apart_m(lines[0], rail)[0] < 2.0


def test_bearings_mend_a_distance_that_the_ground_tells_wrongly(tmp_path: Path) -> None:
    """The ground next to the road lies as much higher as if the lens were 0.24 m lower: 6 m to the side for 7."""
    rail = (120.0, 150.0, 7.0)
    (line,) = built(tmp_path, [rail], stated_m=0.85 * LENS_M)
    ends, farthest = apart_m(line, rail)
    assert ends < 1.5
    assert farthest < 0.6


def test_a_rail_longer_than_one_sees_ends_where_it_ends(tmp_path: Path) -> None:
    rail = (60.0, 300.0, -4.0)
    (line,) = built(tmp_path, [rail])
    ends, farthest = apart_m(line, rail)
    assert ends < 2.0
    assert farthest < 1.0

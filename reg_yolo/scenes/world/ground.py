"""The ground as faces: strips of every band along the road, and the paint on the asphalt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.world.cross_section import MARKING, CrossSection
from reg_yolo.scenes.world.mesh import Colour, tint
from reg_yolo.scenes.world.road import Road

FloatArray = NDArray[np.float64]

WHITE: Colour = (225.0, 228.0, 230.0)
YELLOW: Colour = (60.0, 175.0, 225.0)
_PAINT_LIFT_M = 0.012


@dataclass(frozen=True)
class GroundFaces:
    """Quadrilaterals of ground in world metres.

    Args:
        corners: `[M, 4, 3]`, counter-clockwise seen from above.
        colours: `[M, 3]` BGR.
        material: `[M]` values of the material channel.
        order: `[M]` along-road distance from the viewer that decides when a face is painted, far first.
        layer: `[M]` 0 for ground, 1 for the paint on it.
    """

    corners: FloatArray
    colours: FloatArray
    material: NDArray[np.int64]
    order: FloatArray
    layer: NDArray[np.int64]


def strip_stations(reach_m: float) -> FloatArray:
    """Distances from the viewer at which strips begin and end: short near the camera, long far away."""
    steps = np.concatenate(
        [
            np.arange(-6, 15, 1.5),
            np.arange(15, 30, 3),
            np.arange(30, 90, 6),
            np.arange(90, 200, 12),
            np.arange(200, 2000, 25),
        ]
    )
    return np.asarray(steps[steps <= reach_m], float)


def ground_faces(
    road: Road, section: CrossSection, s0: float, direction: int, reach_m: float, seed: int
) -> GroundFaces:
    """All ground faces for a viewer at chainage s0 who looks along `direction` (1 or -1).

    How worn the paint is and where overtaking is forbidden follow from `seed`, so they stay from frame to frame.
    """
    distance = strip_stations(reach_m)
    stations = np.clip(s0 + direction * distance, road.chainage[0], road.chainage[-1])
    bands = section.bands()
    near_s, far_s = stations[:-1, None], stations[1:, None]
    t0, t1 = (np.array([getattr(b, k) for b in bands])[None, :] for k in ("t0", "t1"))
    h0, h1 = (np.array([getattr(b, k) for b in bands])[None, :] for k in ("h0", "h1"))
    if direction < 0:
        near_s, far_s = far_s, near_s
    corners = np.stack(
        [
            road.to_world(near_s, t0, h0),
            road.to_world(near_s, t1, h1),
            road.to_world(far_s, t1, h1),
            road.to_world(far_s, t0, h0),
        ],
        axis=2,
    ).reshape(-1, 4, 3)
    colours = np.tile(np.array([b.colour for b in bands]), (len(distance) - 1, 1))
    material = np.tile(np.array([b.material for b in bands]), len(distance) - 1)
    order = np.repeat(distance[1:], len(bands))
    paint = _paint(road, section, s0, direction, distance[distance <= 270], seed)
    return GroundFaces(
        np.concatenate([corners, paint.corners]),
        np.concatenate([colours, paint.colours]),
        np.concatenate([material, paint.material]),
        np.concatenate([order, paint.order]),
        np.concatenate([np.zeros(len(order), np.int64), paint.layer]),
    )


def _paint(
    road: Road, section: CrossSection, s0: float, direction: int, distance: FloatArray, seed: int
) -> GroundFaces:
    """Edge lines, lane dashes and centre lines as thin quadrilaterals fixed to the road's chainage.

    They are cut where the strips of ground end and painted right after their strip, so that what stands on a line
    hides it.
    """
    low, high = sorted((s0 + direction * float(distance[0]), s0 + direction * float(distance[-1])))
    low, high = max(low, float(road.chainage[0])), min(high, float(road.chainage[-1]))
    lines = np.array(_lines(section, low, high, seed))
    s_a, s_b = (lines[:, 0] - s0) * direction, (lines[:, 1] - s0) * direction
    near_end, far_end = np.minimum(s_a, s_b)[:, None], np.maximum(s_a, s_b)[:, None]
    near, far = np.maximum(near_end, distance[None, :-1]), np.minimum(far_end, distance[None, 1:])
    line, strip = np.nonzero(far - near > 1e-6)
    a, b = s0 + direction * near[line, strip], s0 + direction * far[line, strip]
    if direction < 0:
        a, b = b, a
    offset, width = lines[line, 2], lines[line, 3]
    half_median = section.median / 2
    across = np.clip((np.abs(offset) - half_median) / (section.carriageway_edge - half_median), 0, 1)
    h = -0.06 * across + _PAINT_LIFT_M
    left, right = offset - width / 2, offset + width / 2
    corners = np.stack(
        [road.to_world(a, left, h), road.to_world(a, right, h), road.to_world(b, right, h), road.to_world(b, left, h)],
        axis=1,
    )
    count = len(line)
    return GroundFaces(
        corners, lines[line, 4:7], np.full(count, MARKING), distance[1:][strip], np.ones(count, np.int64)
    )


def _lines(section: CrossSection, low: float, high: float, seed: int) -> list[tuple[float, ...]]:
    """Begin and end in chainage, offset, width in metres, and BGR of every line and dash between two chainages."""
    worn = float(np.random.default_rng(seed).uniform(0.72, 1.0))
    white, yellow = tint(WHITE, worn), tint(YELLOW, worn)
    rows: list[tuple[float, ...]] = []
    edge = section.carriageway_edge - 0.15
    rows += [(low, high, t, 0.15, *white) for t in (-edge, edge)]
    if section.median > 0:
        rows += [(low, high, t, 0.15, *yellow) for t in (-section.median / 2 - 0.15, section.median / 2 + 0.15)]
    else:
        # Every third stretch of 120 m forbids overtaking.
        for stretch in range(int(np.floor(low / 120)), int(np.ceil(high / 120))):
            if (stretch + seed) % 3 == 0:
                rows += [(stretch * 120.0, stretch * 120.0 + 120.0, t, 0.12, *yellow) for t in (-0.12, 0.12)]
    for s in np.arange(np.floor(low / 12) * 12, high, 12.0).tolist():
        for lane in range(1, section.lanes):
            t = section.median / 2 + lane * section.lane_width
            rows += [(s, s + 3.5, t, 0.15, *white), (s, s + 3.5, -t, 0.15, *white)]
        if section.median == 0 and (int(np.floor(s / 120)) + seed) % 3:
            rows.append((s, s + 3.5, 0.0, 0.13, *yellow))
    return rows

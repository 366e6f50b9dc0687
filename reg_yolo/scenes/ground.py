"""The ground as faces: strips of every band along the road, and the paint on the asphalt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.cross_section import MARKING, CrossSection
from reg_yolo.scenes.mesh import Colour
from reg_yolo.scenes.road import Road

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
    """

    corners: FloatArray
    colours: FloatArray
    material: NDArray[np.int64]
    order: FloatArray


def strip_stations(reach_m: float) -> FloatArray:
    """Distances from the viewer at which strips begin and end: short near the camera, long far away."""
    steps = np.concatenate(
        [np.arange(-6, 30, 3), np.arange(30, 90, 6), np.arange(90, 200, 12), np.arange(200, 2000, 25)]
    )
    return np.asarray(steps[steps <= reach_m], float)


def ground_faces(
    road: Road, section: CrossSection, s0: float, direction: int, reach_m: float, seed: int
) -> GroundFaces:
    """All ground faces for a viewer at chainage s0 who looks along `direction` (1 or -1).

    Patches of slightly different tone are fixed to the road by `seed`, so they stay in place from frame to frame.
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
    paint = _paint(road, section, s0, direction, min(reach_m, 260.0), seed)
    return GroundFaces(
        np.concatenate([corners, paint.corners]),
        np.concatenate([colours, paint.colours]),
        np.concatenate([material, paint.material]),
        np.concatenate([order, paint.order]),
    )


def _paint(road: Road, section: CrossSection, s0: float, direction: int, reach_m: float, seed: int) -> GroundFaces:
    """Edge lines, lane dashes and centre lines as thin quadrilaterals fixed to the road's chainage."""
    rows: list[tuple[float, float, float, float, Colour]] = []
    low, high = sorted((s0 - 6 * direction, s0 + reach_m * direction))
    low, high = max(low, float(road.chainage[0])), min(high, float(road.chainage[-1]))
    worn = np.random.default_rng(seed).uniform(0.72, 1.0)
    white: Colour = (WHITE[0] * worn, WHITE[1] * worn, WHITE[2] * worn)
    yellow: Colour = (YELLOW[0] * worn, YELLOW[1] * worn, YELLOW[2] * worn)
    edges = [section.carriageway_edge - 0.15]
    if section.median > 0:
        edges.append(section.median / 2 + 0.15)
    first = np.floor(low / 6) * 6
    for s in np.arange(first, high, 6.0).tolist():
        for t in edges:
            colour = yellow if section.median > 0 and t == edges[-1] else white
            rows += [(s, s + 6, t, 0.15, colour), (s, s + 6, -t, 0.15, colour)]
        if section.median == 0:
            solid = int(np.floor(s / 120) + seed) % 3 == 0
            if solid:
                rows += [(s, s + 6, 0.12, 0.12, yellow), (s, s + 6, -0.12, 0.12, yellow)]
    for s in np.arange(np.floor(low / 12) * 12, high, 12.0).tolist():
        for lane in range(1, section.lanes):
            t = section.median / 2 + lane * section.lane_width
            rows += [(s, s + 3.5, t, 0.15, white), (s, s + 3.5, -t, 0.15, white)]
        if section.median == 0 and int(np.floor(s / 120) + seed) % 3:
            rows.append((s, s + 3.5, 0.0, 0.13, yellow))
    s_a, s_b, offset, width = (np.array([r[k] for r in rows], float) for k in range(4))
    crossfall = -0.06 * np.clip(
        (np.abs(offset) - section.median / 2) / (section.carriageway_edge - section.median / 2), 0, 1
    )
    h = crossfall + _PAINT_LIFT_M
    left, right = offset - width / 2, offset + width / 2
    corners = np.stack(
        [
            road.to_world(s_a, left, h),
            road.to_world(s_a, right, h),
            road.to_world(s_b, right, h),
            road.to_world(s_b, left, h),
        ],
        axis=1,
    )
    near = np.minimum((s_a - s0) * direction, (s_b - s0) * direction)
    return GroundFaces(corners, np.array([r[4] for r in rows]), np.full(len(rows), MARKING), near)

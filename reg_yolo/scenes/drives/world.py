"""A whole road for drives: assets with identities, scenery, and traffic that moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.drives.staging import Stage
from reg_yolo.scenes.places import placing
from reg_yolo.scenes.places.scattering import overlaps, scatter_scenery
from reg_yolo.scenes.places.setting import Setting
from reg_yolo.scenes.scenery import vehicles
from reg_yolo.scenes.stills.class_mix import class_totals
from reg_yolo.scenes.world import catalogue
from reg_yolo.scenes.world.objects import PlacedObject, place

ASSETS_PER_KM = 36.5
"""A hundred kilometres hold the paper's 3,650 objects."""
_CHUNK_M = 400.0
_MARGIN_M = 450.0


@dataclass(frozen=True)
class LaneTraffic:
    """Vehicles that keep their distances in one lane.

    Args:
        direction: 1 or -1 along the chainage.
        offset_m: of the lane's middle from the axis.
        speed_mps: of all vehicles in it.
        starts: chainages at time 0.
        seeds: what each vehicle looks like.
    """

    direction: int
    offset_m: float
    speed_mps: float
    starts: NDArray[np.float64]
    seeds: NDArray[np.int64]


@dataclass(frozen=True)
class DriveWorld:
    """Everything along a road.

    Args:
        setting: road, cross-section and styles.
        standing: scenery and assets with what carries them.
        assets: the assets among them, in the order of their chainage.
    """

    setting: Setting
    standing: list[PlacedObject]
    assets: list[PlacedObject]


def build_world(setting: Setting, rng: np.random.Generator, length_m: float, stage: Stage | None = None) -> DriveWorld:
    """Put assets in the paper's proportions, and scenery, along the first `length_m` metres of the road.

    The setting's road must be longer by what can be seen from its end. What stands in the way of a stage is left out;
    all else, identities included, is as without it. Its own assets are numbered on.
    """
    groups = _place_assets(setting, rng, length_m)
    groups.sort(key=lambda group: group[0].s)
    own = sorted(stage.groups, key=lambda group: group[0].s) if stage else []
    serial = [0] * len(catalogue.CLASS_NAMES)
    for group in groups + own:
        class_id = group[0].class_id
        serial[class_id] += 1
        group[0].asset_id = f"{catalogue.CLASS_NAMES[class_id]}-{serial[class_id]:04d}"
    if stage:
        groups = [group for group in groups if all(stage.is_free(placed) for placed in group)] + own
        groups.sort(key=lambda group: group[0].s)
    fixed = [placed for group in groups for placed in group]
    scenery: list[PlacedObject] = []
    for start in np.arange(-_MARGIN_M, length_m + _MARGIN_M, _CHUNK_M).tolist():
        chunk = scatter_scenery(setting, rng, start, start + _CHUNK_M)
        near = [p for p in fixed if p.footprint[1] > start - 60 and p.footprint[0] < start + _CHUNK_M + 60]
        scenery += [o for o in chunk if not any(overlaps(o, a, 0.5, 0.3) for a in near)]
    if stage:
        scenery = [o for o in scenery if stage.is_free(o)] + stage.fixtures
    return DriveWorld(setting, scenery + fixed, [group[0] for group in groups])


def _place_assets(setting: Setting, rng: np.random.Generator, length_m: float) -> list[list[PlacedObject]]:
    totals = class_totals(round(ASSETS_PER_KM * length_m / 1000), catalogue.DEFAULT_MIX)
    groups: list[list[PlacedObject]] = []

    def free(group: list[PlacedObject]) -> bool:
        for other in groups:
            if abs(other[0].s - group[0].s) > 150:
                continue
            bridges = catalogue.PEDESTRIAN_BRIDGE in (group[0].class_id, other[0].class_id)
            if any(overlaps(a, b, 2.0, 0.05) for a in group for b in other) and not bridges:
                return False
            if group[0].class_id == other[0].class_id == catalogue.PEDESTRIAN_BRIDGE:
                return False
            signs = {catalogue.INFORMATION_SIGN, catalogue.WARNING_SIGN}
            if {group[0].class_id, other[0].class_id} <= signs and abs(group[0].s - other[0].s) < 12:
                return False
        return True

    def put(class_id: int, s: float, direction: int) -> bool:
        group = placing.place_asset(setting, rng, class_id, s, direction, "")
        # Runs that would begin before the road or end beyond it are left to another try.
        if group[0].footprint[0] < 2 or group[0].footprint[1] > length_m + 60 or not free(group):
            return False
        groups.append(group)
        return True

    for class_id in (1, 6, 0, 4, 2, 5):
        for _ in range(int(totals[class_id])):
            for _ in range(60):
                if put(class_id, float(rng.uniform(10, length_m)), int(rng.choice([-1, 1]))):
                    break
    missing = int(totals[catalogue.SINGLE_ARM_POLE])
    for _ in range(400):
        if missing <= 0:
            break
        s, spacing, direction = float(rng.uniform(10, length_m)), float(rng.uniform(24, 36)), int(rng.choice([-1, 1]))
        for _ in range(min(missing, int(rng.integers(4, 13)))):
            if s < length_m and put(catalogue.SINGLE_ARM_POLE, s, direction):
                missing -= 1
            s += spacing
    return groups


def lane_traffic(
    setting: Setting,
    rng: np.random.Generator,
    start_s: float,
    length_m: float,
    direction: int,
    own_lane: int,
    speed_mps: float,
) -> list[LaneTraffic]:
    """Traffic around a car that starts at `start_s` and drives `length_m` along `direction` in `own_lane`."""
    section = setting.section
    lanes: list[LaneTraffic] = []
    for way in (direction, -direction):
        for lane in range(section.lanes):
            own = way == direction and lane == own_lane
            speed = speed_mps if own else float(rng.uniform(0.75, 1.3)) * speed_mps
            gap = float(rng.choice([60.0, 120.0, 220.0]))
            # Fast oncoming lanes pass more road than the drive has; slower ones are caught up with.
            reach = length_m * (2.5 if way != direction else 1.4) + 500
            distances = np.cumsum(18 + rng.exponential(gap, int(reach / 60)))
            distances = distances[distances < reach] + (38.0 if own else -150.0)
            lanes.append(
                LaneTraffic(
                    way,
                    setting.outer(way) * section.lane_centre(lane),
                    speed,
                    start_s + direction * distances,
                    rng.integers(0, 1 << 31, len(distances)),
                )
            )
    return lanes


def vehicles_at(
    setting: Setting, lanes: list[LaneTraffic], time_s: float, s: float, reach_m: float
) -> list[PlacedObject]:
    """Vehicles within reach of chainage s at a time."""
    found: list[PlacedObject] = []
    for lane in lanes:
        position = lane.starts + lane.direction * lane.speed_mps * time_s
        on_road = (position > setting.road.chainage[0] + 10) & (position < setting.road.chainage[-1] - 10)
        for k in np.flatnonzero(on_road & (np.abs(position - s) < reach_m)):
            model = vehicles.vehicle(int(lane.seeds[k] % vehicles.VARIANTS))
            turn = 0.0 if lane.direction > 0 else 180.0
            wobble = 0.25 * float(np.sin(lane.seeds[k] % 97))
            found.append(
                place(
                    model,
                    setting.road,
                    setting.section,
                    float(position[k]),
                    lane.offset_m + wobble,
                    turn_deg=turn,
                    lift_m=0.01,
                )
            )
    return found

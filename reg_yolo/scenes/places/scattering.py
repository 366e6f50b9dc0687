"""Trees, buildings, traffic and street furniture along a stretch of road."""

from __future__ import annotations

import numpy as np

from reg_yolo.scenes.assets import barrier, pole
from reg_yolo.scenes.places.setting import Setting
from reg_yolo.scenes.scenery import buildings, plants, vehicles
from reg_yolo.scenes.world.mesh import Model
from reg_yolo.scenes.world.objects import PlacedObject, from_road_coordinates, place

_TREES_PER_100M = {"field": 7.0, "forest": 26.0, "town": 6.0}
_HOUSES_PER_100M = {"field": 0.5, "forest": 0.25, "town": 4.5}


def scatter_scenery(setting: Setting, rng: np.random.Generator, s_start: float, s_end: float) -> list[PlacedObject]:
    """Everything without a class that stands still between two chainages."""
    objects: list[PlacedObject] = []
    section, road = setting.section, setting.road
    hundreds = (s_end - s_start) / 100
    land = section.land
    mix = {"field": [0.45, 0.2, 0.1, 0.25], "forest": [0.5, 0.05, 0.3, 0.15], "town": [0.45, 0.25, 0.05, 0.25]}[land]
    density = float(rng.uniform(0.5, 1.4))
    for side in (-1.0, 1.0):
        for _ in range(rng.poisson(_HOUSES_PER_100M[land] * hundreds * density)):
            s, t = rng.uniform(s_start, s_end), side * (section.edge + rng.uniform(14, 40))
            turn = (90.0 if side < 0 else -90.0) + (180.0 if rng.random() < 0.1 else 0.0)
            objects.append(place(buildings.build_building(rng, land), road, section, s, t, turn_deg=turn))
        for _ in range(rng.poisson(_TREES_PER_100M[land] * hundreds * density)):
            kind = str(rng.choice(plants.TREE_KINDS, p=mix))
            gap = 5.0 if kind == "bush" else 8.0
            t = side * (section.edge + gap + rng.exponential(14.0 if land == "forest" else 24.0))
            if abs(t) < section.edge + 70:
                objects.append(
                    place(
                        plants.plant(kind, int(rng.integers(plants.VARIANTS))),
                        road,
                        section,
                        rng.uniform(s_start, s_end),
                        t,
                    )
                )
    objects += _furniture(setting, rng, s_start, s_end)
    return _without_overlaps(objects)


def _furniture(setting: Setting, rng: np.random.Generator, s_start: float, s_end: float) -> list[PlacedObject]:
    """What might be mistaken for an asset: electricity and double-arm poles, billboards, round signs, steel rails."""
    objects: list[PlacedObject] = []
    section, road = setting.section, setting.road

    def put(model: Model, s: float, t: float, turn_deg: float = 0.0) -> None:
        objects.append(place(model, road, section, s, t, turn_deg=turn_deg))

    def row(model: Model, first: float, spacing: float, t: float) -> None:
        for s in np.arange(first, s_end, spacing).tolist():
            put(model, s, t)

    if rng.random() < 0.45:
        t, spacing = float(rng.choice([-1, 1])) * (section.edge + rng.uniform(4.5, 9)), rng.uniform(35, 50)
        row(pole.build_electricity_pole(rng), s_start + rng.uniform(0, spacing), spacing, t)
    if section.median > 1.5 and rng.random() < 0.2:
        row(pole.build_double_arm(setting.pole_style, lit=True), s_start + rng.uniform(0, 35), 36.0, 0.0)
    hundreds = (s_end - s_start) / 100
    for direction in (-1, 1):
        outer = setting.outer(direction)
        turn = 0.0 if direction > 0 else 180.0
        for _ in range(rng.poisson(0.35 * hundreds)):
            t = outer * (section.edge + rng.uniform(6, 14))
            put(
                buildings.billboard(int(rng.integers(buildings.BILLBOARDS))),
                rng.uniform(s_start, s_end),
                t,
                turn + rng.uniform(-20, 20),
            )
        for _ in range(rng.poisson(0.45 * hundreds)):
            t = outer * (section.edge + rng.uniform(0.6, 1.6))
            put(buildings.build_regulatory_sign(rng), rng.uniform(s_start, s_end), t, turn)
        if rng.random() < 0.15:
            start = rng.uniform(s_start, s_end - 60)
            t = outer * (section.edge + 0.3)
            model = barrier.build_steel_rail(start, start + rng.uniform(30, 90), t, section.height_at(t), -outer)
            objects.append(from_road_coordinates(model, road))
        if rng.random() < 0.3:
            row(buildings.build_delineator(), s_start, 24.0, outer * (section.edge + 0.35))
        for s in np.arange(np.ceil(s_start / 1000) * 1000, s_end, 1000.0).tolist():
            stone = buildings.build_kilometre_stone(setting.first_kilometre + int(s // 1000))
            put(stone, s, outer * (section.edge + 1.2), turn)
    return objects


def scatter_traffic(
    setting: Setting, rng: np.random.Generator, s: float, direction: int, reach_m: float, own_lane: int
) -> list[PlacedObject]:
    """Vehicles before a viewer at chainage s who drives along `direction` in `own_lane`."""
    objects: list[PlacedObject] = []
    section = setting.section
    for way in (direction, -direction):
        outer = setting.outer(way)
        for lane in range(section.lanes):
            gap = float(rng.choice([25.0, 60.0, 140.0]))
            distance = rng.exponential(gap) + (12.0 if way == direction and lane == own_lane else 6.0)
            while distance < reach_m:
                model = vehicles.vehicle(int(rng.integers(vehicles.VARIANTS)))
                t = outer * section.lane_centre(lane) + rng.uniform(-0.25, 0.25)
                turn = 0.0 if way > 0 else 180.0
                objects.append(
                    place(model, setting.road, section, s + direction * distance, t, turn_deg=turn, lift_m=0.01)
                )
                distance += 14.0 + rng.exponential(gap)
    return objects


def _without_overlaps(objects: list[PlacedObject]) -> list[PlacedObject]:
    kept: list[PlacedObject] = []
    for candidate in objects:
        if not any(overlaps(candidate, other, 0.0) for other in kept[-60:]):
            kept.append(candidate)
    return kept


def overlaps(a: PlacedObject, b: PlacedObject, margin_m: float, margin_across_m: float = 0.0) -> bool:
    """Whether the footprints of two objects touch, with margins in metres along and across the road."""
    return bool(
        a.footprint[0] < b.footprint[1] + margin_m
        and b.footprint[0] < a.footprint[1] + margin_m
        and a.footprint[2] < b.footprint[3] + margin_across_m
        and b.footprint[2] < a.footprint[3] + margin_across_m
    )

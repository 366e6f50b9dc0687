"""Plausible places for the seven asset classes beside, on and over the road."""

from __future__ import annotations

import math

import numpy as np

from reg_yolo.scenes.assets import barrier, bridge, bus_stop, information_sign, pavilion, pole, warning_sign
from reg_yolo.scenes.places.setting import Setting
from reg_yolo.scenes.world import catalogue
from reg_yolo.scenes.world.objects import PlacedObject, from_road_coordinates, place


def place_asset(
    setting: Setting, rng: np.random.Generator, class_id: int, s: float, direction: int, asset_id: str
) -> list[PlacedObject]:
    """Put one asset of the class at chainage s on the side of the traffic that runs along `direction`.

    Returns the asset first, then what carries it (posts, gantry) and has no class.
    """
    makers = (_pavilion, _bridge, _information_sign, single_arm_pole, _bus_stop, _warning_sign, _guardrail)
    return makers[class_id](setting, rng, s, direction, asset_id)


def _towards_road(outer: int) -> float:
    return 90.0 if outer < 0 else -90.0


def _against_traffic(direction: int) -> float:
    return 0.0 if direction > 0 else 180.0


def _pavilion(
    setting: Setting, rng: np.random.Generator, s: float, direction: int, asset_id: str
) -> list[PlacedObject]:
    model, measures = pavilion.build_pavilion(rng)
    outer = setting.outer(direction)
    t = outer * (setting.section.edge + measures["depth_m"] / 2 + float(rng.uniform(2.0, 6.5)))
    turn = _towards_road(outer) + float(rng.uniform(-12, 12))
    placed = place(
        model,
        setting.road,
        setting.section,
        s,
        t,
        turn_deg=turn,
        lift_m=0.12,
        class_id=catalogue.PAVILION,
        asset_id=asset_id,
    )
    placed.attributes = dict(measures)
    return [placed]


def _bus_stop(
    setting: Setting, rng: np.random.Generator, s: float, direction: int, asset_id: str
) -> list[PlacedObject]:
    model, measures = bus_stop.build_bus_stop(rng)
    outer = setting.outer(direction)
    t = outer * (setting.section.edge + measures["depth_m"] / 2 + float(rng.uniform(0.9, 2.2)))
    turn = _towards_road(outer) + float(rng.uniform(-5, 5))
    placed = place(
        model,
        setting.road,
        setting.section,
        s,
        t,
        turn_deg=turn,
        lift_m=0.1,
        class_id=catalogue.BUS_STOP,
        asset_id=asset_id,
    )
    placed.attributes = dict(measures)
    return [placed]


def _bridge(setting: Setting, rng: np.random.Generator, s: float, direction: int, asset_id: str) -> list[PlacedObject]:  # noqa: ARG001
    reach = setting.section.edge + float(rng.uniform(1.0, 2.2))
    model, measures = bridge.build_bridge(rng, -reach, reach, median_pier=setting.section.median > 1.8)
    placed = place(
        model,
        setting.road,
        setting.section,
        s,
        0.0,
        class_id=catalogue.PEDESTRIAN_BRIDGE,
        asset_id=asset_id,
        on_ground=False,
    )
    placed.attributes = dict(measures)
    placed.geometry = setting.road.to_world(s, np.array([measures["left_m"], measures["right_m"]]), measures["deck_m"])
    return [placed]


def _warning_sign(
    setting: Setting, rng: np.random.Generator, s: float, direction: int, asset_id: str
) -> list[PlacedObject]:
    side = float(rng.choice([0.75, 0.9, 0.9, 1.2]))
    t = _sign_offset(setting, rng, direction, float(rng.uniform(0.7, 2.0)), 0.6)
    height = float(rng.uniform(1.7, 2.3)) + side / math.sqrt(2)
    turn = _against_traffic(direction) + float(rng.uniform(-8, 8))
    diamond = place(
        warning_sign.diamond(side, int(rng.integers(warning_sign.VARIANTS))),
        setting.road,
        setting.section,
        s,
        t,
        turn_deg=turn,
        lift_m=height,
        class_id=catalogue.WARNING_SIGN,
        asset_id=asset_id,
        front_only=True,
        casts_shadow=False,
    )
    diamond.attributes = {"side_m": side, "height_m": height, "kind": "roadside"}
    post = place(warning_sign.build_post(height + side * 0.4), setting.road, setting.section, s, t, turn_deg=turn)
    diamond.part_low -= 0.02
    diamond.part_high += 0.02
    return [diamond, post]


def _sign_offset(
    setting: Setting, rng: np.random.Generator, direction: int, from_edge: float, half_width: float
) -> float:
    """Beside the outer shoulder, or, for one sign in four, on the other side of the same carriageway.

    The other side is a median wide enough for the sign, or on a single carriageway the opposite roadside.
    """
    outer, median = setting.outer(direction), setting.section.median
    if rng.random() < 0.25:
        if median == 0:
            return -outer * (setting.section.edge + from_edge)
        if median / 2 > half_width + 0.4:
            return outer * float(rng.uniform(0.0, median / 2 - half_width - 0.3))
    return outer * (setting.section.edge + from_edge)


def _information_sign(
    setting: Setting, rng: np.random.Generator, s: float, direction: int, asset_id: str
) -> list[PlacedObject]:
    if rng.random() < 0.3:
        return _overhead_sign(setting, rng, s, direction, asset_id)
    model, width, height = information_sign.board(False, int(rng.integers(information_sign.VARIANTS)))
    t = _sign_offset(setting, rng, direction, width / 2 + float(rng.uniform(0.6, 2.4)), width / 2)
    lower = float(rng.uniform(1.5, 2.3))
    turn = _against_traffic(direction) + float(rng.uniform(-9, 9))
    board = place(
        model, setting.road, setting.section, s, t,
        turn_deg=turn, lift_m=lower, class_id=catalogue.INFORMATION_SIGN, asset_id=asset_id, front_only=True,
    )  # fmt: skip
    board.attributes = {"width_m": width, "height_m": height, "lower_edge_m": lower, "kind": "roadside"}
    posts = place(
        information_sign.build_posts(width, lower, height), setting.road, setting.section, s, t, turn_deg=turn
    )
    _ahead_of_its_posts(board, direction)
    return [board, posts]


def _overhead_sign(
    setting: Setting, rng: np.random.Generator, s: float, direction: int, asset_id: str
) -> list[PlacedObject]:
    section = setting.section
    model, width, height = information_sign.board(True, int(rng.integers(information_sign.VARIANTS)))
    outer = setting.outer(direction)
    clearance = float(rng.uniform(5.1, 5.8))
    t = outer * float(rng.uniform(section.lane_centre(0), section.lane_centre(section.lanes - 1) + 0.5))
    turn = _against_traffic(direction)
    board = place(
        model,
        setting.road,
        section,
        s,
        t,
        turn_deg=turn,
        lift_m=clearance,
        class_id=catalogue.INFORMATION_SIGN,
        asset_id=asset_id,
        front_only=True,
        on_ground=False,
    )
    board.attributes = {"width_m": width, "height_m": height, "lower_edge_m": clearance, "kind": "overhead"}
    reach = section.edge + 1.0
    cantilever = bool(rng.random() < 0.5)
    left, right = -reach, reach
    if cantilever:
        inner = t - outer * width / 2
        left, right = min(inner, outer * reach), max(inner, outer * reach)
    gantry = place(
        information_sign.build_gantry(left, right, clearance + height / 2 - 0.5, cantilever),
        setting.road,
        section,
        s,
        0.0,
        on_ground=False,
        turn_deg=0.0,
    )
    board.geometry = setting.road.to_world(s, np.array([left, right]), clearance + height / 2)
    _ahead_of_its_posts(board, direction)
    if direction < 0:
        gantry.model.vertices -= (setting.road.to_world(s + 0.7, 0.0) - setting.road.to_world(s, 0.0))[None]
        gantry.part_low -= 0.7
        gantry.part_high -= 0.7
    return [board, gantry]


def _ahead_of_its_posts(board: PlacedObject, direction: int) -> None:
    """The board hangs on the approaching side, so it is painted after what carries it, whoever looks."""
    board.part_low -= 0.15 if direction > 0 else 0.0
    board.part_high += 0.15 if direction < 0 else 0.0


def single_arm_pole(
    setting: Setting, rng: np.random.Generator, s: float, direction: int, asset_id: str
) -> list[PlacedObject]:
    """A lamp pole in this place's style."""
    outer = setting.outer(direction)
    t = outer * (setting.section.edge + 1.15)
    model = pole.build_single_arm(setting.pole_style, lit=True)
    turn = (0.0 if outer < 0 else 180.0) + float(rng.uniform(-2, 2))
    placed = place(
        model, setting.road, setting.section, s, t, turn_deg=turn, class_id=catalogue.SINGLE_ARM_POLE, asset_id=asset_id
    )
    placed.attributes = {"height_m": setting.pole_style.height, "arm_m": setting.pole_style.arm}
    return [placed]


def _guardrail(
    setting: Setting, rng: np.random.Generator, s: float, direction: int, asset_id: str
) -> list[PlacedObject]:
    length = float(rng.uniform(12, 27) if rng.random() < 0.6 else rng.uniform(27, 70))
    in_median = 1.0 <= setting.section.median < 6 and rng.random() < 0.45
    outer = setting.outer(direction)
    t = 0.0 if in_median else outer * (setting.section.edge + float(rng.uniform(-0.35, 0.2)))
    return [guardrail(setting, s, s + length, t, asset_id)]


def guardrail(setting: Setting, s_start: float, s_end: float, t: float, asset_id: str) -> PlacedObject:
    """A run of New Jersey barrier between two chainages at offset t."""
    base = setting.section.height_at(t) - 0.02
    model = barrier.build_barrier(setting.barrier_style, s_start, s_end, t, base, setting.seed)
    placed = from_road_coordinates(model, setting.road, class_id=catalogue.CONCRETE_GUARDRAIL, asset_id=asset_id)
    stations = np.linspace(s_start, s_end, max(2, round((s_end - s_start) / 6) + 1))
    placed.geometry = setting.road.to_world(stations, t, base)
    placed.attributes = {"length_m": s_end - s_start, "height_m": setting.barrier_style.height}
    return placed


def lamps_of(objects: list[PlacedObject], setting: Setting) -> np.ndarray:
    """World positions `[L, 3]` of the lamps of single-arm poles."""
    reach, height = pole.lamp_offset(setting.pole_style)
    lamps = []
    for placed in objects:
        if placed.class_id == catalogue.SINGLE_ARM_POLE:
            inwards = -math.copysign(reach, placed.t)
            lamps.append(setting.road.to_world(placed.s, placed.t + inwards, height - 0.3))
    return np.array(lamps).reshape(-1, 3)

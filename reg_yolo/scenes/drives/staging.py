"""What features put along the road: tunnels, chevrons, twin signs, and signs that a lorry hides."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from reg_yolo.errors import ConfigError
from reg_yolo.scenes.assets import information_sign, warning_sign
from reg_yolo.scenes.drives.features import DriveFeatures
from reg_yolo.scenes.drives.lorries import HIDES_S, REAPPEARS_M, Lorry, hiding_lorry
from reg_yolo.scenes.drives.motion import Way
from reg_yolo.scenes.scenery.tunnel import build_tunnel
from reg_yolo.scenes.world import catalogue
from reg_yolo.scenes.world.mesh import Model
from reg_yolo.scenes.world.objects import PlacedObject, from_road_coordinates, place

TUNNEL_M = 180.0
CHEVRONS, CHEVRONS_APART_M = 8, 10.0
TWINS_APART_M = 1.0
_TWIN_SIDE_M = 0.65
_HIDES_WITHIN_S = 1.0
_ROUND_M = 1000.0
_MARGIN_M = 20.0

Group = list[PlacedObject]


@dataclass(frozen=True)
class Zone:
    """A rectangle along the road that features need for themselves: chainages and offsets in metres."""

    s0: float
    s1: float
    t0: float = -math.inf
    t1: float = math.inf

    def holds(self, placed: PlacedObject) -> bool:
        """Whether an object reaches into it."""
        low_s, high_s, low_t, high_t = placed.footprint
        return bool(high_s > self.s0 and low_s < self.s1 and high_t > self.t0 and low_t < self.t1)


@dataclass(frozen=True)
class HiddenSign:
    """A sign that a lorry hides: which one, from whom, and from when to when, seconds since the drive's start."""

    sign: PlacedObject
    direction: int
    from_s: float
    to_s: float


@dataclass
class Stage:
    """What stands along the road because of features.

    Args:
        groups: assets with what carries them, still without identities.
        fixtures: what has no class.
        zones: where nothing else may stand.
        tunnels: first and last chainage of each.
        hiding: the lorries that hide signs, by direction.
        hidden: these signs.
        twins: pairs of signs.
    """

    groups: list[Group] = field(default_factory=list)
    fixtures: list[PlacedObject] = field(default_factory=list)
    zones: list[Zone] = field(default_factory=list)
    tunnels: list[tuple[float, float]] = field(default_factory=list)
    hiding: dict[int, list[Lorry]] = field(default_factory=dict)
    hidden: list[HiddenSign] = field(default_factory=list)
    twins: list[tuple[PlacedObject, PlacedObject]] = field(default_factory=list)

    def is_free(self, placed: PlacedObject) -> bool:
        """Whether an object stands in none of the zones."""
        return not any(zone.holds(placed) for zone in self.zones)


def plan_stage(rng: np.random.Generator, features: DriveFeatures, ways: list[Way]) -> Stage:
    """Give each feature its stretch of every kilometre, and build what stands there.

    Raises:
        ConfigError: the drive is too short for all of them.
    """
    stage, length_m = Stage(), ways[0].length_m
    stretches: list[tuple[str, float, Way]] = []
    if features.chevrons:
        stretches.append(("chevrons", CHEVRONS * CHEVRONS_APART_M + 30, ways[0]))
    if features.twins:
        stretches += [("twins", 50.0, way) for way in (ways * 2)[:2]]
    if features.hidden:
        stretches += [("hidden", _hiding_m(way), way) for way in ways]
    if features.tunnel:
        stretches.append(("tunnel", TUNNEL_M + 30, ways[0]))
    if not stretches:
        return stage
    rounds = max(1, int(length_m // _ROUND_M))
    room = (length_m - 2 * _MARGIN_M) / rounds
    needed = sum(metres for _, metres, _ in stretches)
    if needed > room:
        shortest = (needed + 2 * _MARGIN_M) / 1000
        names = ", ".join(dict.fromkeys(name for name, _, _ in stretches))
        raise ConfigError(f"features: {names} need a drive of at least {shortest:.2f} km, got {length_m / 1000:g}")
    makers = {"chevrons": _chevrons, "twins": _twins, "hidden": _hidden, "tunnel": _tunnel}
    for number in range(rounds):
        slack = (room - needed) * np.diff(np.sort(np.concatenate([[0.0], rng.random(len(stretches))])))
        s = _MARGIN_M + number * room
        for (name, metres, way), gap in zip(stretches, slack, strict=True):
            makers[name](stage, rng, way, s, s + gap + metres)
            s += gap + metres
    return stage


def _roadside(way: Way, from_edge_m: float) -> float:
    return way.outwards * (way.setting.section.edge + from_edge_m)


def _roadside_zone(way: Way, s0: float, s1: float, to_edge_m: float = 5.0) -> Zone:
    inner, outer = way.outwards * (way.setting.section.carriageway_edge - 0.5), _roadside(way, to_edge_m)
    return Zone(s0, s1, min(inner, outer), max(inner, outer))


def _sign(way: Way, model: Model, post: Model, class_id: int, s: float, t: float, lift_m: float) -> Group:
    """A sign that faces the traffic of a way, with its post behind it."""
    setting = way.setting
    turn = 0.0 if way.direction > 0 else 180.0
    board = place(
        model, setting.road, setting.section, s, t, turn_deg=turn, lift_m=lift_m, class_id=class_id, front_only=True,
        casts_shadow=False,
    )  # fmt: skip
    # It hangs on the near side of its post, so it is painted later.
    board.part_low -= 0.15 if way.direction > 0 else 0.0
    board.part_high += 0.15 if way.direction < 0 else 0.0
    return [board, place(post, setting.road, setting.section, s, t, turn_deg=turn)]


def _chevrons(stage: Stage, rng: np.random.Generator, way: Way, s0: float, s1: float) -> None:
    """Boards on the camera's side of the road, in the sharpest bend of the stretch."""
    setting, span = way.setting, (CHEVRONS - 1) * CHEVRONS_APART_M
    starts = np.linspace(s0 + 15, s1 - span - 15, 9)
    bends = setting.road.heading_at(starts + span) - setting.road.heading_at(starts)
    # The roadside of the camera is outside of bends towards the other side.
    best = int(np.argmax(bends * -way.outwards))
    model = warning_sign.chevron(setting.traffic < 0)
    height = float(rng.uniform(1.1, 1.4))
    t = _roadside(way, 0.9)
    for k in range(CHEVRONS):
        s = float(starts[best]) + k * CHEVRONS_APART_M
        post = warning_sign.build_post(height + 0.6)
        group = _sign(way, model, post, catalogue.WARNING_SIGN, s, t, height)
        group[0].attributes = {
            "width_m": warning_sign.CHEVRON_M[0], "height_m": warning_sign.CHEVRON_M[1], "lower_edge_m": height,
            "kind": "chevron",
        }  # fmt: skip
        stage.groups.append(group)
    stage.zones.append(_roadside_zone(way, float(starts[best]) - 8, float(starts[best]) + span + 8))


def _twins(stage: Stage, rng: np.random.Generator, way: Way, s0: float, s1: float) -> None:
    s = float(rng.uniform(s0 + 20, s1 - 20))
    variant, height = int(rng.integers(warning_sign.VARIANTS)), float(rng.uniform(2.2, 2.6))
    pair: list[PlacedObject] = []
    for from_edge in (0.8, 0.8 + TWINS_APART_M):
        model, post = warning_sign.diamond(_TWIN_SIDE_M, variant), warning_sign.build_post(height + 0.3)
        group = _sign(way, model, post, catalogue.WARNING_SIGN, s, _roadside(way, from_edge), height)
        group[0].attributes = {"side_m": _TWIN_SIDE_M, "height_m": height, "kind": "roadside"}
        stage.groups.append(group)
        pair.append(group[0])
    stage.twins.append((pair[0], pair[1]))
    stage.zones.append(_roadside_zone(way, s - 18, s + 18))


def _hidden(stage: Stage, rng: np.random.Generator, way: Way, s0: float, s1: float) -> None:
    """Of some places for the sign the one is taken where a lorry hides it for closest to `HIDES_S`."""
    model, width, height = _large_board(rng)
    t, lower = _roadside(way, width / 2 + 3.0), 1.7
    spare = s1 - s0 - 12 - _hiding_m(way)
    tried = []
    for back in np.linspace(0.0, max(0.0, spare), 12):
        s = s1 - 12 - back if way.direction > 0 else s0 + 12 + back
        found = hiding_lorry(way, (s - way.start_s) * way.direction, t, width, rng)
        if found is not None and abs(found[2] - found[1] - HIDES_S) <= _HIDES_WITHIN_S:
            tried.append((abs(found[2] - found[1] - HIDES_S), s, found))
    if not tried:
        return
    _, s, (lorry, first, last) = min(tried, key=lambda one: one[0])
    posts = information_sign.build_posts(width, lower, height)
    group = _sign(way, model, posts, catalogue.INFORMATION_SIGN, s, t, lower)
    group[0].attributes = {"width_m": width, "height_m": height, "lower_edge_m": lower, "kind": "roadside"}
    stage.groups.append(group)
    stage.hiding.setdefault(way.direction, []).append(lorry)
    stage.hidden.append(HiddenSign(group[0], way.direction, first, last))
    near, far = sorted((s - way.direction * (_hiding_m(way) - 12), s + way.direction * 8))
    stage.zones.append(_roadside_zone(way, near, far, width + 4.0))


def _hiding_m(way: Way) -> float:
    """How much road it takes to see a sign, lose it behind a lorry and see it again."""
    return REAPPEARS_M + HIDES_S * way.motion.speed_mps + 72


def _large_board(rng: np.random.Generator) -> tuple[Model, float, float]:
    """A direction sign that is seen from far: the model, its width and its height."""
    while True:
        width, height = (found := information_sign.board(True, int(rng.integers(information_sign.VARIANTS))))[1:]
        if 4.2 <= width <= 5.0 and height <= 2.5:
            return found


def _tunnel(stage: Stage, rng: np.random.Generator, way: Way, s0: float, s1: float) -> None:
    """Nothing but the tunnel and its three warning signs stands along it."""
    start = float(rng.uniform(s0 + 15, s1 - TUNNEL_M - 15))
    end = start + TUNNEL_M
    edge = way.setting.section.edge
    tube = from_road_coordinates(build_tunnel(start, end, edge, edge + 2.2), way.setting.road)
    stage.fixtures.append(tube)
    stage.tunnels.append((start, end))
    stage.zones.append(Zone(start - 6, end + 6))
    for share in (0.25, 0.5, 0.75):
        model = warning_sign.diamond(0.9, int(rng.integers(warning_sign.VARIANTS)))
        post = warning_sign.build_post(2.5)
        group = _sign(way, model, post, catalogue.WARNING_SIGN, start + share * TUNNEL_M, _roadside(way, 1.1), 2.3)
        group[0].attributes = {"side_m": 0.9, "height_m": 2.3, "kind": "roadside"}
        stage.groups.append(group)

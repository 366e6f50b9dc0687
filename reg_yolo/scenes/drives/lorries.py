"""Lorries with a way of their own: one that hides a sign from the camera, and those that carry signs."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.scenes.assets import warning_sign
from reg_yolo.scenes.drives.motion import Way
from reg_yolo.scenes.places.setting import Setting
from reg_yolo.scenes.scenery import vehicles
from reg_yolo.scenes.world import catalogue
from reg_yolo.scenes.world.mesh import Model
from reg_yolo.scenes.world.objects import PlacedObject, place

FloatArray = NDArray[np.float64]

KINDS = ("ahead", "slow", "overtaking", "oncoming")
HIDES_S = 3.0
REAPPEARS_M = 32.0
"""Distance to the hidden sign at which the camera has passed the lorry."""
_SHOULDER_M = 2.55
"""From the camera car's middle to that of a lorry that keeps half to the shoulder, metres."""
_TALL_M = 3.2
_REACH_M = 320.0
_EVERY_M = 400.0


@dataclass(frozen=True, eq=False)
class Lorry:
    """A lorry that drives along a road.

    Args:
        kind: one of `KINDS`, or "hiding".
        variant: what it looks like, see `tall_lorry`.
        direction: 1 or -1: which way it drives.
        offset_m: from the axis.
        times: seconds since the drive's start `[N]`, rising; before and after them it is not there.
        stations: chainage of its middle at these times `[N]`.
        sign_id: identity of the sign that it carries, "" for none.
        sign_variant: what the sign looks like.
        seen_from: 1 or -1: which way those drive who see the sign.
    """

    kind: str
    variant: int
    direction: int
    offset_m: float
    times: FloatArray
    stations: FloatArray
    sign_id: str = ""
    sign_variant: int = 0
    seen_from: int = 1


@functools.cache
def tall_lorry(variant: int) -> Model:
    """A lorry of at least 3.2 m, built once a process."""
    for attempt in itertools.count():
        model = vehicles.build_vehicle(np.random.default_rng([variant, attempt]), "lorry")
        if model.vertices[:, 2].max() >= _TALL_M:
            return model
    raise AssertionError


def lorry_length(variant: int) -> float:
    """Metres from its back to its front."""
    along = tall_lorry(variant).vertices[:, 1]
    return float(along.max() - along.min())


def lorries_at(setting: Setting, lorries: list[Lorry], time_s: float) -> list[list[PlacedObject]]:
    """Lorries on the road at a time, each with its sign, if it has one, as a second object."""
    found: list[list[PlacedObject]] = []
    for lorry in lorries:
        if not lorry.times[0] <= time_s <= lorry.times[-1]:
            continue
        s = float(np.interp(time_s, lorry.times, lorry.stations))
        if not setting.road.chainage[0] + 10 < s < setting.road.chainage[-1] - 10:
            continue
        turn = 0.0 if lorry.direction > 0 else 180.0
        body = place(
            tall_lorry(lorry.variant), setting.road, setting.section, s, lorry.offset_m, turn_deg=turn, lift_m=0.01
        )
        found.append([body])
        if lorry.sign_id:
            found[-1].append(_sign(setting, lorry, s))
    return found


def _sign(setting: Setting, lorry: Lorry, s: float) -> PlacedObject:
    """The diamond at the end of the lorry that those see who drive along `seen_from`: its back, or above its cab."""
    back = lorry.direction == lorry.seen_from
    side, height = (0.9, 1.85) if back else (0.75, 3.25)
    near = s - lorry.seen_from * (lorry_length(lorry.variant) / 2 + 0.08)
    board = place(
        warning_sign.diamond(side, lorry.sign_variant), setting.road, setting.section, near, lorry.offset_m,
        turn_deg=0.0 if lorry.seen_from > 0 else 180.0, lift_m=height, class_id=catalogue.WARNING_SIGN,
        asset_id=lorry.sign_id, front_only=True, casts_shadow=False,
    )  # fmt: skip
    board.part_low -= 0.1
    board.part_high += 0.1
    return board


def sign_carriers(way: Way, rng: np.random.Generator, first: int) -> list[Lorry]:
    """Lorries with signs along a drive, of each kind in turn; their signs are numbered from `first`."""
    section, out = way.setting.section, way.outwards
    count = max(2, round(way.length_m / _EVERY_M))
    found = []
    for k in range(count):
        kind = KINDS[k % len(KINDS)]
        variant, sign_variant = int(rng.integers(1 << 16)), int(rng.integers(warning_sign.VARIANTS))
        meets = (k + float(rng.uniform(0.35, 0.6))) * way.length_m / count
        times, ahead = _profile(way, kind, meets, lorry_length(variant))
        offset = way.lane_offset_m + out * {"ahead": 0.0, "slow": _SHOULDER_M}.get(kind, -section.lane_width)
        if kind == "oncoming":
            offset = way.setting.outer(-way.direction) * section.lane_centre(0)
        direction = -way.direction if kind == "oncoming" else way.direction
        stations = way.start_s + way.direction * ahead
        name = f"lorry-{first + k:04d}"
        found.append(Lorry(kind, variant, direction, offset, times, stations, name, sign_variant, way.direction))
    return found


def _profile(way: Way, kind: str, meets_m: float, length_m: float) -> tuple[FloatArray, FloatArray]:
    """Times, and how far the lorry's middle is along the drive then."""
    motion, speed = way.motion, way.motion.speed_mps
    if kind == "ahead":
        # Caught up with, followed over 200 m, and then it leaves. It stops where the camera car stops.
        driven = np.array([meets_m - 400, meets_m, meets_m + 200, meets_m + 600])
        gap = np.array([254.0, 14.0, 14.0, 254.0]) + length_m / 2
        times = np.arange(0.0, motion.time_at(way.length_m) + 0.1, 0.1)
        own = motion.distances_at(times)
        return times, own + np.interp(own, driven, gap)
    share = {"slow": 0.45, "overtaking": 1.3, "oncoming": -1.0}[kind]
    passes = motion.time_at(meets_m)
    before, after = ((-2.0 if kind == "overtaking" else -_REACH_M / (abs(1 - share) * speed)), 6.0)
    if kind == "overtaking":
        after = _REACH_M / ((share - 1) * speed)
    times = passes + np.array([before, after])
    return times, meets_m + share * speed * (times - passes)


def hiding_lorry(
    way: Way, sign_m: float, sign_offset_m: float, sign_width_m: float, rng: np.random.Generator
) -> tuple[Lorry, float, float] | None:
    """A lorry that stands half on the shoulder, sets off as the camera comes near, and hides a sign from then on.

    It covers the sign from `HIDES_S` before the camera is `REAPPEARS_M` from the sign and has passed the lorry; before
    that the sign is seen next to it. Returns it and from when to when the sign is hidden, which in a bend may not be
    `HIDES_S`; None where the bend is so sharp that the lorry cannot cover the sign.

    Args:
        way: the drive.
        sign_m: distance along the drive at which the sign stands.
        sign_offset_m, sign_width_m: of the sign.
    """
    variant = int(rng.integers(1 << 16))
    length = lorry_length(variant)
    offset = way.lane_offset_m + way.outwards * _SHOULDER_M
    last = way.motion.time_at(sign_m - REAPPEARS_M)
    first = last - HIDES_S

    def hides(driven_m: FloatArray, gap_m: FloatArray) -> NDArray[np.bool_]:
        return _hides(way, driven_m, gap_m, (offset, length), (sign_m, sign_offset_m, sign_width_m))

    begin, end = (way.motion.distance_at(t) for t in (first, last))
    gaps = np.arange(-length, 70.0, 0.25)
    enters, leaves = (gaps[hides(np.full(len(gaps), driven), gaps)] for driven in (begin, end))
    if not len(enters) or not len(leaves):
        return None
    slope = (enters[-1] - leaves[0]) / (end - begin)
    times = np.arange(max(0.0, way.motion.time_at(sign_m - 400)), way.motion.time_at(sign_m + 60), 0.1)
    driven = way.motion.distances_at(times)
    # Standing, its gap shrinks by a metre for each metre that is driven.
    gap = np.where(driven < begin, enters[-1] + begin - driven, leaves[0] + slope * (end - driven))
    seen = times[(times < last - 0.2) & ~hides(driven, gap)]
    stations = way.start_s + way.direction * (driven + gap + length / 2)
    lorry = Lorry("hiding", variant, way.direction, offset, times, stations)
    return lorry, float(seen[-1] if len(seen) else times[0]), float(last)


def _hides(
    way: Way, driven_m: FloatArray, gap_m: FloatArray, lorry: tuple[float, float], sign: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Whether a lorry whose back is `gap_m` ahead of the lens covers the bearings of a sign `[N]`.

    Args:
        driven_m: how far the camera has come `[N]`.
        gap_m: `[N]`.
        lorry: its offset and length.
        sign: its distance along the drive, offset and width.
    """
    road = way.setting.road
    offset, length = lorry
    sign_m, sign_offset, sign_width = sign
    cameras = way.start_s + way.direction * driven_m
    eyes = road.to_world(cameras, way.lane_offset_m)
    headings = road.heading_at(cameras) + (0.0 if way.direction > 0 else math.pi)

    def bearings(along: list[FloatArray], across: list[float]) -> FloatArray:
        corners = [road.to_world(way.start_s + way.direction * m, t) for m, t in zip(along, across, strict=True)]
        away = np.stack(corners)[..., :2] - eyes[..., :2]
        return np.asarray((np.arctan2(away[..., 0], away[..., 1]) - headings + math.pi) % (2 * math.pi) - math.pi)

    # The cab is lower than the cargo, so it hides nothing for sure.
    near, far, half, width = driven_m + gap_m, driven_m + gap_m + length * 0.74, 1.2, sign_width / 2
    body = bearings([near, near, far, far], [offset - half, offset + half] * 2)
    board = bearings([np.full(len(near), sign_m)] * 2, [sign_offset - width, sign_offset + width])
    covers = (body.min(axis=0) < board.min(axis=0)) & (body.max(axis=0) > board.max(axis=0))
    return np.asarray(covers & (near < sign_m))

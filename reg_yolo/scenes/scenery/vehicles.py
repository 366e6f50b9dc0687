"""Cars, pick-ups, lorries and buses."""

from __future__ import annotations

import functools
import math

import numpy as np

from reg_yolo.scenes.assets import textures
from reg_yolo.scenes.mesh import LUMINOUS, TAIL_LIGHT, Colour, MeshBuilder, Model, tint

_PAINTS: tuple[Colour, ...] = (
    (225.0, 225.0, 225.0),
    (45.0, 45.0, 47.0),
    (150.0, 150.0, 152.0),
    (95.0, 92.0, 90.0),
    (40.0, 40.0, 160.0),
    (120.0, 70.0, 35.0),
    (90.0, 140.0, 190.0),
    (225.0, 225.0, 225.0),
)
_GLASS: Colour = (62.0, 55.0, 48.0)
_TYRE: Colour = (28.0, 28.0, 28.0)
_RED: Colour = (35.0, 30.0, 215.0)
_HEADLAMP: Colour = (235.0, 245.0, 250.0)

VARIANTS = 160
KINDS = ("car", "pickup", "lorry", "bus")


def random_kind(rng: np.random.Generator) -> str:
    """A vehicle kind by its share on Thai highways."""
    return str(rng.choice(KINDS, p=[0.42, 0.3, 0.22, 0.06]))


@functools.cache
def vehicle(variant: int) -> Model:
    """One of `VARIANTS` vehicles, built once a process."""
    rng = np.random.default_rng(variant)
    return build_vehicle(rng, random_kind(rng))


def build_vehicle(rng: np.random.Generator, kind: str) -> Model:
    """A vehicle that drives towards positive y, so that its rear looks towards negative y."""
    mesh = MeshBuilder()
    paint = _PAINTS[int(rng.integers(len(_PAINTS)))]
    if kind == "car":
        _car(mesh, rng, paint)
    elif kind == "pickup":
        _pickup(mesh, rng, paint)
    else:
        _box_body(mesh, rng, paint, bus=kind == "bus")
    return mesh.build()


def _car(mesh: MeshBuilder, rng: np.random.Generator, paint: Colour) -> None:
    w, length, h = 1.78, float(rng.uniform(4.0, 4.8)), float(rng.uniform(1.42, 1.75))
    mesh.box((0, 0), (w, length), 0.28, 0.62, tint(paint, 0.9))
    mesh.box((0, 0), (w, length), 0.62, 0.92, paint, top=(w * 0.95, length * 0.95))
    _wheels(mesh, w, length, 0.32)
    mesh.layer = 2
    cabin = length * 0.56
    mesh.box((0, -length * 0.06), (w * 0.92, cabin), 0.92, h, _GLASS, top=(w * 0.76, cabin * 0.68), top_colour=paint)
    _rear_and_front(mesh, w, length, 0.62, 0.84)


def _pickup(mesh: MeshBuilder, rng: np.random.Generator, paint: Colour) -> None:
    w, length = 1.86, 5.2
    mesh.box((0, 0), (w, length), 0.42, 0.78, tint(paint, 0.9))
    mesh.box((0, -length * 0.3), (w, length * 0.4), 0.78, 1.12, paint, top_colour=tint(paint, 0.35))
    mesh.box((0, length * 0.2), (w, length * 0.6), 0.78, 1.05, paint)
    _wheels(mesh, w, length, 0.38)
    mesh.layer = 2
    cabin = length * 0.36
    mesh.box((0, length * 0.1), (w * 0.93, cabin), 1.05, 1.76, _GLASS, top=(w * 0.8, cabin * 0.72), top_colour=paint)
    if rng.random() < 0.3:
        load = tuple(rng.uniform(40, 200, 3))
        mesh.box(
            (0, -length * 0.3),
            (w * 0.85, length * 0.34),
            1.12,
            float(rng.uniform(1.4, 2.1)),
            (load[0], load[1], load[2]),
        )
    _rear_and_front(mesh, w, length, 0.8, 1.05)


def _box_body(mesh: MeshBuilder, rng: np.random.Generator, paint: Colour, *, bus: bool) -> None:
    w = 2.45
    length = float(rng.uniform(9.5, 11.5) if bus else rng.uniform(6.5, 10.5))
    top = float(rng.uniform(3.1, 3.6) if bus else rng.uniform(2.9, 3.9))
    if bus:
        stripe = _PAINTS[int(rng.integers(len(_PAINTS)))]
        mesh.box((0, 0), (w, length), 0.45, 1.35, stripe)
        mesh.box((0, 0), (w, length), 1.35, 2.45, _GLASS)
        mesh.box((0, 0), (w, length), 2.45, top, paint)
    else:
        cargo = length * 0.72
        mesh.box((0, -length * 0.14), (w * 0.9, cargo), 0.6, 1.0, (50.0, 50.0, 52.0))
        body = tuple(rng.uniform(60, 230, 3)) if rng.random() < 0.5 else (210.0, 212.0, 214.0)
        colour: Colour = (body[0], body[1], body[2])
        y = -length * 0.14
        mesh.box((0, y), (w, cargo), 1.0, top, colour)
        mesh.layer = 1
        if rng.random() < 0.5:
            poster = textures.advertising(rng)
            for x, ring in ((w / 2 + 0.02, 1), (-w / 2 - 0.02, -1)):
                a, b = y - ring * cargo * 0.4, y + ring * cargo * 0.4
                mesh.quad([(x, a, 1.3), (x, b, 1.3), (x, b, top - 0.3), (x, a, top - 0.3)], colour, texture=poster)
        for x in (-w / 4, w / 4):
            rear = y - cargo / 2 - 0.02
            mesh.quad(
                [
                    (x - 0.03, rear, 1.1),
                    (x + 0.03, rear, 1.1),
                    (x + 0.03, rear, top - 0.1),
                    (x - 0.03, rear, top - 0.1),
                ],
                tint(colour, 0.6),
            )
        mesh.layer = 0
        cab = length * 0.24
        mesh.box((0, length / 2 - cab / 2), (w * 0.96, cab), 0.5, 1.5, paint)
        mesh.box(
            (0, length / 2 - cab / 2), (w * 0.95, cab), 1.5, 2.7, _GLASS, top=(w * 0.9, cab * 0.85), top_colour=paint
        )
    _wheels(mesh, w, length, 0.5)
    _rear_and_front(mesh, w * 0.96, length, 0.7, 0.95)


def _wheels(mesh: MeshBuilder, width: float, length: float, radius: float) -> None:
    mesh.box((0, 0), (width * 0.9, length * 0.96), 0.02, 0.45, (22.0, 22.0, 23.0))
    mesh.layer = -1
    for y in (-length * 0.31, length * 0.32):
        for x in (-width / 2 + 0.1, width / 2 - 0.1):
            mesh.box((x, y), (0.22, radius * 1.3), 0.0, radius * 2, _TYRE, top=(0.22, radius * 0.9))
            _disc(mesh, width / 2 + 0.02 if x > 0 else -width / 2 - 0.02, y, radius)
    mesh.layer = 0


def _disc(mesh: MeshBuilder, x: float, y: float, radius: float) -> None:
    """Tyre and rim as flat octagons on the body's side, seen from that side only."""
    turn = 1.0 if x > 0 else -1.0
    for layer, size, colour in ((1, 1.0, _TYRE), (2, 0.55, (135.0, 135.0, 138.0))):
        mesh.layer = layer
        ring = [
            (x, y + turn * radius * size * math.cos(a), radius + radius * size * math.sin(a))
            for a in np.arange(8) * math.pi / 4 + math.pi / 8
        ]
        for k in (0, 2, 4):
            mesh.quad([ring[0], ring[k + 1], ring[k + 2], ring[(k + 3) % 8]], colour)
    mesh.layer = -1


def _rear_and_front(mesh: MeshBuilder, width: float, length: float, low: float, high: float) -> None:
    mesh.layer = 3
    rear, front = -length / 2 - 0.015, length / 2 + 0.015
    for x in (-width / 2 + 0.2, width / 2 - 0.2):
        mesh.quad(
            [(x - 0.18, rear, low), (x + 0.18, rear, low), (x + 0.18, rear, high), (x - 0.18, rear, high)],
            _RED,
            finish=TAIL_LIGHT,
        )
        mesh.quad(
            [(x + 0.2, front, low), (x - 0.2, front, low), (x - 0.2, front, high), (x + 0.2, front, high)],
            _HEADLAMP,
            finish=LUMINOUS,
        )
    mesh.quad(
        [(-0.26, rear, low - 0.1), (0.26, rear, low - 0.1), (0.26, rear, low + 0.06), (-0.26, rear, low + 0.06)],
        (215.0, 220.0, 220.0),
    )

"""Cars, pick-ups, lorries and buses."""

from __future__ import annotations

import functools
import math

import numpy as np

from reg_yolo.scenes.assets import textures
from reg_yolo.scenes.world.mesh import LUMINOUS, TAIL_LIGHT, Colour, MeshBuilder, Model, tint

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
    {"car": _car, "pickup": _pickup, "lorry": _lorry, "bus": _bus}[kind](mesh, rng, paint)
    return mesh.build()


def _car(mesh: MeshBuilder, rng: np.random.Generator, paint: Colour) -> None:
    w, length, h = 1.78, float(rng.uniform(4.0, 4.8)), float(rng.uniform(1.42, 1.75))
    _underbody(mesh, 0.0, w, length)
    mesh.box((0, 0), (w, length), 0.28, 0.62, tint(paint, 0.9))
    mesh.layer = 1
    mesh.box((0, 0), (w, length), 0.62, 0.92, paint, top=(w * 0.95, length * 0.95))
    mesh.layer = 2
    cabin = length * 0.56
    mesh.box((0, -length * 0.06), (w * 0.92, cabin), 0.92, h, _GLASS, top=(w * 0.76, cabin * 0.68), top_colour=paint)
    _wheels(mesh, w, (-length * 0.31, length * 0.32), 0.32)
    _rear(mesh, w, -length / 2, 0.62, 0.84)
    _front(mesh, w, length / 2, 0.62, 0.84)


def _pickup(mesh: MeshBuilder, rng: np.random.Generator, paint: Colour) -> None:
    w, length = 1.86, 5.2
    _underbody(mesh, 0.0, w, length)
    mesh.box((0, 0), (w, length), 0.42, 0.78, tint(paint, 0.9))
    mesh.layer = 1
    mesh.box((0, -length * 0.3), (w, length * 0.4), 0.78, 1.12, paint, top_colour=tint(paint, 0.35))
    mesh.box((0, length * 0.2), (w, length * 0.6), 0.78, 1.05, paint)
    mesh.layer = 2
    cabin = length * 0.36
    mesh.box((0, length * 0.1), (w * 0.93, cabin), 1.05, 1.76, _GLASS, top=(w * 0.8, cabin * 0.72), top_colour=paint)
    if rng.random() < 0.3:
        colour = _random_colour(rng, 40, 200)
        mesh.box((0, -length * 0.3), (w * 0.85, length * 0.34), 1.12, float(rng.uniform(1.4, 2.1)), colour)
    _wheels(mesh, w, (-length * 0.31, length * 0.32), 0.38)
    _rear(mesh, w, -length / 2, 0.8, 1.05)
    _front(mesh, w, length / 2, 0.8, 1.05)


def _bus(mesh: MeshBuilder, rng: np.random.Generator, paint: Colour) -> None:
    w, length, top = 2.45, float(rng.uniform(9.5, 11.5)), float(rng.uniform(3.1, 3.6))
    stripe = _PAINTS[int(rng.integers(len(_PAINTS)))]
    _underbody(mesh, 0.0, w, length)
    for layer, (low, high, colour) in enumerate(((0.45, 1.35, stripe), (1.35, 2.45, _GLASS), (2.45, top, paint))):
        mesh.layer = layer
        mesh.box((0, 0), (w, length), low, high, colour)
    _wheels(mesh, w, (-length * 0.31, length * 0.32), 0.5)
    _rear(mesh, w * 0.96, -length / 2, 0.7, 0.95)
    _front(mesh, w * 0.96, length / 2, 0.7, 0.95)


def _lorry(mesh: MeshBuilder, rng: np.random.Generator, paint: Colour) -> None:
    """Cargo and cab are parts of their own: which hides which depends on where the camera is."""
    w, length, top = 2.45, float(rng.uniform(6.5, 10.5)), float(rng.uniform(2.9, 3.9))
    cargo, cab = length * 0.74, length * 0.24
    y = -length / 2 + cargo / 2
    colour = _random_colour(rng, 60, 230) if rng.random() < 0.5 else (210.0, 212.0, 214.0)
    _underbody(mesh, y, w, cargo)
    mesh.box((0, y), (w * 0.9, cargo), 0.6, 1.0, (50.0, 50.0, 52.0))
    mesh.layer = 1
    mesh.box((0, y), (w, cargo), 1.0, top, colour)
    mesh.layer = 2
    if rng.random() < 0.5:
        poster = textures.advertising(rng)
        for x, ring in ((w / 2 + 0.02, 1), (-w / 2 - 0.02, -1)):
            a, b = y - ring * cargo * 0.4, y + ring * cargo * 0.4
            mesh.quad([(x, a, 1.3), (x, b, 1.3), (x, b, top - 0.3), (x, a, top - 0.3)], colour, texture=poster)
    rear = -length / 2 - 0.02
    for x in (-w / 4, w / 4):
        bar = [(x - 0.03, rear, 1.1), (x + 0.03, rear, 1.1), (x + 0.03, rear, top - 0.1), (x - 0.03, rear, top - 0.1)]
        mesh.quad(bar, tint(colour, 0.6))
    _wheels(mesh, w, (-length * 0.3,), 0.5)
    _rear(mesh, w * 0.96, -length / 2, 0.7, 0.95)
    mesh.next_part()
    y = length / 2 - cab / 2
    _underbody(mesh, y, w, cab)
    mesh.box((0, y), (w * 0.96, cab), 0.5, 1.5, paint)
    mesh.layer = 1
    mesh.box((0, y), (w * 0.95, cab), 1.5, 2.7, _GLASS, top=(w * 0.9, cab * 0.85), top_colour=paint)
    _wheels(mesh, w * 0.96, (length / 2 - cab * 0.55,), 0.5)
    _front(mesh, w * 0.96, length / 2, 0.7, 0.95)


def _random_colour(rng: np.random.Generator, low: float, high: float) -> Colour:
    b, g, r = (float(v) for v in rng.uniform(low, high, 3))
    return (b, g, r)


def _underbody(mesh: MeshBuilder, y: float, width: float, length: float) -> None:
    mesh.layer = -2
    mesh.box((0, y), (width * 0.9, length * 0.96), 0.02, 0.5, (22.0, 22.0, 23.0))
    mesh.layer = 0


def _wheels(mesh: MeshBuilder, width: float, axles: tuple[float, ...], radius: float) -> None:
    for y in axles:
        for x in (-width / 2 + 0.1, width / 2 - 0.1):
            mesh.layer = -1
            mesh.box((x, y), (0.22, radius * 1.3), 0.0, radius * 2, _TYRE, top=(0.22, radius * 0.9))
            _disc(mesh, width / 2 + 0.02 if x > 0 else -width / 2 - 0.02, y, radius)


def _disc(mesh: MeshBuilder, x: float, y: float, radius: float) -> None:
    """Tyre and rim as flat octagons on the body's side, seen from that side only."""
    turn = 1.0 if x > 0 else -1.0
    for layer, size, colour in ((3, 1.0, _TYRE), (4, 0.55, (135.0, 135.0, 138.0))):
        mesh.layer = layer
        ring = [
            (x, y + turn * radius * size * math.cos(a), radius + radius * size * math.sin(a))
            for a in np.arange(8) * math.pi / 4 + math.pi / 8
        ]
        for k in (0, 2, 4):
            mesh.quad([ring[0], ring[k + 1], ring[k + 2], ring[(k + 3) % 8]], colour)


def _rear(mesh: MeshBuilder, width: float, y: float, low: float, high: float) -> None:
    mesh.layer = 3
    y -= 0.015
    for x in (-width / 2 + 0.2, width / 2 - 0.2):
        lamp = [(x - 0.18, y, low), (x + 0.18, y, low), (x + 0.18, y, high), (x - 0.18, y, high)]
        mesh.quad(lamp, _RED, finish=TAIL_LIGHT)
    plate = [(-0.26, y, low - 0.1), (0.26, y, low - 0.1), (0.26, y, low + 0.06), (-0.26, y, low + 0.06)]
    mesh.quad(plate, (215.0, 220.0, 220.0))


def _front(mesh: MeshBuilder, width: float, y: float, low: float, high: float) -> None:
    mesh.layer = 3
    y += 0.015
    for x in (-width / 2 + 0.2, width / 2 - 0.2):
        lamp = [(x + 0.2, y, low), (x - 0.2, y, low), (x - 0.2, y, high), (x + 0.2, y, high)]
        mesh.quad(lamp, _HEADLAMP, finish=LUMINOUS)

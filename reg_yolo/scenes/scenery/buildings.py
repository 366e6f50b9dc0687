"""Houses, shop rows and sheds beside the road, and furniture that might be mistaken for an asset."""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np

from reg_yolo.scenes.assets import textures
from reg_yolo.scenes.world.mesh import RETROREFLECTIVE, Colour, MeshBuilder, Model, tint

_WALLS: tuple[Colour, ...] = (
    (205.0, 215.0, 220.0),
    (165.0, 195.0, 215.0),
    (150.0, 175.0, 160.0),
    (190.0, 190.0, 195.0),
    (140.0, 165.0, 200.0),
)
_ROOFS: tuple[Colour, ...] = ((60.0, 70.0, 130.0), (110.0, 80.0, 60.0), (120.0, 125.0, 128.0), (70.0, 95.0, 70.0))
BILLBOARDS = 64
_WINDOW: Colour = (90.0, 75.0, 62.0)


def build_building(rng: np.random.Generator, land: str) -> Model:
    """A house, a row of shops or a shed; its front looks towards negative y."""
    mesh = MeshBuilder()
    wall = tint(_WALLS[int(rng.integers(len(_WALLS)))], float(rng.uniform(0.85, 1.1)))
    kind = str(rng.choice(["house", "shops", "shed"], p=[0.25, 0.55, 0.2] if land == "town" else [0.65, 0.1, 0.25]))
    if kind == "shops":
        _shops(mesh, rng, wall)
    elif kind == "shed":
        w, d, h = float(rng.uniform(10, 22)), float(rng.uniform(8, 14)), float(rng.uniform(4, 6.5))
        mesh.box((0, 0), (w, d), -0.5, h, tint(wall, 0.95))
        _gable(mesh, w, d, h, 1.8, (150.0, 150.0, 148.0))
        mesh.layer = 1
        mesh.quad(_front(-w * 0.2, w * 0.2, -d / 2 - 0.03, 0, h * 0.7), (95.0, 98.0, 100.0))
    else:
        w, d, h = float(rng.uniform(6, 10)), float(rng.uniform(6, 9)), float(rng.choice([3.2, 6.2]))
        mesh.box((0, 0), (w, d), -0.5, h, wall)
        _gable(mesh, w, d, h, float(rng.uniform(1.6, 2.8)), _ROOFS[int(rng.integers(len(_ROOFS)))])
        mesh.layer = 1
        for x in (-w * 0.28, w * 0.28):
            for z in np.arange(1.0, h - 1.2, 2.9):
                mesh.quad(_front(x - 0.6, x + 0.6, -d / 2 - 0.03, float(z), float(z) + 1.2), _WINDOW)
        mesh.quad(_front(-0.5, 0.5, -d / 2 - 0.03, 0, 2.1), tint(_WINDOW, 0.8))
    return mesh.build()


def _front(a: float, b: float, y: float, low: float, high: float) -> list[tuple[float, float, float]]:
    return [(a, y, low), (b, y, low), (b, y, high), (a, y, high)]


def _gable(mesh: MeshBuilder, w: float, d: float, h: float, rise: float, colour: Colour) -> None:
    mesh.layer = 2
    x, y = w / 2 + 0.5, d / 2 + 0.5
    mesh.quad([(-x, -y, h - 0.2), (x, -y, h - 0.2), (x, 0, h + rise), (-x, 0, h + rise)], colour, both_sides=True)
    mesh.quad(
        [(x, y, h - 0.2), (-x, y, h - 0.2), (-x, 0, h + rise), (x, 0, h + rise)], tint(colour, 0.9), both_sides=True
    )
    for sx, ring in ((-w / 2, -1), (w / 2, 1)):
        mesh.quad([(sx, -d / 2 * ring, h), (sx, d / 2 * ring, h), (sx, 0, h + rise)], (190.0, 195.0, 200.0))


def _shops(mesh: MeshBuilder, rng: np.random.Generator, wall: Colour) -> None:
    units, floors = int(rng.integers(2, 6)), int(rng.integers(2, 4))
    w, d, h = 4.0 * units, 9.0, 3.3 * floors
    mesh.box((0, 0), (w, d), -0.5, h, wall, top_colour=tint(wall, 0.7))
    mesh.layer = 1
    y = -d / 2 - 0.03
    for k in range(units):
        x = -w / 2 + 4.0 * k + 2.0
        shutter = tint((130.0, 132.0, 135.0), float(rng.uniform(0.5, 1.2)))
        mesh.quad(_front(x - 1.6, x + 1.6, y, 0, 2.6), shutter)
        if rng.random() < 0.6:
            mesh.quad(_front(x - 1.7, x + 1.7, y - 0.05, 2.75, 3.5), wall, texture=textures.advertising(rng, 80, 24))
        for floor in range(1, floors):
            mesh.quad(_front(x - 1.2, x + 1.2, y, 3.3 * floor + 1.0, 3.3 * floor + 2.3), _WINDOW)
    mesh.layer = 2
    mesh.box((0, -d / 2 - 0.7), (w, 1.4), 2.6, 2.75, tint(_ROOFS[int(rng.integers(len(_ROOFS)))], 1.2))


@functools.cache
def billboard(variant: int) -> Model:
    """One of `BILLBOARDS` advertising boards on tall posts: no information sign."""
    rng = np.random.default_rng(variant)
    mesh = MeshBuilder()
    w, h, low = float(rng.uniform(3, 7)), float(rng.uniform(2, 3.5)), float(rng.uniform(2.5, 6))
    for x in (-w * 0.3, w * 0.3):
        mesh.box((x, 0.15), (0.22, 0.22), -0.4, low + h * 0.8, (110.0, 112.0, 114.0))
    mesh.next_part()
    poster = textures.advertising(rng, 160, 96)
    mesh.quad(_front(-w / 2, w / 2, 0.0, low, low + h), (200.0, 200.0, 200.0), texture=poster)
    mesh.quad(_front(-w / 2, w / 2, 0.08, low, low + h)[::-1], (105.0, 107.0, 110.0))
    return mesh.build()


def build_kilometre_stone(number: int) -> Model:
    """The white stone with a rounded top that carries the kilometre."""
    mesh = MeshBuilder()
    mesh.box((0, 0), (0.4, 0.22), -0.2, 0.75, (225.0, 228.0, 228.0))
    mesh.box((0, 0), (0.4, 0.22), 0.75, 0.92, (225.0, 228.0, 228.0), top=(0.2, 0.2))
    mesh.layer = 1
    board = textures.canvas(32, 48, (228.0, 230.0, 230.0))
    textures.latin_line(board, str(number % 1000), 2, 34, 14, (30.0, 30.0, 30.0))
    mesh.quad(_front(-0.19, 0.19, -0.12, 0.1, 0.72), (228.0, 230.0, 230.0), texture=board)
    return mesh.build()


def build_delineator() -> Model:
    """A black and white guide post with a reflector."""
    mesh = MeshBuilder()
    for k in range(4):
        shade: Colour = (225.0, 226.0, 226.0) if k % 2 else (40.0, 40.0, 42.0)
        mesh.box((0, 0), (0.14, 0.14), 0.22 * k, 0.22 * (k + 1), shade)
    mesh.layer = 1
    mesh.quad(_front(-0.04, 0.04, -0.08, 0.68, 0.82), (60.0, 150.0, 240.0), finish=RETROREFLECTIVE)
    return mesh.build()


def build_regulatory_sign(rng: np.random.Generator) -> Model:
    """A round speed limit or a red octagon: signs of no class here."""
    mesh = MeshBuilder()
    mesh.box((0, 0.09), (0.08, 0.08), -0.3, 2.7, (160.0, 162.0, 165.0))
    radius, corners = 0.42, 12
    angles = np.linspace(0, 2 * np.pi, corners + 1)
    rings = [(radius, (35.0, 30.0, 195.0)), (radius * 0.78, (232.0, 232.0, 232.0))]
    if rng.random() < 0.3:
        rings = rings[:1]
    for depth, (r, colour) in enumerate(rings):
        mesh.layer = depth + 1
        for a, b in pairwise(angles):
            points = [(0.0, -0.01 * depth, 2.5)] + [(r * np.cos(k), -0.01 * depth, 2.5 + r * np.sin(k)) for k in (a, b)]
            mesh.quad(points, colour, finish=RETROREFLECTIVE)
    mesh.layer = 3
    if len(rings) == 2:
        mesh.quad(
            _front(-0.2, 0.2, -0.03, 2.38, 2.62), (232.0, 232.0, 232.0), texture=_limit(rng), finish=RETROREFLECTIVE
        )
    return mesh.build()


def _limit(rng: np.random.Generator) -> textures.Texture:
    board = textures.canvas(48, 28, (232.0, 232.0, 232.0))
    textures.latin_line(board, str(int(rng.choice([30, 45, 60, 80, 90]))), 4, 25, 22, (25.0, 25.0, 25.0))
    return board

"""Trees, palms and bushes."""

from __future__ import annotations

import functools
import math

import numpy as np

from reg_yolo.scenes.world.mesh import Colour, MeshBuilder, Model, tint

TREE_KINDS = ("broadleaf", "palm", "slim", "bush")
VARIANTS = 40
_TRUNK: Colour = (62.0, 78.0, 92.0)


@functools.cache
def plant(kind: str, variant: int) -> Model:
    """One of the `VARIANTS` plants of a kind, its foot at the origin; built once a process, since a scene has many."""
    rng = np.random.default_rng([TREE_KINDS.index(kind), variant])
    mesh = MeshBuilder()
    green = (float(rng.uniform(28, 58)), float(rng.uniform(82, 128)), float(rng.uniform(45, 92)))
    if kind == "palm":
        _palm(mesh, rng, green)
    elif kind == "bush":
        size = float(rng.uniform(0.5, 1.3))
        _crown(mesh, rng, green, 9, (0.0, 0.0, size * 0.6), (size, size, size * 0.55), size * 0.5)
    elif kind == "slim":
        height = float(rng.uniform(8, 15))
        mesh.column(0, 0, -0.4, height * 0.8, 0.16, _TRUNK, top_radius=0.06)
        _crown(mesh, rng, green, 20, (0.0, 0.0, height * 0.64), (1.1, 1.1, height * 0.34), 0.85)
    else:
        height = float(rng.uniform(5, 12))
        spread = height * float(rng.uniform(0.28, 0.42))
        mesh.column(0, 0, -0.4, height * 0.6, height * 0.028, _TRUNK, top_radius=height * 0.015)
        for _ in range(3):
            angle = rng.uniform(0, 2 * math.pi)
            tip = (spread * 0.6 * math.cos(angle), spread * 0.6 * math.sin(angle), height * 0.66)
            mesh.beam((0, 0, height * 0.36), tip, height * 0.016, _TRUNK)
        _crown(mesh, rng, green, 26, (0.0, 0.0, height * 0.7), (spread, spread, height * 0.26), spread * 0.42)
    return mesh.build()


def _crown(
    mesh: MeshBuilder,
    rng: np.random.Generator,
    green: Colour,
    count: int,
    centre: tuple[float, float, float],
    axes: tuple[float, float, float],
    size: float,
) -> None:
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    reach = rng.uniform(0.35, 1.0, count) ** 0.6
    for k in range(count):
        x, y, z = (float(c + a * d * reach[k]) for c, a, d in zip(centre, axes, directions[k], strict=True))
        shade = float(0.72 + 0.4 * (directions[k, 2] * reach[k] + 1) / 2 + rng.uniform(-0.1, 0.1))
        mesh.blob(x, y, z, size * float(rng.uniform(0.65, 1.15)), tint(green, shade))


def _palm(mesh: MeshBuilder, rng: np.random.Generator, green: Colour) -> None:
    height = float(rng.uniform(6, 12))
    lean = float(rng.uniform(-0.8, 0.8))
    mesh.beam((0, 0, -0.3), (lean * 0.4, 0, height * 0.55), 0.24, _TRUNK)
    mesh.beam((lean * 0.4, 0, height * 0.55), (lean, 0, height), 0.19, _TRUNK)
    for k in range(11):
        angle = 2 * math.pi * k / 11 + float(rng.uniform(-0.2, 0.2))
        c, s = math.cos(angle), math.sin(angle)
        length, lift = float(rng.uniform(1.9, 2.7)), float(rng.uniform(-0.1, 0.9))
        shade = tint(green, float(rng.uniform(0.75, 1.15)))
        middle = (lean + c * length * 0.55, s * length * 0.55, height + lift)
        tip = (lean + c * length, s * length, height + lift - float(rng.uniform(0.7, 1.5)))
        side = (-s * 0.28, c * 0.28)
        left = (middle[0] + side[0], middle[1] + side[1], middle[2] - 0.12)
        right = (middle[0] - side[0], middle[1] - side[1], middle[2] - 0.12)
        mesh.quad([(lean, 0, height), left, middle], shade, both_sides=True)
        mesh.quad([(lean, 0, height), middle, right], tint(shade, 0.85), both_sides=True)
        mesh.quad([middle, left, tip], tint(shade, 0.95), both_sides=True)
        mesh.quad([middle, tip, right], tint(shade, 0.8), both_sides=True)

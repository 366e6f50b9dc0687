"""Lamp poles: the single-arm kind that is an asset, and its double-arm and electricity relatives that are not."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reg_yolo.scenes.world.mesh import LUMINOUS, Colour, MeshBuilder, Model, tint

GALVANISED: Colour = (165.0, 165.0, 162.0)
_LAMP: Colour = (170.0, 225.0, 250.0)
_HEAD: Colour = (135.0, 137.0, 140.0)


@dataclass(frozen=True)
class PoleStyle:
    """What all poles of one place share.

    Args:
        height: of the lamp above the foot, metres.
        arm: reach of the arm, metres.
        rise: how far the arm climbs, metres.
        curved: the arm is an arc, not a straight bar.
        shade: factor on the colour of galvanised steel.
    """

    height: float
    arm: float
    rise: float
    curved: bool
    shade: float


def random_pole_style(rng: np.random.Generator) -> PoleStyle:
    """A style drawn at random."""
    return PoleStyle(
        height=float(rng.uniform(7.5, 11.5)),
        arm=float(rng.uniform(1.6, 2.8)),
        rise=float(rng.uniform(0.1, 0.9)),
        curved=bool(rng.random() < 0.5),
        shade=float(rng.uniform(0.72, 1.25)),
    )


@functools.lru_cache(maxsize=16)
def build_single_arm(style: PoleStyle, lit: bool) -> Model:
    """A tapered pole whose one arm reaches towards positive x."""
    mesh = MeshBuilder()
    shade = tint(GALVANISED, style.shade)
    height = style.height
    mesh.column(0, 0, -0.3, height - style.rise, 0.12, shade, top_radius=0.075)
    mesh.box((0, 0), (0.45, 0.45), -0.3, 0.12, (150.0, 152.0, 155.0))
    _arm(mesh, style, 1.0, shade, lit)
    return mesh.build()


def build_double_arm(style: PoleStyle, lit: bool) -> Model:
    """A pole with an arm to each side: not a single-arm pole."""
    mesh = MeshBuilder()
    shade = tint(GALVANISED, style.shade)
    mesh.column(0, 0, -0.3, style.height - style.rise, 0.13, shade, top_radius=0.08)
    _arm(mesh, style, 1.0, shade, lit)
    _arm(mesh, style, -1.0, shade, lit)
    return mesh.build()


def lamp_offset(style: PoleStyle) -> tuple[float, float]:
    """Where the lamp hangs: metres along the arm and above the pole's foot."""
    return style.arm, style.height


def _arm(mesh: MeshBuilder, style: PoleStyle, side: float, shade: Colour, lit: bool) -> None:
    height, arm, rise = style.height, style.arm, style.rise
    start = (0.0, 0.0, height - rise)
    if style.curved:
        points = [start]
        for k in range(1, 5):
            share = k / 4
            points.append((side * arm * share, 0.0, height - rise + rise * np.sin(share * np.pi / 2)))
    else:
        points = [start, (side * arm, 0.0, height)]
    for a, b in pairwise(points):
        mesh.beam(a, b, 0.09, shade)
    x = side * (arm + 0.3)
    mesh.box((x, 0), (0.75, 0.26), height - 0.07, height + 0.09, _HEAD)
    lens = _LAMP if lit else (185.0, 190.0, 195.0)
    corners = [
        (x - 0.35, -0.12, height - 0.08),
        (x - 0.35, 0.12, height - 0.08),
        (x + 0.35, 0.12, height - 0.08),
        (x + 0.35, -0.12, height - 0.08),
    ]
    mesh.quad(corners, lens, finish=LUMINOUS if lit else 0)


def build_electricity_pole(rng: np.random.Generator) -> Model:
    """A square concrete pole with cross-arms and insulators, as along every Thai road."""
    mesh = MeshBuilder()
    height = float(rng.uniform(9, 12))
    concrete: Colour = (140.0, 146.0, 150.0)
    mesh.box((0, 0), (0.26, 0.26), -0.3, height, concrete, top=(0.18, 0.18))
    for z in (height - 0.4, height - 1.5)[: int(rng.integers(1, 3))]:
        mesh.beam((-1.1, 0, z), (1.1, 0, z), 0.12, (110.0, 112.0, 115.0))
        for x in (-1.0, -0.5, 0.5, 1.0):
            mesh.box((x, 0), (0.09, 0.09), z + 0.05, z + 0.3, (70.0, 75.0, 110.0))
    if rng.random() < 0.3:
        mesh.column(0.35, 0, height - 3.4, height - 2.4, 0.28, (120.0, 125.0, 120.0))
    return mesh.build()

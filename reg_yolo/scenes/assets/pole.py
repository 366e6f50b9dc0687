"""Lamp poles: the single-arm kind that is an asset, and its double-arm and electricity relatives that are not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from reg_yolo.scenes.mesh import LUMINOUS, Colour, MeshBuilder, Model

GALVANISED: Colour = (165.0, 165.0, 162.0)
_LAMP: Colour = (170.0, 225.0, 250.0)
_HEAD: Colour = (135.0, 137.0, 140.0)


def random_pole_style(rng: np.random.Generator) -> dict[str, float]:
    """Height, arm and shade that all poles of one row share: metres, and a factor on the colour."""
    return {
        "height": float(rng.uniform(7.5, 11.5)),
        "arm": float(rng.uniform(1.6, 2.8)),
        "rise": float(rng.uniform(0.1, 0.9)),
        "curved": float(rng.random() < 0.5),
        "shade": float(rng.uniform(0.72, 1.25)),
    }


def build_single_arm(style: dict[str, float], lit: bool) -> Model:
    """A tapered pole whose one arm reaches towards positive x."""
    mesh = MeshBuilder()
    colour = tuple(c * style["shade"] for c in GALVANISED)
    shade: Colour = (colour[0], colour[1], colour[2])
    height = style["height"]
    mesh.column(0, 0, -0.3, height - style["rise"], 0.12, shade, top_radius=0.075)
    mesh.box((0, 0), (0.45, 0.45), -0.3, 0.12, (150.0, 152.0, 155.0))
    _arm(mesh, style, 1.0, shade, lit)
    return mesh.build()


def build_double_arm(style: dict[str, float], lit: bool) -> Model:
    """A pole with an arm to each side: not a single-arm pole."""
    mesh = MeshBuilder()
    shade: Colour = (GALVANISED[0] * style["shade"], GALVANISED[1] * style["shade"], GALVANISED[2] * style["shade"])
    mesh.column(0, 0, -0.3, style["height"] - style["rise"], 0.13, shade, top_radius=0.08)
    _arm(mesh, style, 1.0, shade, lit)
    _arm(mesh, style, -1.0, shade, lit)
    return mesh.build()


def lamp_offset(style: dict[str, float]) -> tuple[float, float]:
    """Where the lamp hangs: metres along the arm and above the pole's foot."""
    return style["arm"], style["height"]


def _arm(mesh: MeshBuilder, style: dict[str, float], side: float, shade: Colour, lit: bool) -> None:
    height, arm, rise = style["height"], style["arm"], style["rise"]
    start = (0.0, 0.0, height - rise)
    if style["curved"]:
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

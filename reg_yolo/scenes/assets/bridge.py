"""Pedestrian bridges: a deck over the whole road on piers, with railings, often a roof, and stairs at both ends."""

from __future__ import annotations

import numpy as np

from reg_yolo.scenes.assets import textures
from reg_yolo.scenes.world.mesh import Colour, MeshBuilder, Model, tint

_STYLES: tuple[tuple[Colour, Colour], ...] = (
    ((165.0, 172.0, 176.0), (150.0, 156.0, 160.0)),
    ((150.0, 158.0, 162.0), (55.0, 165.0, 215.0)),
    ((140.0, 125.0, 90.0), (225.0, 228.0, 228.0)),
    ((120.0, 150.0, 100.0), (200.0, 205.0, 205.0)),
    ((170.0, 175.0, 178.0), (160.0, 95.0, 45.0)),
)


def build_bridge(
    rng: np.random.Generator, left_m: float, right_m: float, median_pier: bool
) -> tuple[Model, dict[str, float]]:
    """A bridge along x from the left to the right pier; returns the model and its measures in metres.

    Args:
        left_m: x of the left pier, metres (negative).
        right_m: x of the right pier, metres.
        median_pier: a pier stands at x = 0 as well.
    """
    mesh = MeshBuilder()
    body, rail = _STYLES[int(rng.integers(len(_STYLES)))]
    clearance = float(rng.uniform(5.1, 5.9))
    girder = float(rng.uniform(0.7, 1.2))
    width = float(rng.uniform(2.0, 2.7))
    piers = [left_m, right_m] + ([0.0] if median_pier else [])
    for x in piers:
        mesh.box((x, 0), (0.65, 0.8), -0.4, clearance - 0.4, body)
        mesh.box((x, 0), (0.9, width), clearance - 0.5, clearance, body)
        mesh.next_part()
    deck = clearance + girder
    a, b = left_m - 1.6, right_m + 1.6
    mesh.box(((a + b) / 2, 0), (b - a, width), clearance, deck, body, top_colour=tint(body, 0.9))
    if rng.random() < 0.35:
        mesh.quad(_front(a, b, -width / 2 - 0.02, deck - 0.45, deck - 0.2), rail, both_sides=True)
    solid = rng.random() < 0.35
    for y in (width / 2 - 0.04, -width / 2 + 0.04):
        _railing(mesh, a, b, y, deck, rail, solid)
    if rng.random() < 0.5:
        mesh.layer = 1
        _signboard(mesh, rng, left_m, right_m, -width / 2 - 0.1, clearance + 0.1, girder)
        mesh.layer = 0
    top = deck + 1.15
    if rng.random() < 0.45:
        top = deck + 2.5
        for x in np.linspace(a + 0.3, b - 0.3, max(3, round((b - a) / 4))):
            for y in (width / 2 - 0.06, -width / 2 + 0.06):
                mesh.box((float(x), y), (0.1, 0.1), deck, top, rail)
        roof = _STYLES[int(rng.integers(len(_STYLES)))][1]
        mesh.box(((a + b) / 2, 0), (b - a + 0.6, width + 0.7), top, top + 0.14, roof)
    for x, side in ((left_m, -1.0), (right_m, 1.0)):
        mesh.next_part()
        _stairs(mesh, x + side * 1.0, width, deck, float(rng.choice([-1.0, 1.0])), body, rail)
    measures = {"clearance_m": clearance, "deck_m": deck, "height_m": top, "width_m": width, "left_m": a, "right_m": b}
    return mesh.build(), measures


def _front(a: float, b: float, y: float, low: float, high: float) -> list[tuple[float, float, float]]:
    return [(a, y, low), (b, y, low), (b, y, high), (a, y, high)]


def _railing(mesh: MeshBuilder, a: float, b: float, y: float, deck: float, colour: Colour, solid: bool) -> None:
    if solid:
        mesh.quad(_front(a, b, y, deck, deck + 1.05), colour, both_sides=True)
        return
    for z in (0.25, 0.55, 0.85):
        mesh.quad(_front(a, b, y, deck + z - 0.035, deck + z + 0.035), colour, both_sides=True)
    mesh.beam((a, y, deck + 1.1), (b, y, deck + 1.1), 0.1, colour)
    for x in np.linspace(a, b, max(3, round((b - a) / 1.5))):
        mesh.quad(_front(float(x) - 0.04, float(x) + 0.04, y, deck, deck + 1.1), colour, both_sides=True)


def _signboard(
    mesh: MeshBuilder, rng: np.random.Generator, left: float, right: float, y: float, low: float, height: float
) -> None:
    """The village's name or an advertisement on the girder: part of the bridge, not an information sign."""
    width = float(rng.uniform(0.25, 0.45)) * (right - left)
    middle = float(rng.uniform(left + width / 2, right - width / 2))
    board = textures.advertising(rng, 160, 40)
    mesh.quad(
        _front(middle - width / 2, middle + width / 2, y, low, low + height * 1.3), (200.0, 200.0, 200.0), texture=board
    )


def _stairs(mesh: MeshBuilder, x: float, width: float, deck: float, along: float, body: Colour, rail: Colour) -> None:
    """One flight along the road, in sections that are sorted by depth one by one."""
    run = deck * 1.55
    sections = 5
    half = 0.85
    for k in range(sections):
        y0, y1 = along * (width / 2 + run * k / sections), along * (width / 2 + run * (k + 1) / sections)
        z0, z1 = deck * (1 - k / sections), deck * (1 - (k + 1) / sections)
        for px in (x - half, x + half):
            mesh.quad(
                [(px, y0, z0 - 0.35), (px, y1, z1 - 0.35), (px, y1, z1 + 0.1), (px, y0, z0 + 0.1)],
                body,
                both_sides=True,
            )
            mesh.beam((px, y0, z0 + 1.0), (px, y1, z1 + 1.0), 0.08, rail)
            mesh.beam((px, y0, z0), (px, y0, z0 + 1.0), 0.06, rail)
        mesh.quad(
            [(x - half, y0, z0), (x + half, y0, z0), (x + half, y1, z1), (x - half, y1, z1)],
            tint(body, 0.8),
            both_sides=True,
        )
        if k == 2:
            mesh.box((x, y1), (0.4, 0.4), -0.3, z1, body)
        mesh.next_part()

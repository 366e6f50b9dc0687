"""A tunnel: concrete walls and roof in rings along the road, with a portal and a hillside at either end."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from reg_yolo.scenes.world.mesh import Colour, MeshBuilder, Model

HEIGHT_M = 6.4
_RING_M = 6.0
_FOOT_M = -0.6
_WALKWAY_M = 0.15
_CONCRETE: Colour = (104.0, 108.0, 110.0)
_PANEL: Colour = (142.0, 150.0, 152.0)
_ROOF: Colour = (58.0, 60.0, 62.0)
_LAMP: Colour = (190.0, 230.0, 245.0)
_PORTAL: Colour = (150.0, 156.0, 160.0)
_HILL: Colour = (62.0, 108.0, 76.0)


def build_tunnel(s_start: float, s_end: float, edge_m: float, half_width_m: float) -> Model:
    """A tunnel between two chainages; vertices are offset, chainage and height above the axis, in metres.

    Args:
        edge_m: offset of the pavement's edge, where a walkway begins.
        half_width_m: offset of the walls.
    """
    mesh = MeshBuilder()
    count = max(1, round((s_end - s_start) / _RING_M))
    ends = np.linspace(s_start, s_end, count + 1).tolist()
    for ring, (a, b) in enumerate(pairwise(ends)):
        _ring(mesh, a, b, edge_m, half_width_m, lit=ring % 2 == 0)
        mesh.next_part()
    _portal(mesh, s_start, half_width_m, 1)
    mesh.next_part()
    _portal(mesh, s_end, half_width_m, -1)
    return mesh.build()


def _ring(mesh: MeshBuilder, a: float, b: float, edge: float, w: float, *, lit: bool) -> None:
    mesh.layer = 0
    top = _WALKWAY_M
    bands = ((edge, -0.1, top, _PORTAL), (w, top, 0.9, _CONCRETE), (w, 0.9, 3.2, _PANEL), (w, 3.2, HEIGHT_M, _CONCRETE))
    for x, low, high, colour in bands:
        mesh.quad([(x, a, low), (x, a, high), (x, b, high), (x, b, low)], colour)
        mesh.quad([(-x, b, low), (-x, b, high), (-x, a, high), (-x, a, low)], colour)
    mesh.quad([(edge, a, top), (w, a, top), (w, b, top), (edge, b, top)], _CONCRETE)
    mesh.quad([(-w, a, top), (-edge, a, top), (-edge, b, top), (-w, b, top)], _CONCRETE)
    mesh.quad([(-w, a, HEIGHT_M), (-w, b, HEIGHT_M), (w, b, HEIGHT_M), (w, a, HEIGHT_M)], _ROOF)
    if lit:
        mesh.layer = 1
        z = HEIGHT_M - 0.05
        for x in (-w / 2, w / 2):
            mesh.quad([(x - 0.2, a, z), (x - 0.2, b, z), (x + 0.2, b, z), (x + 0.2, a, z)], _LAMP)


def _portal(mesh: MeshBuilder, s: float, w: float, faces: int) -> None:
    """The wall around the opening, seen by those who drive in: along rising chainage where `faces` is 1."""
    mesh.layer = 2

    def front(corners: list[tuple[float, float]], colour: Colour) -> None:
        ring = corners if faces > 0 else corners[::-1]
        mesh.quad([(x, s, z) for x, z in ring], colour)

    edge, crown = w + 1.6, HEIGHT_M + 2.0
    for side in (-1, 1):
        block = [(side * w, _FOOT_M), (side * edge, _FOOT_M), (side * edge, crown), (side * w, crown)]
        slope = [
            (side * edge, -1.2), (side * (w + 44), -1.2), (side * (w + 26), HEIGHT_M + 3.0),
            (side * edge, HEIGHT_M + 7.0),
        ]  # fmt: skip
        front(slope if side > 0 else slope[::-1], _HILL)
        front(block if side > 0 else block[::-1], _PORTAL)
    front([(-w, HEIGHT_M), (w, HEIGHT_M), (w, crown), (-w, crown)], _PORTAL)
    front([(-edge, crown), (edge, crown), (edge, HEIGHT_M + 7.0), (-edge, HEIGHT_M + 7.0)], _HILL)

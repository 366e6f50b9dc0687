"""Concrete guardrails: runs of New Jersey barrier that follow the road; and the steel rail that is not one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reg_yolo.scenes.world.mesh import RETROREFLECTIVE, Colour, MeshBuilder, Model, tint

SEGMENT_M = 3.0
# Half-widths over heights of the New Jersey profile, metres.
_PROFILE = ((0.30, 0.0), (0.30, 0.08), (0.16, 0.33), (0.08, 0.81))


@dataclass(frozen=True)
class BarrierStyle:
    """What all concrete guardrails of one place share.

    Args:
        height: metres.
        shade: factor on the colour of the concrete.
        paint: 0 bare, 1 white top, 2 red and white, 3 yellow and black.
        warm: factor on its red.
    """

    height: float
    shade: float
    paint: int
    warm: float


def random_barrier_style(rng: np.random.Generator) -> BarrierStyle:
    """A style drawn at random; bare concrete is the most frequent."""
    return BarrierStyle(
        height=float(rng.uniform(0.81, 1.07)),
        shade=float(rng.uniform(0.98, 1.3)),
        paint=int(rng.choice([0, 0, 1, 2, 3])),
        warm=float(rng.uniform(0.96, 1.05)),
    )


def build_barrier(style: BarrierStyle, s_start: float, s_end: float, t: float, base: float, seed: int) -> Model:
    """A run in road coordinates (offset, chainage, height): use with `from_road_coordinates`.

    Args:
        s_start, s_end: chainage of both ends, metres.
        t: offset of the middle line, metres.
        base: height of its foot above the axis, metres.
    """
    mesh = MeshBuilder()
    rng = np.random.default_rng(seed)
    scale = style.height / 0.81
    profile = [(w, z * scale) for w, z in _PROFILE]
    count = max(1, round((s_end - s_start) / SEGMENT_M))
    edges = np.linspace(s_start, s_end, count + 1)
    for k in range(count):
        tone = style.shade * rng.uniform(0.92, 1.05)
        colour: Colour = (160 * tone, 166 * tone * style.warm**0.5, 170 * tone * style.warm)
        # Elements differ a little in tone, so that their joints can be seen.
        a, b = float(edges[k]), float(edges[k + 1])
        for level in range(3):
            (w0, z0), (w1, z1) = profile[level], profile[level + 1]
            # Spray from the road darkens the foot.
            face = _painted(style.paint, level, k, tint(colour, (0.72, 0.9, 1.0)[level]))
            mesh.quad(
                [(t + w0, a, base + z0), (t + w0, b, base + z0), (t + w1, b, base + z1), (t + w1, a, base + z1)], face
            )
            mesh.quad(
                [(t - w0, b, base + z0), (t - w0, a, base + z0), (t - w1, a, base + z1), (t - w1, b, base + z1)], face
            )
        w, z = profile[-1]
        mesh.quad([(t - w, a, base + z), (t + w, a, base + z), (t + w, b, base + z), (t - w, b, base + z)], colour)
        if k % 2 == 0:
            _reflector(mesh, t, a + 0.4, base + z)
        if k in (0, count - 1):
            for end, sign in ((a, 1), (b, -1)):
                lower = [(t - sign * 0.3, end, base), (t + sign * 0.3, end, base)]
                upper = [(t + sign * 0.08, end, base + z), (t - sign * 0.08, end, base + z)]
                mesh.quad(lower + upper, colour)
        mesh.next_part()
    return mesh.build()


def _reflector(mesh: MeshBuilder, t: float, s: float, top: float) -> None:
    """The amber reflector on top of every second element."""
    corners = [(t - 0.07, s, top), (t + 0.07, s, top), (t + 0.07, s, top + 0.16), (t - 0.07, s, top + 0.16)]
    mesh.quad(corners, (30.0, 130.0, 240.0), finish=RETROREFLECTIVE, both_sides=True)


def _painted(paint: int, level: int, element: int, bare: Colour) -> Colour:
    if paint == 1 and level == 2:
        return (205.0, 210.0, 212.0)
    if paint == 2 and level == 2:
        return (50.0, 45.0, 185.0) if element % 2 else (210.0, 212.0, 215.0)
    if paint == 3 and level == 2:
        return (40.0, 170.0, 215.0) if element % 2 else (45.0, 45.0, 45.0)
    return bare


def build_steel_rail(s_start: float, s_end: float, t: float, base: float, road_side: float) -> Model:
    """A W-beam on posts in road coordinates; `road_side` is the sign of the offset direction that faces the traffic."""
    mesh = MeshBuilder()
    steel: Colour = (172.0, 172.0, 168.0)
    count = max(1, round((s_end - s_start) / 4.0))
    edges = np.linspace(s_start, s_end, count + 1)
    for k in range(count):
        a, b = float(edges[k]), float(edges[k + 1])
        mesh.quad(_post(t, a, base, -1.0), (120.0, 122.0, 124.0), both_sides=True)
        for z0, z1, bulge, tone in ((0.42, 0.52, 0.06, 1.05), (0.52, 0.6, 0.0, 0.7), (0.6, 0.72, 0.06, 1.1)):
            x = t + road_side * bulge
            shade: Colour = (steel[0] * tone, steel[1] * tone, steel[2] * tone)
            mesh.quad(
                [(x, a, base + z0), (x, b, base + z0), (x, b, base + z1), (x, a, base + z1)], shade, both_sides=True
            )
        if k % 3 == 0:
            x = t + road_side * 0.08
            mesh.quad(
                [
                    (x - 0.05, a, base + 0.72),
                    (x + 0.05, a, base + 0.72),
                    (x + 0.05, a, base + 0.84),
                    (x - 0.05, a, base + 0.84),
                ],
                (60.0, 190.0, 235.0),
                finish=RETROREFLECTIVE,
                both_sides=True,
            )
        mesh.next_part()
    return mesh.build()


def _post(t: float, s: float, base: float, drop: float) -> list[tuple[float, float, float]]:
    return [
        (t - 0.06, s, base + drop),
        (t + 0.06, s, base + drop),
        (t + 0.06, s, base + 0.75),
        (t - 0.06, s, base + 0.75),
    ]

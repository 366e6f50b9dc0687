"""Pavilions: open roadside shelters with a steep Thai roof of one to three tiers."""

from __future__ import annotations

import numpy as np

from reg_yolo.scenes.world.mesh import Colour, MeshBuilder, Model, tint

_ROOFS: tuple[Colour, ...] = (
    (35.0, 60.0, 185.0),
    (40.0, 95.0, 215.0),
    (35.0, 70.0, 200.0),
    (70.0, 115.0, 45.0),
    (120.0, 75.0, 40.0),
)
_GOLD: Colour = (60.0, 175.0, 225.0)
_WALLS: tuple[Colour, ...] = (
    (225.0, 230.0, 232.0),
    (180.0, 215.0, 230.0),
    (120.0, 150.0, 190.0),
    (205.0, 220.0, 200.0),
)


def build_pavilion(rng: np.random.Generator) -> tuple[Model, dict[str, float]]:
    """A pavilion whose open front looks towards negative y; returns the model and its measures in metres."""
    mesh = MeshBuilder()
    width, depth = float(rng.uniform(3.2, 6.0)), float(rng.uniform(2.6, 3.8))
    eaves = float(rng.uniform(2.3, 2.9))
    roof: Colour = _ROOFS[int(rng.integers(len(_ROOFS)))]
    trim: Colour = _GOLD if rng.random() < 0.8 else (228.0, 232.0, 235.0)
    wall = _WALLS[int(rng.integers(len(_WALLS)))]
    mesh.box((0, 0), (width + 0.4, depth + 0.4), -0.3, 0.3, (150.0, 155.0, 158.0), top_colour=(165.0, 170.0, 172.0))
    back = depth / 2 - 0.12
    if rng.random() < 0.75:
        parapet = float(rng.choice([0.9, 0.9, eaves]))
        mesh.box((0, back), (width - 0.2, 0.12), 0.25, parapet, wall)
        for x in (-width / 2 + 0.15, width / 2 - 0.15):
            mesh.box((x, 0), (0.12, depth - 0.3), 0.25, 0.9, wall)
    mesh.box((0, back - 0.4), (width - 0.5, 0.45), 0.62, 0.72, (70.0, 95.0, 130.0))
    columns = 2 if width < 4.2 else 3
    for x in np.linspace(-width / 2 + 0.15, width / 2 - 0.15, columns):
        for y in (-depth / 2 + 0.15, depth / 2 - 0.15):
            mesh.box((float(x), y), (0.22, 0.22), 0.3, eaves, wall)
    mesh.next_part()
    # The gable looks along x or towards the road; both kinds are common.
    along_road = rng.random() < 0.6
    length, span = (width, depth) if along_road else (depth, width)
    pitch = float(rng.uniform(0.75, 1.15))
    tiers = int(rng.choice([1, 2, 2, 3]))
    ridge = _tiered_roof(mesh, length, span, eaves, pitch, tiers, roof, trim, along_road)
    return mesh.build(), {"width_m": width, "depth_m": depth, "height_m": ridge}


def _tiered_roof(
    mesh: MeshBuilder,
    length: float,
    span: float,
    eaves: float,
    pitch: float,
    tiers: int,
    roof: Colour,
    trim: Colour,
    along: bool,
) -> float:
    """Stacked gable roofs, each shorter and higher than the one below; returns the height of the ridge."""

    def corner(u: float, v: float, z: float) -> tuple[float, float, float]:
        return (u, v, z) if along else (-v, u, z)

    top = eaves
    for tier in range(tiers):
        half_length = length / 2 + 0.75 - 0.55 * tier
        half_span = span / 2 + 0.65
        inner = half_span * (0.0 if tier == tiers - 1 else 0.12)
        lift = 0.28 * tier
        low = eaves - 0.25 + lift
        flare = half_span * 0.62
        mid = low + (half_span - flare) * pitch * 0.55
        peak = mid + (flare - inner) * pitch
        for side in (-1.0, 1.0):
            shade = roof if side < 0 else tint(roof, 0.95)
            for (va, za), (vb, zb) in (((half_span, low), (flare, mid)), ((flare, mid), (inner, peak))):
                ring = [corner(-half_length, side * va, za), corner(half_length, side * va, za)]
                ring += [corner(half_length, side * vb, zb), corner(-half_length, side * vb, zb)]
                mesh.quad(ring if side < 0 else ring[::-1], shade)
                mesh.quad(ring[::-1] if side < 0 else ring, tint(roof, 0.35))
            edge = [
                corner(-half_length, side * half_span, low - 0.14),
                corner(half_length, side * half_span, low - 0.14),
            ]
            edge += [corner(half_length, side * half_span, low), corner(-half_length, side * half_span, low)]
            mesh.quad(edge, trim, both_sides=True)
        for end in (-1.0, 1.0):
            u = end * (half_length - 0.15)
            gable = [corner(u, -flare, mid), corner(u, flare, mid), corner(u, 0.0, peak)]
            mesh.quad(gable, trim if tier == tiers - 1 else tint(roof, 0.8), both_sides=True)
            inside = [corner(u + end * 0.02, -flare * 0.66, mid + 0.1), corner(u + end * 0.02, flare * 0.66, mid + 0.1)]
            mesh.quad([*inside, corner(u + end * 0.02, 0.0, peak - 0.35)], tint(roof, 0.72), both_sides=True)
            ends = end * half_length
            for side in (-1.0, 1.0):
                mesh.beam(corner(ends, side * half_span, low), corner(ends, side * flare, mid), 0.13, trim)
                mesh.beam(corner(ends, side * flare, mid), corner(ends, 0.0, peak + 0.05), 0.13, trim)
                mesh.beam(
                    corner(ends, side * half_span, low),
                    corner(ends * 1.04, side * (half_span + 0.25), low + 0.3),
                    0.09,
                    trim,
                )
            mesh.beam(corner(ends, 0.0, peak), corner(ends * 1.06, 0.0, peak + 0.75), 0.1, trim)
        top = peak
    return top + 0.75

"""What lies beside what, from the middle of the road outwards: lanes, shoulders, verge, ditch and land."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from reg_yolo.scenes.world.mesh import Colour, tint

ASPHALT, MARKING, SHOULDER, GRASS, SOIL = 250, 251, 252, 253, 254
"""Values of the material channel; smaller values are asset numbers, 0 is neither."""

FIRST_MATERIAL = ASPHALT


@dataclass(frozen=True)
class Band:
    """A strip of ground between two offsets, with the heights of its borders, all in metres."""

    t0: float
    t1: float
    h0: float
    h1: float
    material: int
    colour: Colour


@dataclass(frozen=True)
class CrossSection:
    """A road's cross-section, symmetrical about the axis.

    Args:
        lanes: lanes in each direction.
        lane_width: metres.
        shoulder: width of the paved shoulder, metres.
        median: width of the middle strip, metres; 0 is a single carriageway.
        median_kind: "none", "paved", "grass" or "raised".
        verge: width of the verge outside the shoulder, metres.
        ditch_depth: metres; 0 is not a ditch.
        land: "field", "forest" or "town": what the land beyond the ditch is.
        asphalt, shoulder_colour, grass, soil, land_colour: BGR colours.
    """

    lanes: int
    lane_width: float
    shoulder: float
    median: float
    median_kind: str
    verge: float
    ditch_depth: float
    land: str
    asphalt: Colour
    shoulder_colour: Colour
    grass: Colour
    soil: Colour
    land_colour: Colour

    @property
    def carriageway_edge(self) -> float:
        """Offset of the outer edge of the outermost lane, metres."""
        return self.median / 2 + self.lanes * self.lane_width

    @property
    def edge(self) -> float:
        """Offset of the outer edge of the pavement, metres: roadside assets stand beyond it."""
        return self.carriageway_edge + self.shoulder

    def lane_centre(self, lane: int) -> float:
        """Distance of a lane's centre from the axis; lane 0 is the innermost."""
        return self.median / 2 + (lane + 0.5) * self.lane_width

    def right_half(self) -> list[Band]:
        """Bands from the axis outwards for positive offsets."""
        bands: list[Band] = []
        half = self.median / 2
        if half > 0:
            kerb = 0.15 if self.median_kind == "raised" else 0.0
            material, colour = {
                "grass": (GRASS, self.grass),
                "raised": (SHOULDER, tint(self.shoulder_colour, 1.15)),
            }.get(self.median_kind, (SHOULDER, self.shoulder_colour))
            bands.append(Band(0.0, half - 0.3, kerb, kerb, material, colour))
            bands.append(Band(half - 0.3, half, kerb, 0.0, SHOULDER, self.shoulder_colour))
        bands.append(Band(half, self.carriageway_edge, 0.0, -0.06, ASPHALT, self.asphalt))
        bands.append(Band(self.carriageway_edge, self.edge, -0.06, -0.1, SHOULDER, self.shoulder_colour))
        out = self.edge
        bands.append(Band(out, out + 0.7, -0.1, -0.18, SOIL, self.soil))
        out += 0.7
        bands.append(Band(out, out + self.verge, -0.18, -0.3, GRASS, self.grass))
        out += self.verge
        if self.ditch_depth > 0:
            bottom = -0.3 - self.ditch_depth
            bands.append(Band(out, out + 1.6, -0.3, bottom, GRASS, tint(self.grass, 0.82)))
            bands.append(Band(out + 1.6, out + 2.4, bottom, bottom, SOIL, tint(self.soil, 0.75)))
            bands.append(Band(out + 2.4, out + 4.4, bottom, -0.1, GRASS, tint(self.grass, 1.08)))
            out += 4.4
        land_material = SOIL if self.land == "town" else GRASS
        bands.append(Band(out, out + 14, -0.15, -0.2, land_material, self.land_colour))
        bands.append(Band(out + 14, out + 75, -0.2, -0.6, land_material, tint(self.land_colour, 0.95)))
        return bands

    def bands(self) -> list[Band]:
        """All bands from left to right."""
        right = self.right_half()
        left = [Band(-b.t1, -b.t0, b.h1, b.h0, b.material, b.colour) for b in reversed(right)]
        return left + right

    def height_at(self, t: float) -> float:
        """Height of the ground above the axis at offset t, metres."""
        knots, heights = _profile(self)
        return float(np.interp(abs(t), knots, heights))


@functools.lru_cache(maxsize=64)
def _profile(section: CrossSection) -> tuple[list[float], list[float]]:
    bands = section.right_half()
    return [0.0] + [b.t1 for b in bands], [bands[0].h0] + [b.h1 for b in bands]


def random_cross_section(rng: np.random.Generator, land: str) -> CrossSection:
    """A plausible highway cross-section in the given land ("field", "forest" or "town")."""
    dual = rng.random() < (0.65 if land == "town" else 0.5)
    lanes = int(rng.choice([2, 2, 3])) if dual else int(rng.choice([1, 1, 2]))
    kind = str(rng.choice(["paved", "grass", "raised"])) if dual else "none"
    median = {"none": 0.0, "paved": rng.uniform(1.6, 3.0), "grass": rng.uniform(5, 11), "raised": rng.uniform(2, 5)}[
        kind
    ]
    grey = rng.uniform(62, 125)
    concrete = rng.random() < 0.18
    asphalt: Colour = (grey, grey, grey * rng.uniform(0.97, 1.03))
    if concrete:
        asphalt = (rng.uniform(140, 160), rng.uniform(150, 165), rng.uniform(155, 170))
    green = rng.uniform(0.75, 1.15)
    dry = rng.random() if land != "forest" else rng.random() * 0.4
    grass: Colour = ((45 + 30 * dry) * green, (110 + 25 * dry) * green, (70 + 75 * dry) * green)
    soil: Colour = (rng.uniform(70, 110), rng.uniform(100, 135), rng.uniform(130, 170))
    field_colours: list[Colour] = [(60, 140, 95), (75, 165, 175), (50, 120, 75), (90, 130, 150)]
    town_colours: list[Colour] = [(140, 150, 155), (110, 130, 145)]
    pick = int(rng.integers(4))
    land_colour = {"field": field_colours[pick], "forest": tint(grass, 0.8), "town": town_colours[pick % 2]}[land]
    return CrossSection(
        lanes=lanes,
        lane_width=float(rng.uniform(3.2, 3.6)),
        shoulder=float(rng.uniform(1.2, 2.6)),
        median=float(median),
        median_kind=kind,
        verge=float(rng.uniform(1.8, 4.5)),
        ditch_depth=float(rng.choice([0.0, rng.uniform(0.4, 1.1)])),
        land=land,
        asphalt=asphalt,
        shoulder_colour=tint(asphalt, float(rng.uniform(0.92, 1.18))),
        grass=grass,
        soil=soil,
        land_colour=tint(land_colour, float(rng.uniform(0.85, 1.1))),
    )

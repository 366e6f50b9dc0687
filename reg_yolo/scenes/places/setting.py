"""A place: its road, cross-section, land and the styles that its street furniture shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reg_yolo.scenes.assets.barrier import BarrierStyle, random_barrier_style
from reg_yolo.scenes.assets.pole import PoleStyle, random_pole_style
from reg_yolo.scenes.world.cross_section import CrossSection, random_cross_section
from reg_yolo.scenes.world.road import Road, random_road

LEFT, RIGHT = -1, 1


@dataclass(frozen=True)
class Setting:
    """What all images of one place have in common.

    Args:
        road: the axis.
        section: the cross-section.
        traffic: -1 where people drive on the left, 1 where on the right.
        seed: of everything that is fixed to the ground here.
        pole_style: measures shared by the lamp poles.
        barrier_style: measures and paint shared by the concrete guardrails.
        first_kilometre: number on the first kilometre stone.
    """

    road: Road
    section: CrossSection
    traffic: int
    seed: int
    pole_style: PoleStyle
    barrier_style: BarrierStyle
    first_kilometre: int

    def outer(self, direction: int) -> int:
        """Sign of the offsets on the outer side of the carriageway of traffic that runs along `direction`."""
        return self.traffic * direction


def random_setting(
    rng: np.random.Generator,
    length_m: float,
    traffic: int,
    *,
    heading_rad: float | None = None,
    curviness: float | None = None,
) -> Setting:
    """A place drawn at random; `traffic` is LEFT or RIGHT."""
    land = str(rng.choice(["field", "forest", "town"], p=[0.45, 0.3, 0.25]))
    bend = float(rng.choice([0.2, 0.8, 1.5])) if curviness is None else curviness
    heading = float(rng.uniform(0, 2 * np.pi)) if heading_rad is None else heading_rad
    road = random_road(rng, length_m, curviness=bend, hilliness=float(rng.choice([0.2, 0.8, 1.4])), heading_rad=heading)
    return Setting(
        road,
        random_cross_section(rng, land),
        traffic,
        int(rng.integers(1 << 31)),
        random_pole_style(rng),
        random_barrier_style(rng),
        int(rng.integers(1, 900)),
    )

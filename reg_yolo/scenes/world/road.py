"""The road's axis in three dimensions: straights, curves and crests, addressed by chainage and lateral offset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

STEP_M = 2.0
_LEAD_M = 60.0


@dataclass(frozen=True)
class Road:
    """A road axis sampled every two metres.

    Chainage `s` runs along the axis in metres, the offset `t` is positive to the right of growing chainage. World axes
    are x east, y north, z up.

    Args:
        chainage: samples of s `[N]`, evenly spaced.
        x: east `[N]`, metres.
        y: north `[N]`, metres.
        z: height `[N]`, metres.
        heading: direction of growing chainage `[N]`, radians clockwise from north, unwrapped.
    """

    chainage: FloatArray
    x: FloatArray
    y: FloatArray
    z: FloatArray
    heading: FloatArray

    @property
    def length(self) -> float:
        """Last chainage in metres; the axis also exists a little before 0 and beyond the end."""
        return float(self.chainage[-1] - _LEAD_M)

    def heading_at(self, s: FloatArray | float) -> FloatArray:
        """Heading in radians, clockwise from north, at chainage s."""
        return np.asarray(np.interp(s, self.chainage, self.heading))

    def height_at(self, s: FloatArray | float) -> FloatArray:
        """Height of the axis in metres at chainage s."""
        return np.asarray(np.interp(s, self.chainage, self.z))

    def to_world(self, s: FloatArray | float, t: FloatArray | float, h: FloatArray | float = 0.0) -> FloatArray:
        """World points `[..., 3]` of chainage s, offset t and height h above the axis, all in metres."""
        s, t, h = np.broadcast_arrays(np.asarray(s, float), np.asarray(t, float), np.asarray(h, float))
        heading = self.heading_at(s)
        x = np.interp(s, self.chainage, self.x) + t * np.cos(heading)
        y = np.interp(s, self.chainage, self.y) - t * np.sin(heading)
        return np.stack([x, y, self.height_at(s) + h], axis=-1)


def straight_road(length_m: float, heading_deg: float = 0.0, grade: float = 0.0) -> Road:
    """A straight road of constant grade that starts at the origin."""
    return _integrate(length_m, np.zeros, lambda n: np.full(n, grade), np.radians(heading_deg))


def random_road(
    rng: np.random.Generator,
    length_m: float,
    *,
    curviness: float = 1.0,
    hilliness: float = 1.0,
    heading_rad: float = 0.0,
) -> Road:
    """A road of straights, curves and crests.

    Args:
        rng: source of randomness.
        length_m: length in metres.
        curviness: 0 is straight; 1 has curve radii from about 350 m.
        hilliness: 0 is level; 1 has grades up to about 4 %.
        heading_rad: heading at chainage 0, radians clockwise from north.
    """

    def curvature(n: int) -> FloatArray:
        return _smooth(
            _steps(rng, n, lambda: float(rng.choice([0.0, rng.uniform(-1, 1) / 350.0])), 100, 320) * curviness, 30
        )

    def grade(n: int) -> FloatArray:
        return _smooth(_steps(rng, n, lambda: rng.uniform(-0.04, 0.04), 80, 260) * hilliness, 35)

    return _integrate(length_m, curvature, grade, heading_rad)


def _steps(
    rng: np.random.Generator, n: int, draw: Callable[[], float], shortest_m: float, longest_m: float
) -> FloatArray:
    values = np.zeros(n)
    start = 0
    while start < n:
        count = int(rng.uniform(shortest_m, longest_m) / STEP_M)
        values[start : start + count] = draw()
        start += count
    return values


def _smooth(values: FloatArray, half_width: int) -> FloatArray:
    """Moving average over 2 * half_width + 1 samples: steps of curvature turn into clothoids, of grade into crests."""
    padded = np.concatenate([np.full(half_width, values[0]), values, np.full(half_width, values[-1])])
    kernel = np.full(2 * half_width + 1, 1.0 / (2 * half_width + 1))
    return np.convolve(padded, kernel, mode="valid")


def _integrate(
    length_m: float, curvature: Callable[[int], FloatArray], grade: Callable[[int], FloatArray], heading_rad: float
) -> Road:
    chainage = np.arange(-_LEAD_M, length_m + _LEAD_M + STEP_M / 2, STEP_M)
    n = len(chainage)
    kappa: FloatArray = curvature(n)
    slope: FloatArray = grade(n)
    zero = round(_LEAD_M / STEP_M)

    def cumulative(values: FloatArray) -> FloatArray:
        total = np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2 * STEP_M)])
        return total - total[zero]

    heading = heading_rad + cumulative(kappa)
    return Road(chainage, cumulative(np.sin(heading)), cumulative(np.cos(heading)), cumulative(slope), heading)

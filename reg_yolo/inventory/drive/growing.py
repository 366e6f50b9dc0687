"""Boxes of what stands still: they grow out of the point that the camera drives to, and shrink into it behind it.

Poles in line lie on one way through the image, which each goes along as it comes nearer. What leaves the view and the
next one behind it agree in all but this: from one to the other the box goes back.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_SLACK = math.log(1.1)
"""How much a box may change the wrong way beside its noise: the camera turns, and nothing is quite flat."""
_ALONG = math.cos(math.radians(45))
"""Share of the way that a camera looks along, from which what stands still only grows, or only shrinks."""


def advance(way_m: FloatArray, heading_rad: FloatArray) -> FloatArray:
    """Whether a camera drove towards what it sees (1), away from it (-1) or past it (0).

    Args:
        way_m: From one place of the camera to the next, easting and northing, shape (K, 2).
        heading_rad: View direction clockwise from grid north, shape (K,).

    Returns:
        Shape (K,).

    Examples:
        >>> advance(np.array([[0.0, 5.0], [0.0, -5.0], [5.0, 0.0]]), np.zeros(3)).tolist()
        [1.0, -1.0, 0.0]
    """
    along = way_m[:, 0] * np.sin(heading_rad) + way_m[:, 1] * np.cos(heading_rad)
    return np.where(np.abs(along) > _ALONG * np.hypot(*way_m.T), np.sign(along), 0.0)


def goes_back(
    before: FloatArray,
    after: FloatArray,
    sigma_before: FloatArray,
    sigma_after: FloatArray,
    advanced: FloatArray,
    anywhere: NDArray[np.bool_] | bool = False,
    least: FloatArray | float = 0.0,
) -> NDArray[np.bool_]:
    """Whether boxes shrink towards where the camera drives to though it came nearer, or grow though it went away.

    What hides a part of an object makes its box smaller as well, but then some of its sides stay where they must be.

    Args:
        before, after: Tangents of the left, top, right and bottom side, shape (K, 4), turns of the camera taken out.
        sigma_before, sigma_after: Their deviations, shape (K, 4); infinite where a side is the frame's and not the
            object's.
        advanced: As `advance` returns it, shape (K,).
        anywhere: Whether all boxes that shrink count, wherever they are.
        least: How much a box must change on the way between, at least, as a logarithm, shape (K,).

    Returns:
        Shape (K,).

    Examples:
        >>> near, next_one = np.array([[-0.4, -0.3, -0.2, 0.1]]), np.array([[-0.3, -0.225, -0.15, 0.075]])
        >>> sigma = np.full((1, 4), 0.003)
        >>> goes_back(near, next_one, sigma, sigma, np.ones(1)).tolist()
        [True]
        >>> goes_back(next_one, near, sigma, sigma, np.ones(1)).tolist()
        [False]
    """
    # Driven away from, boxes go the same way in the other direction of time.
    ahead = (advanced > 0)[:, None]
    large, small = np.where(ahead, before, after), np.where(ahead, after, before)
    sigma_large, sigma_small = np.where(ahead, sigma_before, sigma_after), np.where(ahead, sigma_after, sigma_before)
    # A box that is cut shows the least that the object may have: the smaller one must be whole, the larger need not.
    sigma_large = np.where(np.isfinite(sigma_large), sigma_large, 0.0)
    noise = np.hypot(sigma_large, sigma_small)
    inward = (np.abs(small) <= np.abs(large) + 2 * noise).all(axis=1)
    sizes = [np.maximum(box[:, 2:] - box[:, :2], 1e-4) for box in (large, small)]
    unsure = _SLACK + np.hypot(noise[:, :2], noise[:, 2:]) / sizes[1]
    shrinks = (np.log(sizes[1] / sizes[0]) < np.reshape(least, (-1, 1)) - unsure).all(axis=1)
    return np.asarray((advanced != 0) & (inward | anywhere) & shrinks)

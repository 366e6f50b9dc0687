"""Stratified random samples in which all of a class, or all stretches, have one probability to be drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def draw_stratified(strata: Sequence[Hashable], count: int, rng: np.random.Generator) -> IntArray:
    """Draw without replacement, from each stratum in proportion to its size, and return the rows in their order.

    A stratum's share is rarely whole: the rest is drawn systematically over the strata, so that each gets its share
    rounded up or down, and every row has the same probability count / N, also in strata of a single row.

    Args:
        strata: The stratum of each row.
        count: How many are drawn; all, where there are no more.
        rng: Source of chance.

    Example:
        >>> rows = draw_stratified(["a"] * 90 + ["b"] * 10, 20, np.random.default_rng(0))
        >>> len(rows), int((rows >= 90).sum())
        (20, 2)
    """
    total = len(strata)
    if count >= total:
        return np.arange(total, dtype=np.int64)
    names = sorted(set(strata), key=str)
    number = {name: n for n, name in enumerate(names)}
    owner = np.array([number[name] for name in strata], np.int64)
    sizes = np.bincount(owner, minlength=len(names))
    members = np.split(np.argsort(owner, kind="stable"), np.cumsum(sizes)[:-1])
    shares = _rounded(np.asarray(sizes * (count / total), np.float64), rng)
    drawn = [rng.choice(own, size=int(some), replace=False) for own, some in zip(members, shares, strict=True)]
    return np.sort(np.concatenate(drawn))


def _rounded(shares: FloatArray, rng: np.random.Generator) -> IntArray:
    """Round numbers with a whole sum up or down, each up with the probability of its fraction, the sum kept."""
    ends = np.cumsum(shares)
    ends[-1] = round(float(ends[-1]))
    marks = np.floor(ends + rng.uniform(1e-9, 1 - 1e-9))
    return np.diff(marks, prepend=0.0).astype(np.int64)


def draw_assets(
    classes: Sequence[str], roads: Sequence[str], count: int, each_class: int, rng: np.random.Generator
) -> IntArray:
    """Draw assets: `count` in proportion over class and road, and more of the classes that got less than `each_class`.

    Args:
        classes, roads: Of each asset.
        count: Size of the proportional sample.
        each_class: How many of every class at least, where there are so many.
        rng: Source of chance.
    """
    strata = list(zip(classes, roads, strict=True))
    chosen = set(draw_stratified(strata, count, rng).tolist())
    names = np.array(classes)
    have = Counter(classes[row] for row in chosen)
    for name, total in sorted(Counter(classes).items()):
        short = min(each_class, total) - have[name]
        if short > 0:
            own = np.flatnonzero(names == name)
            left = [row for row in own.tolist() if row not in chosen]
            more = draw_stratified([strata[row] for row in left], short, rng)
            chosen |= {left[row] for row in more.tolist()}
    return np.array(sorted(chosen), np.int64)

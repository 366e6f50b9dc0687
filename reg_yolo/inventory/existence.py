"""How probable it is that an object exists: a logistic model of how it was seen.

Its weights were fitted on embedded drives of 10 km (frames every 5 m): what the shipped detector found on seeds 0 and
1, with noisy positions, each counted twice; true boxes of seeds 0 to 3, and these with 15 % missed, 5 % of a wrong
class, 5 % false and 3 px of jitter; and the latter once more with all confidences made alike. What a further pass
adds, and what one takes that did not see an object, were set on both ways of the second kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from reg_yolo.inventory.drive.rays import Rays
from reg_yolo.inventory.network.sightings import Features, Sighting
from reg_yolo.inventory.solve.passes import PassObjects
from reg_yolo.inventory.solve.problem import Views

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_RIVAL_M = 8.0
_SAME_S = 10.0
_LEAST_SPREAD = 0.05
_LEAST_SURE = -1.0
"""Weak looks that join an object of sure ones do not make it ever less sure."""
FEATURES = tuple(one.name for one in fields(Features))
WEIGHTS: Mapping[str, float] = {
    "bias": -0.974,
    "way": 0.145,
    "confidence": 3.653,
    "strong": 1.264,
    "density": 0.376,
    "purity": 0.395,
    "unsure": -1.025,
    "rival": -2.698,
    "missed": 3.055,
    "passes": 0.388,
    "unseen": 0.75,
}


class Usual(NamedTuple):
    """What confidences a drive's looks usually have, as detectors differ in what they call sure.

    Attributes:
        middle: Their median.
        spread: What lies between it and the tenth part that is least sure.
    """

    middle: float
    spread: float

    @classmethod
    def of(cls, confidence: FloatArray) -> Usual:
        """Return it for the confidences of looks that reach their thresholds, shape (K,).

        Example:
            >>> Usual.of(np.array([0.9, 0.9]))
            Usual(middle=0.9, spread=0.05)
        """
        if not len(confidence):
            return cls(0.0, 1.0)
        middle, low = np.quantile(confidence, [0.5, 0.1])
        return cls(float(middle), max(float(middle - low), _LEAST_SPREAD))


def pass_features(
    rays: Rays,
    rows: IntArray,
    objects: PassObjects,
    n: int,
    views: Views,
    frames: IntArray,
    rival: float,
    missed: float,
    usual: Usual,
) -> Features:
    """Return what the probability is judged by, for one object of a pass; `usual` are the drive's confidences."""
    seen_in = rays.frame[rows]
    order = np.searchsorted(views.track_m[frames], views.track_m[seen_in])
    between = int(order.max() - order.min()) + 1
    votes = objects.votes[n]
    spread = math.sqrt(max(float(np.linalg.eigvalsh(objects.covariance[n])[-1]), 1e-6))
    return Features(
        way=math.log1p(float(np.ptp(views.track_m[seen_in]))),
        confidence=max((float(votes.sum() / len(rows)) - usual.middle) / usual.spread, _LEAST_SURE),
        strong=math.log1p(np.count_nonzero(rays.strong[rows])),
        density=len(np.unique(seen_in)) / between,
        purity=float(votes.max() / max(votes.sum(), 1e-9)),
        unsure=math.log(max(min(spread, 50.0), 0.05)),
        rival=rival,
        missed=missed,
    )


def rivals(rays: Rays, objects: PassObjects) -> FloatArray:
    """Return each object's `rival`, shape (N,)."""
    found = np.zeros(len(objects))
    if len(objects) < 2:
        return found
    main = objects.votes.argmax(axis=1)
    frames = [set(rays.frame[rows].tolist()) for rows in objects.rows]
    for i, j in cKDTree(objects.values[:, :2]).query_pairs(_RIVAL_M):
        if main[i] != main[j]:
            continue
        weak, strong = (i, j) if len(objects.rows[i]) < len(objects.rows[j]) else (j, i)
        found[weak] = max(found[weak], 1 - len(frames[weak] & frames[strong]) / len(frames[weak]))
    return found


def by_pass(sightings: Sequence[Sighting]) -> list[Features]:
    """Return what an object's existence is judged by, once a pass.

    Sightings at the same time in the same direction belong to one pass, however many files or cameras they come from,
    so that the same drive given twice does not raise the probability.
    """
    kept: list[Sighting] = []
    for one in sorted(sightings, key=lambda one: -probability([one.features])):
        if not any(abs(one.time_s - other.time_s) < _SAME_S and one.looks_back == other.looks_back for other in kept):
            kept.append(one)
    return [one.features for one in kept]


def probability(
    features: Sequence[Features], weights: Mapping[str, float] = WEIGHTS, unseen: float | None = None
) -> float:
    """Return the probability that an object exists, from how each pass that saw it did.

    Passes are evidence of their own: the best one counts whole, and each further one adds `passes`.

    Args:
        features: Of each pass that saw it.
        weights: What they count.
        unseen: Logarithm of the odds that passes leave which came by and did not see it; see `network/unseen.py`.
    """
    scores = [weights["bias"] + sum(weights[name] * getattr(one, name) for name in FEATURES) for one in features]
    total = max(scores) + weights["passes"] * (len(scores) - 1) + weights["unseen"] * (unseen or 0.0)
    return 1 / (1 + math.exp(-max(min(total, 30.0), -30.0)))

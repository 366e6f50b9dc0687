"""What is solved for a pass: objects, and what the vehicle's smoothed way does not know about the camera.

Each side of a box is a plane through the lens. An object is upright and faces the camera: its place (2), the heights of
its upper and lower edge against the lens (2), its width, and its length along the view, which is near 0 but for
buildings and bridges: what is seen of those is their nearer end. The camera has, for the whole pass, a turn and a
nod against the way travelled, a factor of its focal length and an offset of its clock; and turns and nods that change
along the way, as knots joined by straight lines with a first-order Gauss-Markov prior.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GLOBALS = 4
YAW, PITCH, FOCAL, CLOCK = range(GLOBALS)
PER_OBJECT = 6
LOOK_CAMERA = 4 + GLOBALS
"""The camera's unknowns that a look knows of: turns and nods of two knots, and those that are common."""
EAST, NORTH, UPPER, LOWER, WIDTH, LENGTH = range(PER_OBJECT)
KNOT_M = 15.0
_UPPER_M, _UPPER_SIGMA_M, _LOWER_SIGMA_M = 3.0, 6.0, 5.0


@dataclass(frozen=True)
class Views:
    """The camera at F frames as the vehicle's way tells.

    Attributes:
        position_m: Shape (F, 2).
        heading_rad: View direction clockwise from grid north, shape (F,).
        turn_rate: Of the heading, radians a second, shape (F,).
        velocity_mps: Shape (F, 2).
        track_m: Distance travelled, shape (F,), not falling.
        heading_sigma: What the way leaves open of the heading, radians, shape (F,).
    """

    position_m: FloatArray
    heading_rad: FloatArray
    turn_rate: FloatArray
    velocity_mps: FloatArray
    track_m: FloatArray
    heading_sigma: FloatArray


@dataclass(frozen=True)
class Priors:
    """Standard deviations of what is common to a pass.

    Attributes:
        yaw, pitch: Radians, for the whole pass.
        focal: Of the focal length as a share of it.
        clock_s: Of the clock offset.
        pitch_knots: Radians, along the way.
        knot_length_m: Way over which turns and nods forget themselves.
    """

    yaw: float
    pitch: float
    focal: float
    clock_s: float
    pitch_knots: float = math.radians(0.2)
    knot_length_m: float = 60.0


@dataclass(frozen=True)
class Sights:
    """Which look belongs to which object, one row a look.

    Attributes:
        object: Shape (K,).
        frame: Shape (K,).
        sides: Measured tangents left, top, right, bottom, shape (K, 4).
        sigma: Their deviations, shape (K, 4); infinite where the side was not seen.
        delay_s: When each was read, against the time that the frame's place is of, shape (K,).
    """

    object: IntArray
    frame: IntArray
    sides: FloatArray
    sigma: FloatArray
    delay_s: FloatArray


@dataclass(frozen=True)
class Anchors:
    """Where the sides of the objects lie.

    Attributes:
        left, right: Left and right side against the object's own place, in widths, shape (N,).
        deep: Depth of each side against the object's own place, in lengths, shape (N, 4).
        length_m: Expected length along the view, shape (N,).
        height_m, height_sigma_m: What the class tells of the height, shape (N,); an infinite deviation says nothing.
    """

    left: FloatArray
    right: FloatArray
    deep: FloatArray
    length_m: FloatArray
    height_m: FloatArray
    height_sigma_m: FloatArray

    def take(self, rows: IntArray | list[int]) -> Anchors:
        """Return the anchors of some objects."""
        return Anchors(
            self.left[rows],
            self.right[rows],
            self.deep[rows],
            self.length_m[rows],
            self.height_m[rows],
            self.height_sigma_m[rows],
        )


class Problem:
    """Residuals, Jacobian and prior of a pass, for a vector of unknowns.

    The order of unknowns is: yaw, pitch, focal factor, clock; turns at the knots; nods at the knots; six an object.
    """

    def __init__(self, views: Views, sights: Sights, anchors: Anchors, priors: Priors) -> None:
        self.views, self.sights, self.anchors, self.priors = views, sights, anchors, priors
        self.objects = len(anchors.left)
        length = float(views.track_m[-1] - views.track_m[0]) if len(views.track_m) else 0.0
        self.knots = max(2, int(length / KNOT_M) + 2)
        place = (views.track_m[sights.frame] - views.track_m[0]) / KNOT_M
        self.low = np.clip(place.astype(np.int64), 0, self.knots - 2)
        self._share = place - self.low
        self.first_object = GLOBALS + 2 * self.knots
        self.size = self.first_object + PER_OBJECT * self.objects
        sums = np.zeros((self.objects, 2))
        np.add.at(sums, sights.object, views.velocity_mps[sights.frame])
        counts = np.maximum(np.bincount(sights.object, minlength=self.objects), 1)
        self._drift = views.velocity_mps[sights.frame] - (sums / counts[:, None])[sights.object]
        # Rows of a frame are read while the camera moves on.
        self._position = views.position_m[sights.frame] + views.velocity_mps[sights.frame] * sights.delay_s[:, None]

    def object_columns(self, which: int) -> IntArray:
        """Return the columns of one of the objects' unknowns, shape (N,)."""
        return self.first_object + which + PER_OBJECT * np.arange(self.objects)

    def predict(self, x: FloatArray) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Return the predicted sides, shape (K, 4), and what the Jacobian needs."""
        at, frame = self.sights.object, self.sights.frame
        values = x[self.first_object :].reshape(-1, PER_OBJECT)[at]
        turns, nods = x[GLOBALS : GLOBALS + self.knots], x[GLOBALS + self.knots : self.first_object]
        turn = x[YAW] + (1 - self._share) * turns[self.low] + self._share * turns[self.low + 1]
        nod = x[PITCH] + (1 - self._share) * nods[self.low] + self._share * nods[self.low + 1]
        heading = self.views.heading_rad[frame] + turn + self.views.turn_rate[frame] * x[CLOCK]
        apart = values[:, :2] - self._position - self._drift * x[CLOCK]
        sin, cos = np.sin(heading), np.cos(heading)
        across = apart[:, 0] * cos - apart[:, 1] * sin
        middle = apart[:, 0] * sin + apart[:, 1] * cos
        depth = np.maximum(middle[:, None] + self.anchors.deep[at] * values[:, LENGTH, None], 0.5)
        left = across + self.anchors.left[at] * values[:, WIDTH]
        right = across + self.anchors.right[at] * values[:, WIDTH]
        plain = np.stack([left, -values[:, UPPER], right, -values[:, LOWER]], 1) / depth
        predicted = plain * (1 + x[FOCAL])
        predicted[:, 1::2] += nod[:, None]
        parts = {"sin": sin, "cos": cos, "across": across, "middle": middle, "depth": depth, "plain": plain}
        return predicted, parts

    def jacobian(self, x: FloatArray, parts: dict[str, FloatArray]) -> FloatArray:
        """Return the Jacobian of the predictions, shape (K, 4, 14), of what each look knows of.

        Those are: turns of the knots before and after it, their nods, the four that are common, and its object's six.
        """
        at, frame = self.sights.object, self.sights.frame
        sin, cos, across, middle, plain = (parts[name] for name in ("sin", "cos", "across", "middle", "plain"))
        scale = 1 + x[FOCAL]
        inverse = scale / parts["depth"]
        rows = np.zeros((len(at), 4, LOOK_CAMERA + PER_OBJECT))
        flat = slice(0, 4, 2)
        # Moving the object east or north, or turning the camera, changes how far to the right and how deep it lies.
        east, north, turn = (-plain * one[:, None] for one in (sin, cos, across))
        east[:, flat] += cos[:, None]
        north[:, flat] -= sin[:, None]
        turn[:, flat] -= middle[:, None]
        for part in (east, north, turn):
            part *= inverse
        drift, share = self._drift, self._share[:, None]
        rows[..., 0], rows[..., 1], rows[..., LOOK_CAMERA - GLOBALS + YAW] = turn * (1 - share), turn * share, turn
        rows[:, 1::2, 2], rows[:, 1::2, 3], rows[:, 1::2, LOOK_CAMERA - GLOBALS + PITCH] = 1 - share, share, 1.0
        rows[..., LOOK_CAMERA - GLOBALS + FOCAL] = plain
        clock = turn * self.views.turn_rate[frame][:, None] - east * drift[:, :1] - north * drift[:, 1:]
        rows[..., LOOK_CAMERA - GLOBALS + CLOCK] = clock
        own = rows[..., LOOK_CAMERA:]
        own[..., EAST], own[..., NORTH] = east, north
        own[..., LENGTH] = -plain * self.anchors.deep[at] * inverse
        for side, edge in ((0, self.anchors.left), (2, self.anchors.right)):
            own[:, side, WIDTH] = edge[at] * inverse[:, side]
        own[:, 1, UPPER], own[:, 3, LOWER] = -inverse[:, 1], -inverse[:, 3]
        return rows

    def prior_terms(self, x: FloatArray) -> tuple[sparse.csr_matrix, FloatArray]:
        """Return the prior's precision matrix and its gradient at x."""
        prior, mean, pull = self._prior
        return prior, prior @ (x - mean) - pull

    def prior_cost(self, x: FloatArray) -> float:
        """Return the prior's part of the cost, up to a constant."""
        prior, mean, pull = self._prior
        apart = x - mean
        return float(0.5 * apart @ (prior @ apart) - pull @ apart)

    @cached_property
    def _prior(self) -> tuple[sparse.csr_matrix, FloatArray, FloatArray]:
        priors, knots = self.priors, self.knots
        mean = np.zeros(self.size)
        parts = [sparse.diags([priors.yaw**-2, priors.pitch**-2, priors.focal**-2, priors.clock_s**-2])]
        # Frames without a position say nothing of the heading.
        stated = self.views.heading_sigma[np.isfinite(self.views.heading_sigma)]
        heading = float(np.median(stated)) if len(stated) else math.radians(0.5)
        line = _gauss_markov(knots, math.exp(-KNOT_M / priors.knot_length_m))
        parts += [line / heading**2, line / priors.pitch_knots**2]
        weights = np.zeros((self.objects, PER_OBJECT))
        weights[:, WIDTH] = 1e-3
        weights[:, [EAST, NORTH]] = 1e-8
        # Road furniture is no taller than houses: far away, where rays hardly cross, this keeps it from running off.
        weights[:, UPPER], weights[:, LOWER] = _UPPER_SIGMA_M**-2, _LOWER_SIGMA_M**-2
        mean[self.object_columns(UPPER)] = _UPPER_M
        weights[:, LENGTH] = (0.4 * self.anchors.length_m + 0.02) ** -2.0
        mean[self.object_columns(LENGTH)] = self.anchors.length_m
        tall = self.anchors.height_sigma_m**-2.0
        upper, lower = np.arange(self.objects) * PER_OBJECT + UPPER, np.arange(self.objects) * PER_OBJECT + LOWER
        together = sparse.csr_matrix(
            (
                np.concatenate([tall, tall, -tall, -tall]),
                (np.concatenate([upper, lower, upper, lower]), np.concatenate([upper, lower, lower, upper])),
            ),
            shape=(weights.size, weights.size),
        )
        parts.append(sparse.diags(weights.ravel()) + together)
        # The height's prior pulls at the difference of both edges; what it expects joins the other priors' pull.
        pull = np.zeros(self.size)
        pull[self.object_columns(UPPER)] = tall * (self.anchors.height_m - (_UPPER_M - 0.0))
        pull[self.object_columns(LOWER)] = -pull[self.object_columns(UPPER)]
        return sparse.csr_matrix(sparse.block_diag(parts)), mean, pull


def _gauss_markov(count: int, keep: float) -> sparse.csr_matrix:
    """Precision matrix of a stationary first-order Gauss-Markov sequence of deviation 1."""
    inner = np.full(count, 1 + keep**2)
    inner[[0, -1]] = 1.0
    off = np.full(count - 1, -keep)
    return sparse.csr_matrix(sparse.diags([off, inner, off], [-1, 0, 1]) / (1 - keep**2))

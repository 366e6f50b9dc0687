"""Robust least squares over all rays of a pass: Levenberg-Marquardt steps on sparse normal equations (scipy).

Weights are those of a Student distribution, so that a wrong look pulls little. The sides' common deviation is estimated
from the residuals, and the covariance of every object is taken from the inverse of the normal matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reg_yolo.inventory.solve.elimination import Eliminated
from reg_yolo.inventory.solve.normal import Normal, NormalEquations
from reg_yolo.inventory.solve.problem import GLOBALS, PER_OBJECT, Problem

FloatArray = NDArray[np.float64]

_FREEDOM = 4.0
_STEPS = 14


@dataclass(frozen=True)
class Adjusted:
    """The solution of a pass.

    Attributes:
        camera: Yaw, pitch, focal factor and clock offset, shape (4,), and their deviations.
        camera_sigma: Shape (4,).
        turns, nods: At the knots, radians.
        objects: East, north, upper and lower edge against the lens, width, length, shape (N, 6).
        covariance: Of east and north, shape (N, 2, 2), the vehicle's way taken as true.
        residuals: Shape (K, 4), in deviations of a side.
        noise: Estimated factor of the sides' deviations.
    """

    camera: FloatArray
    camera_sigma: FloatArray
    turns: FloatArray
    nods: FloatArray
    objects: FloatArray
    covariance: FloatArray
    residuals: FloatArray
    noise: float


def adjust(problem: Problem, objects: FloatArray, camera: FloatArray | None = None) -> Adjusted:
    """Solve a pass.

    Args:
        problem: What is known.
        objects: First guesses, shape (N, 6).
        camera: First guess of the camera's unknowns and knots, as `start_of` gives it from an earlier solution.
    """
    x = np.zeros(problem.size)
    if camera is not None and len(camera) == problem.first_object:
        x[: problem.first_object] = camera
    x[problem.first_object :] = objects.ravel()
    damping, noise = 1e-2, 1.0
    equations = NormalEquations(problem)
    cost, parts, scaled = _cost(problem, x, noise)

    def normal_at(x: FloatArray) -> tuple[Normal, FloatArray]:
        sigma = problem.sights.sigma * noise
        inverse = np.where(np.isfinite(sigma), 1 / sigma, 0.0)
        return equations.at(x, parts, scaled, (_FREEDOM + 1) / (_FREEDOM + scaled**2), inverse)

    for step in range(_STEPS):
        normal, gradient = normal_at(x)
        while True:
            trial = x - Eliminated(normal.damped(damping)).solve(gradient)
            new_cost, new_parts, new_scaled = _cost(problem, trial, noise)
            if new_cost <= cost or damping > 1e6:
                break
            damping *= 8
        change = cost - new_cost
        x, parts, scaled, cost = trial, new_parts, new_scaled, new_cost
        damping = max(damping / 6, 1e-6)
        if step in (2, 5, 8):
            finite = scaled[np.isfinite(problem.sights.sigma) & (problem.sights.sigma < 1)]
            if len(finite) > 50:
                noise = float(np.clip(noise * 1.4826 * np.median(np.abs(finite)), 0.2, 5.0))
                cost, parts, scaled = _cost(problem, x, noise)
        elif change < 1e-4 * max(cost, 1.0) and step > 8:
            break
    covariance, camera_sigma = Eliminated(normal_at(x)[0]).covariances()
    knots = problem.knots
    return Adjusted(
        x[:GLOBALS],
        camera_sigma,
        x[GLOBALS : GLOBALS + knots],
        x[GLOBALS + knots : problem.first_object],
        x[problem.first_object :].reshape(-1, PER_OBJECT),
        covariance,
        scaled,
        noise,
    )


def start_of(solved: Adjusted) -> FloatArray:
    """Return what `adjust` takes as a first guess of the camera."""
    return np.concatenate([solved.camera, solved.turns, solved.nods])


def _cost(problem: Problem, x: FloatArray, noise: float) -> tuple[float, dict[str, FloatArray], FloatArray]:
    predicted, parts = problem.predict(x)
    scaled = (problem.sights.sides - predicted) / (problem.sights.sigma * noise)
    scaled = np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0)
    loss = 0.5 * (_FREEDOM + 1) * np.log1p(scaled**2 / _FREEDOM).sum()
    return float(loss) + problem.prior_cost(x), parts, scaled

"""Riemannian AdamW and SGD on one sphere with projection and retraction written out, float64, without torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Gradient = Callable[[Vector], Vector]


def on_tangent(point: Vector, vector: Vector) -> Vector:
    normal = point / np.linalg.norm(point)
    return vector - np.dot(normal, vector) * normal


def riemannian_adam(
    start: Vector, gradient: Gradient, steps: int, lr: float, betas: tuple[float, float] = (0.9, 0.999)
) -> list[Vector]:
    """Return the path of `steps` steps."""
    radius = np.linalg.norm(start)
    point, mean, square, path = start.copy(), np.zeros_like(start), np.zeros_like(start), []
    for step in range(1, steps + 1):
        slope = gradient(point)
        mean = betas[0] * mean + (1 - betas[0]) * slope
        square = betas[1] * square + (1 - betas[1]) * slope**2
        direction = (mean / (1 - betas[0] ** step)) / (np.sqrt(square / (1 - betas[1] ** step)) + 1e-8)
        point = point - lr * on_tangent(point, direction)
        point = radius * point / np.linalg.norm(point)
        mean = on_tangent(point, mean)
        path.append(point.copy())
    return path


def riemannian_sgd(start: Vector, gradient: Gradient, steps: int, lr: float, momentum: float = 0.9) -> list[Vector]:
    """Return the path of `steps` steps with Nesterov's momentum, as upstream's SGD has it."""
    radius = np.linalg.norm(start)
    point, velocity, path = start.copy(), np.zeros_like(start), []
    for _ in range(steps):
        slope = gradient(point)
        velocity = momentum * velocity + slope
        direction = slope + momentum * velocity
        point = point - lr * on_tangent(point, direction)
        point = radius * point / np.linalg.norm(point)
        velocity = on_tangent(point, velocity)
        path.append(point.copy())
    return path

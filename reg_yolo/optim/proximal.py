"""Inexact proximal step after a step of an optimizer (REG §2.6.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Points = Sequence[Tensor]
Gradient = Callable[[Points], tuple[Tensor, Points]]
"""Returns the value of G at points, a scalar, and its gradient by each of them."""


@torch.no_grad()
def proximal_step(start: Points, gradient: Gradient, strength: float, steps: int, inner_lr: float) -> list[Tensor]:
    """Return an approximation of prox(start), the minimiser of norm(theta - start)^2 / (2 strength) + G(theta).

    From `start` on, K gradient steps of length inner_lr x strength:
    theta <- theta - inner_lr ((theta - start) + strength grad G(theta)).

    Args:
        start: The points to begin with; they are not changed.
        gradient: Gives G and its gradient.
        strength: eta x learning rate >= 0; 0 returns `start`.
        steps: K >= 0; 0 returns `start`.
        inner_lr: In (0, 1], in units of `strength`: 1 is the longest with which the first term contracts.

    Returns:
        A new tensor for each point. Where one of them is not finite, `start`.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> half_square = lambda points: (sum(0.5 * p.square().sum() for p in points), points)
        >>> proximal_step([torch.tensor([2.0])], half_square, strength=1.0, steps=60, inner_lr=0.5)
        [tensor([1.])]
    """
    if not (strength >= 0 and steps >= 0 and 0 < inner_lr <= 1):
        raise ValueError(
            f"strength and steps must be >= 0 and inner_lr in (0, 1], got {strength}, {steps} and {inner_lr}"
        )
    points = [each.detach().clone() for each in start]
    if strength == 0:
        return points
    for _ in range(steps):
        _, slopes = gradient(points)
        points = [
            point - inner_lr * ((point - origin) + strength * slope)
            for point, origin, slope in zip(points, start, slopes, strict=True)
        ]
    finite = torch.stack([point.isfinite().all() for point in points]).all()
    return [torch.where(finite, point, origin) for point, origin in zip(points, start, strict=True)]

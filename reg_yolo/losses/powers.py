"""Powers of a non-negative base whose derivative stays finite at zero."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from reg_yolo.losses.checks import check_range


def guarded_power(base: Tensor, gamma: float) -> Tensor:
    """Return base ** gamma with derivative 0 at base = 0.

    For 0 < gamma < 1 the true derivative is infinite there, and autograd's own turns into NaN as soon as the chain
    multiplies it by zero, which happens at p = y. For gamma = 0 the result is 1, also at base = 0.

    Args:
        base: tensor of any shape, values >= 0.
        gamma: exponent >= 0.

    Raises:
        ValueError: gamma is negative or NaN.
    """
    check_range("gamma", gamma, 0.0)
    if gamma == 0.0:
        return torch.ones_like(base)
    if gamma == 1.0:
        return base
    if gamma == 2.0:
        return base * base
    return _GuardedPower.apply(base, gamma)


def power_and_slope(base: Tensor, gamma: float | Tensor) -> tuple[Tensor, Tensor]:
    """Return base ** gamma and gamma * base ** (gamma - 1), the slope 0 where base is 0; gamma > 0, no gradient.

    The exponents that are used most need no `pow`, which costs several times a square root. A tensor of exponents
    broadcasts to `base`.
    """
    if isinstance(gamma, Tensor):
        slope = base.clamp_min(torch.finfo(base.dtype).tiny).pow(gamma - 1.0).masked_fill(base == 0, 0.0)
        return base * slope, slope.mul_(gamma)
    if gamma == 1.0:
        return base, torch.ones_like(base)
    if gamma == 2.0:
        return base * base, base * 2.0
    if gamma == 1.5:
        root = base.sqrt()
        return base * root, root.mul_(1.5)
    slope = base.clamp_min(torch.finfo(base.dtype).tiny).pow(gamma - 1.0)
    if gamma < 1.0:
        slope = slope.masked_fill(base == 0, 0.0)
    return base * slope, slope.mul_(gamma)


class _GuardedPower(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, base: Tensor, gamma: float) -> Tensor:
        value, slope = power_and_slope(base, gamma)
        ctx.save_for_backward(slope)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return grad_output * slope, None

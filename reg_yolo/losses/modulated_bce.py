"""Binary cross-entropy times abs(y - p) ** gamma, value and gradient in one pass.

This is the term that runs over every anchor point and class in every training step. Written as a chain of autograd
operations it keeps six tensors of that size alive and reads them all again on the way back; here the gradient is
formed next to the value, in blocks that stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from reg_yolo.losses.powers import power_and_slope

# Elements in a block on the CPU: about eight float32 temporaries of this size fit a 1 MiB second-level cache.
BLOCK = 32768


def modulated_bce(
    pred_logits: Tensor, target_scores: Tensor, gamma: float | Tensor, weight: Tensor | None = None
) -> Tensor:
    """Elementwise weight * abs(y - sigmoid(z)) ** gamma * BCE(z, y); gradient to the logits alone.

    gamma = 0 without a weight is torch's own binary_cross_entropy_with_logits, bit for bit.

    Args:
        pred_logits: Tensor of any shape, float32 or float64.
        target_scores: same shape and dtype, in [0, 1].
        gamma: exponent >= 0, or exponents > 0 of the logits' shape and dtype.
        weight: broadcasts to `pred_logits`, or None for 1.
    """
    if not isinstance(gamma, Tensor) and gamma == 0.0:
        loss = F.binary_cross_entropy_with_logits(pred_logits, target_scores, reduction="none")
        return loss if weight is None else loss * weight
    if weight is not None:
        weight = weight.expand_as(pred_logits)
    if isinstance(gamma, Tensor):
        return _ModulatedBCE.apply(pred_logits, target_scores, 0.0, weight, gamma)
    return _ModulatedBCE.apply(pred_logits, target_scores, gamma, weight, None)


def value_and_slope(
    pred_logits: Tensor, target_scores: Tensor, gamma: float | Tensor, *, with_slope: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Return abs(y - p) ** gamma * BCE(z, y) and its derivative by z, without autograd.

    Args:
        pred_logits: Tensor of any shape, float32 or float64.
        target_scores: same shape and dtype, in [0, 1].
        gamma: exponent >= 0, or exponents > 0 that broadcast to the logits.
        with_slope: whether the derivative is wanted; None comes in its place otherwise.
    """
    p = pred_logits.sigmoid()
    error = p - target_scores
    cross_entropy = F.softplus(pred_logits).addcmul_(pred_logits, target_scores, value=-1.0)
    if not isinstance(gamma, Tensor) and gamma == 0.0:
        return cross_entropy, error if with_slope else None
    modulation, modulation_slope = power_and_slope(error.abs(), gamma)
    slope = None
    if with_slope:
        # d/dz = |e|^g (p - y) + g |e|^(g-1) sign(e) p (1 - p) BCE, with e = p - y
        slope = modulation * error
        p.addcmul_(p, p, value=-1.0).mul_(modulation_slope).mul_(cross_entropy)
        slope.addcmul_(p, error.sign_())
    return cross_entropy.mul_(modulation), slope


class _ModulatedBCE(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        pred_logits: Tensor,
        target_scores: Tensor,
        gamma: float,
        weight: Tensor | None,
        exponents: Tensor | None,
    ) -> Tensor:
        loss = torch.empty_like(pred_logits)
        needs_gradient = ctx.needs_input_grad[0]
        slope = torch.empty_like(pred_logits) if needs_gradient else loss
        tensors = (pred_logits, target_scores, loss, slope)
        optional = [] if weight is None else [weight]
        optional += [] if exponents is None else [exponents]
        for z, y, value, derivative, *rest in blocks(*tensors, *optional):
            exponent = gamma if exponents is None else rest.pop()
            of_block, slope_of_block = value_and_slope(z, y, exponent, with_slope=needs_gradient)
            for w in rest:
                of_block.mul_(w)
            value.copy_(of_block)
            if slope_of_block is not None:
                for w in rest:
                    slope_of_block.mul_(w)
                derivative.copy_(slope_of_block)
        if needs_gradient:
            ctx.save_for_backward(slope)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None, None, None]:
        (slope,) = ctx.saved_tensors
        return grad_output * slope, None, None, None, None


def blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield matching blocks of equally shaped tensors: small ones on the CPU, the whole on other devices.

    Among the tensors is a new one, without gaps in memory; those with its strides have none either.
    """
    first = tensors[0]
    if first.device.type != "cpu" or first.numel() <= BLOCK or first.ndim == 0:
        yield tensors
    elif all(t.stride() == first.stride() for t in tensors):
        flat = (t.as_strided((t.numel(),), (1,), t.storage_offset()) for t in tensors)
        yield from zip(*(t.split(BLOCK) for t in flat), strict=True)
    else:
        # Slices of the first dimension keep whatever memory order the tensors share.
        rows = max(1, BLOCK * first.shape[0] // first.numel())
        yield from zip(*(t.split(rows) for t in tensors), strict=True)

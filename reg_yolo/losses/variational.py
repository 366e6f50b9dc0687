"""Variational free energy of a Gaussian over the logit, and its parts (REG §2.6.4)."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from reg_yolo.losses.checks import at_least_float32, check_broadcast, check_range, check_same_shape
from reg_yolo.losses.modulated_bce import blocks, value_and_slope
from reg_yolo.losses.reduction import reduce_loss


def gaussian_kl(
    mean: Tensor, deviation: Tensor | float, prior_mean: Tensor | float = 0.0, prior_deviation: float = 1.0
) -> Tensor:
    """Kullback-Leibler divergence of N(mean, deviation^2) from N(prior_mean, prior_deviation^2), closed form.

    Args:
        mean: Tensor of any shape.
        deviation, prior_mean: numbers or tensors that broadcast to `mean`; a deviation is > 0.
        prior_deviation: number > 0.

    Returns:
        Tensor of the shape of `mean`, >= 0, and 0 where both Gaussians are the same.

    Raises:
        ValueError: `prior_deviation` or a numeric `deviation` is not positive.
    """
    tiny = torch.finfo(torch.float32).tiny
    check_range("prior_deviation", prior_deviation, tiny)
    mean = at_least_float32(mean)
    if not isinstance(deviation, Tensor):
        check_range("deviation", deviation, tiny)
    ratio = torch.as_tensor(deviation, dtype=mean.dtype, device=mean.device) / prior_deviation
    shift = (mean - prior_mean) / prior_deviation
    return 0.5 * (shift * shift + (ratio * ratio - 1.0)) - ratio.log()


def expected_quality_focal_loss(
    pred_logits: Tensor,
    deviation: Tensor | float,
    target_scores: Tensor,
    *,
    gamma: float = 0.0,
    nodes: int = 8,
    reduction: str = "none",
) -> Tensor:
    """Expected quality focal loss E_q[abs(y - p)^gamma BCE(z, y)] under q = N(pred_logits, deviation^2) (REG §2.6.4).

    By Gauss-Hermite quadrature. For the way back two tensors of the logits' shape are kept, whatever `nodes` is.

    Args:
        pred_logits: Tensor of any shape, the mean of q.
        deviation: > 0, a number or a tensor that broadcasts to `pred_logits`.
        target_scores: the shape of `pred_logits`, in [0, 1].
        gamma: exponent >= 0.
        nodes: points of the quadrature.
        reduction: "none", "mean" (over elements) or "sum".

    Raises:
        ValueError: shapes differ or a number is out of range.
    """
    check_same_shape("pred_logits", pred_logits, "target_scores", target_scores)
    check_range("gamma", gamma, 0.0)
    check_range("nodes", nodes, 1)
    z = at_least_float32(pred_logits)
    y = target_scores.detach().to(z.dtype)
    if isinstance(deviation, Tensor):
        check_broadcast("deviation", deviation, z.shape)
    s = torch.as_tensor(deviation, dtype=z.dtype, device=z.device).expand_as(z)
    return reduce_loss(_ExpectedLoss.apply(z, s, y, gamma, nodes), reduction)


def variational_free_energy(
    pred_logits: Tensor,
    deviation: Tensor | float,
    target_scores: Tensor,
    *,
    gamma: float = 0.0,
    prior_mean: float = 0.0,
    prior_deviation: float = 1.0,
    kl_weight: float = 1.0,
    nodes: int = 8,
    reduction: str = "none",
) -> Tensor:
    """Free energy F(q) = E_q[L] + kl_weight KL(q, prior) (REG §2.6.4), with L the quality focal loss.

    q = N(pred_logits, deviation^2) on the logit. The paper names neither q's form nor the prior: both Gaussian here.
    With kl_weight 1, F(q) >= -log E_prior[exp(-L)].

    Args:
        pred_logits: Tensor of any shape, the mean of q.
        deviation: > 0, a number or a tensor that broadcasts to `pred_logits`.
        target_scores, gamma, nodes, reduction: as for `expected_quality_focal_loss`.
        prior_mean, prior_deviation: of the prior on the logit.
        kl_weight: >= 0; 1 is the printed form.

    Raises:
        ValueError: shapes differ or a number is out of range.
    """
    check_range("kl_weight", kl_weight, 0.0)
    z = at_least_float32(pred_logits)
    expected = expected_quality_focal_loss(z, deviation, target_scores, gamma=gamma, nodes=nodes)
    return reduce_loss(expected + kl_weight * gaussian_kl(z, deviation, prior_mean, prior_deviation), reduction)


class _ExpectedLoss(torch.autograd.Function):
    """The quadrature with both derivatives formed on the way: autograd would keep several tensors for each node."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, s: Tensor, y: Tensor, gamma: float, nodes: int) -> Tensor:
        needs_gradient = any(ctx.needs_input_grad[:2])
        loss = torch.zeros_like(z)
        slopes = [torch.zeros_like(z) for _ in range(2 * needs_gradient)]
        for z_part, s_part, y_part, value, *slope_parts in blocks(z, s, y, loss, *slopes):
            for point, weight in zip(*gauss_hermite(nodes), strict=True):
                at_point = torch.add(z_part, s_part, alpha=point)
                loss_there, slope = value_and_slope(at_point, y_part, gamma, with_slope=needs_gradient)
                value.add_(loss_there, alpha=weight)
                if slope is not None:
                    slope_parts[0].add_(slope, alpha=weight)
                    slope_parts[1].add_(slope, alpha=weight * point)
        if needs_gradient:
            ctx.save_for_backward(*slopes)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        by_mean, by_deviation = ctx.saved_tensors
        return gradient * by_mean, gradient * by_deviation, None, None, None


@functools.lru_cache(maxsize=8)
def gauss_hermite(nodes: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Points and weights for expectations under N(0, 1), exact for polynomials of degree 2 nodes - 1.

    Golub and Welsch: eigenvalues of the Jacobi matrix, squared first components of its eigenvectors.
    """
    off_diagonal = torch.tensor([math.sqrt(k) for k in range(1, nodes)], dtype=torch.float64)
    jacobi = torch.diag(off_diagonal, 1) + torch.diag(off_diagonal, -1)
    points, vectors = torch.linalg.eigh(jacobi)
    return tuple(points.tolist()), tuple(vectors[0].square().tolist())

"""Variational free energy of a Gaussian over the logit (REG §2.6.4)."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from reg_yolo.losses.checks import at_least_float32, check_range, check_same_shape
from reg_yolo.losses.modulated_bce import modulated_bce
from reg_yolo.losses.reduction import reduce_loss


def gaussian_kl(
    mean: Tensor, deviation: Tensor | float, prior_mean: float = 0.0, prior_deviation: float = 1.0
) -> Tensor:
    """Kullback-Leibler divergence of N(mean, deviation^2) from N(prior_mean, prior_deviation^2), closed form.

    Args:
        mean: Tensor of any shape.
        deviation: > 0, a number or a tensor that broadcasts to `mean`.
        prior_mean: number.
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
        target_scores: the shape of `pred_logits`, in [0, 1].
        gamma: exponent >= 0 of L = abs(y - p)^gamma BCE.
        prior_mean: mean of the prior on the logit.
        prior_deviation: deviation of the prior, > 0.
        kl_weight: >= 0; 1 is the printed form.
        nodes: points of the Gauss-Hermite quadrature for E_q.
        reduction: "none", "mean" (over elements) or "sum".

    Raises:
        ValueError: shapes differ or a number is out of range.
    """
    check_same_shape("pred_logits", pred_logits, "target_scores", target_scores)
    check_range("gamma", gamma, 0.0)
    check_range("kl_weight", kl_weight, 0.0)
    check_range("nodes", nodes, 1)
    z = at_least_float32(pred_logits)
    y = target_scores.detach().to(z.dtype)
    free_energy = kl_weight * gaussian_kl(z, deviation, prior_mean, prior_deviation)
    for point, weight in zip(*gauss_hermite(nodes), strict=True):
        # A loop, not a new dimension: `nodes` copies of a dense head's logits would not fit a small GPU.
        free_energy = free_energy + weight * modulated_bce(z + point * deviation, y, gamma)
    return reduce_loss(free_energy, reduction)


@functools.lru_cache(maxsize=8)
def gauss_hermite(nodes: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Points and weights for expectations under N(0, 1), exact for polynomials of degree 2 nodes - 1.

    Golub and Welsch: eigenvalues of the Jacobi matrix, squared first components of its eigenvectors.
    """
    off_diagonal = torch.tensor([math.sqrt(k) for k in range(1, nodes)], dtype=torch.float64)
    jacobi = torch.diag(off_diagonal, 1) + torch.diag(off_diagonal, -1)
    points, vectors = torch.linalg.eigh(jacobi)
    return tuple(points.tolist()), tuple(vectors[0].square().tolist())

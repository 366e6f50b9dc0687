"""Predicted probability under an uncertain logit (REG §2.5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from reg_yolo.losses.checks import at_least_float32, check_broadcast, check_choice, check_range

UNCERTAINTY_MODES = ("printed", "logit_normal", "truncated_normal")

# Below this deviation the expectation equals the prediction in float32, and the closed form divides by it.
SMALLEST_DEVIATION = 1e-6


def expected_probability(pred_logits: Tensor, deviation: Tensor | float, mode: str = "logit_normal") -> Tensor:
    """Return the expected probability p-hat of an uncertain prediction (REG §2.5).

    Args:
        pred_logits: Tensor of any shape, logits z; p = sigmoid(z).
        deviation: s >= 0, a number or a tensor that broadcasts to `pred_logits` (per class, per anchor point).
        mode: "printed" is the mean of N(p, s^2), which is p itself: s has no effect.
            "logit_normal" is E[sigmoid(z + s e)], e ~ N(0, 1), by MacKay's sigmoid(z / sqrt(1 + pi s^2 / 8)).
            "truncated_normal" is the mean of N(p, s^2) truncated to [0, 1], exact; here s is in probability.

    Returns:
        Tensor of the shape of `pred_logits`, in [0, 1]. Both live modes pull towards 0.5.

    Raises:
        ValueError: If `mode` is unknown, or `deviation` is negative or does not broadcast.

    Example:
        >>> expected_probability(torch.tensor([2.0]), deviation=2.0), torch.tensor([2.0]).sigmoid()
        (tensor([0.7768]), tensor([0.8808]))
    """
    return expected_logits(pred_logits, deviation, mode).sigmoid()


def expected_logits(pred_logits: Tensor, deviation: Tensor | float, mode: str = "logit_normal") -> Tensor:
    """Return the logits of `expected_probability`: the form that goes into a loss on logits. Same arguments.

    Example:
        >>> expected_logits(torch.tensor([2.0]), deviation=2.0)
        tensor([1.2474])
    """
    check_choice("mode", mode, UNCERTAINTY_MODES)
    if isinstance(deviation, Tensor):
        check_broadcast("deviation", deviation, pred_logits.shape)
    else:
        check_range("deviation", deviation, 0.0)
    z = at_least_float32(pred_logits)
    if mode == "printed":
        return z
    if mode == "logit_normal":
        if isinstance(deviation, Tensor):
            s = at_least_float32(deviation)
            return z * torch.rsqrt(1.0 + (math.pi / 8.0) * s * s)
        return z / math.sqrt(1.0 + math.pi / 8.0 * deviation**2)
    return _truncated_normal_logits(z, torch.as_tensor(deviation, dtype=z.dtype, device=z.device))


def _truncated_normal_logits(z: Tensor, deviation: Tensor) -> Tensor:
    """Return the logits of p + s (phi(a) - phi(b)) / (Phi(b) - Phi(a)) with a = -p/s, b = (1-p)/s."""
    s = deviation.clamp_min(SMALLEST_DEVIATION)
    # The mean is symmetric, m(1 - p) = 1 - m(p). With p <= 0.5 the exponents below are <= 0 and nothing overflows.
    upper = z > 0
    p = torch.where(upper, -z, z).sigmoid()
    a, b = -p / s, (1.0 - p) / s
    density_difference = -torch.exp(-0.5 * a * a) * torch.expm1((2.0 * p - 1.0) / (2.0 * s * s))
    # phi has 1/sqrt(2 pi) before its exponential, Phi 1/2 before its error function
    mass = (torch.erf(b / math.sqrt(2.0)) - torch.erf(a / math.sqrt(2.0))) * math.sqrt(math.pi / 2.0)
    mean = p + s * density_difference / mass
    logits = torch.log(mean) - torch.log1p(-mean)
    return torch.where(deviation > SMALLEST_DEVIATION, torch.where(upper, -logits, logits), z)

"""Mean, deviation and spread of a DFL head's box distributions, and the deviation they give REG §2.5."""

from __future__ import annotations

import torch
from torch import Tensor

from reg_yolo.losses.checks import at_least_float32, check_last_dims

# Anchor points in a block on the CPU: 4 x 16 float32 bins of each take 2 MiB. Smaller blocks fit a second-level cache,
# but threads then wait for each other more often, which costs more.
BLOCK = 8400


def distribution_spread(pred_dist: Tensor) -> Tensor:
    """Return the spread of a DFL box distribution: the mean over its four sides of sd_k / (E_k + 1).

    Args:
        pred_dist: Tensor[..., 4, reg_max], logits over the bins 0 .. reg_max - 1 of the left, top, right, bottom side.
            Detach it where no gradient is to flow into the box branch, which is also several times faster on a CPU.

    Returns:
        Tensor[...] >= 0; 0 where every side is certain.

    Raises:
        ValueError: If the last two dimensions are not (4, reg_max).

    Example:
        >>> distribution_spread(torch.zeros(4, 16))
        tensor(0.5423)
    """
    check_last_dims("pred_dist", pred_dist, 4, None)
    mean, deviation = distribution_moments(pred_dist)
    return (deviation / (mean + 1.0)).mean(-1)


def distribution_moments(pred_dist: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and standard deviation of DFL distributions, in bins.

    Args:
        pred_dist: Tensor[..., reg_max] logits. A head's raw Tensor[B, 4 reg_max, A] goes in as
            `raw.view(B, 4, reg_max, A).permute(0, 3, 1, 2)`: no copy is made.

    Returns:
        Two Tensor[...], mean in [0, reg_max - 1] and deviation >= 0. The mean is what the head decodes as a distance.

    Example:
        >>> distribution_moments(torch.zeros(4, 16))
        (tensor([7.5000, 7.5000, 7.5000, 7.5000]), tensor([4.6098, 4.6098, 4.6098, 4.6098]))
    """
    logits = at_least_float32(pred_dist)
    middle = 0.5 * (logits.shape[-1] - 1)
    if not (logits.requires_grad and torch.is_grad_enabled()) and logits.device.type == "cpu" and logits.ndim == 4:
        first, second = _centred_moments_in_blocks(logits)
        # In place: new memory costs more than the arithmetic.
        deviation = second.addcmul_(first, first, value=-1.0).clamp_(min=0.0).sqrt_()
        return first.add_(middle), deviation
    first, second = _centred_moments(logits, -1)
    variance = second - first.square()
    # The square root has an infinite slope at 0, and a one-hot distribution is to have a zero gradient.
    tiny = torch.finfo(variance.dtype).tiny
    deviation = variance.clamp_min(tiny).sqrt().masked_fill(variance <= tiny, 0.0)
    return first + middle, deviation


def _centred_moments_in_blocks(logits: Tensor) -> tuple[Tensor, Tensor]:
    first = torch.empty_like(logits[..., 0])
    second = torch.empty_like(first)
    for image in range(len(logits)):
        for block, *out in zip(*(t[image].split(BLOCK) for t in (logits, first, second)), strict=True):
            if block.stride(0) == 1:
                # A head's raw output has the anchor points last in memory: sum across the bins, not along them.
                _centred_moments(block.movedim(0, -1), -2, *(t.movedim(0, -1) for t in out))
            else:
                _centred_moments(block, -1, *out)
    return first, second


def _centred_moments(
    logits: Tensor, bin_dim: int, first_out: Tensor | None = None, second_out: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the first two moments about the middle bin, where their difference loses the fewest digits."""
    probabilities = logits.softmax(bin_dim)
    bins = torch.arange(logits.shape[bin_dim], dtype=logits.dtype, device=logits.device)
    bins = bins.sub_(0.5 * (len(bins) - 1)).view(-1, *[1] * (-1 - bin_dim))
    # Sums of products, no matrix product: autocast would run that in half precision.
    first = torch.sum(probabilities * bins, bin_dim, out=first_out)
    return first, torch.sum(probabilities * bins.square(), bin_dim, out=second_out)

"""What the box distributions of a YOLOv8 head say about its boxes: scores that weigh it, and sigma of each side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from reg_yolo.config.suppression import RescoreKind, SuppressionSettings
from reg_yolo.errors import ConfigError
from reg_yolo.losses.distribution import distribution_moments
from reg_yolo.losses.uncertainty import expected_probability

# Columns that `widened_output` appends.
SIGMA_COLUMNS = 4
# A logit of float16 scores at 0 or 1 is infinite otherwise.
_SURE = 1e-7


def widened_output(
    preds: Any, settings: SuppressionSettings, classes: int, largest_stride: int, input_size: Sequence[int]
) -> Any:
    """Return a network's output with rescored classes, and with sigma of each side behind everything else.

    Args:
        preds: What a detection or segmentation model returns in evaluation: Tensor[B, 4 + C + M, A] (for masks paired
            with the prototypes) and the dictionary of raw predictions; or the outputs of an export with distributions.
        settings: What is asked for; without `rescore` and `sigma` the output is returned as it is.
        classes: C.
        largest_stride: Of the network, in pixels.
        input_size: Height and width of the network's input in pixels.

    Returns:
        The same nesting; the tensor is Tensor[B, 4 + C + M (+ 4), A], sigma in pixels of the network's input in the
        order of xyxy.

    Raises:
        ConfigError: If there are no distributions.
    """
    if not settings.reads_distributions:
        return preds
    logits = _distributions(preds)
    if logits is None:
        wanted = "sigma" if settings.sigma else "rescore"
        raise ConfigError(
            f"`{wanted}`: needs the box distributions, which this output does not hold; take the .pt weights with "
            "`engine` pytorch, without augment, or export them with `reg-yolo export --distributions`"
        )
    # Upstream pairs PyTorch's output with the prototypes of the masks.
    paired = isinstance(preds[0], (list, tuple))
    output: Tensor = preds[0][0] if paired else preds[0]
    batch, channels, anchors = logits.shape
    if channels % 4 or channels <= 4:
        raise ConfigError("`rescore`, `sigma`: this network has no box distributions (reg_max is 1); leave them out")
    mean, deviation = distribution_moments(logits.view(batch, 4, channels // 4, anchors).permute(0, 3, 1, 2))
    parts = [output]
    if settings.rescore != "none":
        scores = rescored(output[:, 4 : 4 + classes], mean, deviation, settings.rescore)
        parts = [output[:, :4], scores.to(output.dtype), output[:, 4 + classes :]]
    if settings.sigma:
        strides = strides_of(input_size, largest_stride, anchors).to(deviation.device)
        parts.append((deviation.transpose(1, 2) * strides).to(output.dtype))
    output = torch.cat(parts, 1)
    return [(output, *preds[0][1:]) if paired else output, *preds[1:]]


def _distributions(preds: Any) -> Tensor | None:
    """Return the logits of the box distributions, Tensor[B, 4 R, A]; None where an output does not hold them."""
    if not isinstance(preds, (list, tuple)):
        return None
    last = preds[-1]
    if isinstance(last, dict):
        return last["boxes"]
    # Prototypes of masks are images.
    return last if len(preds) > 1 and isinstance(last, Tensor) and last.ndim == 3 else None


def rescored(scores: Tensor, mean: Tensor, deviation: Tensor, kind: RescoreKind) -> Tensor:
    """Return class scores that weigh how sure the head is of the box.

    The spread of an anchor is the mean over its four sides of sd_k / (E_k + 1) (REG §2.5, deviation `dfl`). `dfl` is
    E[sigmoid(z + spread e)], e ~ N(0, 1), by MacKay's approximation: it pulls towards 0.5, so that a blurred box below
    0.5 rises. `spread` is p (1 - spread): every blurred box falls.

    Args:
        scores: Tensor[B, C, A], in [0, 1].
        mean: Tensor[B, A, 4], in bins.
        deviation: Tensor[B, A, 4], in bins.
        kind: `dfl` or `spread`.

    Returns:
        Tensor[B, C, A] float32, in [0, 1].

    Example:
        >>> sure, blurred = (torch.full((1, 1, 4), sd) for sd in (0.0, 3.0))
        >>> mean = torch.full((1, 1, 4), 2.0)
        >>> [round(rescored(torch.tensor([[[0.9]]]), mean, sd, "dfl").item(), 3) for sd in (sure, blurred)]
        [0.9, 0.867]
        >>> round(rescored(torch.tensor([[[0.9]]]), mean, torch.full((1, 1, 4), 0.3), "spread").item(), 3)
        0.81
    """
    spread = (deviation / (mean + 1.0)).mean(-1).unsqueeze(1)
    scores = scores.float()
    if kind == "spread":
        return scores * (1.0 - spread).clamp(min=0.0)
    # A certain box keeps its score to the last digit.
    expected = expected_probability(scores.clamp(_SURE, 1.0 - _SURE).logit(), spread, "logit_normal")
    return torch.where(spread > 0.0, expected, scores)


def strides_of(input_size: Sequence[int], largest_stride: int, anchors: int) -> Tensor:
    """Return the stride of every anchor point in pixels, Tensor[A].

    Args:
        input_size: Height and width of the network's input in pixels, multiples of the largest stride.
        largest_stride: Of the coarsest level, in pixels; each finer level has half the stride.
        anchors: A, the finest level first.

    Raises:
        ConfigError: If no such levels have so many points.

    Example:
        >>> strides_of((64, 32), 32, 42).unique(return_counts=True)
        (tensor([ 8., 16., 32.]), tensor([32,  8,  2]))
    """
    levels: list[Tensor] = []
    stride, left = largest_stride, anchors
    while left > 0 and stride >= 1:
        points = (input_size[0] // stride) * (input_size[1] // stride)
        levels.insert(0, torch.full((points,), float(stride)))
        stride, left = stride // 2, left - points
    if left:
        raise ConfigError(
            f"`sigma`: {anchors} anchor points do not follow from an input of {input_size[0]}x{input_size[1]} pixels "
            f"and strides up to {largest_stride}; leave it out"
        )
    return torch.cat(levels)

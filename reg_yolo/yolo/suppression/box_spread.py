"""What the box distributions of a YOLOv8 head say about its boxes: scores that weigh it, and sigma of each side."""

from __future__ import annotations

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


def widened_output(preds: Any, settings: SuppressionSettings, classes: int, largest_stride: int) -> Any:
    """Return a network's output with rescored classes, and with sigma of each side behind everything else.

    Args:
        preds: What a detection or segmentation model returns in evaluation: Tensor[B, 4 + C + M, A] (for masks paired
            with the prototypes) and the dictionary of raw predictions.
        settings: What is asked for; without `rescore` and `sigma` the output is returned as it is.
        classes: C.
        largest_stride: Of the network, in pixels.

    Returns:
        The same nesting; the tensor is Tensor[B, 4 + C + M (+ 4), A], sigma in pixels of the network's input in the
        order of xyxy.

    Raises:
        ConfigError: If there are no raw predictions.
    """
    if not settings.reads_distributions:
        return preds
    if not isinstance(preds, (list, tuple)) or not isinstance(preds[-1], dict):
        wanted = "sigma" if settings.sigma else "rescore"
        raise ConfigError(
            f"`{wanted}`: needs the box distributions, which this output does not hold; take the .pt weights with "
            "`engine` pytorch, without augment"
        )
    raw = preds[-1]
    # Upstream pairs the output with the prototypes of the masks.
    paired = isinstance(preds[0], (list, tuple))
    output: Tensor = preds[0][0] if paired else preds[0]
    batch, channels, anchors = raw["boxes"].shape
    if channels % 4 or channels <= 4:
        raise ConfigError("`rescore`, `sigma`: this network has no box distributions (reg_max is 1); leave them out")
    mean, deviation = distribution_moments(raw["boxes"].view(batch, 4, channels // 4, anchors).permute(0, 3, 1, 2))
    parts = [output]
    if settings.rescore != "none":
        scores = rescored(output[:, 4 : 4 + classes], mean, deviation, settings.rescore)
        parts = [output[:, :4], scores.to(output.dtype), output[:, 4 + classes :]]
    if settings.sigma:
        sigma = deviation.transpose(1, 2) * strides_of(raw["feats"], largest_stride)
        parts.append(sigma.to(output.dtype))
    output = torch.cat(parts, 1)
    return [(output, *preds[0][1:]) if paired else output, *preds[1:]]


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


def strides_of(features: list[Tensor], largest_stride: int) -> Tensor:
    """Return the stride of every anchor point in pixels, Tensor[A].

    Args:
        features: Of each level Tensor[B, C, H, W], the finest first; the last has the largest stride.
        largest_stride: In pixels.
    """
    rows = features[-1].shape[2] * largest_stride
    return torch.cat(
        [level.new_full((level.shape[2] * level.shape[3],), rows / level.shape[2], dtype=torch.float32)
         for level in features]
    )  # fmt: skip

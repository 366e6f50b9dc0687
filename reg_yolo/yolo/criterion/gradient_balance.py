"""How the gradient of a batch is shared: between positives and negatives, between classes and boxes.

Read from the gradients that the one backward pass brings to the head's output, so it holds for every loss and costs
three sums.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reg_yolo.yolo.criterion.head_output import HeadOutput
from reg_yolo.yolo.criterion.logged_means import EpochTerms
from reg_yolo.yolo.criterion.targets import Positives

POSITIVE, NEGATIVE, BOX = "gradient/positive", "gradient/negative", "gradient/box"


def watch_gradients(head: HeadOutput, positives: Positives, terms: EpochTerms) -> None:
    """Record the summed absolute gradients by class and box logits once this output's loss is differentiated.

    A gradient that is no number, as a loss scaler meets now and then, counts as 0.
    """

    def of_classes(gradient: Tensor) -> None:
        size = gradient.detach().abs()
        own = size[positives.image, positives.label, positives.anchor].sum(dtype=torch.float32)
        terms.add(POSITIVE, _finite(own))
        terms.add(NEGATIVE, _finite(size.sum(dtype=torch.float32) - own))

    def of_boxes(gradient: Tensor) -> None:
        terms.add(BOX, _finite(gradient.detach().abs().sum(dtype=torch.float32)))

    head.class_logits.register_hook(of_classes)
    if head.box_logits.requires_grad:
        head.box_logits.register_hook(of_boxes)


def gradient_shares(means: dict[str, float]) -> dict[str, float]:
    """Take the recorded means out of `means` and return their ratios; 0 where nothing was recorded."""
    positive, negative, box = (means.pop(name, 0.0) for name in (POSITIVE, NEGATIVE, BOX))
    return {
        "reg/gradient_negative_to_positive": negative / positive if positive else 0.0,
        "reg/gradient_class_to_box": (positive + negative) / box if box else 0.0,
    }


def _finite(value: Tensor) -> Tensor:
    return torch.where(torch.isfinite(value), value, 0.0)

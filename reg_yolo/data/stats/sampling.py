"""What sampling for rare classes would make of the training split: repeat factors, and objects an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from reg_yolo.data.sampling.factors import (
    Method,
    class_factors,
    class_frequencies,
    count_matrix,
    expected_draws,
    image_factors,
    resolve_threshold,
)


@dataclass(frozen=True)
class SamplingEffect:
    """What one method does at the median threshold.

    Attributes:
        threshold: Class frequency below which images are shown more often.
        factors: Repeat factor of each class.
        objects: Objects of each class that an epoch of as many draws as images is expected to show.
        scaled_draws: Draws of an epoch with `sampling.epoch: scaled`, the sum of the images' factors.
    """

    threshold: float
    factors: list[float]
    objects: list[float]
    scaled_draws: float


def sampling_effects(class_ids: Sequence[Sequence[int]], classes: int) -> dict[str, SamplingEffect]:
    """Return the effect of every method by its name, as training with `sampling:` has it; nothing without objects.

    Args:
        class_ids: By image of the training split, the class indices of its objects.
        classes: Number of classes.
    """
    counts = count_matrix(class_ids, classes)
    if not counts.any():
        return {}
    effects = {}
    for method in get_args(Method):
        frequencies = class_frequencies(counts, method)
        threshold = resolve_threshold(frequencies, "median")
        factors = class_factors(frequencies, threshold)
        images = image_factors(counts, factors)
        objects = expected_draws(images, len(counts)) @ counts
        effects[method] = SamplingEffect(threshold, factors.tolist(), objects.tolist(), float(images.sum()))
    return effects

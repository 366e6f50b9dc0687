"""Boxes for tests of suppression."""

from __future__ import annotations

import torch
from torch import Tensor


def random_scene(seed: int, count: int, classes: int, grid: float, size: float = 64.0) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes around a few objects, scores and labels; everything is rounded to a grid, which forces ties.

    A grid of 0 rounds nothing.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    objects = 1 + count // 8
    center, extent = uniform(objects, 2) * size - 0.2 * size, 4 + uniform(objects, 2) * size / 3
    of = torch.randint(0, objects, (count,), generator=generator)
    middle = center[of] + (uniform(count, 2) - 0.5) * extent[of] * 0.4
    half = extent[of] * (0.8 + 0.4 * uniform(count, 2)) / 2
    boxes, scores = torch.cat((middle - half, middle + half), 1), uniform(count)
    if grid:
        boxes, scores = (boxes / grid).round() * grid, (scores * 8).round() / 8
    return boxes, scores, torch.randint(0, classes, (count,), generator=generator)

"""Pairs of boxes, none square and none aligned, so that every term of every loss is alive."""

import torch

PAIRS = {
    "overlapping": ([10.0, 12.0, 52.0, 30.0], [22.0, 8.0, 48.0, 44.0]),
    "contained": ([20.0, 15.0, 30.0, 20.0], [5.0, 3.0, 60.0, 26.0]),
    "containing": ([5.0, 3.0, 60.0, 26.0], [20.0, 15.0, 30.0, 20.0]),
    "disjoint": ([0.0, 0.0, 10.0, 4.0], [30.0, 22.0, 37.0, 45.0]),
    "touching": ([0.0, 0.0, 10.0, 4.0], [10.0, 1.0, 13.0, 9.0]),
    "same shape": ([0.0, 0.0, 10.0, 4.0], [3.0, 1.0, 13.0, 5.0]),
    "same centre": ([0.0, 0.0, 10.0, 4.0], [3.0, -4.0, 7.0, 8.0]),
    "identical": ([4.0, 5.0, 19.0, 11.0], [4.0, 5.0, 19.0, 11.0]),
}


def make_pairs(count=24, seed=0):
    """Two Tensor[N, 4] in float64: some pairs overlap, some are disjoint."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(2, count, 2, generator=generator, dtype=torch.float64) * 30
    size = torch.rand(2, count, 2, generator=generator, dtype=torch.float64) * torch.tensor([40.0, 15.0]) + 3
    return tuple(torch.cat([corner, corner + size], -1))

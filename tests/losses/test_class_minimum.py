"""The nearest box of each class: what a CPU does in rounds and a GPU at once are the same numbers."""

import pytest
import torch

from reg_yolo.losses import class_minimum, spatial


@pytest.mark.parametrize("regular", [True, False])
@pytest.mark.parametrize("distance", ["center", "edge"])
@pytest.mark.parametrize("boxes", [0, 1, 30])
def test_in_rounds_and_at_once_agree(regular, distance, boxes, monkeypatch):
    generator = torch.Generator().manual_seed(boxes)
    cells = torch.cartesian_prod(torch.arange(6.0), torch.arange(5.0)).flip(1)
    points = torch.cat((cells * 8 + 4, cells[:6])) if regular else 50 * torch.rand(700, 2, generator=generator)
    shapes = [(6, 5), (1, 6)] if regular else None
    if regular:
        points[30:, 1] = 8.0
        points[30:, 0] = torch.arange(6.0) * 16 + 8
    low = 40 * torch.rand(2, boxes, 2, generator=generator)
    truth = torch.cat((low, low + 20 * torch.rand(2, boxes, 2, generator=generator)), -1)
    labels = torch.randint(0, 3, (2, boxes), generator=generator)
    valid = torch.rand(2, boxes, generator=generator) < 0.8

    def result():
        if distance == "center":
            return spatial.center_distance(points, truth, labels, valid, 4, level_shapes=shapes)
        return spatial.edge_distance(
            points, truth, labels, valid, 4, torch.full((len(points),), 8.0), level_shapes=shapes
        )

    in_rounds = result()
    monkeypatch.setattr(class_minimum, "_fill_in_rounds", class_minimum._fill_at_once)
    assert torch.equal(result(), in_rounds)
    assert bool(torch.isinf(in_rounds[..., 3]).all())

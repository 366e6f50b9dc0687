"""The nearest box of each class: what a CPU does in rounds and a GPU at once are the same numbers."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from reg_yolo.losses import class_minimum, spatial


class LargestTensor(TorchDispatchMode):
    """Notes the elements of the largest tensor that any operation returns."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.elements = max(self.elements, out.untyped_storage().size() // out.element_size())
        return out


def test_at_once_memory_is_bounded_whatever_the_number_of_boxes(monkeypatch):
    monkeypatch.setattr(class_minimum, "_fill_in_rounds", class_minimum._fill_at_once)
    monkeypatch.setattr(class_minimum, "DISTANCES_AT_ONCE", 4000)
    points = 100 * torch.rand(400, 2)
    low = 80 * torch.rand(1, 300, 2)
    with LargestTensor() as seen:
        spatial.center_distance(
            points, torch.cat((low, low + 9), -1), torch.zeros(1, 300), torch.ones(1, 300), 2, level_shapes=[(20, 20)]
        )
    # 300 boxes times 400 points would be 120000.
    assert 0 < seen.elements <= 6000


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
    # A box at a time, and a few.
    for at_once in (1, 3 * len(points)):
        monkeypatch.setattr(class_minimum, "DISTANCES_AT_ONCE", at_once)
        assert torch.equal(result(), in_rounds)
    assert bool(torch.isinf(in_rounds[..., 3]).all())

"""The windows of the mask loss: by object or by image the same, their distances, and their gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from reg_yolo.yolo.criterion.mask_windows import (
    distance_on_device,
    distance_to_mask,
    image_windows,
    object_windows,
    summed_mask_loss,
)
from tests.yolo.criterion.segments import batch, criterion, network, run

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("pixels", [2**22, 16 * 16 * 3])
def test_one_image_at_a_time_gives_the_same(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    model = network()
    reg = {"preset": "reg_v1", "mask": {"spatial": {"enabled": True}}}
    monkeypatch.setattr("reg_yolo.yolo.criterion.mask_windows.IMAGE_WINDOW_PIXELS", pixels)
    by_object = run(model, criterion(model, reg), batch([True, True, False, True, True, True]))
    monkeypatch.setattr("reg_yolo.yolo.criterion.mask_loss.object_windows", image_windows)
    by_image = run(model, criterion(model, reg), batch([True, True, False, True, True, True]))
    for name, value in by_object.items():
        # Through some fifty layers rounding grows to a few parts in ten thousand of a gradient's largest entries.
        assert float((by_image[name] - value).norm()) <= 1e-3 * float(value.norm()) + 1e-6, name


def test_distance_on_a_device_is_the_exact_one() -> None:
    masks = torch.rand(5, 23, 31, generator=torch.Generator().manual_seed(3)) > 0.99
    masks[2] = False
    masks[3] = False
    masks[3, 20, 1] = True
    expected = distance_to_mask(masks)
    assert torch.isinf(expected[2]).all() and expected[3, 0, 30] == pytest.approx(math.hypot(20, 29))
    torch.testing.assert_close(distance_on_device(masks), expected)
    near = distance_on_device(masks, 6.5)
    assert torch.equal(near <= 6.5, expected <= 6.5)
    torch.testing.assert_close(near[expected <= 6.5], expected[expected <= 6.5])


class Operations(TorchDispatchMode):
    """Counts operations and the elements of the largest tensor that one returns."""

    def __init__(self) -> None:
        super().__init__()
        self.number = self.elements = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        self.number += 1
        self.elements = max(self.elements, *(t.numel() for t in (out, *args) if isinstance(t, Tensor)), 0)
        return out


def test_distance_on_a_device_is_bounded_in_steps_and_memory() -> None:
    masks = torch.zeros(40, 64, 64, dtype=torch.bool)
    masks[:, 30:34, 30:34] = True
    with Operations() as whole:
        distance_on_device(masks)
    with Operations() as near:
        distance_on_device(masks, 8.0)
    assert whole.elements == near.elements == masks.numel()
    # Not one more for more masks, and in proportion to the reach.
    one = masks[:1].clone()
    with Operations() as single:
        distance_on_device(one)
    assert single.number == whole.number < 15 * 64
    assert near.number < 15 * 12


def test_gradients_agree_with_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    coefficients = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    prototypes = torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    image, objects = torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1])
    boxes = torch.tensor([[0.5, 1.0, 4.2, 5.9], [0.5, 1.0, 4.2, 5.9], [0.0, 0.0, 5.0, 3.0]])
    mask = torch.zeros(6, 5, dtype=torch.bool)
    mask[1:4, 1:3] = True
    weight = torch.tensor([0.3, 1.0, 2.0])
    for windows_of in (object_windows, image_windows):
        windows = list(
            windows_of(image, boxes, objects, lambda _, i: mask.expand(len(i), 6, 5), (6, 5), with_distance=True)
        )

        def loss(a: Tensor, b: Tensor, windows: Any = windows) -> Tensor:
            return summed_mask_loss(a, b, windows, weight, lambda z, y, d: (z.sigmoid() - y).square() * (1 + d))[0]

        assert torch.autograd.gradcheck(loss, (coefficients, prototypes))

"""The windows of the mask loss: by object or by picture the same, their distances, and their gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from reg_yolo.yolo.criterion.mask_windows import (
    distance_on_device,
    distance_to_mask,
    object_windows,
    picture_windows,
    summed_mask_loss,
)
from tests.yolo.criterion.segments import batch, criterion, network, run

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("pixels", [2**22, 16 * 16 * 3])
def test_one_picture_at_a_time_gives_the_same(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    model = network()
    reg = {"preset": "reg"}
    monkeypatch.setattr("reg_yolo.yolo.criterion.mask_windows.PICTURE_WINDOW_PIXELS", pixels)
    by_object = run(model, criterion(model, reg), batch([True, True, False, True, True, True]))
    monkeypatch.setattr("reg_yolo.yolo.criterion.mask_loss.object_windows", picture_windows)
    by_picture = run(model, criterion(model, reg), batch([True, True, False, True, True, True]))
    for name, value in by_object.items():
        torch.testing.assert_close(by_picture[name], value, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("block", [2**22, 7])
def test_distance_on_a_device_is_the_exact_one(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr("reg_yolo.yolo.criterion.mask_windows.PICTURE_WINDOW_PIXELS", block)
    masks = torch.rand(5, 23, 31, generator=torch.Generator().manual_seed(3)) > 0.99
    masks[2] = False
    masks[3] = False
    masks[3, 20, 1] = True
    expected = distance_to_mask(masks)
    assert torch.isinf(expected[2]).all() and expected[3, 0, 30] == pytest.approx(math.hypot(20, 29))
    torch.testing.assert_close(distance_on_device(masks), expected)


def test_gradients_agree_with_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    coefficients = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    prototypes = torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    image, objects = torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1])
    boxes = torch.tensor([[0.5, 1.0, 4.2, 5.9], [0.5, 1.0, 4.2, 5.9], [0.0, 0.0, 5.0, 3.0]])
    mask = torch.zeros(6, 5, dtype=torch.bool)
    mask[1:4, 1:3] = True
    weight = torch.tensor([0.3, 1.0, 2.0])
    for windows_of in (object_windows, picture_windows):
        windows = list(
            windows_of(image, boxes, objects, lambda _, i: mask.expand(len(i), 6, 5), (6, 5), with_distance=True)
        )

        def loss(a: Tensor, b: Tensor, windows: Any = windows) -> Tensor:
            return summed_mask_loss(a, b, windows, weight, lambda z, y, d: (z.sigmoid() - y).square() * (1 + d))[0]

        assert torch.autograd.gradcheck(loss, (coefficients, prototypes))

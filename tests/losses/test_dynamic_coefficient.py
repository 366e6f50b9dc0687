import pytest
import reference
import torch
from box_pairs import make_pairs
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.losses import dynamic_coefficient, equilibrated_loss


@pytest.mark.parametrize("unit", ["stride", "diagonal", "pixels"])
def test_matches_reference(unit):
    pred, target = make_pairs()
    strides = torch.tensor([8.0, 16.0, 32.0], dtype=torch.float64).repeat(8)
    coefficient = dynamic_coefficient(pred, target, unit, strides, eps=0.01)
    expected = [
        reference.dynamic_coefficient(a, b, unit, s, 0.01)
        for a, b, s in zip(pred.tolist(), target.tolist(), strides.tolist(), strict=True)
    ]
    assert coefficient.tolist() == pytest.approx(expected)
    assert torch.equal(dynamic_coefficient(pred, target, unit, strides[:, None], eps=0.01), coefficient)


def test_both_terms_are_alive():
    target = torch.tensor([[0.0, 0.0, 20.0, 10.0]])
    moved = target + torch.tensor([4.0, 0.0, 4.0, 0.0])
    stretched = torch.tensor([[-5.0, 0.0, 25.0, 10.0]])
    strides = torch.tensor([8.0])
    perfect, off_centre, off_ratio = (
        dynamic_coefficient(box, target, strides=strides).item() for box in (target, moved, stretched)
    )
    assert perfect == pytest.approx(2.0, abs=1e-4)
    assert off_centre < perfect - 0.1
    assert off_ratio < perfect - 0.5


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.floats(-300, 300), st.floats(0.1, 20))
def test_bounds_and_invariance(seed, shift, scale):
    pred, target = make_pairs(10, seed=seed)
    strides = torch.full((10,), 8.0, dtype=torch.float64)
    for unit in ("stride", "diagonal"):
        coefficient = dynamic_coefficient(pred, target, unit, strides)
        assert ((coefficient > 0.499) & (coefficient <= 2.0)).all()
        torch.testing.assert_close(dynamic_coefficient(pred + shift, target + shift, unit, strides), coefficient)
        scaled = dynamic_coefficient(pred * scale, target * scale, unit, strides * scale)
        torch.testing.assert_close(scaled, coefficient)


def test_the_unit_decides_whether_the_centre_matters():
    target = torch.tensor([[0.0, 0.0, 100.0, 50.0]]).repeat(2, 1)
    pred = target + torch.tensor([[6.0], [12.0]]) * torch.tensor([1.0, 0.0, 1.0, 0.0])
    spread = {
        unit: dynamic_coefficient(pred, target, unit, torch.tensor([8.0, 8.0])).diff().abs().item()
        for unit in ("stride", "diagonal", "pixels")
    }
    assert spread["pixels"] < 1e-5
    assert spread["diagonal"] < 0.02
    assert spread["stride"] > 0.2


def test_the_coefficient_carries_no_gradient_and_survives_flat_boxes():
    pred = torch.tensor([[0.0, 0.0, 5.0, 0.0], [3.0, 3.0, 3.0, 3.0]], requires_grad=True)
    coefficient = dynamic_coefficient(pred, torch.tensor([[0.0, 0.0, 5.0, 5.0], [3.0, 3.0, 3.0, 3.0]]), "diagonal")
    assert not coefficient.requires_grad
    assert torch.isfinite(coefficient).all()


def test_equilibrated_loss_matches_reference():
    losses, coefficients = [0.5, 2.0, 0.0, 1.25], [1.9, 0.6, 1.0, 0.7]
    expected = reference.equilibrated_loss(losses, coefficients)
    assert equilibrated_loss(torch.tensor(losses), torch.tensor(coefficients)).tolist() == pytest.approx(expected)


def test_the_value_is_unchanged_and_the_gradient_is_not():
    losses = torch.tensor([0.5, 2.0, 1.25], dtype=torch.float64, requires_grad=True)
    coefficients = torch.tensor([1.9, 0.6, 0.7], dtype=torch.float64)
    total = equilibrated_loss(losses, coefficients, reduction="sum")
    torch.testing.assert_close(total, losses.sum())
    gradient = torch.autograd.grad(total, losses)[0]
    ratio = losses.sum() / (coefficients * losses).sum()
    torch.testing.assert_close(gradient, (coefficients * ratio).detach())
    assert (gradient - 1.0).abs().min() > 0.05


def test_equal_coefficients_change_nothing():
    losses = torch.rand(5, dtype=torch.float64, requires_grad=True)
    total = equilibrated_loss(losses, torch.full((5,), 0.7, dtype=torch.float64), reduction="sum")
    torch.testing.assert_close(torch.autograd.grad(total, losses)[0], torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("count", [0, 3])
def test_no_positives_and_zero_losses_have_a_backward(count):
    losses = torch.zeros(count, requires_grad=True)
    total = equilibrated_loss(losses, torch.ones(count), reduction="sum")
    total.backward()
    assert total.item() == 0.0
    assert torch.isfinite(losses.grad).all()
    empty = torch.empty(0, 4)
    assert dynamic_coefficient(empty, empty, strides=torch.empty(0)).shape == (0,)


def test_wrong_arguments_are_named():
    boxes, _ = make_pairs(3)
    with pytest.raises(ValueError, match=r'strides must have shape \(3,\) with unit "stride", got none'):
        dynamic_coefficient(boxes, boxes)
    with pytest.raises(ValueError, match=r"strides must have shape \(3,\) .*got \(2,\)"):
        dynamic_coefficient(boxes, boxes, strides=torch.ones(2))
    with pytest.raises(ValueError, match="unit must be one of stride, diagonal, pixels, got 'cells'"):
        dynamic_coefficient(boxes, boxes, "cells")
    with pytest.raises(ValueError, match=r"expected \(3, 4\), got \(2, 4\)"):
        dynamic_coefficient(boxes, boxes[:2], "pixels")
    with pytest.raises(ValueError, match=r"coefficients must have the shape of class_losses"):
        equilibrated_loss(torch.ones(3), torch.ones(2))

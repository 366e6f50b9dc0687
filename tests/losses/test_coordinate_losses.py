import math

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from reg_yolo.losses import balanced_l1_loss, focal_l1_loss, smooth_l1_loss

LOSSES = [smooth_l1_loss, focal_l1_loss, balanced_l1_loss]
ERRORS = [0.0, 1e-4, 0.2, 0.5, 0.9, 1.0, 1.1, 2.5, 40.0]


def of_error(function, error, **arguments):
    x = torch.as_tensor(error, dtype=torch.float64)
    return function(x + 3.0, torch.full_like(x, 3.0), **arguments)


@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0])
def test_smooth_l1_matches_reference(beta):
    expected = [reference.smooth_l1_loss(x, 0.0, beta) for x in ERRORS]
    assert of_error(smooth_l1_loss, ERRORS, beta=beta).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("beta", [1 / math.e, 0.5, 0.8, 1.0])
def test_focal_l1_matches_reference(beta):
    expected = [reference.focal_l1_loss(x, 0.0, beta) for x in ERRORS]
    assert of_error(focal_l1_loss, ERRORS, beta=beta).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("alpha", "gamma", "beta"), [(0.5, 1.5, 1.0), (0.3, 1.0, 2.0)])
def test_balanced_l1_matches_reference(alpha, gamma, beta):
    expected = [reference.balanced_l1_loss(x, 0.0, alpha, gamma, beta) for x in ERRORS]
    loss = of_error(balanced_l1_loss, ERRORS, alpha=alpha, gamma=gamma, beta=beta)
    assert loss.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("function", LOSSES)
def test_gradient(function):
    pred = torch.tensor([-7.0, -1.3, -0.4, 0.15, 0.8, 1.7], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0.0, 0.1, 0.0, 0.0, -0.1, 0.0], dtype=torch.float64)
    assert gradcheck(lambda x: function(x, target), pred)


@pytest.mark.parametrize("function", LOSSES)
def test_both_pieces_join_in_value_and_slope(function):
    x = torch.tensor([1.0 - 1e-7, 1.0 + 1e-7], dtype=torch.float64, requires_grad=True)
    loss = function(x, torch.zeros_like(x))
    slope = torch.autograd.grad(loss.sum(), x)[0]
    assert loss[0].item() == pytest.approx(loss[1].item(), abs=1e-6)
    assert slope[0].item() == pytest.approx(slope[1].item(), abs=1e-5)


@pytest.mark.parametrize("function", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_value_and_slope_are_zero_at_zero(function, dtype):
    pred = torch.zeros(2, dtype=dtype, requires_grad=True)
    loss = function(pred, torch.zeros(2, dtype=dtype))
    loss.sum().backward()
    assert loss.tolist() == [0.0, 0.0]
    assert pred.grad.tolist() == [0.0, 0.0]


def test_focal_l1_has_its_largest_slope_one_inside():
    x = torch.linspace(0.01, 3, 3000, dtype=torch.float64, requires_grad=True)
    slope = torch.autograd.grad(focal_l1_loss(x, torch.zeros_like(x)).sum(), x)[0]
    assert slope.max().item() == pytest.approx(1.0, abs=1e-5)
    assert x[slope.argmax()].item() == pytest.approx(1 / (0.8 * math.e), abs=2e-3)
    assert slope[-1].item() == pytest.approx(-0.8 * math.e * math.log(0.8))


def test_balanced_l1_has_slope_gamma_outside():
    x = torch.tensor([5.0], requires_grad=True)
    assert torch.autograd.grad(balanced_l1_loss(x, torch.zeros(1)).sum(), x)[0].item() == pytest.approx(1.5)


def test_smooth_l1_without_a_threshold_is_l1():
    assert of_error(smooth_l1_loss, ERRORS, beta=0.0).tolist() == pytest.approx(ERRORS)


@settings(max_examples=60, deadline=None)
@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(-50, 50), st.sampled_from(LOSSES))
def test_sign_symmetry_translation_and_growth(a, b, shift, function):
    pred, target = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    loss = function(pred, target).item()
    assert loss >= 0.0
    assert function(target, pred).item() == loss
    assert function(pred + shift, target + shift).item() == pytest.approx(loss, rel=1e-6, abs=1e-9)
    further = target + (pred - target) * 1.5
    assert function(further, target).item() >= loss - 1e-12


@pytest.mark.parametrize("function", LOSSES)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4)])
def test_any_shape(function, shape):
    pred, target = torch.rand(shape), torch.rand(shape)
    loss = function(pred, target)
    assert loss.shape == shape
    assert function(pred, target, reduction="mean").item() == pytest.approx(loss.mean().item())


@pytest.mark.parametrize("function", LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_empty_input_has_a_backward(function, reduction):
    pred = torch.empty(0, 4, requires_grad=True)
    loss = function(pred, torch.empty(0, 4), reduction=reduction)
    loss.backward()
    assert loss.item() == 0.0
    assert pred.grad.shape == (0, 4)


def test_wrong_arguments_are_named():
    for function in LOSSES:
        with pytest.raises(ValueError, match=r"target must have the shape of pred: expected \(3,\), got \(1,\)"):
            function(torch.zeros(3), torch.zeros(1))
    for beta in (0.3, 1.01):
        with pytest.raises(ValueError, match="beta must be in"):
            focal_l1_loss(torch.zeros(1), torch.zeros(1), beta=beta)
    with pytest.raises(ValueError, match="beta must be >= 0, got -1"):
        smooth_l1_loss(torch.zeros(1), torch.zeros(1), beta=-1)
    for name in ("alpha", "gamma", "beta"):
        with pytest.raises(ValueError, match=f"{name} must be >="):
            balanced_l1_loss(torch.zeros(1), torch.zeros(1), **{name: 0.0})

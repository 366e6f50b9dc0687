import math

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from reg_yolo.losses import expected_logits, expected_probability
from reg_yolo.losses.uncertainty import UNCERTAINTY_MODES
from reg_yolo.losses.variational import gauss_hermite

LIVE = ["logit_normal", "truncated_normal"]
LOGITS = [-9.0, -3.0, -0.4, 0.0, 0.1, 2.0, 7.0]


@pytest.mark.parametrize("deviation", [1e-3, 0.05, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("mode", UNCERTAINTY_MODES)
def test_matches_reference(mode, deviation):
    z = torch.tensor(LOGITS, dtype=torch.float64)
    expected = [reference.expected_probability(value, deviation, mode) for value in LOGITS]
    as_number = expected_probability(z, deviation, mode)
    assert as_number.tolist() == pytest.approx(expected, rel=1e-5, abs=1e-9)
    as_tensor = expected_probability(z, torch.tensor(deviation, dtype=torch.float64), mode)
    torch.testing.assert_close(as_number, as_tensor)
    logits = [reference.expected_logits(value, deviation, mode) for value in LOGITS]
    assert expected_logits(z, deviation, mode).tolist() == pytest.approx(logits, rel=1e-4, abs=1e-4)


def test_logit_normal_is_close_to_gauss_hermite():
    points, weights = gauss_hermite(40)
    z = torch.linspace(-6, 6, 61, dtype=torch.float64)
    for deviation in (0.1, 0.5, 1.0, 2.0):
        exact = sum(w * (z + deviation * x).sigmoid() for x, w in zip(points, weights, strict=True))
        error = (expected_probability(z, deviation, "logit_normal") - exact).abs().max().item()
        # MacKay's formula is an approximation; the expectation itself moves by up to 0.2 over these deviations
        assert error < 0.02


@pytest.mark.parametrize("mode", LIVE)
@settings(max_examples=40, deadline=None)
@given(z=st.floats(-20, 20), s=st.floats(0.01, 5.0))
def test_expectation_pulls_towards_one_half(mode, z, s):
    p = 1.0 / (1.0 + math.exp(-z))
    expected = expected_probability(torch.tensor(z, dtype=torch.float64), s, mode).item()
    assert min(p, 0.5) - 1e-12 <= expected <= max(p, 0.5) + 1e-12


@pytest.mark.parametrize("mode", LIVE)
@settings(max_examples=40, deadline=None)
@given(z=st.floats(-20, 20), s=st.floats(0.0, 5.0))
def test_both_signs_are_treated_alike(mode, z, s):
    logit = torch.tensor(z, dtype=torch.float64)
    mirrored = expected_logits(-logit, s, mode).item()
    assert mirrored == pytest.approx(-expected_logits(logit, s, mode).item(), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("mode", LIVE)
def test_limits_of_the_deviation(mode):
    z = torch.tensor(LOGITS, dtype=torch.float64)
    assert torch.equal(expected_logits(z, 0.0, mode), z)
    torch.testing.assert_close(expected_probability(z, 1e-5, mode), z.sigmoid(), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(expected_probability(z, 1e4, mode), torch.full_like(z, 0.5), rtol=0.0, atol=2e-3)


def test_printed_mode_is_the_identity():
    z = torch.tensor(LOGITS)
    assert torch.equal(expected_logits(z, torch.ones(7), "printed"), z)


@pytest.mark.parametrize("mode", LIVE)
def test_gradient_to_logits_and_deviation(mode):
    z = torch.tensor([-4.0, -0.3, 0.0, 0.8, 5.0], dtype=torch.float64, requires_grad=True)
    s = torch.tensor([0.2, 0.9, 0.4, 2.0, 0.1], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda a, b: expected_probability(a, b, mode), (z, s))
    assert gradcheck(lambda a, b: expected_logits(a, b, mode), (z, s))


@pytest.mark.parametrize("mode", UNCERTAINTY_MODES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("deviation", [0.0, 1e-8, 1e-3, 0.5, 100.0, 1e4])
def test_extreme_logits_stay_finite(deviation, dtype, mode):
    z = torch.tensor([-80.0, -30.0, 0.0, 30.0, 80.0], dtype=dtype, requires_grad=True)
    s = torch.full((5,), deviation, requires_grad=True)
    logits = expected_logits(z, s, mode)
    gradients = torch.autograd.grad(logits.sum(), (z, s), allow_unused=True)
    assert torch.isfinite(logits).all()
    assert all(g is None or torch.isfinite(g).all() for g in gradients)
    probability = expected_probability(z, s, mode)
    assert ((probability >= 0) & (probability <= 1)).all()


def test_deviation_broadcasts_per_class_and_per_point():
    z = torch.zeros(2, 5, 3) + 1.0
    for shape in ((3,), (2, 5, 1), ()):
        for mode in UNCERTAINTY_MODES:
            assert expected_probability(z, torch.full(shape, 0.5), mode).shape == z.shape


@pytest.mark.parametrize("mode", UNCERTAINTY_MODES)
def test_empty_input_has_a_backward(mode):
    z = torch.empty(0, 3, requires_grad=True)
    expected_probability(z, torch.ones(3), mode).sum().backward()
    assert z.grad.shape == (0, 3)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="mode must be one of printed, logit_normal, truncated_normal, got 'normal'"):
        expected_probability(torch.zeros(1), 1.0, "normal")
    with pytest.raises(ValueError, match="deviation must be >= 0, got -1"):
        expected_probability(torch.zeros(1), -1.0)
    with pytest.raises(ValueError, match=r"deviation must broadcast to \(2, 3\), got \(4,\)"):
        expected_probability(torch.zeros(2, 3), torch.ones(4))

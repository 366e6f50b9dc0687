import math

import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from reg_yolo.losses import expected_quality_focal_loss, gaussian_kl, quality_focal_loss, variational_free_energy
from reg_yolo.losses.variational import gauss_hermite


@pytest.mark.parametrize(
    ("mean", "deviation", "prior_mean", "prior_deviation"),
    [(0.0, 1.0, 0.0, 1.0), (2.0, 0.3, -1.0, 1.5), (-4.0, 2.0, 0.5, 0.7)],
)
def test_kl_matches_reference(mean, deviation, prior_mean, prior_deviation):
    kl = gaussian_kl(torch.tensor(mean, dtype=torch.float64), deviation, prior_mean, prior_deviation)
    expected = reference.gaussian_kl(mean, deviation, prior_mean, prior_deviation)
    assert kl.item() == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.floats(-9, 9), st.floats(0.01, 9), st.floats(-9, 9), st.floats(0.01, 9))
def test_kl_is_not_negative_and_zero_on_itself(mean, deviation, prior_mean, prior_deviation):
    m = torch.tensor(mean, dtype=torch.float64)
    assert gaussian_kl(m, deviation, prior_mean, prior_deviation).item() >= -1e-12
    assert gaussian_kl(m, deviation, mean, deviation).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 1.5])
@pytest.mark.parametrize("target", [0.0, 0.7, 1.0])
def test_free_energy_matches_reference(target, gamma):
    for logit, deviation in ((-3.0, 0.2), (0.5, 1.0), (4.0, 0.6)):
        energy = variational_free_energy(
            torch.tensor([logit], dtype=torch.float64), deviation, torch.tensor([target], dtype=torch.float64),
            gamma=gamma, prior_mean=-1.0, prior_deviation=2.0, kl_weight=0.5, nodes=40,
        )  # fmt: skip
        expected = reference.variational_free_energy(logit, deviation, target, gamma, -1.0, 2.0, 0.5)
        assert energy.item() == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_expected_loss_matches_reference(gamma):
    for z, s, y in ((-3.0, 0.2, 0.0), (0.5, 1.0, 0.7), (4.0, 0.6, 1.0)):
        found = expected_quality_focal_loss(
            torch.tensor([z], dtype=torch.float64), s, torch.tensor([y], dtype=torch.float64), gamma=gamma, nodes=40
        )
        assert found.item() == pytest.approx(reference.expected_quality_focal_loss(z, s, y, gamma), rel=2e-3)


def test_what_is_kept_for_the_way_back_does_not_grow_with_the_nodes():
    kept = []
    z = torch.randn(50, 7, requires_grad=True)
    for nodes in (4, 16):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, into=sizes: into.append(t.numel()) or t, lambda t: t):
            expected_quality_focal_loss(z, torch.full((50, 1), 0.5), torch.zeros(50, 7), gamma=1.5, nodes=nodes)
        kept.append(sum(sizes))
    assert kept == [2 * z.numel()] * 2


@settings(max_examples=40, deadline=None)
@given(st.floats(-6, 6), st.floats(0.05, 2.0), st.floats(0, 1), st.floats(-3, 3), st.floats(0.3, 3.0))
def test_free_energy_bounds_the_log_evidence(logit, deviation, target, prior_mean, prior_deviation):
    points, weights = gauss_hermite(48)
    prior_logits = prior_mean + prior_deviation * torch.tensor(points, dtype=torch.float64)
    y = torch.full_like(prior_logits, target)
    evidence = (torch.tensor(weights, dtype=torch.float64) * torch.exp(-quality_focal_loss(prior_logits, y, 1.5))).sum()
    energy = variational_free_energy(
        torch.tensor([logit], dtype=torch.float64), deviation, torch.tensor([target], dtype=torch.float64), gamma=1.5,
        prior_mean=prior_mean, prior_deviation=prior_deviation, nodes=48,
    )  # fmt: skip
    assert energy.item() >= -math.log(evidence.item()) - 1e-4


def test_a_vanishing_deviation_leaves_the_loss_itself():
    z = torch.linspace(-4, 4, 9, dtype=torch.float64)
    y = torch.linspace(0, 1, 9, dtype=torch.float64)
    energy = variational_free_energy(z, 1e-7, y, gamma=1.5, kl_weight=0.0)
    torch.testing.assert_close(energy, quality_focal_loss(z, y, 1.5))


def test_gradient_to_logits_and_deviation():
    z = torch.tensor([-2.0, 0.3, 3.0], dtype=torch.float64, requires_grad=True)
    s = torch.tensor([0.2, 1.0, 0.5], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0.0, 0.6, 1.0], dtype=torch.float64)
    assert gradcheck(lambda a, b: variational_free_energy(a, b, y, gamma=1.5), (z, s))
    assert gradcheck(lambda a, b: gaussian_kl(a, b, 0.3, 2.0), (z, s))
    per_row = torch.tensor([[0.4], [0.9]], dtype=torch.float64, requires_grad=True)
    both = torch.stack((z, -z)).detach().requires_grad_()
    assert gradcheck(lambda a, b: expected_quality_focal_loss(a, b, y.expand(2, 3), gamma=2.0), (both, per_row))


def test_a_prior_mean_for_each_entry():
    z, means = torch.tensor([0.5, -2.0]), torch.tensor([1.0, -3.0])
    each = [gaussian_kl(z[i : i + 1], 0.7, float(means[i]), 2.0) for i in range(2)]
    torch.testing.assert_close(gaussian_kl(z, 0.7, means, 2.0), torch.cat(each))


@pytest.mark.parametrize("nodes", [1, 2, 5, 8, 20])
def test_quadrature_has_the_moments_of_the_normal_distribution(nodes):
    points, weights = gauss_hermite(nodes)
    for degree in range(min(2 * nodes, 12)):
        moment = sum(w * x**degree for x, w in zip(points, weights, strict=True))
        expected = 0.0 if degree % 2 else float(math.prod(range(1, degree, 2)))
        assert moment == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.5])
def test_extreme_logits_stay_finite(gamma, dtype):
    z = torch.tensor([-80.0, 80.0, -80.0, 80.0], dtype=dtype, requires_grad=True)
    y = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=dtype)
    s = torch.tensor([1e-3, 1.0, 10.0, 1.0], dtype=dtype, requires_grad=True)
    energy = variational_free_energy(z, s, y, gamma=gamma)
    energy.sum().backward()
    assert energy.dtype == torch.float32
    assert torch.isfinite(energy).all()
    assert torch.isfinite(z.grad).all()
    assert torch.isfinite(s.grad).all()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_empty_input_has_a_backward(reduction):
    z = torch.empty(0, 2, requires_grad=True)
    energy = variational_free_energy(z, 1.0, torch.empty(0, 2), reduction=reduction)
    energy.backward()
    assert energy.item() == 0.0
    assert z.grad.shape == (0, 2)


def test_wrong_arguments_are_named():
    z = torch.zeros(2)
    with pytest.raises(ValueError, match=r"expected \(2,\), got \(3,\)"):
        variational_free_energy(z, 1.0, torch.zeros(3))
    with pytest.raises(ValueError, match=r"deviation must be >= .*, got 0"):
        gaussian_kl(z, 0.0)
    with pytest.raises(ValueError, match=r"prior_deviation must be >= .*, got -1"):
        gaussian_kl(z, 1.0, 0.0, -1.0)
    with pytest.raises(ValueError, match=r"kl_weight must be >= 0, got -1"):
        variational_free_energy(z, 1.0, z, kl_weight=-1.0)
    with pytest.raises(ValueError, match=r"nodes must be >= 1, got 0"):
        variational_free_energy(z, 1.0, z, nodes=0)

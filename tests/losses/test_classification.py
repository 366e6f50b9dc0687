import pytest
import reference
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from reg_yolo.losses import quality_focal_loss, sigmoid_focal_loss, softmax_focal_loss, varifocal_loss

GAMMAS = [0.0, 0.5, 1.0, 1.5, 2.0, 2.7]
DENSE = [sigmoid_focal_loss, quality_focal_loss, varifocal_loss]


def make_pair(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator, dtype=dtype) * 3 - 1
    targets = (torch.rand(shape, generator=generator, dtype=dtype) * 3 - 1.5).clamp(0, 1)
    return logits, targets


def scalar_map(function, *tensors):
    rows = zip(*(t.reshape(-1).tolist() for t in tensors), strict=True)
    return torch.tensor([function(*row) for row in rows], dtype=torch.float64).view(tensors[0].shape)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("alpha", [None, 0.25, 0.8])
def test_sigmoid_focal_loss_matches_reference(alpha, gamma):
    z, y = make_pair(4, 6)
    expected = scalar_map(lambda a, b: reference.sigmoid_focal_loss(a, b, alpha, gamma), z, y)
    torch.testing.assert_close(sigmoid_focal_loss(z, y, alpha, gamma), expected)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_quality_focal_loss_matches_reference(gamma):
    z, y = make_pair(4, 6)
    expected = scalar_map(lambda a, b: reference.quality_focal_loss(a, b, gamma), z, y)
    torch.testing.assert_close(quality_focal_loss(z, y, gamma), expected)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("alpha", [0.75, 0.2])
def test_varifocal_loss_matches_reference(alpha, gamma):
    z, y = make_pair(4, 6)
    assert (y == 0).any()
    assert (y > 0).any()
    expected = scalar_map(lambda a, b: reference.varifocal_loss(a, b, alpha, gamma), z, y)
    torch.testing.assert_close(varifocal_loss(z, y, alpha, gamma), expected)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0, 3.0]])
def test_softmax_focal_loss_matches_reference(weights, gamma):
    z, _ = make_pair(5, 4, 2)
    labels = torch.tensor([[0, 1], [2, 3], [1, 1], [0, 0], [3, 2]])
    class_weights = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    loss = softmax_focal_loss(z, labels, class_weights, gamma)
    for n in range(5):
        for k in range(2):
            expected = reference.softmax_focal_loss(z[n, :, k].tolist(), int(labels[n, k]), weights, gamma)
            assert loss[n, k].item() == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("alpha", [0.25, 0.5])
@pytest.mark.parametrize("gamma", [1.0, 1.5, 2.0])
def test_sigmoid_focal_loss_is_torchvisions(alpha, gamma):
    z, y = make_pair(40, 7, dtype=torch.float32)
    for targets in (y, (y > 0.3).float()):
        expected = torchvision.ops.sigmoid_focal_loss(z, targets, alpha, gamma)
        torch.testing.assert_close(sigmoid_focal_loss(z, targets, alpha, gamma), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_gradients(gamma):
    z, y = make_pair(3, 4)
    z.requires_grad_()
    for function in DENSE:
        assert gradcheck(lambda x, f=function: f(x, y, gamma=gamma), z)
    labels = torch.tensor([0, 3, -100])
    weights = torch.rand(4, dtype=torch.float64)
    assert gradcheck(lambda x: softmax_focal_loss(x, labels, weights, gamma), z)


def test_neutral_arguments_are_binary_cross_entropy_bit_for_bit():
    z, y = make_pair(100, 7, dtype=torch.float32)
    expected = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    assert torch.equal(quality_focal_loss(z, y, gamma=0.0), expected)
    assert torch.equal(sigmoid_focal_loss(z, y, alpha=None, gamma=0.0), expected)
    z.requires_grad_()
    (ours,) = torch.autograd.grad(quality_focal_loss(z, y, gamma=0.0, reduction="sum"), z)
    (stock,) = torch.autograd.grad(F.binary_cross_entropy_with_logits(z, y, reduction="none").sum(), z)
    assert torch.equal(ours, stock)


def test_softmax_focal_loss_without_focus_is_cross_entropy():
    z, _ = make_pair(6, 4, 3, dtype=torch.float32)
    labels = torch.randint(0, 4, (6, 3), generator=torch.Generator().manual_seed(1))
    assert torch.equal(softmax_focal_loss(z, labels, gamma=0.0), F.cross_entropy(z, labels, reduction="none"))


def test_hard_targets_make_quality_focal_the_focal_loss():
    z, y = make_pair(30, 7)
    hard = (y > 0.3).double()
    torch.testing.assert_close(quality_focal_loss(z, hard, 2.0), sigmoid_focal_loss(z, hard, None, 2.0))


def test_two_class_softmax_focal_is_sigmoid_focal():
    z, _ = make_pair(30)
    labels = torch.arange(30) % 2
    two = torch.stack([torch.zeros_like(z), z], 1)
    expected = sigmoid_focal_loss(z, labels.double(), None, 1.5)
    torch.testing.assert_close(softmax_focal_loss(two, labels, gamma=1.5), expected)


def test_ignored_pixels_count_nowhere():
    z, _ = make_pair(4, 3)
    labels = torch.tensor([0, 255, 2, 255])
    weights = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    loss = softmax_focal_loss(z, labels, weights, ignore_index=255)
    kept = softmax_focal_loss(z[[0, 2]], labels[[0, 2]], weights)
    assert loss[[1, 3]].tolist() == [0.0, 0.0]
    mean = softmax_focal_loss(z, labels, weights, ignore_index=255, reduction="mean")
    assert mean.item() == pytest.approx(kept.mean().item())
    nothing = softmax_focal_loss(z, torch.full((4,), 255), weights, ignore_index=255, reduction="mean")
    assert nothing.item() == 0.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("function", DENSE)
@pytest.mark.parametrize("gamma", GAMMAS)
def test_extreme_logits_stay_finite(function, dtype, gamma):
    z = torch.tensor([-80.0, 80.0, -80.0, 80.0, -80.0, 80.0, 0.0], dtype=dtype, requires_grad=True)
    y = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.5, 0.5, 0.5], dtype=dtype)
    loss = function(z, y, gamma=gamma)
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert z.grad.dtype == dtype
    assert torch.isfinite(loss).all()
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_extreme_softmax_logits_stay_finite(dtype, gamma):
    z = torch.tensor([[-80.0, 80.0], [80.0, -80.0], [0.0, 0.0]], dtype=dtype, requires_grad=True)
    loss = softmax_focal_loss(z, torch.tensor([0, 0, 1]), gamma=gamma)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.9])
def test_perfect_prediction_has_a_finite_gradient_below_gamma_one(gamma):
    z = torch.tensor([0.0, 0.0, 200.0, -200.0], requires_grad=True)
    y = z.detach().sigmoid()
    for function in (quality_focal_loss, sigmoid_focal_loss):
        (gradient,) = torch.autograd.grad(function(z, y, gamma=gamma).sum(), z)
        assert torch.isfinite(gradient).all()
    assert torch.autograd.grad(quality_focal_loss(z, y, gamma).sum(), z)[0].tolist() == [0.0] * 4


@settings(max_examples=60, deadline=None)
@given(st.floats(-30, 30), st.floats(0, 1), st.floats(0, 4))
def test_quality_focal_loss_is_between_zero_and_cross_entropy(logit, target, gamma):
    z, y = torch.tensor([logit], dtype=torch.float64), torch.tensor([target], dtype=torch.float64)
    loss = quality_focal_loss(z, y, gamma).item()
    assert 0.0 <= loss <= F.binary_cross_entropy_with_logits(z, y).item() + 1e-12


@settings(max_examples=40, deadline=None)
@given(st.floats(-30, 30), st.floats(0, 1), st.floats(0, 4))
def test_quality_focal_loss_treats_both_signs_alike(logit, target, gamma):
    z, y = torch.tensor([logit], dtype=torch.float64), torch.tensor([target], dtype=torch.float64)
    mirrored = quality_focal_loss(-z, 1.0 - y, gamma).item()
    assert mirrored == pytest.approx(quality_focal_loss(z, y, gamma).item(), rel=1e-6, abs=1e-9)


def test_the_gradient_flows_through_the_modulating_factor():
    z = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    y = torch.zeros(1, dtype=torch.float64)
    (ours,) = torch.autograd.grad(quality_focal_loss(z, y, 2.0).sum(), z)
    p = z.detach().sigmoid()
    assert ours.item() > (p**2 * p).item()


def test_targets_carry_no_gradient():
    z, y = make_pair(3, 4)
    y.requires_grad_()
    for function in DENSE:
        assert not function(z, y).requires_grad


@pytest.mark.parametrize("function", DENSE)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_empty_input_has_a_backward(function, reduction):
    z = torch.empty(0, 7, requires_grad=True)
    loss = function(z, torch.empty(0, 7), reduction=reduction)
    loss.backward()
    assert loss.item() == 0.0
    assert z.grad.shape == (0, 7)


def test_empty_softmax_input_has_a_backward():
    z = torch.empty(0, 7, requires_grad=True)
    loss = softmax_focal_loss(z, torch.empty(0, dtype=torch.long), reduction="mean")
    loss.backward()
    assert loss.item() == 0.0


@pytest.mark.parametrize("function", DENSE)
def test_mismatched_shapes_are_named(function):
    with pytest.raises(ValueError, match=r"expected \(2, 3\), got \(2, 1\)"):
        function(torch.zeros(2, 3), torch.zeros(2, 1))
    with pytest.raises(ValueError, match=r"gamma must be >= 0, got -1"):
        function(torch.zeros(2), torch.zeros(2), gamma=-1)


def test_wrong_softmax_arguments_are_named():
    with pytest.raises(ValueError, match=r"labels must have shape \(2, 4\).*got \(2, 3\)"):
        softmax_focal_loss(torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.long))
    with pytest.raises(ValueError, match=r"class_weights must have shape \(3,\), got \(2,\)"):
        softmax_focal_loss(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long), torch.ones(2))
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\], got 2"):
        sigmoid_focal_loss(torch.zeros(2), torch.zeros(2), alpha=2)

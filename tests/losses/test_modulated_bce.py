import pytest
import reference
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from reg_yolo.losses import modulated_bce as module
from reg_yolo.losses.modulated_bce import modulated_bce

GAMMAS = [0.0, 0.5, 1.0, 1.5, 2.0, 2.7]


def scores_and_logits(*shape, seed=0, dtype=torch.float64):
    """Logits around -2, targets soft, hard and zero."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator, dtype=dtype) * 3 - 2
    targets = (torch.rand(shape, generator=generator, dtype=dtype) * 3 - 1.5).clamp(0, 1)
    return logits, targets


@pytest.mark.parametrize("gamma", GAMMAS)
def test_matches_reference(gamma):
    z, y = scores_and_logits(4, 5)
    expected = [reference.quality_focal_loss(a, b, gamma) for a, b in zip(z.view(-1), y.view(-1), strict=True)]
    torch.testing.assert_close(modulated_bce(z, y, gamma).view(-1), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_gradient(gamma, weighted):
    z, y = scores_and_logits(3, 4)
    weight = torch.rand(4, dtype=torch.float64) if weighted else None
    assert gradcheck(lambda x: modulated_bce(x, y, gamma, weight), z.requires_grad_())


@pytest.mark.parametrize("layout", ["contiguous", "permuted", "mixed", "sliced"])
@pytest.mark.parametrize("gamma", [0.5, 1.5, 2.0])
def test_blocks_join_without_seams_in_any_memory_layout(gamma, layout, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 64)
    z, y = scores_and_logits(5, 7, 30, dtype=torch.float32)
    weight = torch.rand(5, 1, 30)
    if layout == "permuted":
        z, y, weight = z.permute(0, 2, 1), y.permute(0, 2, 1), weight.permute(0, 2, 1)
    elif layout == "mixed":
        z, y, weight = z.permute(0, 2, 1), y.permute(0, 2, 1).contiguous(), weight.permute(0, 2, 1)
    elif layout == "sliced":
        z, y, weight = z[..., ::2], y[..., ::2], weight[..., ::2]
    z = z.detach().requires_grad_()
    loss = modulated_bce(z, y, gamma, weight)
    upstream = torch.rand_like(loss)
    (gradient,) = torch.autograd.grad((loss * upstream).sum(), z)
    autograd_loss = (
        weight * (y - z.sigmoid()).abs().pow(gamma) * F.binary_cross_entropy_with_logits(z, y, reduction="none")
    )
    (expected,) = torch.autograd.grad((autograd_loss * upstream).sum(), z)
    torch.testing.assert_close(loss, autograd_loss, rtol=2e-5, atol=2e-6)
    torch.testing.assert_close(gradient, expected, rtol=2e-4, atol=2e-6)


def test_gamma_zero_is_binary_cross_entropy_bit_for_bit():
    z, y = scores_and_logits(50, 7, dtype=torch.float32)
    assert torch.equal(modulated_bce(z, y, 0.0), F.binary_cross_entropy_with_logits(z, y, reduction="none"))


def test_inputs_stay_untouched():
    z, y = scores_and_logits(6, 7)
    before = z.clone(), y.clone()
    modulated_bce(z.requires_grad_(), y, 1.5, torch.rand(7, dtype=torch.float64)).sum().backward()
    assert torch.equal(z.detach(), before[0])
    assert torch.equal(y, before[1])


def test_no_gradient_is_kept_where_none_is_asked():
    z, y = scores_and_logits(6, 7)
    assert not modulated_bce(z, y, 1.5).requires_grad


@pytest.mark.parametrize("shape", [(), (0,), (0, 7), (3, 0)])
def test_scalars_and_empty_tensors(shape):
    z = torch.zeros(shape, requires_grad=True)
    modulated_bce(z, torch.zeros(shape), 1.5).sum().backward()
    assert z.grad.shape == shape

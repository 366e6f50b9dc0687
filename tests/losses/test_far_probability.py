"""The probability far from every object against loops."""

import pytest
import reference
import torch
from torch.autograd import gradcheck

from reg_yolo.losses import far_probability


def entries():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 3, generator=generator) * 3
    return logits, torch.rand(2, 5, 3, generator=generator) > 0.5


def test_matches_reference():
    logits, is_far = entries()
    expected = reference.far_probability(logits.flatten().tolist(), is_far.flatten().tolist(), 4.0)
    assert far_probability(logits, is_far, 4.0).item() == pytest.approx(expected, rel=1e-6)


def test_near_entries_have_no_gradient_and_far_ones_that_of_the_sigmoid():
    logits, is_far = entries()
    logits.requires_grad_()
    far_probability(logits, is_far, 2.0).backward()
    assert not logits.grad[~is_far].any()
    p = logits.detach().sigmoid()[is_far]
    assert torch.allclose(logits.grad[is_far], p * (1 - p) / 2)
    assert gradcheck(lambda z: far_probability(z, is_far, 2.0), logits.detach().double().requires_grad_())


def test_without_a_far_entry_it_is_a_differentiable_zero():
    logits, is_far = entries()
    logits.requires_grad_()
    value = far_probability(logits, torch.zeros_like(is_far))
    value.backward()
    assert value.item() == 0 and not logits.grad.any()


@pytest.mark.parametrize("extreme", [80.0, -80.0])
def test_half_precision_and_extreme_logits_stay_finite(extreme):
    logits = torch.full((4,), extreme, dtype=torch.float16, requires_grad=True)
    value = far_probability(logits, torch.ones(4, dtype=torch.bool))
    value.backward()
    assert value.dtype == torch.float32
    assert value.isfinite() and logits.grad.isfinite().all()


def test_a_shape_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="is_far"):
        far_probability(torch.zeros(2, 3), torch.ones(2, 4, dtype=torch.bool))

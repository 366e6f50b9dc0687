import pytest
import reference
import torch
from torch.autograd import gradcheck

from reg_yolo.losses import distribution as module
from reg_yolo.losses import distribution_moments, distribution_spread


def make_logits(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 2


def test_moments_match_reference():
    logits = make_logits(6, 9)
    mean, deviation = distribution_moments(logits)
    expected = [reference.distribution_moments(row) for row in logits.tolist()]
    assert list(zip(mean.tolist(), deviation.tolist(), strict=True)) == [pytest.approx(pair) for pair in expected]


def test_spread_matches_reference():
    logits = make_logits(2, 3, 4, 16)
    spread = distribution_spread(logits)
    assert spread.shape == (2, 3)
    expected = [reference.distribution_spread(sides) for sides in logits.view(6, 4, 16).tolist()]
    assert spread.flatten().tolist() == pytest.approx(expected)


def test_gradient():
    logits = make_logits(1, 2, 4, 3).requires_grad_()
    assert gradcheck(distribution_spread, logits)
    assert gradcheck(distribution_moments, logits[0, 0].detach().requires_grad_())


def test_blocks_and_the_raw_layout_agree_with_the_differentiable_path(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 20)
    points = 57
    raw = make_logits(2, 64, points, dtype=torch.float32)
    from_raw = raw.view(2, 4, 16, points).permute(0, 3, 1, 2)
    contiguous = from_raw.contiguous()
    exact = distribution_spread(contiguous.double().requires_grad_()).detach()
    for logits in (from_raw, contiguous):
        spread = distribution_spread(logits)
        assert spread.shape == (2, points)
        torch.testing.assert_close(spread.double(), exact, rtol=1e-4, atol=1e-4)
        mean, deviation = distribution_moments(logits)
        bins = torch.arange(16.0)
        torch.testing.assert_close(mean, (contiguous.softmax(-1) * bins).sum(-1), rtol=1e-4, atol=1e-4)
        assert (deviation > 0).all()


def test_a_single_anchor_point():
    logits = make_logits(1, 1, 4, 16, dtype=torch.float32)
    expected = reference.distribution_spread(logits[0, 0].tolist())
    assert distribution_spread(logits).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_certain_sides_have_no_spread_and_a_zero_gradient(dtype):
    logits = torch.full((1, 2, 4, 16), -80.0, dtype=dtype)
    logits[..., 15] = 80.0
    assert distribution_spread(logits).tolist() == [[0.0, 0.0]]
    logits.requires_grad_()
    spread = distribution_spread(logits)
    spread.sum().backward()
    assert spread.tolist() == [[0.0, 0.0]]
    assert logits.grad.abs().sum().item() == 0.0


def test_the_uniform_distribution_has_the_known_spread():
    spread = distribution_spread(torch.zeros(4, 16, dtype=torch.float64))
    assert spread.item() == pytest.approx(((16**2 - 1) / 12) ** 0.5 / 8.5)


def test_a_blurred_side_raises_the_spread():
    sharp = torch.full((4, 16), -5.0)
    sharp[:, 3] = 5.0
    blurred = sharp.clone()
    blurred[2] = 0.0
    assert distribution_spread(blurred) > distribution_spread(sharp)


def test_autocast_does_not_lower_the_precision():
    logits = make_logits(1, 8, 4, 16, dtype=torch.float32)
    plain = distribution_spread(logits)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(distribution_spread(logits), plain)


@pytest.mark.parametrize("shape", [(0, 4, 16), (2, 0, 4, 16)])
def test_empty_input_has_a_backward(shape):
    logits = torch.empty(shape, requires_grad=True)
    distribution_spread(logits).sum().backward()
    assert logits.grad.shape == shape
    assert distribution_spread(logits.detach()).shape == shape[:-2]


def test_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"pred_dist must have shape \(\.\.\., 4, \*\), got \(2, 64\)"):
        distribution_spread(torch.zeros(2, 64))

import json

import pytest
import reference
import torch
from torch.autograd import gradcheck

from reg_yolo.losses import GradientRatio, equalized_focal_loss, equalized_focal_slope, quality_focal_loss

RATIO = [1.0, 0.4, 0.0]


def entries(rows=6, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    z = 3 * torch.randn(rows, 3, generator=generator, dtype=dtype) - 1
    y = (torch.rand(rows, 3, generator=generator, dtype=dtype) * 3 - 1.5).clamp(0, 1)
    return z, y, torch.tensor(RATIO, dtype=dtype)


@pytest.mark.parametrize("gamma", [0.5, 1.5, 2.0])
@pytest.mark.parametrize("s", [0.0, 2.0, 8.0])
def test_matches_reference(gamma, s):
    z, y, ratio = entries()
    weight = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    loss = equalized_focal_loss(z, y, ratio, gamma, s, weight)
    slope = equalized_focal_slope(z, y, ratio, gamma, s, weight)
    for row in range(len(z)):
        for c in range(3):
            arguments = (float(z[row, c]), float(y[row, c]), RATIO[c], gamma, s, float(weight[c]))
            assert loss[row, c].item() == pytest.approx(reference.equalized_focal_loss(*arguments), rel=1e-9)
            expected = reference.equalized_focal_slope(*arguments)
            assert slope[row, c].item() == pytest.approx(expected, rel=1e-4, abs=1e-8)


def test_a_balanced_class_has_the_focal_loss_and_a_rare_one_a_stronger_focus():
    z, y, _ = entries()
    balanced = equalized_focal_loss(z, y, torch.ones(3), 2.0, 8.0)
    torch.testing.assert_close(balanced, quality_focal_loss(z, y, 2.0))
    # At |y - p| = 1 the factor e_c / gamma keeps a rare class's hard entries from vanishing.
    hard = equalized_focal_loss(torch.full((1, 2), 9.0), torch.zeros(1, 2), torch.tensor([1.0, 0.0]), 2.0, 8.0)
    assert (hard[0, 1] / hard[0, 0]).item() == pytest.approx(5.0, rel=1e-2)
    easy = equalized_focal_loss(torch.full((1, 2), -3.0), torch.zeros(1, 2), torch.tensor([1.0, 0.0]), 2.0, 8.0)
    assert easy[0, 1] < 1e-6 * easy[0, 0]


def test_gradient_is_the_slope():
    z, y, ratio = entries()
    z.requires_grad_()
    assert gradcheck(lambda x: equalized_focal_loss(x, y, ratio, 1.5, 4.0), z)
    (gradient,) = torch.autograd.grad(equalized_focal_loss(z, y, ratio, 1.5, 4.0).sum(), z)
    torch.testing.assert_close(gradient, equalized_focal_slope(z, y, ratio, 1.5, 4.0))
    assert not equalized_focal_slope(z, y, ratio, 1.5, 4.0).requires_grad


def test_memory_order_does_not_matter():
    z, y, ratio = entries(40_000, torch.float32)
    plain = equalized_focal_loss(z, y, ratio)
    turned = equalized_focal_loss(z.t().contiguous().t(), y.t().contiguous().t(), ratio)
    torch.testing.assert_close(turned, plain)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_logits_stay_finite(dtype):
    z = torch.tensor([[-80.0, 80.0, 0.0], [80.0, -80.0, 80.0]], dtype=dtype, requires_grad=True)
    y = torch.tensor([[0.0, 0.0, 0.5], [1.0, 1.0, 1.0]], dtype=dtype)
    loss = equalized_focal_loss(z, y, torch.tensor(RATIO), 0.5, 8.0)
    loss.sum().backward()
    assert loss.dtype == torch.float32 and torch.isfinite(loss).all() and torch.isfinite(z.grad).all()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_empty_input_has_a_backward(reduction):
    z = torch.empty(0, 3, requires_grad=True)
    loss = equalized_focal_loss(z, torch.empty(0, 3), torch.ones(3), reduction=reduction)
    loss.backward()
    assert loss.item() == 0.0 and z.grad.shape == (0, 3)


def test_ratio_matches_reference_and_is_clamped():
    ours, expected = GradientRatio(4), reference.GradientRatio(4)
    assert ours.ratio().tolist() == expected.ratio() == [1.0] * 4
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        sums = torch.rand(2, 4, generator=generator)
        sums[0] *= torch.tensor([3.0, 1.0, 0.1, 0.0])
        sums[1, 3] = 0.0
        ours.accumulate(sums)
        expected.accumulate(*sums.tolist())
    assert ours.ratio().tolist() == pytest.approx(expected.ratio(), rel=1e-5)
    assert ours.ratio()[0] == 1.0 and 0 < ours.ratio()[2] < 0.5 and ours.ratio()[3] == 1.0


def test_state_is_plain_data_and_continues_exactly():
    first = GradientRatio(2)
    first.accumulate(torch.tensor([[1.0, 2.0], [3.0, 1.0]]))
    resumed = GradientRatio(2)
    resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for one in (first, resumed):
        one.accumulate(torch.tensor([[0.5, 0.1], [0.3, 9.0]]))
    assert torch.equal(first.ratio(), resumed.ratio()) and first.ratio()[1] < 1.0
    assert not isinstance(first, torch.nn.Module) and not hasattr(first, "update")


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_an_overflown_batch_is_left_out(bad):
    ratio = GradientRatio(2)
    ratio.accumulate(torch.tensor([[1.0, 1.0], [2.0, 4.0]]))
    before = ratio.ratio()
    ratio.accumulate(torch.tensor([[bad, 1.0], [2.0, 4.0]]))
    assert torch.equal(ratio.ratio(), before)


def test_wrong_arguments_are_named():
    z = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"gradient_ratio must have shape \(3,\), got \(2,\)"):
        equalized_focal_loss(z, z, torch.ones(2))
    with pytest.raises(ValueError, match=r"gamma must be >= 1e-06, got 0"):
        equalized_focal_loss(z, z, torch.ones(3), gamma=0)
    with pytest.raises(ValueError, match=r"s must be >= 0, got -1"):
        equalized_focal_loss(z, z, torch.ones(3), s=-1)
    with pytest.raises(ValueError, match=r"gradients must have shape \(2, 3\), got \(3,\)"):
        GradientRatio(3).accumulate(torch.zeros(3))
    with pytest.raises(ValueError, match=r"state\['negative'\] must have 3 entries, one a class, got nothing"):
        GradientRatio(3).load_state_dict({"positive": [1, 2, 3]})

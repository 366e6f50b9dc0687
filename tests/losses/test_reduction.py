import pytest
import reference
import torch

from reg_yolo.losses import reduce_loss


@pytest.mark.parametrize("normalizer", [None, 2.5, torch.tensor(2.5)])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_matches_reference(reduction, normalizer):
    values = [1.0, -2.0, 4.5]
    expected = reference.reduce_loss(values, reduction, None if normalizer is None else 2.5)
    assert reduce_loss(torch.tensor(values), reduction, normalizer).item() == pytest.approx(expected)


def test_none_is_the_loss_itself():
    loss = torch.ones(2, 2)
    assert reduce_loss(loss, "none") is loss


@pytest.mark.parametrize("normalizer", [None, 0.0, torch.tensor(0.0)])
def test_empty_mean_is_a_differentiable_zero(normalizer):
    loss = torch.empty(0, 3, requires_grad=True)
    mean = reduce_loss(loss * 1.0, "mean", normalizer)
    mean.backward()
    assert mean.item() == 0.0
    assert loss.grad.shape == (0, 3)


@pytest.mark.parametrize("normalizer", [0.0, torch.tensor(0.0)])
def test_zero_normalizer_gives_zero_value_and_gradient(normalizer):
    loss = torch.ones(3, requires_grad=True)
    mean = reduce_loss(loss * 1.0, "mean", normalizer)
    mean.backward()
    assert mean.item() == 0.0
    assert loss.grad.tolist() == [0.0, 0.0, 0.0]


def test_unknown_reduction_is_named():
    with pytest.raises(ValueError, match="reduction must be one of none, mean, sum, got 'average'"):
        reduce_loss(torch.ones(1), "average")

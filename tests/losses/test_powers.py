import pytest
import torch
from torch.autograd import gradcheck

from reg_yolo.losses.powers import guarded_power, power_and_slope

GAMMAS = [0.3, 0.5, 1.0, 1.5, 2.0, 2.7]


@pytest.mark.parametrize("gamma", GAMMAS)
def test_value_and_slope(gamma):
    base = torch.linspace(0.01, 1.0, 50, dtype=torch.float64)
    value, slope = power_and_slope(base.clone(), gamma)
    torch.testing.assert_close(value, base.pow(gamma))
    torch.testing.assert_close(slope, gamma * base.pow(gamma - 1.0))
    torch.testing.assert_close(guarded_power(base, gamma), base.pow(gamma))


@pytest.mark.parametrize("gamma", GAMMAS)
def test_gradient(gamma):
    assert gradcheck(lambda x: guarded_power(x, gamma), torch.rand(20, dtype=torch.float64, requires_grad=True) + 0.05)


@pytest.mark.parametrize("gamma", [0.3, 0.5, 0.99, 1.5, 2.0, 2.7])
def test_zero_base_has_value_zero_and_slope_zero(gamma):
    base = torch.zeros(3, requires_grad=True)
    value = guarded_power(base, gamma)
    value.sum().backward()
    assert value.tolist() == [0.0] * 3
    assert base.grad.tolist() == [0.0] * 3


def test_zero_exponent_is_one_everywhere():
    assert guarded_power(torch.tensor([0.0, 0.5, 1.0]), 0.0).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("gamma", [0.01, *GAMMAS])
def test_smallest_numbers_stay_finite(gamma):
    value, slope = power_and_slope(torch.tensor([1e-45, 1e-38, 1e-30]), gamma)
    assert torch.isfinite(value).all()
    assert torch.isfinite(slope).all()


def test_negative_exponent_is_refused():
    with pytest.raises(ValueError, match=r"gamma must be >= 0, got -0\.5"):
        guarded_power(torch.ones(1), -0.5)

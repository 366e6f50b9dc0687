import pytest
import torch

from reg_yolo.losses import checks


def test_same_shape_names_both_shapes():
    with pytest.raises(ValueError, match=r"targets must have the shape of logits: expected \(2, 3\), got \(3, 2\)"):
        checks.check_same_shape("logits", torch.zeros(2, 3), "targets", torch.zeros(3, 2))


@pytest.mark.parametrize("shape", [(4,), (2, 5), (2, 4, 1), (1, 2, 4)])
def test_boxes_name_the_expected_and_the_actual_shape(shape):
    with pytest.raises(ValueError, match=r"must have shape \(N, 4\) in xyxy order, got \(" + str(shape[0])):
        checks.check_boxes(torch.zeros(shape), torch.zeros(shape))


@pytest.mark.parametrize("shape", [(4,), (3, 16), (2, 16, 4)])
def test_last_dimensions_name_the_actual_shape(shape):
    with pytest.raises(ValueError, match=r"must have shape \(\.\.\., 4, \*\), got \(" + str(shape[0])):
        checks.check_last_dims("pred_dist", torch.zeros(shape), 4, None)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_range_is_closed_and_refuses_nan(value):
    checks.check_range("floor", 0.0, 0.0, 1.0)
    checks.check_range("floor", 1.0, 0.0, 1.0)
    with pytest.raises(ValueError, match=r"floor must be in \[0, 1\], got"):
        checks.check_range("floor", value, 0.0, 1.0)


def test_open_range_and_choice_messages():
    with pytest.raises(ValueError, match=r"gamma must be >= 0, got -1"):
        checks.check_range("gamma", -1, 0.0)
    with pytest.raises(ValueError, match=r"form must be one of soft, printed, got 'hard'"):
        checks.check_choice("form", "hard", ("soft", "printed"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_half_and_integer_become_float32(dtype):
    assert checks.at_least_float32(torch.ones(2, dtype=dtype)).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wider_types_stay_the_same_tensor(dtype):
    tensor = torch.ones(2, dtype=dtype)
    assert checks.at_least_float32(tensor) is tensor


@pytest.mark.parametrize("shape", [(), (3,), (1,), (2, 1, 3), (1, 5, 1)])
def test_broadcast_accepts_what_adds_nothing(shape):
    checks.check_broadcast("weight", torch.zeros(shape), torch.Size((2, 5, 3)))


@pytest.mark.parametrize("shape", [(2,), (2, 5), (1, 2, 5, 3), (4, 3)])
def test_broadcast_names_both_shapes(shape):
    with pytest.raises(ValueError, match=r"weight must broadcast to \(2, 5, 3\), got \(" + str(shape[0])):
        checks.check_broadcast("weight", torch.zeros(shape), torch.Size((2, 5, 3)))

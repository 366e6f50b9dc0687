import math

import pytest
import reference
import torch
import torchvision
from box_pairs import PAIRS, make_pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from reg_yolo.losses import aspect_ratio_term, ciou_loss, diou_loss, giou_loss, iou_loss

LOSSES = [iou_loss, giou_loss, diou_loss, ciou_loss]
BOUNDS = {iou_loss: 1.0, giou_loss: 2.0, diou_loss: 2.0, ciou_loss: 3.0}


@pytest.mark.parametrize("function", [*LOSSES, aspect_ratio_term])
def test_matches_reference(function):
    pred, target = make_pairs()
    expected = [
        getattr(reference, function.__name__)(a, b) for a, b in zip(pred.tolist(), target.tolist(), strict=True)
    ]
    assert function(pred, target).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("function", [*LOSSES, aspect_ratio_term])
def test_every_named_pair_matches_reference(function):
    for name, (a, b) in PAIRS.items():
        loss = function(torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64))
        expected = getattr(reference, function.__name__)(a, b)
        assert loss.item() == pytest.approx(expected, abs=1e-6), name


def test_every_term_is_alive_in_the_overlapping_pair():
    a, b = PAIRS["overlapping"]
    iou, giou, diou, ciou = (getattr(reference, f.__name__)(a, b) for f in LOSSES)
    assert 0.2 < iou < 0.95
    assert giou - iou > 0.05
    assert diou - iou > 0.01
    assert ciou - diou > 0.01
    assert len({round(x, 6) for x in (iou, giou, diou, ciou)}) == 4


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (giou_loss, torchvision.ops.generalized_box_iou_loss),
        (diou_loss, torchvision.ops.distance_box_iou_loss),
        (ciou_loss, torchvision.ops.complete_box_iou_loss),
    ],
)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_value_and_gradient_are_torchvisions(ours, theirs, reduction):
    pred, target = make_pairs(60, seed=5)
    pred.requires_grad_()
    loss, expected = ours(pred, target, reduction=reduction), theirs(pred, target, reduction=reduction)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    gradient, expected_gradient = (torch.autograd.grad(x.sum(), pred)[0] for x in (loss, expected))
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("function", [*LOSSES[:3], aspect_ratio_term])
def test_gradient(function):
    pred, target = make_pairs(12, seed=2)
    assert gradcheck(lambda x: function(x, target), pred.requires_grad_())


def test_the_weight_of_the_aspect_term_carries_no_gradient():
    pred, target = make_pairs(12, seed=2)
    pred.requires_grad_()
    v = aspect_ratio_term(pred, target)
    iou = 1.0 - iou_loss(pred, target)
    weight = (v / (1.0 - iou + v + 1e-7)).detach()
    by_hand = torch.autograd.grad((diou_loss(pred, target) + weight * v).sum(), pred)[0]
    torch.testing.assert_close(torch.autograd.grad(ciou_loss(pred, target).sum(), pred)[0], by_hand)


def test_equation_six_has_the_opposite_sign_to_the_printed_one():
    w, h, w_gt, h_gt = 30.0, 10.0, 12.0, 20.0
    size = torch.tensor([w, h], dtype=torch.float64, requires_grad=True)
    pred = torch.cat([torch.zeros(2, dtype=torch.float64), size]).view(1, 4)
    target = torch.tensor([[0.0, 0.0, w_gt, h_gt]], dtype=torch.float64)
    gradient = torch.autograd.grad(aspect_ratio_term(pred, target).sum(), size)[0]
    printed = 8 / math.pi**2 * (math.atan(w_gt / h_gt) - math.atan(w / h))
    assert gradient[0].item() == pytest.approx(-printed * h / (w**2 + h**2))
    assert gradient[1].item() == pytest.approx(printed * w / (w**2 + h**2))


@pytest.mark.parametrize("function", LOSSES)
def test_identical_boxes_have_no_loss(function):
    boxes, _ = make_pairs(5)
    assert function(boxes, boxes).abs().max().item() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("function", [*LOSSES, aspect_ratio_term])
@pytest.mark.parametrize(
    ("pred", "target"),
    [
        ([5, 5, 5, 9], [5, 5, 15, 9]),
        ([5, 5, 9, 5], [5, 5, 15, 9]),
        ([5, 5, 5, 5], [5, 5, 5, 5]),
        ([0, 0, 0, 4], [0, 0, 0, 4]),
        ([5, 5, 5, 5], [5, 5, 15, 9]),
        ([5, 5, 15, 9], [7, 7, 7, 7]),
        ([9, 9, 5, 5], [0, 0, 4, 3]),
        ([0, 0, 1e4, 6e4], [0, 0, 1e4, 5e4]),
        ([0, 0, 1, 2], [6e4, 6e4, 6.1e4, 6.2e4]),
    ],
)
def test_degenerate_and_huge_boxes_stay_finite(pred, target, function, dtype):
    boxes = torch.tensor([pred], dtype=dtype, requires_grad=True)
    loss = function(boxes, torch.tensor([target], dtype=dtype))
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss).all()
    assert torch.isfinite(boxes.grad).all()


def test_disjoint_boxes_are_told_apart_by_all_but_iou():
    near, far, target = [[12.0, 0, 20, 5]], [[30.0, 0, 38, 5]], torch.tensor([[0.0, 0, 10, 4]])
    assert iou_loss(torch.tensor(near), target).item() == iou_loss(torch.tensor(far), target).item() == 1.0
    for function in LOSSES[1:]:
        assert function(torch.tensor(near), target).item() < function(torch.tensor(far), target).item()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.floats(-300, 300), st.floats(-300, 300), st.floats(0.01, 50), st.sampled_from(LOSSES))
def test_bounds_symmetry_and_invariance(seed, dx, dy, scale, function):
    pred, target = make_pairs(10, seed=seed)
    loss = function(pred, target)
    assert ((loss >= -1e-9) & (loss <= BOUNDS[function])).all()
    torch.testing.assert_close(function(target, pred), loss, rtol=1e-6, atol=1e-8)
    shift = torch.tensor([dx, dy, dx, dy], dtype=torch.float64)
    torch.testing.assert_close(function(pred + shift, target + shift), loss, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(function(pred * scale, target * scale), loss, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", LOSSES)
def test_normalised_coordinates_give_the_same_loss(function):
    pred, target = make_pairs(10)
    small = function((pred / 6400).float(), (target / 6400).float())
    torch.testing.assert_close(small.double(), function(pred, target), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("function", LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_empty_input_has_a_backward(function, reduction):
    pred = torch.empty(0, 4, requires_grad=True)
    loss = function(pred, torch.empty(0, 4), reduction=reduction)
    loss.backward()
    assert loss.item() == 0.0
    assert pred.grad.shape == (0, 4)


@pytest.mark.parametrize("function", [*LOSSES, aspect_ratio_term])
def test_mismatched_shapes_are_named(function):
    with pytest.raises(
        ValueError, match=r"target_boxes must have the shape of pred_boxes: expected \(3, 4\), got \(1, 4\)"
    ):
        function(torch.zeros(3, 4), torch.zeros(1, 4))
    with pytest.raises(ValueError, match=r"pred_boxes must have shape \(N, 4\) in xyxy order, got \(4, 3\)"):
        function(torch.zeros(4, 3), torch.zeros(4, 3))

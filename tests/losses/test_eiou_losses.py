import pytest
import reference
import torch
from box_pairs import PAIRS, make_pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from reg_yolo.losses import (
    diou_loss,
    eiou_loss,
    focal_eiou_loss,
    focal_eiou_star_loss,
    focal_eiou_v1_loss,
    focal_l1_loss,
    iou_loss,
)

LOSSES = [eiou_loss, focal_eiou_loss, focal_eiou_v1_loss, focal_eiou_star_loss]
DEGENERATE = [
    ([5, 5, 5, 9], [5, 5, 15, 9]),
    ([5, 5, 5, 5], [5, 5, 5, 5]),
    ([0, 0, 0, 4], [0, 0, 0, 4]),
    ([5, 5, 15, 9], [5, 5, 15, 9]),
    ([9, 9, 5, 5], [0, 0, 4, 3]),
    ([0, 0, 10, 4], [30, 22, 37, 45]),
    ([0, 0, 1e4, 6e4], [0, 0, 1e4, 5e4]),
    ([0, 0, 1, 2], [6e4, 6e4, 6.1e4, 6.2e4]),
]


def rows(function, pred, target):
    return [function(a, b) for a, b in zip(pred.tolist(), target.tolist(), strict=True)]


def test_eiou_matches_reference():
    pred, target = make_pairs()
    assert eiou_loss(pred, target).tolist() == pytest.approx(rows(reference.eiou_loss, pred, target))
    for name, (a, b) in PAIRS.items():
        loss = eiou_loss(torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)).item()
        assert loss == pytest.approx(reference.eiou_loss(a, b), abs=1e-9), name


def test_every_term_of_eiou_is_alive_in_the_overlapping_pair():
    a, b = PAIRS["overlapping"]
    width, height = reference.enclosing_size(a, b)
    assert ((a[2] - a[0]) - (b[2] - b[0])) ** 2 / width**2 > 0.05
    assert ((a[3] - a[1]) - (b[3] - b[1])) ** 2 / height**2 > 0.05
    assert width != height


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_eiou_matches_reference(gamma):
    pred, target = make_pairs()
    scores = torch.rand(len(pred), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = rows(lambda a, b: reference.focal_eiou_loss(a, b, gamma), pred, target)
    assert focal_eiou_loss(pred, target, gamma).tolist() == pytest.approx(expected)
    weighted = [s * x for s, x in zip(scores.tolist(), expected, strict=True)]
    assert focal_eiou_loss(pred, target, gamma, scores).tolist() == pytest.approx(weighted)


@pytest.mark.parametrize("beta", [0.4, 0.8, 1.0])
def test_focal_eiou_v1_matches_reference(beta):
    pred, target = make_pairs()
    expected = rows(lambda a, b: reference.focal_eiou_v1_loss(a, b, beta), pred, target)
    assert focal_eiou_v1_loss(pred, target, beta).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("form", ["clamped", "printed"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_eiou_star_matches_reference(gamma, form):
    pred, target = make_pairs(40)
    overlapping = iou_loss(pred, target) < 1
    pred, target = pred[overlapping], target[overlapping]
    assert 5 < len(pred) < 40
    expected = rows(lambda a, b: reference.focal_eiou_star_loss(a, b, gamma, form), pred, target)
    assert focal_eiou_star_loss(pred, target, gamma, form).tolist() == pytest.approx(expected)


def test_the_clamp_and_the_factor_tell_the_forms_of_the_star_loss_apart():
    sliver = torch.tensor([[0.0, 0.0, 10.0, 1e-4]], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[0.0, 0.0, 10.0, 8.0]], dtype=torch.float64)
    assert focal_eiou_star_loss(sliver, target).item() == pytest.approx(10.0, rel=1e-4)
    assert focal_eiou_star_loss(sliver, target, form="printed").item() > 10.5
    pred, target = make_pairs(30, seed=3)
    keep = iou_loss(pred, target) < 0.9
    pred = pred[keep].requires_grad_()
    target = target[keep]
    clamped = focal_eiou_star_loss(pred, target)
    printed = focal_eiou_star_loss(pred, target, form="printed")
    torch.testing.assert_close(clamped, printed)
    assert not torch.allclose(*(torch.autograd.grad(x.sum(), pred)[0] for x in (clamped, printed)))


def test_gradients():
    pred, target = make_pairs(12, seed=2)
    pred.requires_grad_()
    assert gradcheck(lambda x: eiou_loss(x, target), pred)
    assert gradcheck(lambda x: focal_eiou_v1_loss(x, target), pred)
    assert gradcheck(lambda x: focal_eiou_loss(x, target, 0.5, weight_gradient=True), pred)
    assert gradcheck(lambda x: focal_eiou_star_loss(x, target, form="printed"), pred)


def test_the_focal_weight_carries_no_gradient_unless_asked():
    pred, target = make_pairs(12, seed=2)
    pred.requires_grad_()
    weight = (1.0 - iou_loss(pred, target)).detach().sqrt()
    expected = torch.autograd.grad((weight * eiou_loss(pred, target)).sum(), pred)[0]
    default = torch.autograd.grad(focal_eiou_loss(pred, target).sum(), pred)[0]
    torch.testing.assert_close(default, expected)
    live = torch.autograd.grad(focal_eiou_loss(pred, target, weight_gradient=True).sum(), pred)[0]
    assert not torch.allclose(live, expected)


def test_the_mean_is_normalised_by_the_sum_of_weights():
    pred, target = make_pairs()
    scores = torch.rand(len(pred), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weight = (1.0 - iou_loss(pred, target)).sqrt()
    eiou = eiou_loss(pred, target)
    mean = focal_eiou_loss(pred, target, reduction="mean")
    torch.testing.assert_close(mean, (weight * eiou).sum() / weight.sum())
    mean = focal_eiou_loss(pred, target, target_scores=scores, reduction="mean")
    torch.testing.assert_close(mean, (scores * weight * eiou).sum() / (scores * weight).sum())
    total = focal_eiou_loss(pred, target, reduction="sum")
    torch.testing.assert_close(total, (weight * eiou).sum())


def test_all_zero_weights_are_a_differentiable_zero():
    pred = torch.tensor([[0.0, 0.0, 10.0, 4.0]], requires_grad=True)
    loss = focal_eiou_loss(pred, torch.tensor([[30.0, 22.0, 37.0, 45.0]]), reduction="mean")
    loss.backward()
    assert loss.item() == 0.0
    assert pred.grad.abs().sum().item() == 0.0


def test_special_cases():
    pred, target = make_pairs()
    torch.testing.assert_close(focal_eiou_loss(pred, target, gamma=0.0), eiou_loss(pred, target))
    eiou = eiou_loss(pred, target)
    torch.testing.assert_close(focal_eiou_v1_loss(pred, target), focal_l1_loss(eiou, torch.zeros_like(eiou)))
    a, b = (torch.tensor([box]) for box in PAIRS["same shape"])
    torch.testing.assert_close(eiou_loss(a, b), diou_loss(a, b))
    same = torch.tensor([PAIRS["identical"][0]])
    for function in LOSSES[:3]:
        assert function(same, same).abs().item() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("function", LOSSES)
@pytest.mark.parametrize(("pred", "target"), DEGENERATE)
def test_degenerate_and_huge_boxes_stay_finite(pred, target, function, dtype):
    boxes = torch.tensor([pred], dtype=dtype, requires_grad=True)
    loss = function(boxes, torch.tensor([target], dtype=dtype))
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss).all()
    assert torch.isfinite(boxes.grad).all()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 1000), st.floats(-300, 300), st.floats(-300, 300), st.floats(0.01, 50), st.sampled_from(LOSSES[:3])
)
def test_bounds_symmetry_and_invariance(seed, dx, dy, scale, function):
    pred, target = make_pairs(10, seed=seed)
    loss = function(pred, target)
    assert ((loss >= -1e-9) & (loss <= 4.0)).all()
    torch.testing.assert_close(function(target, pred), loss, rtol=1e-6, atol=1e-8)
    shift = torch.tensor([dx, dy, dx, dy], dtype=torch.float64)
    torch.testing.assert_close(function(pred + shift, target + shift), loss, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(function(pred * scale, target * scale), loss, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_empty_input_has_a_backward(function, reduction):
    pred = torch.empty(0, 4, requires_grad=True)
    loss = function(pred, torch.empty(0, 4), reduction=reduction)
    loss.backward()
    assert loss.item() == 0.0
    assert pred.grad.shape == (0, 4)


@pytest.mark.parametrize("function", LOSSES)
def test_mismatched_shapes_are_named(function):
    with pytest.raises(
        ValueError, match=r"target_boxes must have the shape of pred_boxes: expected \(3, 4\), got \(1, 4\)"
    ):
        function(torch.zeros(3, 4), torch.zeros(1, 4))


def test_wrong_arguments_are_named():
    boxes, _ = make_pairs(3)
    with pytest.raises(ValueError, match=r"target_scores must have shape \(3,\), got \(1,\)"):
        focal_eiou_loss(boxes, boxes, target_scores=torch.ones(1))
    with pytest.raises(ValueError, match=r"gamma must be >= 0, got -1"):
        focal_eiou_loss(boxes, boxes, gamma=-1)
    with pytest.raises(ValueError, match=r"form must be one of clamped, printed, got 'raw'"):
        focal_eiou_star_loss(boxes, boxes, form="raw")
    with pytest.raises(ValueError, match=r"beta must be in"):
        focal_eiou_v1_loss(boxes, boxes, beta=0.2)

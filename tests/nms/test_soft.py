"""Soft-NMS against loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.nms import balanced_nms, soft, soft_nms
from tests.nms import reference
from tests.nms.scenes import random_scene


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(0, 200),
    classes=st.sampled_from([1, 3]),
    method=st.sampled_from(["gaussian", "linear"]),
    carried=st.sampled_from([1, 5, 10**6]),
    score_threshold=st.sampled_from([0.0, 0.001, 0.3]),
)
def test_against_loops(seed, count, classes, method, carried, score_threshold):
    boxes, scores, labels = (t.double() for t in random_scene(seed, count, classes, 0.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(soft, "CARRIED", carried)
        found = soft_nms(boxes, scores, labels, method=method, iou_threshold=0.4, score_threshold=score_threshold)
    lists = (boxes.tolist(), scores.tolist(), labels.tolist())
    expected = sorted(reference.soft_nms(*lists, method, 0.5, 0.4, score_threshold), key=lambda pair: -pair[1])
    # A score that ends in 0 to the last digit or not is the same.
    expected = [(i, s) for i, s in expected if s > 1e-12]
    assert found.indices.tolist()[: len(expected)] == [i for i, _ in expected]
    assert found.scores.tolist()[: len(expected)] == pytest.approx([s for _, s in expected], rel=1e-9)
    assert all(s <= 1e-12 for s in found.scores.tolist()[len(expected) :])


def test_ties_go_to_the_lower_index():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 20], [100.0, 0, 110, 10]]).repeat(3, 1)
    result = soft_nms(boxes, torch.full((9,), 0.5), torch.zeros(9), score_threshold=0.0)
    expected = reference.soft_nms(boxes.tolist(), [0.5] * 9, [0] * 9, "gaussian", 0.5, 0.5, 0.0)
    assert result.indices.tolist() == [i for i, _ in expected]
    # The box farther to the right comes first, and lowers the other.
    boxes = torch.tensor([[5.0, 0, 15, 10], [0.0, 0, 10, 10]])
    result = soft_nms(boxes, torch.full((2,), 0.5), torch.zeros(2))
    assert result.indices.tolist() == [0, 1] and result.scores[0] == 0.5 > result.scores[1]


def test_boxes_that_touch_at_all_lower_each_other_far_from_the_origin():
    # A wide box meets narrow ones at its very ends; float32 keeps less than a hundredth of a pixel there.
    boxes = torch.tensor([[0.0, 0, 1000, 10], [995.0, 0, 1005, 10], [-5.0, 0, 5, 10], [1001.0, 0, 1011, 10]]) + 65536.0
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    expected = reference.soft_nms(boxes.tolist(), scores.tolist(), [0] * 4, "gaussian", 0.5, 0.5, 0.0)
    result = soft_nms(boxes, scores, torch.zeros(4), score_threshold=0.0)
    assert result.indices.tolist() == [i for i, _ in expected]
    assert result.scores.tolist() == pytest.approx([s for _, s in expected], rel=1e-6) and expected[1][1] < 0.8


def test_the_two_weights_by_hand():
    boxes, scores = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 20], [4.0, 0, 14, 5]]), torch.tensor([0.9, 0.8, 0.7])
    # IoU of the first and second 0.5, of the first and third 0.25, of the second and third 30 / 220.
    gaussian = soft_nms(boxes, scores, torch.zeros(3), sigma=0.5)
    third = 0.7 * math.exp(-(0.25**2) / 0.5)
    assert gaussian.indices.tolist() == [0, 2, 1]
    second = 0.8 * math.exp(-(0.5**2) / 0.5) * math.exp(-((30 / 220) ** 2) / 0.5)
    assert gaussian.scores.tolist() == pytest.approx([0.9, third, second], rel=1e-6)
    linear = soft_nms(boxes, scores, torch.zeros(3), method="linear", iou_threshold=0.3)
    assert linear.indices.tolist() == [0, 2, 1] and linear.scores.tolist() == pytest.approx([0.9, 0.7, 0.4])


def test_what_falls_below_the_threshold_goes():
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(2, 1)
    assert soft_nms(boxes, torch.tensor([0.9, 0.8]), torch.zeros(2), score_threshold=0.2).indices.tolist() == [0]
    assert soft_nms(boxes, torch.tensor([0.9, 0.8]), torch.zeros(2)).indices.tolist() == [0, 1]
    assert soft_nms(boxes, torch.tensor([0.9, 0.8]), torch.tensor([0, 1])).scores.tolist() == pytest.approx([0.9, 0.8])


def test_boxes_over_the_limit_and_unsound_ones_are_counted():
    boxes, scores, labels = random_scene(2, 50, 3, 0.0)
    boxes[7, 0] = torch.nan
    result = soft_nms(boxes, scores, labels, max_candidates=20)
    assert (result.dropped, result.over_limit) == (1, 29)
    best = [i for i in scores.argsort(descending=True).tolist() if i != 7][:20]
    assert set(result.indices.tolist()) <= set(best)
    empty = soft_nms(boxes[:0], scores[:0], labels[:0])
    assert len(empty.indices) == len(empty.scores) == 0


def test_the_result_may_meet_a_gradient():
    boxes, scores, labels = random_scene(2, 50, 3, 0.0)
    weight = torch.ones((), requires_grad=True)
    for result in (soft_nms(boxes, scores, labels), balanced_nms(boxes, scores, labels, 0.5)):
        (result.scores * weight * boxes[result.indices].sum(1)).sum().backward()
    assert weight.grad is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "hard"}, "one of gaussian, linear, got 'hard'"),
        ({"sigma": 0.0}, "sigma must be > 0"),
        ({"max_candidates": 0}, "max_candidates >= 1"),
        ({"iou_threshold": -0.1}, r"iou_threshold must be in \[0, 1\]"),
    ],
)
def test_errors_name_what_was_given(options, message):
    with pytest.raises(ValueError, match=message):
        soft_nms(torch.zeros(1, 4), torch.zeros(1), torch.zeros(1), **options)

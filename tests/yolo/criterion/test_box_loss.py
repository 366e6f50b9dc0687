"""The box branch: weights, normaliser and units of the box losses and of the distribution focal loss."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from ultralytics.utils.loss import BboxLoss

from reg_yolo.config.reg_sections import BoxSettings
from reg_yolo.yolo.criterion.box_loss import box_and_distribution_loss
from reg_yolo.yolo.criterion.head_output import BoxPredictions
from reg_yolo.yolo.criterion.targets import Assignment, GroundTruth, Positives

pytestmark = pytest.mark.usefixtures("one_thread")

LOSSES = get_args(BoxSettings.model_fields["loss"].annotation)
IMAGE_SIZE = torch.tensor([64.0, 64.0])


def pairs(*rows: tuple[float, tuple[float, ...], tuple[float, ...], float]) -> tuple[BoxPredictions, Assignment]:
    """Positives as (score, predicted box, target box, stride), boxes in pixels; every point lies at (32, 32)."""
    scores, predicted, target, strides = (torch.tensor(column) for column in zip(*rows, strict=True))
    strides = strides.view(-1, 1)
    number = torch.arange(len(rows))
    zeros = torch.zeros_like(number)
    boxes = (predicted / strides).requires_grad_()
    points = torch.full((len(rows), 2), 32.0) / strides
    logits = torch.zeros(len(rows), 64, requires_grad=True)
    truth = GroundTruth(torch.zeros(1, len(rows), 1), target.unsqueeze(0), torch.ones(1, len(rows), 1))
    positives = Positives(zeros, number, number, zeros, scores)
    assignment = Assignment(truth, positives, torch.empty(0), scores.sum().clamp(min=1))
    return BoxPredictions(logits, boxes, points, strides), assignment


def box_loss(settings: BoxSettings, predicted: BoxPredictions, assignment: Assignment) -> tuple[float, float]:
    box, distribution = box_and_distribution_loss(BboxLoss(16), settings, predicted, assignment, IMAGE_SIZE)
    return float(box.detach()), float(distribution.detach())


EXACT = (0.5, (16.0, 16.0, 48.0, 48.0), (16.0, 16.0, 48.0, 48.0), 8.0)
NEAR = (0.8, (18.0, 15.0, 50.0, 47.0), (16.0, 16.0, 48.0, 48.0), 8.0)
OFF = (0.7, (20.0, 24.0, 60.0, 40.0), (16.0, 16.0, 48.0, 48.0), 8.0)


# Focal-EIoU* has the sign of log(IoU / EIoU) and is 0 for a perfect box, so its values have no such order.
@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "focal_eiou_star"])
def test_better_boxes_cost_less(loss: str) -> None:
    settings = BoxSettings(loss=loss)
    exact, near, off = (box_loss(settings, *pairs((1.0, *row[1:])))[0] for row in (EXACT, NEAR, OFF))
    assert exact < near < off
    assert exact == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "focal_eiou"])
def test_losses_are_weighted_by_score_and_averaged_over_the_scores(loss: str) -> None:
    settings = BoxSettings(loss=loss)
    near, off = (box_loss(settings, *pairs((1.0, *row[1:])))[0] for row in (NEAR, OFF))
    both = box_loss(settings, *pairs(NEAR, OFF))[0]
    assert both == pytest.approx((0.8 * near + 0.7 * off) / 1.5, rel=1e-5, abs=1e-6)


def test_focal_eiou_is_averaged_over_its_own_weights() -> None:
    plain, focal = BoxSettings(loss="eiou"), BoxSettings(loss="focal_eiou", gamma=1.0)
    overlaps = [1.0 - box_loss(BoxSettings(loss="iou"), *pairs((1.0, *row[1:])))[0] for row in (NEAR, OFF)]
    eious = [box_loss(plain, *pairs((1.0, *row[1:])))[0] for row in (NEAR, OFF)]
    weights = [0.8 * overlaps[0], 0.7 * overlaps[1]]
    expected = sum(w * e for w, e in zip(weights, eious, strict=True)) / sum(weights)
    assert box_loss(focal, *pairs(NEAR, OFF))[0] == pytest.approx(expected, rel=1e-5)


def test_focal_eiou_without_any_overlap_is_a_differentiable_zero() -> None:
    predicted, assignment = pairs((0.5, (0.0, 0.0, 8.0, 8.0), (16.0, 16.0, 48.0, 48.0), 8.0))
    box, _ = box_and_distribution_loss(BboxLoss(16), BoxSettings(loss="focal_eiou"), predicted, assignment, IMAGE_SIZE)
    box.backward()
    assert float(box.detach()) == 0.0 and bool(torch.isfinite(predicted.boxes.grad).all())


def test_scores_below_one_in_sum_are_not_blown_up() -> None:
    settings = BoxSettings(loss="eiou")
    whole, part = (box_loss(settings, *pairs((score, *OFF[1:])))[0] for score in (1.0, 0.1))
    assert part == pytest.approx(0.1 * whole, rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_single_poorly_covered_object_does_not_weigh_like_a_whole_batch(loss: str) -> None:
    # A target score near 0, as early in a training: no loss may divide it away.
    settings = BoxSettings(loss=loss)
    whole, speck = (box_loss(settings, *pairs((score, *OFF[1:])))[0] for score in (1.0, 1e-3))
    assert speck == pytest.approx(1e-3 * whole, rel=1e-4, abs=1e-7)


def test_smooth_l1_is_on_distances_in_strides() -> None:
    # Off by 4, 8, 12 and 8 pixels: 0.5, 1, 1.5 and 1 cells of 8 pixels, half of that of 16.
    eight = box_loss(BoxSettings(loss="smooth_l1"), *pairs((1.0, *OFF[1:])))[0]
    sixteen = box_loss(BoxSettings(loss="smooth_l1"), *pairs((1.0, *OFF[1:3], 16.0)))[0]
    assert eight == pytest.approx((0.125 + 0.5 + 1.0 + 0.5) / 4)
    assert sixteen == pytest.approx((0.25**2 + 0.5**2 + 0.75**2 + 0.5**2) / 8)


@pytest.mark.parametrize("loss", LOSSES)
def test_distribution_loss_is_the_same_beside_every_box_loss(loss: str) -> None:
    expected = box_loss(BoxSettings(loss="ciou"), *pairs(NEAR, OFF))[1]
    assert box_loss(BoxSettings(loss=loss), *pairs(NEAR, OFF))[1] == pytest.approx(expected, rel=1e-6)
    # Flat distributions over 16 bins.
    assert expected == pytest.approx(torch.tensor(16.0).log().item(), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_no_positive_gives_a_zero_with_gradient(loss: str) -> None:
    predicted, assignment = pairs(NEAR)
    nothing = torch.zeros(0, dtype=torch.long)
    positives = Positives(nothing, nothing, nothing, nothing, torch.zeros(0))
    empty = Assignment(assignment.truth, positives, torch.empty(0), torch.ones(()))
    box, distribution = box_and_distribution_loss(
        BboxLoss(16),
        BoxSettings(loss=loss),
        BoxPredictions(predicted.logits[:0], predicted.boxes[:0], predicted.points[:0], predicted.strides[:0]),
        empty,
        IMAGE_SIZE,
    )
    assert float(box.detach()) == 0.0 and float(distribution.detach()) == 0.0
    (box + distribution).backward()
    assert predicted.logits.grad is not None and float(predicted.logits.grad.abs().sum()) == 0.0

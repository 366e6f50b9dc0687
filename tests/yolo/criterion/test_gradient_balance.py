"""The logged shares of the gradient are those that a backward pass brings to the head's output."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.yolo.criterion.heads import BATCH, IMAGES, NAMES, criterion, labels, over_stock, predictions

pytestmark = pytest.mark.usefixtures("one_thread")

RATIOS = ("reg/gradient_negative_to_positive", "reg/gradient_class_to_box")


@pytest.mark.parametrize("reg", ["stock", "reg_v1", "reg_u", "reg_efl", "cle", over_stock(box={"loss": "eiou"})])
def test_ratios_are_those_of_the_summed_gradients(reg: Any) -> None:
    ours = criterion(reg)
    positive = negative = box = 0.0
    for seed in range(2):
        preds = predictions(BATCH, IMAGES, seed=seed)
        _, assignment, losses = ours.detection_losses(preds, BATCH)
        losses.sum().backward()
        size = preds["scores"].grad.abs()
        at = assignment.positives
        own = torch.zeros_like(size, dtype=torch.bool)
        own[at.image, at.label, at.anchor] = True
        positive, negative = positive + float(size[own].sum()), negative + float(size[~own].sum())
        box += float(preds["boxes"].grad.abs().sum())
    terms = ours.epoch_terms(NAMES)
    assert terms[RATIOS[0]] == pytest.approx(negative / positive, rel=1e-4)
    assert terms[RATIOS[1]] == pytest.approx((positive + negative) / box, rel=1e-4)
    again = ours.epoch_terms(NAMES)
    assert again.keys() == terms.keys() and again[RATIOS[0]] == again[RATIOS[1]] == 0.0


def test_a_focused_loss_turns_the_gradient_to_the_positives() -> None:
    ratios = []
    for gamma in (0.0, 1.0, 2.0):
        ours = criterion(over_stock(focal={"gamma": gamma}))
        ours(predictions(BATCH, IMAGES), BATCH)[0].sum().backward()
        ratios.append(ours.epoch_terms(NAMES)[RATIOS[0]])
    assert ratios[0] > 3 * ratios[1] > 3 * ratios[2] > 0


def test_nothing_is_recorded_without_a_backward_pass_and_no_object_leaves_zeros() -> None:
    ours = criterion("stock")
    ours(predictions(BATCH, IMAGES), BATCH)
    assert ours.epoch_terms(NAMES)[RATIOS[0]] == 0.0
    empty = labels([], [], [])
    ours(predictions(empty, IMAGES), empty)[0].sum().backward()
    assert ours.epoch_terms(NAMES)[RATIOS[0]] == 0.0


def test_a_gradient_that_is_no_number_does_not_spoil_the_epoch() -> None:
    ours = criterion("stock")
    for factor in (1.0, float("inf")):
        (ours(predictions(BATCH, IMAGES), BATCH)[0].sum() * factor).backward()
    terms = ours.epoch_terms(NAMES)
    assert 0.0 < terms[RATIOS[0]] < 1000.0 and 0.0 < terms[RATIOS[1]] < 1000.0

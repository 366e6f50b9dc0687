"""The factor that brings our classification loss to the stock scale: when, to what, and when there is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.loss import v8DetectionLoss

from reg_yolo.config.loss_scales import CLASS_SCALES
from reg_yolo.config.reg import RegSettings
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from reg_yolo.yolo.criterion.targets import Assignment, GroundTruth, Positives
from tests.yolo.criterion.heads import (
    BATCH,
    COUNTS,
    IMAGES,
    criterion,
    head_like_model,
    labels,
    loss_and_gradients,
    over_stock,
    predictions,
    random_labels,
)

pytestmark = pytest.mark.usefixtures("one_thread")

SCALED = ["gfl", "reg_v1", "reg_u", "cle", "efl", "reg_efl", "sigmoid_focal", "varifocal"]


def class_item(loss_function: Any, batch: Any = BATCH, images: int = IMAGES, **arguments: Any) -> float:
    return float(loss_and_gradients(loss_function, batch, images, **arguments)[0]["cls_loss"])


@pytest.mark.parametrize("preset", SCALED)
def test_scaled_loss_is_the_stock_loss_on_the_batch_that_fixed_it(preset: str) -> None:
    ours = criterion({"preset": preset, "scale": "auto"})
    assert ours.scale is None
    assert class_item(ours) == pytest.approx(class_item(v8DetectionLoss(head_like_model())), rel=1e-5)
    assert ours.scale is not None and ours.scale != 1.0


def test_scale_stays_once_it_is_fixed() -> None:
    ours, unscaled = criterion("reg_v1"), criterion({"preset": "reg_v1", "scale": 1.0})
    class_item(ours)
    first = ours.scale
    other = {"batch": random_labels(4, 3, 6), "seed": 4, "sure": 5.0}
    assert class_item(ours, **other) == pytest.approx(first * class_item(unscaled, **other), rel=1e-5)
    assert ours.scale == first
    assert class_item(ours, **other) != pytest.approx(class_item(v8DetectionLoss(head_like_model()), **other), rel=0.01)


def test_batch_without_enough_targets_is_scaled_but_fixes_nothing() -> None:
    # Boxes of two pixels that no prediction covers well: the targets sum to less than 1.
    few = labels([(0, 10, 10, 12, 12)], [], [])
    ours, stock = criterion("reg_v1"), v8DetectionLoss(head_like_model())
    preds = predictions(few, IMAGES)
    with torch.no_grad():
        preds["boxes"].zero_()
    ours_loss, stock_loss = ours(preds, few)[0], stock(preds, few)[0]
    assert ours.scale is None
    torch.testing.assert_close(ours_loss[1], stock_loss[1])
    class_item(ours)
    assert ours.scale is not None


@pytest.mark.parametrize("empty", [labels([], [], []), labels([])])
def test_batch_without_objects_fixes_nothing(empty: dict[str, torch.Tensor]) -> None:
    ours = criterion("reg_v1")
    assert class_item(ours, batch=empty) > 0
    assert ours.scale is None


def test_loss_that_is_no_number_fixes_nothing() -> None:
    ours = criterion("reg_v1")
    preds = predictions(BATCH, IMAGES)
    with torch.no_grad():
        preds["scores"][0, 0, 0] = torch.inf
    ours(preds, BATCH)
    assert ours.scale is None


@pytest.mark.parametrize("value", [torch.inf, torch.nan, 0.0])
def test_our_loss_alone_being_no_use_fixes_nothing(value: float) -> None:
    ours = criterion("reg_v1")
    logits = torch.zeros(1, 4, 3)
    targets = torch.full((1, 4, 3), 0.5)
    nothing = torch.zeros(0, dtype=torch.long)
    truth = GroundTruth(torch.zeros(1, 0, 1), torch.zeros(1, 0, 4), torch.zeros(1, 0, 1))
    positives = Positives(nothing, nothing, nothing, nothing, torch.zeros(0))
    assignment = Assignment(truth, positives, targets, targets.sum())
    head = SimpleNamespace(logits=logits)
    assert ours._scale_on(head, assignment, torch.tensor(value)) == 1.0
    assert ours.scale is None
    assert ours._scale_on(head, assignment, torch.tensor(2.0)) == ours.scale != 1.0


@pytest.mark.parametrize("reg", ["stock", "focal_eiou", "reg_printed", over_stock(focal={"form": "printed"})])
def test_scale_is_absent_when_neutral_or_printed(reg: Any) -> None:
    ours = criterion(reg)
    assert ours.scale == 1.0
    class_item(ours)
    assert ours.scale == 1.0


@pytest.mark.parametrize("gamma", [0.5, 1.0, 1.5, 2.0])
def test_by_gamma_is_the_measured_number_from_the_first_batch_on(gamma: float) -> None:
    unscaled, ours = (
        criterion(over_stock(focal={"gamma": gamma}, alpha={"scheme": "balanced"}, scale=scale))
        for scale in (1.0, "by_gamma")
    )
    assert ours.scale == CLASS_SCALES[gamma] > 1.0
    assert class_item(ours) == pytest.approx(CLASS_SCALES[gamma] * class_item(unscaled), rel=1e-5)
    assert ours.scale == CLASS_SCALES[gamma] == ours.state()["scale"]
    # A run goes on with what it began with, also where a later version has measured another number.
    assert criterion(over_stock(focal={"gamma": gamma}), stored={"scale": 2.25}).scale == 2.25


def test_by_gamma_without_an_exponent_is_no_factor() -> None:
    assert criterion(over_stock(alpha={"scheme": "balanced"})).scale == 1.0


def test_number_of_the_settings_is_used_as_it_is() -> None:
    unscaled, scaled = (criterion({"preset": "reg_v1", "scale": number}) for number in (1.0, 3.5))
    assert class_item(scaled) == pytest.approx(3.5 * class_item(unscaled), rel=1e-5)
    assert scaled.state()["scale"] == 3.5


def test_resumed_run_continues_with_the_stored_scale() -> None:
    first = criterion("reg_v1")
    class_item(first)
    resumed = criterion("reg_v1", stored=first.state())
    assert resumed.scale == first.scale
    other = {"batch": random_labels(2, 3, 5), "seed": 2}
    assert class_item(resumed, **other) == class_item(first, **other)
    assert resumed.scale == first.scale


def test_upstreams_class_weights_stand_on_both_sides_of_the_factor() -> None:
    weighted = [0.5, 1.0, 4.0]
    ours = criterion({"preset": "gfl", "scale": "auto"}, model=head_like_model(weighted))
    assert class_item(ours) == pytest.approx(class_item(v8DetectionLoss(head_like_model(weighted))), rel=1e-5)


def test_upstreams_class_weights_weigh_the_focused_loss_too() -> None:
    reg = {"preset": "gfl", "scale": 1.0}
    weighted, plain = (
        loss_and_gradients(criterion(reg, model=head_like_model(weights)), BATCH)[1]["scores"]
        for weights in ([0.5, 1.0, 4.0], None)
    )
    torch.testing.assert_close(weighted, plain * torch.tensor([0.5, 1.0, 4.0]).view(1, 3, 1))


def test_gradient_is_scaled_with_the_value() -> None:
    unscaled = loss_and_gradients(criterion({"preset": "gfl", "scale": 1.0}), BATCH)[1]["scores"]
    ours = criterion("gfl")
    scaled = loss_and_gradients(ours, BATCH)[1]["scores"]
    torch.testing.assert_close(scaled, unscaled * ours.scale, rtol=1e-5, atol=0.0)


def network(steps: int) -> DetectionModel:
    """A network from scratch, or after some steps with the stock loss."""
    torch.manual_seed(0)
    model = DetectionModel("yolov8n.yaml", nc=3, verbose=False)
    model.args = get_cfg()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    stock = v8DetectionLoss(model)
    for _ in range(steps):
        optimizer.zero_grad()
        stock(model(picture()), BATCH)[0].sum().backward()
        optimizer.step()
    return model


def picture() -> torch.Tensor:
    return torch.rand(IMAGES, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("steps", [0, 12], ids=["from scratch", "from a trained start"])
@pytest.mark.parametrize("preset", ["reg_v1", "reg_u"])
def test_first_loss_of_a_network_is_on_the_stock_scale(steps: int, preset: str) -> None:
    model = network(steps)
    preds = model(picture())
    expected = v8DetectionLoss(model)(preds, BATCH)[1]
    ours = RegDetectionLoss(model, RegSettings.from_mapping(preset), COUNTS)
    items = ours(preds, BATCH)[1]
    assert float(items["cls_loss"]) == pytest.approx(float(expected["cls_loss"]), rel=1e-4)
    unscaled = RegDetectionLoss(model, RegSettings.from_mapping({"preset": preset, "scale": 1.0}), COUNTS)
    assert float(unscaled(preds, BATCH)[1]["cls_loss"]) < 0.5 * float(expected["cls_loss"])

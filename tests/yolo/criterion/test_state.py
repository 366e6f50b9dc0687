"""What the criterion keeps from a batch, and what it must not keep."""

from __future__ import annotations

import copy
import gc
import json
from typing import Any

import pytest
import torch

from reg_yolo.config.reg import RegSettings
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from tests.yolo.criterion.heads import (
    BATCH,
    COUNTS,
    IMAGES,
    NAMES,
    criterion,
    head_like_model,
    labels,
    loss_and_gradients,
    over_stock,
    predictions,
    random_labels,
)

pytestmark = pytest.mark.usefixtures("one_thread")

DUAL = over_stock(alpha={"scheme": "dual", "dual": {"step": 0.5}}, focal={"gamma": 1.5})
LEARNED = over_stock(uncertainty={"mode": "logit_normal", "deviation": "learned"})
STATEFUL = {"reg": "reg_u", "dual": DUAL, "learned": LEARNED}


def with_deviation(reg: Any, **arguments: Any) -> RegDetectionLoss:
    return criterion(reg, learned_deviation=torch.nn.Parameter(torch.tensor([0.5, 0.5, 0.5]).log()), **arguments)


def validate(ours: RegDetectionLoss, mode: Any, batch: Any = BATCH, **arguments: Any) -> dict[str, torch.Tensor]:
    preds = predictions(batch, IMAGES, **arguments)
    with mode():
        detached = {key: value.detach() if torch.is_tensor(value) else value for key, value in preds.items()}
        return ours((torch.empty(0), detached), batch)[1]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", STATEFUL)
def test_validation_changes_nothing(name: str, mode: Any) -> None:
    ours = with_deviation(STATEFUL[name])
    for trained in (False, True):
        if trained:
            loss_and_gradients(ours, BATCH)
        state, calls = json.dumps(ours.state()), ours.training_calls
        logged = copy.deepcopy(ours.terms.__dict__)
        items = validate(ours, mode, random_labels(3, 3, 4), seed=3)
        assert all(bool(torch.isfinite(value)) for value in items.values())
        assert json.dumps(ours.state()) == state and ours.training_calls == calls
        assert ours.terms.__dict__ == logged


@pytest.mark.parametrize("name", STATEFUL)
def test_training_goes_on_after_a_validation_in_inference_mode(name: str) -> None:
    alone, validated = with_deviation(STATEFUL[name]), with_deviation(STATEFUL[name])
    for seed in range(3):
        validate(validated, torch.inference_mode, random_labels(seed, 3, 4), seed=seed)
        expected = loss_and_gradients(alone, BATCH, seed=seed)
        actual = loss_and_gradients(validated, BATCH, seed=seed)
        assert torch.equal(expected[1]["scores"], actual[1]["scores"])
    assert alone.state() == validated.state()


def tensors_kept() -> int:
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


@pytest.mark.parametrize("name", STATEFUL)
def test_no_batch_is_kept(name: str) -> None:
    ours = with_deviation(STATEFUL[name])
    loss_and_gradients(ours, BATCH)
    before = tensors_kept()
    for _ in range(3):
        validate(ours, torch.inference_mode)
        loss_and_gradients(ours, BATCH)
    assert tensors_kept() == before


def test_deep_copy_is_the_same_object() -> None:
    ours = criterion("reg_v1")
    assert copy.deepcopy(ours) is ours
    model = head_like_model()
    model.criterion = ours
    assert copy.deepcopy(model).criterion is ours


def test_upstream_finds_nothing_to_call_or_to_register() -> None:
    ours = criterion("reg_v1")
    assert not hasattr(ours, "update")
    assert not isinstance(ours, torch.nn.Module)
    model = head_like_model()
    keys = set(model.state_dict())
    model.criterion = ours
    assert set(model.state_dict()) == keys


@pytest.mark.parametrize("name", STATEFUL)
def test_state_is_plain_data_that_a_new_criterion_continues_from(name: str) -> None:
    first = with_deviation(STATEFUL[name])
    for seed in range(3):
        loss_and_gradients(first, BATCH, seed=seed)
    stored = json.loads(json.dumps(first.state()))
    resumed = with_deviation(STATEFUL[name], stored=stored)
    assert resumed.state() == first.state()
    expected, actual = (loss_and_gradients(c, BATCH, seed=9) for c in (first, resumed))
    assert torch.equal(expected[1]["scores"], actual[1]["scores"])
    assert resumed.state() == first.state()


def test_learned_deviation_receives_gradient() -> None:
    ours = with_deviation(LEARNED)
    parameter = ours.class_terms.learned_deviation
    loss_and_gradients(ours, BATCH)
    assert parameter.grad.shape == (3,) and bool((parameter.grad != 0).all())
    validate(ours, torch.no_grad)
    # By a finite difference of the loss in the logarithm of the first class's deviation.
    values = []
    for step in (-1e-2, 1e-2):
        with torch.no_grad():
            parameter[0] += step
        items, _ = loss_and_gradients(ours, BATCH)
        values.append(float(items["cls_loss"]))
        with torch.no_grad():
            parameter[0] -= step
    slope = (values[1] - values[0]) / 2e-2
    first = with_deviation({**LEARNED, "scale": ours.scale})
    loss_and_gradients(first, BATCH)
    assert float(first.class_terms.learned_deviation.grad[0]) / IMAGES == pytest.approx(slope, rel=2e-2)


def test_dual_weights_move_towards_the_class_with_the_largest_mean_loss() -> None:
    ours = with_deviation(DUAL)
    before = ours.class_weights_list()
    preds = predictions(BATCH, IMAGES)
    with torch.no_grad():
        preds["scores"][:, 1] -= 6.0
    ours(preds, BATCH)[0].sum().backward()
    after = ours.class_weights_list()
    relative = [a / b for a, b in zip(after, before, strict=True)]
    assert max(relative) == relative[1]
    # The annotation-weighted mean of the weights stays 1.
    assert sum(w * n for w, n in zip(after, COUNTS, strict=True)) == pytest.approx(sum(COUNTS), rel=1e-5)


def test_dual_weights_act_on_the_next_batch_only() -> None:
    moving, resting = with_deviation({**DUAL, "scale": 1.0}), with_deviation({**DUAL, "scale": 1.0})
    first = [loss_and_gradients(c, BATCH)[0]["cls_loss"] for c in (moving, resting)]
    assert first[0] == first[1]
    validation = validate(moving, torch.no_grad)["cls_loss"]
    assert validation != first[0]


def test_dual_weights_rest_on_a_batch_without_objects() -> None:
    ours = with_deviation(DUAL)
    loss_and_gradients(ours, BATCH)
    seen = ours.state()["dual"]["mean_loss"]
    loss_and_gradients(ours, labels([], [], []))
    assert ours.state()["dual"]["mean_loss"] == seen


def test_epoch_terms_are_means_and_start_anew() -> None:
    ours = criterion({"preset": "reg_v1", "scale": 1.0})
    items = [loss_and_gradients(ours, BATCH, seed=seed)[0]["cls_loss"] for seed in range(3)]
    terms = ours.epoch_terms(NAMES)
    mean = sum(float(item) for item in items) / 3
    assert terms["reg/class_positive"] + terms["reg/class_negative"] == pytest.approx(mean, rel=1e-5)
    assert terms["reg/scale"] == 1.0
    assert {"reg/weight/pole", "reg/weight/sign", "reg/weight/bus_stop"} < set(terms)
    again = ours.epoch_terms(NAMES)
    assert again.keys() == terms.keys() and again["reg/class_positive"] == 0.0


def test_counts_and_weights_of_another_number_of_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match="3 classes, the training labels are counted for 2"):
        RegDetectionLoss(head_like_model(), RegSettings.from_mapping("reg"), [5, 6])
    with pytest.raises(ConfigError, match=r"reg\.alpha\.weights must have one weight for each of the 3 classes, got 2"):
        criterion(over_stock(alpha={"weights": [1.0, 2.0]}))


def test_description_names_what_is_on() -> None:
    text = criterion("reg_u").describe()
    for part in ("preset reg_u", "alpha balanced (temper 0.5) on positives", "gamma 1.5", "g beta 3", "logit_normal"):
        assert part in text
    assert criterion("stock").describe().endswith("preset stock: box ciou")

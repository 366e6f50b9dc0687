"""Every term of the criterion against plain Python, and each switch changing exactly the term that it names."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest
import torch
from ultralytics.utils.loss import v8DetectionLoss

from reg_yolo.config.presets import PRESETS
from tests.yolo.criterion import reference_criterion as reference
from tests.yolo.criterion.heads import (
    BATCH,
    COUNTS,
    IMAGE_SIZE,
    IMAGES,
    anchor_points,
    criterion,
    head_like_model,
    loss_and_gradients,
    over_stock,
    predictions,
)

pytestmark = pytest.mark.usefixtures("one_thread")

GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}
ITEMS = ("box_loss", "cls_loss", "dfl_loss")
LEARNED = [0.3, 0.8, 1.5]

CLASS_SWITCHES: dict[str, dict[str, Any]] = {
    "gamma 0.5": {"focal": {"gamma": 0.5}},
    "gamma 1.5": {"focal": {"gamma": 1.5}},
    "gamma 2": {"focal": {"gamma": 2.0}},
    "printed indicator": {"focal": {"gamma": 1.5, "form": "printed"}},
    "balanced": {"alpha": {"scheme": "balanced"}},
    "balanced, tempered": {"alpha": {"scheme": "balanced", "temper": 0.5}},
    "balanced on both signs": {"alpha": {"scheme": "balanced", "on": "both"}},
    "inverse frequency": {"alpha": {"scheme": "inverse_frequency"}},
    "given weights": {"alpha": {"weights": [0.5, 1.0, 3.0]}},
    "dual": {"alpha": {"scheme": "dual"}},
    "g center": {"spatial": {"enabled": True, "delta": 0.7}},
    "g center everywhere": {"spatial": {"enabled": True, "scope": "all", "delta": 0.7}},
    "g edge": {"spatial": {"enabled": True, "distance": "edge", "beta": 0.8, "delta": 2.0}},
    "g falling, with a floor": {"spatial": {"enabled": True, "beta": -3.0, "floor": 0.2}},
    "g flat": {"spatial": {"enabled": True, "beta": 0.0}},
    "logit normal, constant": {"uncertainty": {"mode": "logit_normal", "deviation": 0.9}},
    "logit normal, learned": {"uncertainty": {"mode": "logit_normal", "deviation": "learned"}},
    "logit normal, dfl": {"uncertainty": {"mode": "logit_normal", "deviation": "dfl", "kappa": 2.0}},
    "truncated normal, constant": {"uncertainty": {"mode": "truncated_normal", "deviation": 0.1}},
    "truncated normal, learned": {"uncertainty": {"mode": "truncated_normal", "deviation": "learned"}},
    "free energy, constant": {"uncertainty": {"mode": "free_energy", "deviation": 0.7}},
    "free energy, learned": {"uncertainty": {"mode": "free_energy", "deviation": "learned"}},
    "free energy, dfl, focused": {
        "uncertainty": {"mode": "free_energy", "deviation": "dfl", "prior": {"kl_weight": 0.1}},
        "focal": {"gamma": 2.0},
    },
    "free energy, scaled, about a given prior": {
        "uncertainty": {"mode": "free_energy", "deviation": 0.7, "prior": {"mean": -4.6, "kl_weight": 0.1}},
        "scale": 3.0,
    },
    "free energy, weighted": {
        "uncertainty": {"mode": "free_energy", "deviation": 0.7},
        "alpha": {"scheme": "balanced"},
        "spatial": {"enabled": True},
    },
    "factor": {"scale": 2.5},
    "mitigation": {"alpha": {"mitigation": 0.5}},
    "mitigation beside g": {"alpha": {"mitigation": 0.8}, "spatial": {"enabled": True, "delta": 0.7}},
    "g edge, hard kept": {
        "spatial": {"enabled": True, "distance": "edge", "beta": 0.8, "delta": 2.0, "keep_hard": 2.0}
    },
    "sigmoid focal": {"focal": {"gamma": 2.0, "form": "sigmoid"}},
    "sigmoid focal, weighted": {
        "focal": {"gamma": 1.0, "form": "sigmoid", "alpha": 0.6},
        "alpha": {"scheme": "balanced", "mitigation": 0.5},
        "spatial": {"enabled": True},
    },
    "varifocal": {"focal": {"gamma": 2.0, "form": "varifocal"}},
    "varifocal, weighted": {
        "focal": {"gamma": 1.0, "form": "varifocal", "alpha": 0.6},
        "alpha": {"scheme": "balanced", "on": "both"},
        "spatial": {"enabled": True},
    },
    "equalized": {"focal": {"gamma": 1.5, "form": "equalized", "s": 4.0}},
    "equalized, weighted": {
        "focal": {"gamma": 2.0, "form": "equalized"},
        "alpha": {"scheme": "balanced", "mitigation": 0.5},
        "spatial": {"enabled": True},
    },
}
BOX_SWITCHES = {
    name: {"box": {"loss": name}}
    for name in ("iou", "giou", "diou", "eiou", "focal_eiou", "focal_eiou_v1", "focal_eiou_star", "smooth_l1")
}
BOX_SWITCHES |= {
    "focal_eiou_v1, beta": {"box": {"loss": "focal_eiou_v1", "beta": 0.5}},
    "focal_eiou_star, printed": {"box": {"loss": "focal_eiou_star", "form": "printed", "gamma": 1.0}},
    "smooth_l1, beta": {"box": {"loss": "smooth_l1", "beta": 0.3}},
    "focal_l1": {"box": {"loss": "focal_l1", "beta": 0.6}},
    "balanced_l1": {"box": {"loss": "balanced_l1", "beta": 0.7, "small_gain": 0.4, "large_slope": 1.2}},
    "eiou at the paper's gain": {"box": {"loss": "eiou", "gain": 2.5}},
}
BOX_SWITCHES["focal_eiou, gamma 2"] = {"box": {"loss": "focal_eiou", "gamma": 2.0}}
EVERYTHING = {
    "alpha": {"scheme": "balanced"},
    "focal": {"gamma": 1.5},
    "spatial": {"enabled": True, "floor": 0.1},
    "uncertainty": {"mode": "logit_normal", "deviation": "dfl"},
    "dynamic_coefficient": {"enabled": True},
    "box": {"loss": "eiou"},
}


def our_criterion(reg: dict[str, Any]):
    learned = torch.nn.Parameter(torch.tensor(LEARNED).log())
    return criterion(reg, learned_deviation=learned)


@functools.cache
def plain_inputs() -> tuple[reference.Head, list, list[reference.Positive]]:
    """Head, ground truth and upstream's assignment of the fixture as lists, in float64."""
    preds = predictions(BATCH, IMAGES)
    points, strides = anchor_points()
    head = reference.Head(
        preds["boxes"].detach().double().view(IMAGES, 4, 16, -1).permute(0, 3, 1, 2).tolist(),
        preds["scores"].detach().double().transpose(1, 2).tolist(),
        points.double().tolist(),
        strides.double().tolist(),
    )
    truth: list[list] = [[] for _ in range(IMAGES)]
    for image, label, (x, y, w, h) in zip(
        BATCH["batch_idx"].long().tolist(),
        BATCH["cls"][:, 0].long().tolist(),
        (BATCH["bboxes"].double() * IMAGE_SIZE).tolist(),
        strict=True,
    ):
        truth[image].append((label, [x - w / 2, y - h / 2, x + w / 2, y + h / 2]))
    stock = v8DetectionLoss(head_like_model())
    seen: list[tuple] = []
    stock.bbox_loss.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
    index = stock.get_assigned_targets_and_loss(preds, BATCH)[0][1]
    scores, positive = seen[0][4], seen[0][6]
    positives = [
        reference.Positive(image, anchor, label, float(scores[image, anchor].double().sum()), box)
        for image, anchor in positive.nonzero().tolist()
        for label, box in [truth[image][int(index[image, anchor])]]
    ]
    return head, truth, positives


def computed(reg: dict[str, Any]) -> dict[str, float]:
    items, _ = loss_and_gradients(our_criterion(reg), BATCH)
    return {key: float(value) for key, value in items.items()}


def expected(reg: dict[str, Any], scale: float = 1.0) -> dict[str, float]:
    settings = our_criterion(reg).settings.to_dict()
    return reference.criterion(settings, GAINS, *plain_inputs(), COUNTS, learned=LEARNED, scale=scale)


@pytest.fixture(scope="module")
def stock_items() -> dict[str, float]:
    return computed(over_stock())


def test_fixture_has_positives_of_every_class() -> None:
    _, truth, positives = plain_inputs()
    assert {p.label for p in positives} == {0, 1, 2}
    assert sum(p.score for p in positives) > 1.5
    assert [] in truth


def test_stock_items_against_the_reference(stock_items: dict[str, float]) -> None:
    assert stock_items == pytest.approx(expected(over_stock()), rel=2e-5)


@pytest.mark.parametrize("name", CLASS_SWITCHES)
def test_class_switch_against_the_reference(name: str, stock_items: dict[str, float]) -> None:
    reg = over_stock(**{"scale": 1.0, **CLASS_SWITCHES[name]})
    items = computed(reg)
    assert items["cls_loss"] == pytest.approx(expected(reg, reg["scale"])["cls_loss"], rel=5e-5)
    # The term is there, and the box branch does not notice.
    assert abs(items["cls_loss"] / stock_items["cls_loss"] - 1.0) > 1e-3
    # Up to the order in which the targets are summed for the normaliser.
    for name in ("box_loss", "dfl_loss"):
        assert items[name] == pytest.approx(stock_items[name], rel=1e-6)


@pytest.mark.parametrize("name", BOX_SWITCHES)
def test_box_switch_against_the_reference(name: str, stock_items: dict[str, float]) -> None:
    reg = over_stock(**BOX_SWITCHES[name])
    items = computed(reg)
    assert items["box_loss"] == pytest.approx(expected(reg)["box_loss"], rel=5e-5)
    assert abs(items["box_loss"] / stock_items["box_loss"] - 1.0) > 1e-3
    assert items["cls_loss"] == stock_items["cls_loss"]
    assert items["dfl_loss"] == pytest.approx(stock_items["dfl_loss"], rel=1e-6)


@pytest.mark.parametrize("name", [*PRESETS, "everything"])
def test_preset_against_the_reference(name: str) -> None:
    reg = over_stock(**EVERYTHING) if name == "everything" else {"preset": name}
    reg = {**reg, "scale": 1.0}
    assert computed(reg) == pytest.approx(expected(reg), rel=5e-5)


def gradients(reg: dict[str, Any]) -> dict[str, torch.Tensor]:
    return loss_and_gradients(our_criterion({"scale": 1.0, **reg}), BATCH)[1]


@pytest.mark.parametrize("name", CLASS_SWITCHES)
def test_class_switch_leaves_the_gradient_of_the_box_branch(name: str) -> None:
    stock, ours = gradients(over_stock()), gradients(over_stock(**CLASS_SWITCHES[name]))
    torch.testing.assert_close(stock["boxes"], ours["boxes"], rtol=1e-5, atol=1e-9)
    assert not torch.allclose(stock["scores"], ours["scores"], rtol=1e-3)


@pytest.mark.parametrize("name", BOX_SWITCHES)
def test_box_switch_leaves_the_gradient_of_the_class_branch(name: str) -> None:
    stock, ours = gradients(over_stock()), gradients(over_stock(**BOX_SWITCHES[name]))
    assert torch.equal(stock["scores"], ours["scores"])
    assert not torch.allclose(stock["boxes"], ours["boxes"], rtol=1e-3)


def test_only_grad_to_box_lets_the_class_loss_move_the_boxes() -> None:
    uncertainty = {"mode": "logit_normal", "deviation": "dfl"}
    closed = gradients(over_stock(uncertainty=uncertainty))
    opened = gradients(over_stock(uncertainty={**uncertainty, "grad_to_box": True}))
    # With gradient the moments are summed in another order.
    torch.testing.assert_close(closed["scores"], opened["scores"], rtol=1e-4, atol=1e-7)
    difference = opened["boxes"] - closed["boxes"]
    # Also where there is no object, and so no gradient of a box loss.
    assert difference[2].abs().sum() > 0 and closed["boxes"][2].abs().sum() == 0


@pytest.mark.parametrize("unit", ["stride", "diagonal", "pixels"])
def test_dynamic_coefficient_keeps_the_value_and_moves_the_gradient(unit: str) -> None:
    off = over_stock(focal={"gamma": 1.5}, scale=1.0)
    on = {**off, "dynamic_coefficient": {"enabled": True, "unit": unit}}
    assert computed(on) == pytest.approx(computed(off), rel=1e-6)
    head, truth, positives = plain_inputs()
    coefficients = reference.normalized_coefficients(
        our_criterion(on).settings.to_dict(), head, truth, positives, COUNTS
    )
    assert max(coefficients) / min(coefficients) > 1.05
    before, after = gradients(off), gradients(on)
    assert torch.equal(before["boxes"], after["boxes"])
    wanted = before["scores"].clone()
    for positive, coefficient in zip(positives, coefficients, strict=True):
        wanted[positive.image, :, positive.anchor] *= coefficient
    torch.testing.assert_close(after["scores"], wanted, rtol=1e-4, atol=1e-8)


def test_logged_terms_are_parts_of_the_class_loss() -> None:
    ours = our_criterion({"preset": "reg_u", "scale": 1.0})
    items, _ = loss_and_gradients(ours, BATCH)
    terms = ours.epoch_terms({0: "pole", 1: "sign", 2: "bus_stop"})
    settings = ours.settings.to_dict()
    head, truth, positives = plain_inputs()
    entries = reference.class_entries(settings, head, truth, positives, COUNTS)
    normalizer = max(sum(p.score for p in positives), 1.0)
    own = sum(entries[p.image][p.anchor][p.label] for p in positives) * GAINS["cls"] / normalizer
    assert terms["reg/class_positive"] == pytest.approx(own, rel=1e-4)
    assert terms["reg/class_positive"] + terms["reg/class_negative"] == pytest.approx(float(items["cls_loss"]))
    assert terms["reg/positives"] == len(positives)
    spreads = [
        reference.deviation_at(settings["uncertainty"], sides, 0, None) for rows in head.box_logits for sides in rows
    ]
    assert terms["reg/deviation_mean"] == pytest.approx(sum(spreads) / len(spreads), rel=1e-4)
    weights = [
        reference.context_weight(settings["spatial"], point, stride, objects, label)
        for objects in truth
        for point, stride in zip(head.points, head.strides, strict=True)
        for label in range(3)
    ]
    assert terms["reg/spatial_mean"] == pytest.approx(math.fsum(weights) / len(weights), rel=1e-4)
    balanced = reference.class_weights(settings["alpha"], COUNTS)
    assert [terms[f"reg/weight/{name}"] for name in ("pole", "sign", "bus_stop")] == pytest.approx(balanced)


def test_only_weight_gradient_lets_focal_eiou_move_boxes_by_its_weight() -> None:
    closed, opened = (
        over_stock(box={"loss": "focal_eiou", "weight_gradient": weight_gradient}) for weight_gradient in (False, True)
    )
    assert computed(closed) == computed(opened)
    assert not torch.allclose(gradients(closed)["boxes"], gradients(opened)["boxes"], rtol=1e-3)

"""The criterion of pixels: upstream's own where every term is neutral, and REG's terms against scalar references."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import SemanticSegmentationModel
from ultralytics.utils.loss import SemanticSegmentationLoss

from reg_yolo.config.reg import RegSettings
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.criterion import semantic
from reg_yolo.yolo.criterion.mask_windows import distance_on_device
from reg_yolo.yolo.criterion.semantic import RegSemanticLoss, distance_to_predicted
from reg_yolo.yolo.upstream.models import read_model
from tests.losses import reference

pytestmark = pytest.mark.usefixtures("one_thread")

BACKGROUND, CLASSES = 3, 4
COUNTS = [400, 100, 50, 9000]
PLAIN = {"preset": "stock", "semantic": {"dice": False, "auxiliary": 0.0}, "scale": 1.0}


@pytest.fixture(scope="module")
def model() -> SemanticSegmentationModel:
    """YOLOv8n for pixels of four classes; a deterministic start."""
    torch.manual_seed(3)
    network = SemanticSegmentationModel(read_model("yolov8n-sem.yaml"), nc=CLASSES, verbose=False)
    network.args = get_cfg()
    return network.train()


def masks(images: int = 2, size: int = 64, seed: int = 0) -> Tensor:
    """Class maps with blocks of objects, background and unknown pixels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, CLASSES, (images, size // 8, size // 8), generator=generator)
    coarse[torch.rand(coarse.shape, generator=generator) < 0.15] = 255
    return coarse.repeat_interleave(8, 1).repeat_interleave(8, 2).to(torch.int32)


def criterion(model: Any, reg: Any, background: int | None = BACKGROUND, **stored: Any) -> RegSemanticLoss:
    return RegSemanticLoss(model, RegSettings.from_mapping(reg), COUNTS, background, stored=stored)


def run(network: Any, criterion_: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Loss, items and the gradient of every parameter, by name."""
    network.zero_grad(set_to_none=True)
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        statistics = {key: value.clone() for key, value in network.state_dict().items()}
    loss, items = criterion_(network(image), batch)
    loss.sum().backward()
    network.load_state_dict(statistics)
    gradients = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **items, **gradients}


@pytest.mark.parametrize("path", ["handed over", "our own"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "batch",
    [masks(), torch.full((2, 64, 64), 255), torch.full((2, 64, 64), 1)],
    ids=["blocks", "all unknown", "one class"],
)
def test_neutral_settings_equal_the_stock_criterion_bit_for_bit(
    model: Any, monkeypatch: pytest.MonkeyPatch, path: str, weighted: bool, batch: Tensor
) -> None:
    if path == "our own":
        monkeypatch.setattr(RegSettings, "is_stock_on_pixels", property(lambda _self: False))
    network = copy.deepcopy(model)
    if weighted:
        network.class_weights = torch.tensor([1.0, 2.0, 3.0, 0.5])
    given = {"semantic_mask": batch.to(torch.int32)}
    expected = run(network, SemanticSegmentationLoss(network), given)
    actual = run(network, criterion(network, "stock"), given)
    assert expected.keys() == actual.keys()
    assert not [name for name in expected if not torch.equal(expected[name], actual[name])]


def test_a_switched_on_term_differs_from_the_stock_criterion(model: Any) -> None:
    # Guards the test above: a comparison that always agrees would prove nothing.
    given = {"semantic_mask": masks()}
    stock = run(model, criterion(model, "stock"), given)
    for reg in ("gfl", {"preset": "stock", "semantic": {"dice": False}}, {"preset": "stock", "scale": 2.0}):
        ours = run(model, criterion(model, reg), given)
        assert not torch.equal(stock["loss"], ours["loss"])


def test_the_papers_form_is_the_loss_of_pixels_alone(model: Any) -> None:
    given = {"semantic_mask": masks()}
    ours = run(model, criterion(model, {"preset": "stock", "semantic": {"dice": False, "auxiliary": 0}}), given)
    stock = run(model, criterion(model, "stock"), given)
    assert torch.equal(ours["loss"], ours["ce_loss"] * 2)
    assert torch.equal(ours["ce_loss"], stock["ce_loss"])
    assert ours["dice_loss"] == ours["aux_loss"] == 0
    # Several GPUs need every parameter in the graph.
    auxiliary = [name for name in ours if "aux_head" in name]
    assert auxiliary
    assert all((ours[name] == 0).all() for name in auxiliary)


def logits_and_labels() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn((1, CLASSES, 16, 16), generator=generator) * 2, masks(1, 16, seed=2)


@pytest.mark.parametrize(
    ("reg", "gamma", "spatial"),
    [
        ({"focal": {"gamma": 1.5}}, 1.5, None),
        ({"alpha": {"scheme": "balanced", "temper": 0.5}}, 0.0, None),
        (
            {"semantic": {"spatial": {"enabled": True, "beta": 0.5, "delta": 2.0, "floor": 0.1}}},
            0.0, (0.5, 2.0, 0.1, "negatives"),
        ),
        (
            {
                "alpha": {"scheme": "balanced"}, "focal": {"gamma": 2.0},
                "semantic": {"spatial": {"enabled": True, "beta": -1.0, "delta": 3.0, "floor": 0.0, "scope": "all"}},
            },
            2.0, (-1.0, 3.0, 0.0, "all"),
        ),
    ],
)  # fmt: skip
def test_every_pixel_is_that_of_the_reference(
    model: Any, reg: dict[str, Any], gamma: float, spatial: tuple[Any, ...] | None
) -> None:
    z, labels = logits_and_labels()
    given = {**PLAIN, **reg, "semantic": {**PLAIN["semantic"], **reg.get("semantic", {})}}
    ours = criterion(model, given)
    total, items = ours(z, {"semantic_mask": labels})
    alpha = None
    if "alpha" in reg:
        alpha = reference.balanced_weights(COUNTS, reg["alpha"].get("temper", 1.0))
    rows, expected, counted = labels[0].tolist(), 0.0, 0
    for r in range(16):
        for c in range(16):
            label, own = rows[r][c], z[0, :, r, c].double().tolist()
            g = 1.0
            if spatial is not None and label != 255:
                wanted = reference.predicted_object_class(own, BACKGROUND)
                d = reference.pixel_distance(rows, r, c, wanted)
                g = reference.pixel_context_weight(d, label, BACKGROUND, *spatial)
            expected += reference.refined_pixel_loss(own, label, alpha, gamma, g)
            counted += label != 255
    assert float(items["ce_loss"]) == pytest.approx(expected / counted, rel=1e-5)
    assert float(total) == pytest.approx(expected / counted, rel=1e-5)


def test_preset_reg_weighs_classes_hard_pixels_and_the_background_near_objects(model: Any) -> None:
    z, labels = logits_and_labels()
    full = criterion(model, {"preset": "reg_v1", "scale": 1.0})
    loss = float(full(z, {"semantic_mask": labels})[1]["ce_loss"])
    for without in (
        {"alpha": {"scheme": "none"}}, {"focal": {"gamma": 0.0}}, {"semantic": {"spatial": {"enabled": False}}},
    ):  # fmt: skip
        other = criterion(model, {"preset": "reg_v1", "scale": 1.0, **without})
        assert float(other(z, {"semantic_mask": labels})[1]["ce_loss"]) != pytest.approx(loss, rel=1e-3)


def test_the_auxiliary_loss_has_the_same_terms_at_its_weight(model: Any) -> None:
    z, labels = logits_and_labels()
    batch = {"semantic_mask": labels}
    reg = {"preset": "reg_v1", "scale": 3.0, "semantic": {"dice": False, "auxiliary": 0.25}}
    main, other = z.clone().requires_grad_(), (z.flip(2) * 0.5).requires_grad_()
    _, items = criterion(model, reg)((main, other), batch)
    _, alone = criterion(model, reg)(other.detach(), batch)
    torch.testing.assert_close(items["aux_loss"], 0.25 * alone["ce_loss"])


def test_the_first_training_batch_fixes_the_scale_and_validation_nothing(model: Any) -> None:
    z, labels = logits_and_labels()
    batch = {"semantic_mask": labels}
    ours = criterion(model, {"preset": "stock", "focal": {"gamma": 2.0}, "scale": "auto"})
    ours(z, batch)
    assert ours.stock_scale.value is None
    assert ours.training_calls == 0
    before = ours.epoch_terms({i: str(i) for i in range(CLASSES)})
    assert "reg/pixels_object" not in before
    _, items = ours(z.clone().requires_grad_(), batch)
    stock = SemanticSegmentationLoss(model)(z, batch)[1]["ce_loss"]
    torch.testing.assert_close(items["ce_loss"], stock)
    scale = ours.stock_scale.value
    assert scale is not None
    assert scale > 1.05
    assert ours.training_calls == 1
    ours((z * 3).requires_grad_(), batch)
    assert ours.stock_scale.value == scale
    assert criterion(model, {"preset": "gfl"}, scale=scale).stock_scale.value == scale


def test_the_logged_parts_add_up_to_the_loss(model: Any) -> None:
    z, labels = logits_and_labels()
    ours = criterion(model, "reg_v1")
    _, items = ours(z.clone().requires_grad_(), {"semantic_mask": labels})
    terms = ours.epoch_terms({0: "a", 1: "b", 2: "c", 3: "background"})
    assert terms["reg/pixels_object"] + terms["reg/pixels_background"] == pytest.approx(
        float(items["ce_loss"]), rel=1e-5
    )
    assert 0.1 <= terms["reg/spatial_mean"] <= 1.0
    assert terms["reg/weight/background"] < 1.0 < terms["reg/weight/c"]


def test_dual_weights_ascend_on_training_batches_only(model: Any) -> None:
    z, labels = logits_and_labels()
    ours = criterion(model, {"preset": "gfl", "alpha": {"scheme": "dual", "dual": {"step": 1.0}}})
    start = ours.class_weights_list()
    ours(z, {"semantic_mask": labels})
    assert ours.class_weights_list() == start
    ours(z.clone().requires_grad_(), {"semantic_mask": labels})
    assert ours.class_weights_list() != start
    again = criterion(model, {"preset": "gfl", "alpha": {"scheme": "dual", "dual": {"step": 1.0}}}, **ours.state())
    assert again.class_weights_list() == pytest.approx(ours.class_weights_list())


def test_a_card_measures_the_same_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = masks(3, 32, seed=4)
    predicted = torch.randint(0, 3, labels.shape, generator=torch.Generator().manual_seed(0))
    weighed = labels == BACKGROUND
    on_cpu = distance_to_predicted(labels, predicted, weighed, 40.0)
    monkeypatch.setattr(semantic, "distance_to_mask", distance_on_device)
    torch.testing.assert_close(distance_to_predicted(labels, predicted, weighed, 40.0), on_cpu)
    assert torch.isinf(on_cpu[~weighed]).all()
    assert (on_cpu[weighed] >= 1).all()


def test_distances_are_those_of_the_reference_and_infinite_for_an_absent_class() -> None:
    labels = masks(1, 16, seed=2)
    labels[labels == 1] = BACKGROUND
    predicted = torch.randint(0, 3, labels.shape, generator=torch.Generator().manual_seed(1))
    found = distance_to_predicted(labels, predicted, labels == BACKGROUND, 100.0)
    rows = labels[0].tolist()
    for r, c in (labels[0] == BACKGROUND).nonzero().tolist():
        expected = reference.pixel_distance(rows, r, c, int(predicted[0, r, c]))
        assert float(found[0, r, c]) == pytest.approx(expected, abs=1e-4)
    assert torch.isinf(found[(predicted == 1) & (labels == BACKGROUND)]).all()


def test_bfloat16_logits_are_taken_in_float32(model: Any) -> None:
    z, labels = logits_and_labels()
    total, items = criterion(model, "reg_v1")((z.bfloat16(), z.bfloat16()), {"semantic_mask": labels})
    assert total.dtype == torch.float32
    assert all(torch.isfinite(value) for value in items.values())


def test_the_criterion_is_no_module_and_one_for_model_and_ema(model: Any) -> None:
    ours = criterion(model, "reg_v1")
    assert not isinstance(ours, torch.nn.Module)
    assert copy.deepcopy(ours) is ours
    assert not hasattr(ours, "update")


@pytest.mark.parametrize(
    ("reg", "part"),
    [
        ("reg_u", "reg.uncertainty.mode: logit_normal works on a sigmoid"),
        ("cle", "reg.dynamic_coefficient.enabled: weighs by how well boxes are placed"),
        ("efl", "reg.focal.form: equalized goes by the gradients of sigmoids"),
        ("varifocal", "reg.focal.form: varifocal balances the signs of sigmoids"),
        ({"alpha": {"mitigation": 1.0}}, "reg.alpha.mitigation: weighs negatives of sigmoids"),
        ({"alpha": {"weights": [1.0, 2.0]}}, "reg.alpha.weights must have one weight for each of the 4 classes"),
    ],
)
def test_terms_without_a_meaning_for_pixels_are_refused(model: Any, reg: Any, part: str) -> None:
    with pytest.raises(ConfigError, match=part.replace(".", r"\.")):
        criterion(model, reg)


def test_g_needs_a_background(model: Any) -> None:
    with pytest.raises(ConfigError, match=r"reg\.semantic\.spatial\.enabled: .* has no class background"):
        criterion(model, "reg_v1", background=None)
    criterion(model, "gfl", background=None)
    with pytest.raises(ConfigError, match="the model has 4 classes, the training pixels are counted for 2"):
        RegSemanticLoss(model, RegSettings.from_mapping("gfl"), [1, 2], None)

"""The mask loss: upstream's own when neutral, the papers' terms against loops, and nothing from box-only objects."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from ultralytics.nn.tasks import SegmentationModel
from ultralytics.utils.loss import v8SegmentationLoss

from reg_yolo.config.reg import RegSettings
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from reg_yolo.yolo.criterion.segmentation import first_rows
from tests.yolo.criterion.heads import COUNTS
from tests.yolo.criterion.segments import batch, criterion, network, run

pytestmark = pytest.mark.usefixtures("one_thread")

ALL = [True] * 6
MASKS_OF = ("proto", "cv4")


@pytest.fixture(scope="module")
def model() -> SegmentationModel:
    return network()


def different(one: dict[str, Tensor], other: dict[str, Tensor], rtol: float = 0.0, atol: float = 0.0) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if not torch.allclose(one[name], other[name], rtol=rtol, atol=atol)]


@pytest.mark.parametrize("overlap", [True, False])
def test_neutral_equals_upstream_bit_for_bit(model: SegmentationModel, overlap: bool) -> None:
    model.args.overlap_mask = overlap
    given = batch(overlap=overlap)
    stock = run(model, v8SegmentationLoss(model), given)
    assert stock["item/seg_loss"] > 0.1
    assert not different(stock, run(model, criterion(model), given))
    assert not different(stock, run(model, criterion(model), {**given, "has_mask": torch.tensor(ALL)}))
    model.args.overlap_mask = True


@pytest.mark.parametrize("overlap", [True, False])
def test_windows_give_upstreams_loss(model: SegmentationModel, overlap: bool) -> None:
    model.args.overlap_mask = overlap
    given = batch(overlap=overlap)
    stock = run(model, v8SegmentationLoss(model), given)
    ours = criterion(
        model, {"preset": "stock", "mask": {"spatial": {"enabled": True, "beta": 0.0, "scope": "all"}}, "scale": 2.0}
    )
    # g is 0.5 everywhere and the factor 2: the stock loss by way of the windows.
    windowed = run(model, ours, given)
    model.args.overlap_mask = True
    masks_only = [name for name in stock if any(part in name for part in MASKS_OF)]
    assert len(masks_only) > 20
    for name in [*masks_only, "item/seg_loss"]:
        assert torch.allclose(stock[name], windowed[name], rtol=2e-4, atol=1e-5), name


@pytest.mark.parametrize("scheme", ["balanced", "dual"])
def test_every_rank_takes_part_in_what_ranks_add_up(
    model: SegmentationModel, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """A rank whose batch has no mask, or no object, must not leave the others waiting."""
    added: list[tuple[int, ...]] = []
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda values: added.append(tuple(values.shape)))
    seen = []
    empty = {
        "batch_idx": torch.zeros(0), "cls": torch.zeros(0, 1), "bboxes": torch.zeros(0, 4),
        "masks": torch.zeros(3, 16, 16), "has_mask": torch.zeros(0, dtype=torch.bool),
    }  # fmt: skip
    for given in (batch(ALL), batch([False] * 6), empty):
        ours = criterion(model, {"preset": "reg_v1", "alpha": {"scheme": scheme}})
        added.clear()
        gradients = run(model, ours, given)
        assert all(any(part in name for name in gradients) for part in MASKS_OF)
        seen.append(list(added))
    assert len(seen[0]) >= 2 and seen[0] == seen[1] == seen[2]


def scalar_mask_loss(preds: dict[str, Tensor], given: dict[str, Any], ours: Any, settings: RegSettings) -> float:
    """REG §2.2 over the pixels, one by one."""
    _, assignment, _ = ours.detection_losses(preds, given)
    positives, alpha = assignment.positives, ours.mask_terms.alpha
    starts = first_rows(given["batch_idx"], 3)
    total, count = 0.0, 0
    for p in range(len(positives.image)):
        image, index = int(positives.image[p]), int(positives.object[p])
        if not bool(given.get("has_mask", torch.ones(6, dtype=torch.bool))[starts[image] + index]):
            continue
        count += 1
        x1, y1, x2, y2 = (float(v) / 4 for v in assignment.target_boxes[p])
        z = torch.einsum(
            "k,khw->hw", preds["mask_coefficient"][image, :, positives.anchor[p]], preds["proto"][image]
        ).tolist()
        mask = (given["masks"][image] == index + 1).tolist()
        own = [(r, c) for r in range(16) for c in range(16) if mask[r][c]]
        summed = 0.0
        for r in range(16):
            for c in range(16):
                if not (x1 <= c < x2 and y1 <= r < y2):
                    continue
                y, probability = float(mask[r][c]), 1 / (1 + math.exp(-z[r][c]))
                entry = -(y * math.log(probability) + (1 - y) * math.log(1 - probability))
                entry *= abs(y - probability) ** settings.focal.gamma
                spatial = settings.mask.spatial
                if spatial.enabled and (not y or spatial.scope == "all"):
                    d = min((math.dist((r, c), pixel) for pixel in own), default=math.inf)
                    g = 1 / (1 + math.exp(-spatial.beta * (d - spatial.delta))) if own else float(spatial.beta > 0)
                    entry *= max(g, spatial.floor)
                summed += entry
        weight = 1.0 if alpha is None else float(alpha[int(positives.label[p])])
        total += weight * summed / 256 / ((x2 - x1) * (y2 - y1) / 256)
    return total / count


@pytest.mark.parametrize(
    "reg",
    [
        {"preset": "stock", "focal": {"gamma": 1.5}, "scale": 1.0},
        {"preset": "stock", "focal": {"gamma": 2.0}, "alpha": {"scheme": "balanced"}, "scale": 1.0},
        {"preset": "stock", "mask": {"spatial": {"enabled": True}}, "scale": 1.0},
        {"preset": "stock", "mask": {"spatial": {"enabled": True, "beta": 3.0, "delta": 1.0}}, "scale": 1.0},
        {
            "preset": "stock",
            "mask": {"spatial": {"enabled": True, "beta": -1.0, "delta": 1.0, "scope": "all", "floor": 0.2}},
            "scale": 1.0,
        },
        {"preset": "reg_v1", "scale": 1.0},
        {"preset": "reg_v1", "mask": {"spatial": {"enabled": True}}, "scale": 1.0},
    ],
)
def test_terms_equal_a_loop_over_pixels(model: SegmentationModel, reg: dict[str, Any]) -> None:
    given = batch([True, True, False, True, True, True])
    ours = criterion(model, reg)
    image = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        preds = model(image)
    items = ours(preds, given)[1]
    expected = scalar_mask_loss(preds, given, ours, RegSettings.from_mapping(reg))
    assert expected > 0
    assert float(items["seg_loss"]) == pytest.approx(expected * model.args.box, rel=1e-4)


@pytest.mark.parametrize("reg", ["stock", "reg_v1", "reg_printed"])
def test_no_gradient_from_objects_without_a_mask(model: SegmentationModel, reg: str) -> None:
    nothing = run(model, criterion(model, reg), batch([False] * 6))
    for name, gradient in nothing.items():
        if any(part in name for part in MASKS_OF):
            assert not gradient.any(), name
    assert nothing["item/seg_loss"] == 0
    # Among objects with a mask, one without changes nothing but the mean's divisor.
    some = run(model, criterion(model, reg), batch([True, True, False, True, True, True]))
    painted = batch([True, True, False, True, True, True])
    painted["masks"][0, 8:10, 8:10] = 3  # the third object's own pixels, outside the others' masks
    assert (batch()["masks"][0] == 3).sum() > 0
    assert not different(some, run(model, criterion(model, reg), painted), rtol=1e-6)


def test_the_context_of_boxes_does_not_reach_mask_pixels(model: SegmentationModel) -> None:
    """Its delta is in half diagonals: as mask pixels it would down-weight the outline."""
    stock = run(model, v8SegmentationLoss(model), batch())
    context = {"enabled": True, "beta": 3.0, "delta": 1.0}
    ours = run(model, criterion(model, {"preset": "stock", "spatial": context, "scale": 1.0}), batch())
    assert ours["item/seg_loss"] == stock["item/seg_loss"] and ours["item/cls_loss"] != stock["item/cls_loss"]
    outline = run(model, criterion(model, {"preset": "stock", "mask": {"spatial": {"enabled": True}}}), batch())
    assert outline["item/cls_loss"] == stock["item/cls_loss"]


def test_the_divisor_counts_positives_with_a_mask(model: SegmentationModel) -> None:
    reg = {"preset": "stock", "focal": {"gamma": 1.0}, "scale": 1.0}
    image = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        preds = model(image)
    given = batch([False, False, False, True, False, False])
    expected = scalar_mask_loss(preds, given, criterion(model, reg), RegSettings.from_mapping(reg))
    assert float(criterion(model, reg)(preds, given)[1]["seg_loss"]) == pytest.approx(expected * 7.5, rel=1e-4)


@pytest.mark.parametrize("reg", ["stock", "reg_v1"])
def test_lambda_zero_gives_exactly_the_detection_gradients(model: SegmentationModel, reg: str) -> None:
    given = batch([True, True, False, True, True, False])
    detection = RegDetectionLoss(model, RegSettings.from_mapping(reg), COUNTS)
    boxes_alone = run(model, detection, given)
    joint = run(model, criterion(model, reg, lambda_seg=0.0), given)
    shared = [name for name in boxes_alone if name.startswith("model.")]
    assert len(shared) > 100
    assert not [name for name in shared if not torch.equal(boxes_alone[name], joint[name])]
    assert not [name for name in joint if any(part in name for part in MASKS_OF) and joint[name].any()]


def test_lambda_weighs_the_mask_loss(model: SegmentationModel) -> None:
    one = run(model, criterion(model, "reg_v1"), batch(ALL))
    two = run(model, criterion(model, "reg_v1", lambda_seg=2.0), batch(ALL))
    assert float(two["item/seg_loss"]) == pytest.approx(2 * float(one["item/seg_loss"]), rel=1e-5)
    assert float(two["item/cls_loss"]) == float(one["item/cls_loss"])


def test_scale_brings_the_mask_loss_to_the_stock_scale(model: SegmentationModel) -> None:
    stock = run(model, v8SegmentationLoss(model), batch())
    ours = criterion(model, "reg_v1")
    first = run(model, ours, batch())
    assert ours.mask_terms.scale is not None and ours.mask_terms.scale != 1.0
    assert float(first["item/seg_loss"]) == pytest.approx(float(stock["item/seg_loss"]), rel=1e-4)
    again = criterion(model, "reg_v1", stored=ours.state())
    assert again.mask_terms.scale == ours.mask_terms.scale


def test_scale_of_classes_leaves_out_what_nobody_annotated(model: SegmentationModel) -> None:
    annotated = torch.tensor([[True, True, True], [False, True, True], [False, False, True]])
    stock, first = (
        run(model, criterion(model, reg), {**batch(), "annotated": annotated}) for reg in ("stock", "reg_v1")
    )
    assert float(first["item/cls_loss"]) == pytest.approx(float(stock["item/cls_loss"]), rel=1e-4)


def test_validation_changes_nothing(model: SegmentationModel) -> None:
    ours = criterion(model, {"preset": "reg_v1", "alpha": {"scheme": "dual"}})
    before = ours.state()
    with torch.inference_mode():
        ours(model(torch.rand(3, 3, 64, 64)), batch())
    assert ours.state() == before and before["mask_scale"] is None
    run(model, ours, batch())
    assert ours.state()["mask_scale"] and ours.state()["mask_dual"] != before["mask_dual"]


def test_half_precision_is_computed_in_full(model: SegmentationModel) -> None:
    given, preds = batch(), model(torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(5)))
    halves = {key: preds[key].detach().bfloat16() for key in ("proto", "mask_coefficient")}
    gradients = []
    for kind in (torch.bfloat16, torch.float32):
        leaves = {key: value.detach().to(kind).requires_grad_() for key, value in halves.items()}
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind == torch.bfloat16):
            loss, items = criterion(model, "reg_v1")({**preds, **leaves}, given)
        loss[1].backward(retain_graph=True)
        gradients.append([items["seg_loss"], *(leaf.grad for leaf in leaves.values())])
    for half, full in zip(*gradients, strict=True):
        torch.testing.assert_close(half.float(), full, rtol=0.01, atol=0.0)
    torch.testing.assert_close(gradients[0][0], gradients[1][0], rtol=1e-5, atol=0.0)


def test_mask_alpha_counts_masks(model: SegmentationModel) -> None:
    ours = criterion(model, {"preset": "stock", "alpha": {"scheme": "balanced"}, "focal": {"gamma": 1.0}})
    weights = ours.mask_terms.alpha
    assert weights is not None and ours.class_terms.alpha is not None
    assert weights.tolist()[1:] == pytest.approx([270 / (2 * 250), 270 / (2 * 20)])
    assert weights.tolist() != ours.class_terms.alpha.tolist()


def test_dual_mask_weights_ascend_and_survive(model: SegmentationModel) -> None:
    ours = criterion(model, {"preset": "stock", "alpha": {"scheme": "dual"}, "focal": {"gamma": 1.0}})
    before = ours.mask_terms.alpha
    run(model, ours, batch())
    assert before is not None and not torch.equal(before, ours.mask_terms.alpha)
    again = criterion(
        model, {"preset": "stock", "alpha": {"scheme": "dual"}, "focal": {"gamma": 1.0}}, stored=ours.state()
    )
    assert torch.equal(again.mask_terms.alpha, ours.mask_terms.alpha)


def test_masks_can_be_left_stock(model: SegmentationModel) -> None:
    stock = run(model, v8SegmentationLoss(model), batch())
    ours = run(model, criterion(model, {"preset": "reg_v1", "mask": {"enabled": False}, "scale": 1.0}), batch())
    assert ours["item/seg_loss"] == stock["item/seg_loss"]
    assert ours["item/cls_loss"] != stock["item/cls_loss"]


def test_printed_divides_both_tasks_by_the_sum_of_their_positives(model: SegmentationModel) -> None:
    given = batch([True, True, False, True, True, True])
    ours = criterion(model, "reg_printed")
    image = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    preds = model(image)
    _, assignment, _ = ours.detection_losses(preds, given)
    positives = int((assignment.positives.score > 0).sum())
    assert int(ours.class_terms.normalizer(assignment)) == positives + int(assignment.has_mask.sum())
    assert int(assignment.has_mask.sum()) < positives


def test_classes_that_nobody_annotated_bring_no_class_loss(model: SegmentationModel) -> None:
    for reg in ("stock", "reg_v1"):
        given = batch()
        annotated = torch.tensor([[True, True, True], [False, True, True], [False, False, True]])
        preds = {
            key: value.detach().requires_grad_() if isinstance(value, Tensor) else value
            for key, value in model(torch.rand(3, 3, 64, 64)).items()
        }
        loss, _ = criterion(model, reg)(preds, {**given, "annotated": annotated})
        loss.sum().backward()
        by_class = preds["scores"].grad.abs().sum(-1) > 0
        assert torch.equal(by_class, annotated), reg


def test_wrong_number_of_mask_counts_is_named(model: SegmentationModel) -> None:
    from reg_yolo.errors import ConfigError
    from reg_yolo.yolo.criterion.segmentation import RegSegmentationLoss

    with pytest.raises(ConfigError, match="3 classes, the training masks are counted for 2"):
        RegSegmentationLoss(model, RegSettings.from_mapping("stock"), COUNTS, [1, 2])

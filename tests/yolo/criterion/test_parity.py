"""With every term neutral our criterion is Ultralytics' own, bit for bit, in value and gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.loss import v8DetectionLoss

from reg_yolo.config.reg import RegSettings
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from tests.yolo.criterion.heads import (
    BATCH,
    COUNTS,
    criterion,
    head_like_model,
    labels,
    loss_and_gradients,
    predictions,
    random_labels,
)

pytestmark = pytest.mark.usefixtures("one_thread")

BATCHES = {
    "one image without objects": (BATCH, 3),
    "no object in the batch": (labels([], []), 2),
    "one object": (labels([(1, 10, 10, 50, 50)]), 1),
    "crowded": (random_labels(1, 2, 60), 2),
    "tiny objects": (labels([(0, 8, 8, 11, 12), (1, 8, 8, 10, 10)], [(2, 30, 30, 31, 62)]), 2),
    "the same object twice": (labels([(1, 10, 10, 50, 50), (1, 10, 10, 50, 50)], [(0, 0, 0, 64, 64)]), 2),
    "objects at the border": (labels([(0, 0, 0, 8, 64), (1, 40, 0, 64, 5)]), 1),
}


@pytest.fixture(scope="module")
def model() -> DetectionModel:
    """YOLOv8n with three classes; a deterministic start."""
    torch.manual_seed(3)
    network = DetectionModel("yolov8n.yaml", nc=3, verbose=False)
    network.args = get_cfg()
    # Far from its start, where every box is alike.
    with torch.no_grad():
        for layer in network.model[-1].cv3:
            layer[-1].bias.fill_(-2.0)
    return network.train()


def run(network: DetectionModel, criterion_: Any, batch: dict[str, Tensor], images: int) -> dict[str, Tensor]:
    """Loss, items and the gradient of every parameter, by name."""
    network.zero_grad(set_to_none=True)
    image = torch.rand(images, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        statistics = {key: value.clone() for key, value in network.state_dict().items()}
    loss, items = criterion_(network(image), batch)
    loss.sum().backward()
    network.load_state_dict(statistics)
    gradients = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **items, **gradients}


def assert_identical(expected: dict[str, Tensor], actual: dict[str, Tensor]) -> None:
    assert expected.keys() == actual.keys()
    assert not [name for name in expected if not torch.equal(expected[name], actual[name])]


@pytest.mark.parametrize("name", BATCHES)
def test_neutral_criterion_gives_a_network_the_stock_gradients(model: DetectionModel, name: str) -> None:
    batch, images = BATCHES[name]
    ours = RegDetectionLoss(model, RegSettings.from_mapping("stock"), COUNTS)
    expected = run(model, v8DetectionLoss(model), batch, images)
    assert_identical(expected, run(model, ours, batch, images))
    assert len(expected) > 100


def test_one_number_off_is_noticed(model: DetectionModel) -> None:
    ours = RegDetectionLoss(model, RegSettings.from_mapping({"preset": "stock", "focal": {"gamma": 1e-6}}), COUNTS)
    expected, actual = (run(model, c, BATCH, 3) for c in (v8DetectionLoss(model), ours))
    with pytest.raises(AssertionError):
        assert_identical(expected, actual)


def test_neutral_criterion_with_upstreams_class_weights(model: DetectionModel) -> None:
    model.class_weights = torch.tensor([0.5, 1.0, 2.5])
    try:
        stock, ours = v8DetectionLoss(model), RegDetectionLoss(model, RegSettings.from_mapping("stock"), COUNTS)
        expected = run(model, stock, BATCH, 3)
        assert_identical(expected, run(model, ours, BATCH, 3))
    finally:
        model.class_weights = None
    assert not torch.equal(expected["cls_loss"], run(model, v8DetectionLoss(model), BATCH, 3)["cls_loss"])


def assert_same_on_a_head(batch: dict[str, Tensor], images: int, ours: Any = None, **arguments: Any) -> None:
    expected = loss_and_gradients(v8DetectionLoss(head_like_model()), batch, images, **arguments)
    actual = loss_and_gradients(ours or criterion("stock"), batch, images, **arguments)
    for theirs, mine in zip(expected, actual, strict=True):
        assert_identical(theirs, mine)


def test_neutral_criterion_on_many_heads() -> None:
    for seed in range(30):
        assert_same_on_a_head(random_labels(seed, 3, 1 + seed), 3, seed=seed)


@pytest.mark.parametrize("threads", [1, 2])
def test_neutral_criterion_where_threads_share_the_work(threads: int) -> None:
    torch.set_num_threads(threads)
    for images in (5, 6):
        assert_same_on_a_head(random_labels(images, images, 8), images, image_size=320)


def test_what_a_preset_reads_as_neutral_is_neutral() -> None:
    neutral = {
        "preset": "reg_v1",
        "alpha": {"scheme": "balanced", "temper": 0.0},
        "focal": {"gamma": 0.0},
        "spatial": {"enabled": False},
        "uncertainty": {"mode": "printed"},
    }
    assert_same_on_a_head(BATCH, 3, criterion(neutral))


def test_predictions_that_are_not_numbers_give_upstreams_loss() -> None:
    results = []
    for loss_function in (v8DetectionLoss(head_like_model()), criterion("stock")):
        preds = predictions(BATCH, 3)
        with torch.no_grad():
            preds["boxes"][0] = torch.nan
        results.append(loss_function(preds, BATCH)[0])
    assert results[0].isnan().any()
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=0, equal_nan=True)


def test_the_assigned_targets_are_upstreams_at_the_positives() -> None:
    stock, ours = v8DetectionLoss(head_like_model()), criterion("reg_v1")
    expected = stock.get_assigned_targets_and_loss(predictions(BATCH, 3), BATCH)[0]
    actual = ours.get_assigned_targets_and_loss(predictions(BATCH, 3), BATCH)[0]
    positive = expected[0]
    assert positive.any()
    for number, (theirs, mine) in enumerate(zip(expected, actual, strict=True)):
        assert theirs.shape == mine.shape and theirs.dtype == mine.dtype
        # Boxes of other anchor points are whatever upstream's gather leaves there.
        assert torch.equal(theirs[positive], mine[positive]) if number == 2 else torch.equal(theirs, mine)


def test_neutral_under_bfloat16_is_the_stock_loss_in_float32() -> None:
    theirs = loss_and_gradients(v8DetectionLoss(head_like_model()), BATCH)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = loss_and_gradients(criterion("stock"), BATCH)
    for expected, actual in zip(theirs, ours, strict=True):
        assert_identical(expected, actual)

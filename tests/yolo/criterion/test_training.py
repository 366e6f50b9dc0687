"""Training on a small batch: every preset learns, in float32 and in bfloat16, and odd batches do no harm."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
import torch
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel

from reg_yolo.config.presets import PRESETS
from reg_yolo.config.reg import RegSettings
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from tests.yolo.criterion.heads import (
    BATCH,
    COUNTS,
    IMAGE_SIZE,
    IMAGES,
    criterion,
    labels,
    loss_and_gradients,
    over_stock,
    predictions,
)
from tests.yolo.runs import TINY_MODEL

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS: dict[str, Any] = {
    **{name: {"preset": name} for name in PRESETS},
    "everything": over_stock(
        alpha={"scheme": "balanced"},
        focal={"gamma": 1.5},
        spatial={"enabled": True, "floor": 0.1},
        uncertainty={"mode": "logit_normal", "deviation": "dfl", "grad_to_box": True},
        dynamic_coefficient={"enabled": True},
        box={"loss": "eiou"},
    ),
    "dual": over_stock(alpha={"scheme": "dual"}, focal={"gamma": 0.5}),
    "free energy, dfl": over_stock(
        uncertainty={"mode": "free_energy", "deviation": "dfl", "grad_to_box": True}, focal={"gamma": 1.0}
    ),
    "free energy": over_stock(uncertainty={"mode": "free_energy", "deviation": "learned"}, focal={"gamma": 1.0}),
}


def pictures() -> torch.Tensor:
    """Noise with the objects painted in, a colour for each class."""
    image = 0.2 * torch.rand(IMAGES, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(1))
    for number, label, (x, y, w, h) in zip(
        BATCH["batch_idx"].long(), BATCH["cls"][:, 0].long(), (BATCH["bboxes"] * IMAGE_SIZE).tolist(), strict=True
    ):
        image[number, label, int(y - h / 2) : int(y + h / 2), int(x - w / 2) : int(x + w / 2)] = 1.0
    return image


def train(reg: Any, steps: int, precision: Any = contextlib.nullcontext) -> list[float]:
    """Loss of each step of AdamW on one batch."""
    torch.manual_seed(0)
    model = DetectionModel(TINY_MODEL, nc=3, verbose=False)
    model.args = get_cfg()
    learned = torch.nn.Parameter(torch.tensor([0.5, 0.5, 0.5]).log())
    ours = RegDetectionLoss(model, RegSettings.from_mapping(reg), COUNTS, learned_deviation=learned)
    optimizer = torch.optim.AdamW([*model.parameters(), learned], lr=2e-3)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        with precision():
            loss, items = ours(model(pictures()), BATCH)
        loss.sum().backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(bool(torch.isfinite(g).all()) for g in gradients)
        optimizer.step()
        losses.append(float(sum(items.values())))
    return losses


@pytest.mark.parametrize("name", SETTINGS)
def test_loss_is_finite_and_falls_over_a_few_steps(name: str) -> None:
    # With an exponent of 2 and no factor the class loss rises first: few negatives weigh anything at the start.
    losses = train(SETTINGS[name], 50 if name in ("gfl", "efl") else 20)
    assert all(map(math.isfinite, losses))
    assert sum(losses[-3:]) < 0.85 * sum(losses[:3])


def bfloat16() -> Any:
    return torch.autocast("cpu", dtype=torch.bfloat16)


@pytest.mark.parametrize("name", SETTINGS)
def test_bfloat16_trains_without_nan(name: str) -> None:
    half, full = train(SETTINGS[name], 5, bfloat16), train(SETTINGS[name], 1)
    assert all(map(math.isfinite, half))
    # Later steps part ways by the network, not by the loss. The network's own rounding is in the first one, too, and a
    # focused loss at a fixed factor shows it: 1 - p to a power.
    assert half[0] == pytest.approx(full[0], rel=0.05)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("batch", [labels([], [], []), labels([(1, 8, 8, 8.2, 8.1)], [], [])], ids=["none", "a speck"])
def test_batch_almost_without_labels_has_a_finite_gradient(name: str, batch: dict[str, torch.Tensor]) -> None:
    learned = torch.nn.Parameter(torch.zeros(3))
    items, gradients = loss_and_gradients(criterion(SETTINGS[name], learned_deviation=learned), batch)
    for value in (*items.values(), *gradients.values()):
        assert bool(torch.isfinite(value).all())
    if not len(batch["cls"]):
        assert items["box_loss"] == 0 and items["dfl_loss"] == 0
        # Negatives are all there is to learn from; the printed indicator has none.
        assert (gradients["scores"].abs().sum() > 0) == (SETTINGS[name]["preset"] != "reg_printed")


@pytest.mark.parametrize("name", SETTINGS)
def test_extreme_logits_have_a_finite_gradient(name: str) -> None:
    learned = torch.nn.Parameter(torch.zeros(3))
    ours = criterion(SETTINGS[name], learned_deviation=learned)
    preds = predictions(BATCH, IMAGES)
    with torch.no_grad():
        preds["scores"].sign_().mul_(80.0)
        preds["boxes"].mul_(400.0)
    loss, _ = ours(preds, BATCH)
    loss.sum().backward()
    assert bool(torch.isfinite(loss).all())
    assert all(bool(torch.isfinite(preds[key].grad).all()) for key in ("boxes", "scores"))

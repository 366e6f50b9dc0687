"""The equalized form in the criterion: what it adds up, over which ranks, and what survives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import multiprocessing

from tests.losses import reference
from tests.yolo.criterion.heads import (
    BATCH,
    IMAGES,
    NAMES,
    criterion,
    labels,
    loss_and_gradients,
    over_stock,
    predictions,
    random_labels,
)

pytestmark = pytest.mark.usefixtures("one_thread")

EFL = {"gamma": 1.5, "form": "equalized", "s": 4.0}
UNION = over_stock(
    focal=EFL,
    alpha={"scheme": "balanced", "mitigation": 0.5},
    spatial={"enabled": True, "floor": 0.1, "keep_hard": 1.0},
    scale=1.0,
)
ALONE = over_stock(focal=EFL, scale=1.0)


def summed_gradients(ours: Any, batch: dict[str, torch.Tensor], images: int, **arguments: Any) -> torch.Tensor:
    """Absolute gradient by class logits that a backward pass gives, Tensor[2, C]: positives and negatives."""
    preds = predictions(batch, images, **arguments)
    _, assignment, losses = ours.detection_losses(preds, batch)
    (gradient,) = torch.autograd.grad(losses[1] / ours.hyp.cls, preds["scores"])
    positive = assignment.target_scores.transpose(1, 2) > 0
    size = gradient.abs()
    return torch.stack([torch.where(where, size, 0.0).sum((0, 2)) for where in (positive, ~positive)])


@pytest.mark.parametrize("reg", [ALONE, UNION], ids=["alone", "with alpha, g and mitigation"])
def test_ratio_is_that_of_the_gradients_of_the_loss_as_it_is(reg: dict[str, Any]) -> None:
    ours, expected = criterion(reg), reference.GradientRatio(3)
    assert ours.class_terms.gradient_ratios() == [1.0] * 3
    for seed in range(3):
        expected.accumulate(*summed_gradients(ours, BATCH, IMAGES, seed=seed).tolist())
        assert ours.class_terms.gradient_ratios() == pytest.approx(expected.ratio(), rel=1e-4)
    assert min(expected.ratio()) < 0.9


@pytest.mark.parametrize("reg", [ALONE, UNION], ids=["alone", "with alpha, g and mitigation"])
def test_next_batch_has_the_exponents_of_the_ratios(reg: dict[str, Any]) -> None:
    stored = {"equalized": {"positive": [1.0, 2.0, 0.0], "negative": [4.0, 1.0, 5.0]}}
    ours, soft = criterion(reg, stored=stored), criterion({**reg, "focal": {"gamma": 1.5}})
    head, assignment = soft.detection_losses(predictions(BATCH, IMAGES), BATCH)[:2]
    found, plain = (c.class_terms.entries(head, assignment, None)[0].detach() for c in (ours, soft))
    z, y = head.logits.detach().double(), assignment.target_scores.double()
    positives = assignment.positives
    for c, ratio in enumerate([0.25, 1.0, 0.0]):
        own = positives.label == c
        cells = [*zip(positives.image[own].tolist(), positives.anchor[own].tolist(), strict=True), (0, 9), (2, 80)]
        assert len(cells) > 2
        for image, anchor in cells:
            entry = (image, anchor, c)
            equal = reference.equalized_focal_loss(float(z[entry]), float(y[entry]), ratio, 1.5, 4.0)
            focal = reference.quality_focal_loss(float(z[entry]), float(y[entry]), 1.5)
            assert float(found[entry] / plain[entry]) == pytest.approx(equal / focal, rel=2e-3)


def test_validation_adds_nothing_and_the_state_goes_on() -> None:
    first = criterion(ALONE)
    loss_and_gradients(first, BATCH)
    state = json.dumps(first.state())
    preds = {key: v.detach() if torch.is_tensor(v) else v for key, v in predictions(BATCH, IMAGES, seed=4).items()}
    with torch.no_grad():
        first((torch.empty(0), preds), BATCH)
    assert json.dumps(first.state()) == state
    resumed = criterion(ALONE, stored=json.loads(state))
    expected, actual = (loss_and_gradients(c, BATCH, seed=9) for c in (first, resumed))
    assert torch.equal(expected[1]["scores"], actual[1]["scores"])
    assert resumed.state() == first.state()


def test_ratios_are_logged_by_class() -> None:
    ours = criterion(ALONE)
    loss_and_gradients(ours, BATCH)
    terms = ours.epoch_terms(NAMES)
    assert [terms[f"reg/gradient_ratio/{name}"] for name in NAMES.values()] == ours.class_terms.gradient_ratios()
    assert not [name for name in criterion("stock").epoch_terms(NAMES) if "gradient_ratio" in name]


def test_classes_that_an_image_does_not_annotate_bring_no_gradient() -> None:
    ours = criterion(ALONE)
    annotated = torch.tensor([[True, True, False]] * IMAGES)
    batch = {**labels([(0, 4, 4, 20, 60)], [], []), "annotated": annotated}
    loss_and_gradients(ours, batch)
    assert ours.state()["equalized"]["negative"][2] == 0.0 < ours.state()["equalized"]["negative"][1]


def worker(rank: int, store: str, into: str) -> None:
    """A rank with a batch of its own; the second has no object at all."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{store}", rank=rank, world_size=2)
    ours = criterion(ALONE)
    batch = random_labels(3, 2, 5) if rank == 0 else labels([], [])
    loss_and_gradients(ours, batch, 2, seed=rank)
    Path(into, f"{rank}.json").write_text(json.dumps(ours.state()["equalized"]))
    torch.distributed.destroy_process_group()


def test_two_ranks_add_up_to_the_same_ratios(tmp_path: Path) -> None:
    multiprocessing.spawn(worker, (str(tmp_path / "store"), str(tmp_path)), nprocs=2)
    states = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert states[0] == states[1]
    singles = [criterion(ALONE) for _ in range(2)]
    loss_and_gradients(singles[0], random_labels(3, 2, 5), 2, seed=0)
    loss_and_gradients(singles[1], labels([], []), 2, seed=1)
    for sign in ("positive", "negative"):
        added = [sum(pair) for pair in zip(*(c.state()["equalized"][sign] for c in singles), strict=True)]
        assert states[0][sign] == pytest.approx(added, rel=1e-5)

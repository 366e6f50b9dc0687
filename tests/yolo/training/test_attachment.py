"""The criterion hangs on the live model and on the EMA, the run proves it, and checkpoints do not carry it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.loss import v8DetectionLoss
from ultralytics.utils.torch_utils import ModelEMA

from reg_yolo.errors import ConfigError, DataError, RegYoloError
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from tests.yolo.runs import TINY_MODEL, trainer_for


@pytest.fixture
def prepared(rectangles: Path, tmp_path: Path):
    """A trainer whose set-up is done, before its first batch."""
    trainer = trainer_for(rectangles, tmp_path / "run")
    trainer._setup_train()
    return trainer


def test_model_and_ema_share_our_criterion(prepared) -> None:
    assert isinstance(prepared.criterion, RegDetectionLoss)
    assert prepared.model.criterion is prepared.criterion
    assert prepared.ema.ema.criterion is prepared.criterion


def test_ema_loss_is_our_loss_and_not_the_stock_one(prepared) -> None:
    batch = prepared.preprocess_batch(next(iter(prepared.train_loader)))
    ema = prepared.ema.ema
    with torch.inference_mode():
        ours = ema.loss(batch, ema(batch["img"]))[1]["cls_loss"]
        stock = v8DetectionLoss(ema)(ema(batch["img"]), batch)[1]["cls_loss"]
    assert not torch.equal(ours, stock)


def test_validation_leaves_no_trace_in_the_criterion(prepared) -> None:
    batch = prepared.preprocess_batch(next(iter(prepared.train_loader)))
    ema = prepared.ema.ema
    with torch.inference_mode():
        ema.loss(batch, ema(batch["img"]))
    assert prepared.criterion.training_calls == 0
    assert prepared.criterion.scale is None
    # Inference tensors that stay behind would break the next training step.
    prepared.model.train()
    prepared.model(batch)[0].sum().backward()
    assert prepared.criterion.training_calls == 1


def test_the_ema_made_anew_on_resume_shares_it_too(prepared) -> None:
    assert ModelEMA(prepared.model).ema.criterion is prepared.criterion
    assert copy.deepcopy(prepared.model).criterion is prepared.criterion


def test_criterion_is_a_plain_object_without_hooks_that_upstream_calls(prepared) -> None:
    assert not isinstance(prepared.criterion, torch.nn.Module)
    assert not hasattr(prepared.criterion, "update")
    stock_keys = DetectionModel(TINY_MODEL, nc=3, verbose=False).state_dict().keys()
    assert prepared.model.state_dict().keys() == stock_keys


@pytest.mark.parametrize("place", ["model", "ema"])
def test_run_stops_when_another_criterion_is_active(prepared, place: str) -> None:
    model = prepared.model if place == "model" else prepared.ema.ema
    model.criterion = v8DetectionLoss(prepared.model)
    with pytest.raises(RegYoloError, match="not the REG criterion"):
        prepared._prove_criterion()


def test_run_stops_when_the_criterion_was_never_called(prepared) -> None:
    with pytest.raises(RegYoloError, match="never called"):
        prepared.optimizer_step()


def test_class_counts_and_weights_come_from_the_training_labels(prepared, rectangles: Path) -> None:
    rows = [line.split()[0] for file in (rectangles.parent / "labels/train").glob("*.txt") for line in file.open()]
    counts = [rows.count(str(index)) for index in range(3)]
    assert prepared.class_counts == counts
    table = (prepared.save_dir / "class_weights.csv").read_text().splitlines()
    assert table[0] == "class,name,boxes,weight"
    assert [int(line.split(",")[2]) for line in table[1:]] == counts
    weights = [float(line.split(",")[3]) for line in table[1:]]
    assert weights[1] > weights[0]
    # A.10.2: the mean over annotations is 1; an absent class takes no part in it.
    assert sum(w * c for w, c in zip(weights, counts, strict=True)) == pytest.approx(sum(counts), rel=1e-4)


def test_two_class_weightings_at_once_are_refused(rectangles: Path, tmp_path: Path) -> None:
    trainer = trainer_for(rectangles, tmp_path / "run", cls_pw=0.5)
    with pytest.raises(RegYoloError, match="would weight the classes twice"):
        trainer._setup_train()


def test_distillation_is_refused_since_it_brings_its_own_criterion(rectangles: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="distill_model"):
        trainer_for(rectangles, tmp_path / "run", distill_model="yolov8m.pt")


def test_empty_training_split_is_refused(own_rectangles: Path, tmp_path: Path) -> None:
    for file in (own_rectangles.parent / "labels/train").glob("*.txt"):
        file.write_text("")
    with pytest.raises(DataError, match="no labelled object"):
        trainer_for(own_rectangles, tmp_path / "run")


def test_learned_deviation_has_a_group_of_its_own_without_decay(rectangles: Path, tmp_path: Path) -> None:
    # The deviation of a truncated normal is one of probabilities.
    reg = {"preset": "reg_v1", "uncertainty": {"mode": "truncated_normal", "deviation": "learned"}}
    trainer = trainer_for(rectangles, tmp_path / "run", reg)
    trainer._setup_train()
    assert trainer.learned_deviation.exp().tolist() == pytest.approx([0.05] * len(trainer.learned_deviation))
    own = [g for g in trainer.optimizer.param_groups if g.get("param_group") == "criterion"]
    assert len(own) == 1 and own[0]["weight_decay"] == 0.0
    assert own[0]["params"][0] is trainer.learned_deviation
    assert "initial_lr" in own[0]
    before = trainer.learned_deviation.detach().clone()
    trainer.model.train()
    trainer.model(trainer.preprocess_batch(next(iter(trainer.train_loader))))[0].sum().backward()
    trainer.optimizer_step()
    assert not torch.equal(before, trainer.learned_deviation.detach())

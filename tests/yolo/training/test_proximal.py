"""The proximal step of a run: what it moves and when, and that nothing of it stays on the model."""

from __future__ import annotations

import copy
import csv
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from ultralytics.utils.torch_utils import ModelEMA

from reg_yolo import losses
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.training.proximal import KeptInputs, last_class_convolutions, learning_rate_of
from reg_yolo.yolo.training.trainers import RegSegmentationTrainer
from tests.yolo.runs import FAST, trainer_for

ON = {"enabled": True, "steps": 3, "eta": 20.0, "inner_lr": 0.5}


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """Sums in the same order."""


def prepared(data: Path, folder: Path, proximal: dict | None = None, preset: str = "stock", **arguments):
    reg = {"preset": preset, "proximal": ON if proximal is None else {"enabled": True, **proximal}}
    trainer = trainer_for(data, folder, reg, model="yolov8n.yaml", **arguments)
    trainer._setup_train()
    trainer.model.train()
    for group in trainer.optimizer.param_groups:
        group["lr"] = 0.01
    return trainer


def forward(trainer) -> None:
    trainer.batch = trainer.preprocess_batch(next(iter(trainer.train_loader)))
    trainer.model(trainer.batch)[0].sum().backward()


def class_weights(trainer) -> list[torch.Tensor]:
    return [p.detach().clone() for each in last_class_convolutions(trainer.model) for p in (each.weight, each.bias)]


def terms(trainer) -> dict[str, float]:
    return trainer.criterion.epoch_terms(trainer.data["names"])


def g_before_and_after(trainer) -> tuple[float, float]:
    means = terms(trainer)
    return means["reg/far_probability_before"], means["reg/far_probability_after"]


def test_it_moves_the_class_convolutions_alone_and_g_falls(rectangles: Path, tmp_path: Path) -> None:
    runs = []
    for eta in (0.0, 20.0):
        trainer = prepared(rectangles, tmp_path / str(eta), {"eta": eta}, seed=5)
        forward(trainer)
        trainer.optimizer_step()
        runs.append(trainer)
    plain, moved = runs
    class_names = {f"model.22.cv3.{level}.2.{kind}" for level in range(3) for kind in ("weight", "bias")}
    changed = {
        name
        for (name, ours), theirs in zip(moved.model.named_parameters(), plain.model.parameters(), strict=True)
        if not torch.equal(ours, theirs)
    }
    assert changed == class_names
    before, after = g_before_and_after(moved)
    assert 0 < after < 0.98 * before
    assert len({*g_before_and_after(plain), before}) == 1


def test_g_is_the_probability_far_from_every_object_of_the_class(rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run", {"steps": 0})
    seen: list[torch.Tensor] = []
    handles = [each.register_forward_pre_hook(lambda _m, i: seen.append(i[0])) for each in
               last_class_convolutions(trainer.model)]  # fmt: skip
    forward(trainer)
    for handle in handles:
        handle.remove()
    trainer.optimizer_step()
    # The step of the optimizer has moved the class convolutions; the features are of the pass before it.
    logits = torch.cat(
        [F.conv2d(x, c.weight, c.bias).flatten(2) for x, c in zip(seen, last_class_convolutions(trainer.model),
                                                                  strict=True)], 2
    )  # fmt: skip
    truth = trainer.criterion.last_batch
    labels, boxes, valid = truth.assignment.truth.labels, truth.assignment.truth.boxes, truth.assignment.truth.valid
    total = 0.0
    for image in range(len(logits)):
        for point, (x, y) in enumerate(truth.grid.points.tolist()):
            for label in range(3):
                inside = [
                    float(((x - (x1 + x2) / 2) ** 2 + (y - (y1 + y2) / 2) ** 2) ** 0.5)
                    / (0.5 * ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5)
                    for (x1, y1, x2, y2), own, ok in zip(
                        boxes[image].tolist(), labels[image, :, 0].tolist(), valid[image, :, 0].tolist(), strict=True
                    )
                    if ok and int(own) == label
                ]
                # Of a small object a point next to the box may be a positive.
                is_positive = truth.assignment.target_scores[image, point, label] > 0
                if (not inside or min(inside) > 1.0) and not is_positive:
                    total += float(logits[image, label, point].sigmoid())
    expected = total / float(truth.assignment.normalizer)
    assert terms(trainer)["reg/far_probability_before"] == pytest.approx(expected, rel=1e-4)


def test_entries_of_which_nothing_is_known_and_positives_are_not_far(rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run")
    forward(trainer)
    truth = trainer.criterion.last_batch
    assert not (truth.far_entries(trainer.reg.spatial).transpose(1, 2) & (truth.assignment.target_scores > 0)).any()
    ignored = torch.zeros(len(truth.assignment.target_scores), 1, 3, dtype=torch.bool)
    ignored[:, :, 1] = True
    known = copy.copy(truth)
    object.__setattr__(known, "assignment", copy.copy(truth.assignment))
    object.__setattr__(known.assignment, "ignored", ignored)
    far = known.far_entries(trainer.reg.spatial)
    assert not far[:, 1].any() and far[:, 0].any()


@pytest.mark.parametrize("off", [{"steps": 0}, {"eta": 0.0}, "learning rate 0"])
def test_it_is_the_identity(off, rectangles: Path, tmp_path: Path) -> None:
    weights = []
    for proximal in (off if isinstance(off, dict) else ON, {"enabled": False}):
        trainer = prepared(rectangles, tmp_path / str(len(weights)), proximal)
        for group in trainer.optimizer.param_groups:
            group["lr"] = 0.0 if isinstance(off, str) else 0.01
        forward(trainer)
        trainer.optimizer_step()
        weights.append(class_weights(trainer))
    assert all(map(torch.equal, *weights))


def test_the_average_of_the_weights_sees_it(rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run")
    trainer.ema.decay = lambda _updates: 0.0
    forward(trainer)
    trainer.optimizer_step()
    averaged = [p for each in last_class_convolutions(trainer.ema.ema) for p in (each.weight, each.bias)]
    assert all(map(torch.equal, averaged, class_weights(trainer)))


def test_g_is_of_the_last_of_several_accumulated_batches(rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run")
    forward(trainer)
    first = trainer.criterion.last_batch
    forward(trainer)
    assert trainer.criterion.last_batch is not first
    trainer.optimizer_step()
    assert trainer.class_inputs.take() is None


def test_nothing_stays_on_the_model_that_a_copy_or_a_checkpoint_would_take(rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run")
    forward(trainer)
    assert not [m for m in trainer.model.modules() if m._forward_pre_hooks or m._forward_hooks]
    average = ModelEMA(trainer.model).ema
    average.criterion = None
    assert b"reg_yolo.yolo.training" not in pickle.dumps(average)


def test_hooks_of_a_pass_that_an_error_ended_go_with_the_next_batch() -> None:
    kept = KeptInputs([nn.Linear(2, 2), nn.Linear(2, 2)])
    kept.watch()
    kept.modules[0](torch.zeros(1, 2))
    assert kept.take() is None
    kept.watch()
    inputs = [torch.ones(1, 2), torch.full((1, 2), 2.0)]
    for module, each in zip(kept.modules, inputs, strict=True):
        module(each)
        module(each * 0)
    assert [float(each[0, 0]) for each in kept.take()] == [1.0, 2.0]
    assert not kept.modules[0]._forward_pre_hooks and not kept.modules[1]._forward_pre_hooks


def test_the_learning_rate_is_that_of_the_convolutions_group(rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run", optimizer="RiemannianAdamW")
    trainer.optimizer.param_groups[0]["lr"] = 0.125
    assert learning_rate_of(trainer.optimizer, last_class_convolutions(trainer.model)[0].weight) == 0.125


def test_every_epoch_logs_g_before_and_after(rectangles: Path, tmp_path: Path) -> None:
    reg = {"preset": "reg_v1", "proximal": ON}
    # One step in the two epochs, in the second: the first has the columns all the same.
    trainer = trainer_for(rectangles, tmp_path / "run", reg, epochs=2, nbs=8, warmup_epochs=0.0, lr0=0.01,
                          optimizer="RiemannianAdamW")  # fmt: skip
    trainer.train()
    with (tmp_path / "run/results.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2
    for row in rows:
        assert 0 < float(row["reg/far_probability_after"]) < float(row["reg/far_probability_before"])


def test_columns_stand_before_the_first_step(rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run")
    found = terms(trainer)
    assert found["reg/far_probability_before"] == found["reg/far_probability_after"] == 0.0
    assert "reg/far_probability_before" not in terms(prepared(rectangles, tmp_path / "off", {"enabled": False}))


def test_features_that_are_not_finite_leave_the_weights(rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run")
    forward(trainer)
    trainer.class_inputs._inputs[0] = torch.full_like(trainer.class_inputs._inputs[0], torch.inf)
    trainer.optimizer_step()
    assert all(each.isfinite().all() for each in class_weights(trainer))


def test_several_gpus_compiled_models_and_frozen_heads_are_refused_in_one_line(
    rectangles: Path, tmp_path: Path
) -> None:
    trainer = trainer_for(rectangles, tmp_path / "run", {"preset": "stock", "proximal": ON})
    trainer.world_size = 2
    with pytest.raises(ConfigError, match=r"^reg\.proximal\.enabled: takes one device, got 2; .*$"):
        trainer.check_proximal()
    trainer.world_size, trainer.args.compile = 1, True
    with pytest.raises(ConfigError, match=r"^reg\.proximal\.enabled: .* compiled model .* set compile=false$"):
        trainer.check_proximal()
    frozen = trainer_for(rectangles, tmp_path / "frozen", {"preset": "stock", "proximal": ON}, freeze=[5])
    with pytest.raises(ConfigError, match=r"^freeze=\[5\] holds the class convolutions"):
        frozen._setup_train()


def test_nothing_of_the_network_is_computed_again(rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run")
    forward(trainer)
    called: list[nn.Module] = []
    for module in trainer.model.modules():
        # Activations are one object that all models share.
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda each, _inputs: called.append(each))
    before = class_weights(trainer)
    trainer.optimizer_step()
    assert not called and not any(map(torch.equal, class_weights(trainer), before))


def test_a_head_without_class_branches_is_refused() -> None:
    model = nn.Module()
    model.model = nn.Sequential(nn.Conv2d(3, 4, 1))
    with pytest.raises(ConfigError, match=r"^reg\.proximal\.enabled: .* ends in Conv2d; set it to false$"):
        last_class_convolutions(model)


def test_masks_beside_boxes_change_nothing(polygons: Path, tmp_path: Path) -> None:
    settings = {**FAST, "data": str(polygons), "save_dir": str(tmp_path / "run"), "model": "yolov8n-seg.yaml"}
    trainer = RegSegmentationTrainer.with_settings({"preset": "reg_v1", "proximal": ON})(overrides=settings)
    trainer._setup_train()
    trainer.model.train()
    for group in trainer.optimizer.param_groups:
        group["lr"] = 0.01
    forward(trainer)
    trainer.optimizer_step()
    before, after = g_before_and_after(trainer)
    assert 0 < after < before


def test_the_value_is_the_librarys(rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run", {"steps": 0}, preset="reg_v1")
    forward(trainer)
    logits = trainer.model(trainer.batch["img"])["scores"].detach()
    truth = trainer.criterion.last_batch
    far = truth.far_entries(trainer.reg.spatial)
    for group in trainer.optimizer.param_groups:
        group["lr"] = 0.0
    trainer.optimizer_step()
    expected = losses.far_probability(logits, far, truth.assignment.normalizer)
    assert terms(trainer)["reg/far_probability_before"] == pytest.approx(float(expected), rel=1e-5)

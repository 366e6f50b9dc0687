"""Runs with our Riemannian optimizers: which filters are on spheres, what is scheduled, what a resumed run keeps."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from ultralytics.nn.modules import Conv
from ultralytics.nn.tasks import DetectionModel, SegmentationModel

from reg_yolo.errors import ConfigError, TrainingInterrupted, WeightsError
from reg_yolo.optim.spheres import filter_norms
from reg_yolo.yolo.training import precision
from reg_yolo.yolo.training.spheres import riemannian_word, scale_invariant_filters
from reg_yolo.yolo.training.trainers import RegDetectionTrainer
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of
from reg_yolo.yolo.weights.export_sidecar import write_sidecar
from reg_yolo.yolo.weights.stored_metadata import metadata_fault
from tests.yolo.runs import trainer_for


def prepared(data: Path, folder: Path, optimizer: str = "RiemannianAdamW", **arguments):
    trainer = trainer_for(data, folder, optimizer=optimizer, **arguments)
    trainer._setup_train()
    return trainer


def take_steps(trainer, count: int) -> None:
    trainer.model.train()
    batch = next(iter(trainer.train_loader))
    for _ in range(count):
        # Preparing scales the pixels, so each pass needs its own.
        trainer.model(trainer.preprocess_batch({**batch}))[0].sum().backward()
        trainer.optimizer_step()


def set_learning_rates(trainer, value: float) -> None:
    for group in trainer.optimizer.param_groups:
        group["lr"] = value


def worst_norm_error(trainer) -> float:
    return max(
        float((filter_norms(weight.detach().double()) / radius.double() - 1).abs().max())
        for weight, radius in zip(trainer.spheres.weights, trainer.spheres.radii, strict=True)
    )


@pytest.mark.parametrize("kind", [DetectionModel, SegmentationModel])
def test_every_convolution_before_a_batch_norm_is_found_and_no_other(kind) -> None:
    model = kind("yolov8n.yaml" if kind is DetectionModel else "yolov8n-seg.yaml", nc=3, verbose=False)
    found = set(scale_invariant_filters(model))
    named = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    without_norm = {name for name, module in named.items() if module.bias is not None or name.endswith("dfl.conv")}
    assert found == {f"{name}.weight" for name in set(named) - without_norm}
    branches = ("cv2", "cv3", "cv4") if kind is SegmentationModel else ("cv2", "cv3")
    assert {f"model.22.{branch}.{level}.2" for branch in branches for level in range(3)} | {
        "model.22.dfl.conv"
    } == without_norm
    assert not [name for name in found if "upsample" in name]


def test_an_eval_batch_norm_or_another_forward_is_not_scale_invariant() -> None:
    class Added(Conv):
        def forward(self, x):
            return self.conv(x) + self.bn(self.conv(x))

    model = nn.Sequential(Conv(3, 4), Added(4, 4))
    assert list(scale_invariant_filters(model)) == ["0.conv.weight"]


@pytest.mark.parametrize(("eps", "tolerance"), [(1e-3, 1e-9), (1e-6, 1e-9)])
def test_the_radial_gradient_is_of_order_eps_over_variance_plus_eps(eps: float, tolerance: float) -> None:
    torch.manual_seed(0)
    layer = Conv(3, 4, 3).double().train()
    layer.bn.eps = eps
    images, wanted = torch.randn(2, 3, 8, 8).double(), torch.randn(2, 4, 8, 8).double()
    convolved = layer.conv(images)
    normalised = layer.bn(convolved)
    normalised.retain_grad()
    (layer.act(normalised) - wanted).square().sum().backward()
    weight = layer.conv.weight
    radial = (weight * weight.grad).sum((1, 2, 3))
    variance = convolved.detach().var((0, 2, 3), unbiased=False)
    # <w, dL/dw> = eps / (var + eps) sum of y dL/dy, with y the normalised output.
    expected = eps / (variance + eps) * (normalised.detach() * normalised.grad).sum((0, 2, 3))
    assert torch.allclose(radial, expected, rtol=1e-6, atol=tolerance)
    assert radial.abs().max() > 0
    relative = radial.abs() / (filter_norms(weight.detach()) * filter_norms(weight.grad))
    assert relative.max() < 30 * eps


def test_groups_keep_their_names_and_every_parameter_is_in_one(rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run")
    groups = {group["param_group"]: group for group in trainer.optimizer.param_groups}
    assert list(groups) == ["weight", "bn", "bias", "manifold"]
    grouped = [id(each) for group in groups.values() for each in group["params"]]
    assert sorted(grouped) == sorted(id(each) for each in trainer.model.parameters())
    assert {id(each) for each in groups["manifold"]["params"]} == {
        id(each) for each in scale_invariant_filters(trainer.model).values()
    }
    assert groups["manifold"]["weight_decay"] == 0.0 < groups["weight"]["weight_decay"]
    assert groups["manifold"]["initial_lr"] == groups["weight"]["initial_lr"]
    # Upstream's rebuilding after a lack of memory sets the decay by name.
    trainer.args.batch = trainer.batch_size = 4
    trainer._build_train_pipeline()
    assert groups["manifold"]["weight_decay"] == 0.0 < groups["weight"]["weight_decay"]


@pytest.mark.parametrize("optimizer", ["RiemannianAdamW", "riemanniansgd"])
def test_norms_hold_to_a_millionth_and_directions_are_learned(optimizer: str, rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run", optimizer, model="yolov8n.yaml")
    start = [weight.detach().clone() for weight in trainer.spheres.weights]
    set_learning_rates(trainer, 0.01)
    for _ in range(4):
        take_steps(trainer, 1)
        assert worst_norm_error(trainer) < 1e-6
    moved = [float((a.detach() - b).abs().max()) for a, b in zip(trainer.spheres.weights, start, strict=True)]
    # A level without an object in this batch has no gradient in its box branch.
    assert sum(each > 1e-3 for each in moved) > 35
    assert type(trainer.optimizer).__name__ == ("AdamW" if "Adam" in optimizer else "SGD")


def test_at_learning_rate_0_every_weight_keeps_its_bits(rectangles: Path, tmp_path: Path) -> None:
    trainer = prepared(rectangles, tmp_path / "run")
    set_learning_rates(trainer, 0.0)
    before = [each.detach().clone() for each in trainer.model.parameters()]
    take_steps(trainer, 2)
    assert all(map(torch.equal, trainer.model.parameters(), before))


def test_other_weights_take_the_steps_of_upstreams_adamw(rectangles: Path, tmp_path: Path) -> None:
    heads = []
    for optimizer in ("AdamW", "RiemannianAdamW"):
        torch.manual_seed(0)
        trainer = prepared(rectangles, tmp_path / optimizer, optimizer, seed=3)
        set_learning_rates(trainer, 0.01)
        take_steps(trainer, 1)
        heads.append(trainer.model.model[-1].cv3[0][-1].weight.detach().clone())
    assert torch.equal(*heads)


def test_accumulation_warm_up_and_norms_over_a_whole_run(rectangles: Path, tmp_path: Path) -> None:
    trainer = trainer_for(rectangles, tmp_path / "run", optimizer="RiemannianAdamW", epochs=3, nbs=16, batch=8)
    first: dict[str, float] = {}
    steps: list[int] = []

    def note(running) -> None:
        if not first:
            first.update({group["param_group"]: group["lr"] for group in running.optimizer.param_groups})

    trainer.add_callback("on_train_batch_end", note)
    count = trainer.optimizer_step
    trainer.optimizer_step = lambda: (count(), steps.append(1))
    trainer.train()
    assert first["manifold"] == first["weight"] == 0.0 and first["bias"] == trainer.args.warmup_bias_lr
    # 9 batches; two for a step once the warm-up is over.
    assert 5 <= len(steps) < 9
    assert worst_norm_error(trainer) < 1e-6


@pytest.fixture(scope="module")
def interrupted(rectangles: Path, tmp_path_factory: pytest.TempPathFactory):
    """A run of four epochs that was stopped in its third."""
    folder = tmp_path_factory.mktemp("run") / "train"
    trainer = trainer_for(rectangles, folder, optimizer="RiemannianSGD", epochs=4, nbs=8, warmup_epochs=0.0, lr0=0.05)

    def ask(running) -> None:
        if running.epoch == 2:
            signal.raise_signal(signal.SIGTERM)

    trainer.add_callback("on_train_batch_end", ask)
    with pytest.raises(TrainingInterrupted):
        trainer.train()
    return trainer


def test_radii_are_plain_numbers_in_the_checkpoint_whose_own_weights_lie_elsewhere(interrupted) -> None:
    checkpoint = load_checkpoint_file(interrupted.last)
    radii = metadata_of(checkpoint)["radii"]
    weights = scale_invariant_filters(checkpoint["ema"].float())
    assert radii.keys() == weights.keys()
    assert all(type(value) is float for value in radii["model.0.conv.weight"])
    errors = [
        float((filter_norms(weights[name].detach()) / torch.tensor(radii[name]) - 1).abs().max()) for name in radii
    ]
    assert max(errors) > 1e-4


def test_an_export_leaves_the_radii_out(interrupted, tmp_path: Path) -> None:
    metadata = metadata_of(load_checkpoint_file(interrupted.last))
    assert not metadata_fault(metadata)
    assert metadata_fault({"radii": {"a": ["1"]}}).startswith("radii: expected lists of numbers by name")
    exported = tmp_path / "model.onnx"
    exported.write_bytes(b"-")
    detector = SimpleNamespace(path=interrupted.last, metadata=metadata, class_names=["a"], trained_with={})
    sidecar = write_sidecar(exported, detector, precision="fp32", imgsz=(64, 64))
    stored = json.loads(sidecar.read_text())["metadata"]
    assert "radii" not in stored and stored["reg"] == metadata["reg"] and "radii" in metadata


def test_a_resumed_run_goes_on_on_the_same_spheres(interrupted, tmp_path: Path) -> None:
    copy = tmp_path / "run" / "weights" / "last.pt"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(interrupted.last.read_bytes())
    overrides = {"resume": str(copy), "model": str(copy), "save_dir": str(copy.parent.parent)}
    trainer = RegDetectionTrainer(overrides=overrides)
    seen: dict[str, float] = {}
    trainer.add_callback("on_train_start", lambda running: seen.update(start=worst_norm_error(running)))
    trainer.train()
    assert seen["start"] < 1e-6 and worst_norm_error(trainer) < 1e-6
    assert trainer.epoch == 3
    for ours, theirs in zip(trainer.spheres.radii, interrupted.spheres.radii, strict=True):
        assert torch.equal(ours, theirs)
    momenta = [trainer.optimizer.state[each]["momentum_buffer"] for each in trainer.spheres.weights]
    assert max(float(momentum.abs().max()) for momentum in momenta) > 0


def test_recovery_from_a_loss_that_was_not_finite_returns_to_the_spheres(interrupted, tmp_path: Path) -> None:
    trainer = RegDetectionTrainer(overrides={"resume": str(interrupted.last), "save_dir": str(tmp_path / "run")})
    trainer._setup_train()
    trainer.last, trainer.loss = interrupted.last, torch.tensor(float("nan"))
    with torch.no_grad():
        for weight in trainer.spheres.weights:
            weight.fill_(torch.nan)
    assert trainer._handle_nan_recovery(trainer.start_epoch + 1)
    assert worst_norm_error(trainer) < 1e-6


def test_radii_of_another_network_are_refused(tmp_path: Path, rectangles: Path) -> None:
    trainer = trainer_for(rectangles, tmp_path / "run", optimizer="RiemannianAdamW")
    trainer.stored = {"radii": {"model.0.conv.weight": [1.0, 2.0]}}
    with pytest.raises(WeightsError, match="radii stored in it are of other filters than this model has"):
        trainer._setup_train()


def test_an_extended_run_starts_on_the_spheres_of_the_finished_one(rectangles: Path, tmp_path: Path) -> None:
    first = prepared(rectangles, tmp_path / "first")
    doubled = {name: [2 * value for value in radii] for name, radii in first.sphere_metadata()["radii"].items()}
    trainer = trainer_for(rectangles, tmp_path / "second", optimizer="RiemannianAdamW")
    trainer.stored = {"radii": doubled}
    trainer._setup_train()
    assert trainer.sphere_metadata()["radii"] == doubled
    assert worst_norm_error(trainer) < 1e-6


@pytest.mark.parametrize("optimizer", ["RiemannianAdamW", "RiemannianSGD"])
def test_several_gpus_are_refused_in_one_line(optimizer: str, rectangles: Path, tmp_path: Path) -> None:
    trainer = trainer_for(rectangles, tmp_path / "run", optimizer=optimizer)
    trainer.world_size = 2
    with pytest.raises(ConfigError, match=rf"^optimizer={optimizer}: takes one device, got 2; .*$"):
        trainer.check_spheres()
    trainer.args.optimizer = "AdamW"
    trainer.check_spheres()


def test_float16_is_refused_and_bfloat16_is_not(rectangles: Path, tmp_path: Path) -> None:
    trainer = trainer_for(rectangles, tmp_path / "run", optimizer="RiemannianAdamW")
    trainer.device, trainer.args.amp = SimpleNamespace(type="cuda"), True
    with pytest.raises(ConfigError, match="trains in float32 or bfloat16, got float16; set amp=bf16 or amp=false"):
        trainer.check_spheres()
    trainer.args.amp, trainer.bfloat16 = "bf16", True
    trainer.check_spheres()
    trainer.args.amp, trainer.bfloat16 = False, False
    trainer.check_spheres()


def test_bfloat16_keeps_the_norms(rectangles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_computes_bfloat16", lambda: True)
    trainer = prepared(rectangles, tmp_path / "run", amp="bf16")
    assert trainer.amp and trainer.bfloat16
    set_learning_rates(trainer, 0.01)
    with torch.autocast("cpu", torch.bfloat16):
        trainer.model.train()
        loss = trainer.model(trainer.preprocess_batch(next(iter(trainer.train_loader))))[0].sum()
    loss.backward()
    trainer.optimizer_step()
    assert trainer.spheres.weights[0].dtype == torch.float32
    assert worst_norm_error(trainer) < 1e-6


def test_upstreams_words_are_not_ours() -> None:
    assert riemannian_word("RIEMANNIANADAMW") == "RiemannianAdamW"
    assert riemannian_word("AdamW") is None and riemannian_word("auto") is None

"""amp=bf16: what is computed in which precision, what is refused, and what a resumed run keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ultralytics.utils import DEFAULT_CFG_DICT

from reg_yolo.config.loader import load_config
from reg_yolo.errors import ConfigError, TrainingInterrupted
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from reg_yolo.yolo.criterion.precision import in_float32, without_bfloat16
from reg_yolo.yolo.training import precision
from reg_yolo.yolo.training.trainers import RegDetectionTrainer
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of
from tests.yolo.runs import trainer_for


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with bfloat16; others emulate it, which a test does not mind."""
    monkeypatch.setattr(precision, "cpu_computes_bfloat16", lambda: True)


@pytest.mark.parametrize(
    ("capabilities", "able"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_f": True, "avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({"architecture": "riscv64"}, False),
    ],
)
def test_capabilities_of_the_processor(
    capabilities: dict[str, Any], able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert precision.cpu_computes_bfloat16() is able


@pytest.mark.parametrize("name", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_capabilities_as_older_versions_tell_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    for other in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, other, lambda: False, raising=False)
    assert not precision.cpu_computes_bfloat16()
    monkeypatch.setattr(torch.cpu, name, lambda: True, raising=False)
    assert precision.cpu_computes_bfloat16()


def test_a_device_without_bfloat16_is_refused_in_one_line(
    rectangles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "cpu_computes_bfloat16", lambda: False)
    with pytest.raises(ConfigError, match=r"amp=bf16: this processor \(.*neither AVX512-BF16 nor AMX") as refused:
        trainer_for(rectangles, tmp_path / "run", amp="bf16")
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="got mps"):
        precision.require_bfloat16(torch.device("mps"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Tesla T4")
    with pytest.raises(ConfigError, match="Tesla T4 does not compute bfloat16"):
        precision.require_bfloat16(torch.device("cuda:0"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)  # noqa: ARG005
    precision.require_bfloat16(torch.device("cuda:0"))


def test_only_bfloat16_becomes_float32() -> None:
    half, whole = torch.ones(2, dtype=torch.float16), torch.ones(2)
    found = in_float32({"a": torch.ones(2, dtype=torch.bfloat16), "b": [half, (whole, 3)]})
    assert found["a"].dtype == torch.float32
    assert found["b"][0] is half and found["b"][1][0] is whole and found["b"][1][1] == 3


def test_only_bfloat16_autocast_is_left() -> None:
    cpu = torch.device("cpu")
    left, right = torch.rand(4, 4), torch.rand(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (left @ right).dtype == torch.bfloat16
        with without_bfloat16(cpu):
            assert (left @ right).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.float16), without_bfloat16(cpu):
        assert (left @ right).dtype == torch.float16
    with without_bfloat16(cpu):
        assert (left @ right).dtype == torch.float32


class Dtypes:
    """What a run computes in: seen by its criterion, by its convolutions, and in its weights."""

    def __init__(self, trainer: Any) -> None:
        self.network: set[torch.dtype] = set()
        self.losses: set[torch.dtype] = set()
        self.validated: set[torch.dtype] = set()
        self.layout: set[bool] = set()
        trainer.add_callback("on_train_start", self.watch)

    def watch(self, trainer: Any) -> None:
        criterion, model = trainer.criterion, trainer.model
        read = criterion.loss

        def losses(preds: Any, batch: Any) -> Any:
            found = read(preds, batch)
            seen = self.losses if preds["scores"].requires_grad else self.validated
            seen |= {preds[name].dtype for name in ("scores", "boxes")} | {preds["feats"][0].dtype, found[0].dtype}
            seen.add((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)
            return found

        criterion.loss = losses
        forward = model.model[-1].forward
        first = model.model[0].conv

        def head(features: Any) -> Any:
            if torch.is_grad_enabled():
                self.network.add(features[0].dtype)
                self.layout.add(first.weight.is_contiguous(memory_format=torch.channels_last))
            return forward(features)

        model.model[-1].forward = head
        trainer.add_callback("on_train_epoch_end", lambda _trainer: model.model[-1].__dict__.pop("forward", None))


@pytest.fixture(scope="module")
def runs(rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A run in float32 and one in bfloat16 with the same seed, and the dtypes that each computed in."""
    found: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "cpu_computes_bfloat16", lambda: True)
        for name in ("fp32", "bf16"):
            trainer = trainer_for(rectangles, tmp_path_factory.mktemp(name) / "run", amp=name, seed=3)
            dtypes = Dtypes(trainer)
            trainer.train()
            found[name] = (trainer, dtypes)
        yield found


def test_layers_run_in_bfloat16_and_losses_in_float32(runs: dict[str, Any]) -> None:
    for name, network in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        trainer, dtypes = runs[name]
        assert dtypes.network == {network}
        assert dtypes.losses == {torch.float32}
        assert dtypes.validated == {torch.float32}
        assert dtypes.layout == {name == "bf16"}
        assert not trainer.scaler.is_enabled()
        assert all(bool(group["fused"]) == (name == "bf16") for group in trainer.optimizer.param_groups)
        for model in (trainer.model, trainer.ema.ema):
            assert {value.dtype for value in model.state_dict().values()} == {torch.float32, torch.int64}


def test_the_loss_is_that_of_float32_within_rounding(runs: dict[str, Any]) -> None:
    for key, value in runs["fp32"][0].tloss.items():
        assert float(runs["bf16"][0].tloss[key]) == pytest.approx(float(value), rel=0.05), key
    assert any(float(runs["bf16"][0].tloss[key]) != float(value) for key, value in runs["fp32"][0].tloss.items())


def test_checkpoints_and_settings_say_so_and_are_otherwise_the_same(runs: dict[str, Any]) -> None:
    ours, theirs = (load_checkpoint_file(runs[name][0].best) for name in ("bf16", "fp32"))
    assert metadata_of(ours)["precision"] == "bf16"
    assert "precision" not in metadata_of(theirs)
    for key, value in theirs["model"].state_dict().items():
        mine = ours["model"].state_dict()[key]
        assert mine.dtype == value.dtype and mine.is_contiguous(), key
    written = load_config(runs["bf16"][0].save_dir / "reg.yaml", train_keys=DEFAULT_CFG_DICT)
    assert written.train["amp"] == "bf16"
    assert runs["bf16"][0].args.amp is True


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_the_fused_step_is_the_step(kind: Any) -> None:
    weights = []
    for fused in (False, True):
        torch.manual_seed(0)
        parameter = torch.nn.Parameter(torch.randn(40, 3))
        optimizer = kind([parameter], lr=0.01, weight_decay=0.01)
        if fused:
            precision.step_in_one_kernel(optimizer)
            assert optimizer.param_groups[0].get("fused", True) is True
        for _ in range(5):
            optimizer.zero_grad()
            (parameter**2).sum().backward()
            optimizer.step()
        weights.append(parameter.detach())
    torch.testing.assert_close(*weights)


@pytest.mark.usefixtures("able")
def test_a_resumed_run_keeps_its_precision(rectangles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_for(rectangles, tmp_path / "run", amp="bf16", epochs=3)
    trainer.add_callback("on_train_batch_end", lambda t: t.interruption._receive(15, None) if t.epoch == 1 else None)
    with pytest.raises(TrainingInterrupted):
        trainer.train()
    resumed = RegDetectionTrainer(overrides={"resume": str(trainer.last), "model": str(trainer.last)})
    assert resumed.bfloat16
    resumed._setup_train()
    assert resumed.amp is True and resumed.start_epoch == 1
    monkeypatch.setattr(precision, "cpu_computes_bfloat16", lambda: False)
    with pytest.raises(ConfigError, match="amp=bf16"):
        RegDetectionTrainer(overrides={"resume": str(trainer.last), "model": str(trainer.last)})


def test_upstreams_amp_stays_off_on_a_cpu(rectangles: Path, tmp_path: Path) -> None:
    trainer = trainer_for(rectangles, tmp_path / "run", amp=True)
    trainer._setup_train()
    assert trainer.amp is False and not trainer.bfloat16
    assert isinstance(trainer.criterion, RegDetectionLoss)

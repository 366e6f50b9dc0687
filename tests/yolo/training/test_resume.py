"""Resuming: the same loss goes on, another one is refused, and signals leave something to resume."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from reg_yolo.config.reg import RegSettings
from reg_yolo.errors import ConfigError, TrainingInterrupted, WeightsError
from reg_yolo.yolo.commands.resume import resume_with_overrides
from reg_yolo.yolo.training.resume import last_checkpoint, stored_settings
from reg_yolo.yolo.training.trainers import RegDetectionTrainer
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of, set_metadata
from tests.yolo.runs import TINY_MODEL, trainer_for

REG = {"preset": "reg_v1", "alpha": {"scheme": "dual"}, "uncertainty": {"mode": "logit_normal", "deviation": "learned"}}


def interrupt_in_epoch(trainer, epoch: int) -> None:
    """Let a run stop as a signal would, in the given epoch (from 0)."""

    def ask(running) -> None:
        if running.epoch == epoch:
            signal.raise_signal(signal.SIGTERM)

    trainer.add_callback("on_train_batch_end", ask)
    with pytest.raises(TrainingInterrupted):
        trainer.train()


@pytest.fixture(scope="module")
def interrupted(rectangles: Path, tmp_path_factory: pytest.TempPathFactory):
    """A run of four epochs that was stopped in its third."""
    trainer = trainer_for(rectangles, tmp_path_factory.mktemp("run") / "train", REG, epochs=4)
    interrupt_in_epoch(trainer, 2)
    return trainer


def test_interrupted_run_saved_the_epochs_that_were_complete(interrupted) -> None:
    checkpoint = load_checkpoint_file(interrupted.last)
    assert checkpoint["epoch"] == 1
    assert checkpoint["optimizer"] is not None


@pytest.mark.slow
def test_resume_goes_on_with_loss_scale_weights_and_deviations(interrupted, tmp_path: Path) -> None:
    stored = metadata_of(load_checkpoint_file(interrupted.last))
    seen: dict = {}
    copy = tmp_path / "run" / "weights"
    copy.mkdir(parents=True)
    (copy / "last.pt").write_bytes(interrupted.last.read_bytes())

    resumed = {"resume": str(copy / "last.pt"), "model": str(copy / "last.pt"), "save_dir": str(copy.parent)}
    trainer = RegDetectionTrainer(overrides=resumed)
    trainer.add_callback("on_train_start", lambda t: seen.update(t.metadata(), epoch=t.start_epoch))
    trainer.train()
    assert seen["epoch"] == 2
    assert seen["reg"] == stored["reg"]
    assert seen["scale"] == stored["scale"]
    assert seen["dual"]["log_alpha"] == pytest.approx(stored["dual"]["log_alpha"])
    assert seen["deviations"] == pytest.approx(stored["deviations"], rel=1e-5)
    assert trainer.epoch == 3


def test_another_loss_is_refused_with_the_difference(interrupted) -> None:
    with pytest.raises(ConfigError) as refused:
        resume_with_overrides(interrupted.save_dir, overrides=["reg.focal.gamma=2.5", "reg.spatial.beta=-3.0"])
    assert "reg.focal.gamma: 1.5, now 2.5" in str(refused.value)
    assert "reg.spatial.beta: 3.0, now -3.0" in str(refused.value)


def test_another_preset_is_refused(interrupted) -> None:
    with pytest.raises(ConfigError, match=r"reg\.focal\.gamma: 1\.5, now 2\.0"):
        resume_with_overrides(interrupted.save_dir, overrides=["reg=gfl"])


def test_another_configuration_is_refused(interrupted, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("model: yolov8n.yaml\ndata: data.yaml\nreg: gfl\n")
    (tmp_path / "data.yaml").write_text("names: [a]\n")
    with pytest.raises(ConfigError, match=r'reg\.alpha\.scheme: "dual", now "none"'):
        resume_with_overrides(interrupted.save_dir, config=str(other))


def test_the_same_loss_is_accepted() -> None:
    settings = RegSettings.from_mapping(REG)
    assert stored_settings({"reg": settings.to_dict()}, settings, Path("last.pt")) == settings


def test_top_level_keys_cannot_change_on_resume(interrupted) -> None:
    with pytest.raises(ConfigError, match="cannot change when a run is resumed"):
        resume_with_overrides(interrupted.save_dir, overrides=["lambda_seg=0.5"])


def test_a_data_set_with_the_classes_in_another_order_is_refused(interrupted, rectangles: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(interrupted.save_dir, folder)
    other = shutil.copytree(rectangles.parent, tmp_path / "data") / rectangles.name
    other.write_text(other.read_text().replace("0: red", "0: green").replace("1: green", "1: red"))
    with pytest.raises(ConfigError, match="in their order: red, green, blue; got green, red, blue"):
        resume_with_overrides(folder, None, [f"data={other}"])


def test_finished_or_foreign_checkpoints_are_refused(interrupted, tmp_path: Path) -> None:
    checkpoint = torch.load(interrupted.last, weights_only=False, map_location="cpu")
    finished = tmp_path / "finished.pt"
    torch.save({**checkpoint, "optimizer": None, "epoch": -1}, finished)
    with pytest.raises(WeightsError, match="nothing to resume"):
        resume_with_overrides(finished)
    foreign = tmp_path / "foreign.pt"
    del checkpoint["reg_yolo"]
    delattr(checkpoint["ema"], "reg_yolo")
    torch.save(checkpoint, foreign)
    with pytest.raises(WeightsError, match="not trained with reg_yolo"):
        resume_with_overrides(foreign)
    with pytest.raises(WeightsError, match="nothing to resume there"):
        last_checkpoint(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copied_run_is_resumed_where_it_was_named_and_extended_next_to_it(interrupted, tmp_path: Path) -> None:
    original = contents(interrupted.save_dir)
    copy = shutil.copytree(interrupted.save_dir, tmp_path / "copy")
    with pytest.raises(ConfigError, match=r"epochs: .*is not finished"):
        resume_with_overrides(copy, overrides=["epochs=9"])
    lone = shutil.copy(copy / "weights/last.pt", tmp_path / "last.pt")
    with pytest.raises(ConfigError, match=r"last\.pt lies outside of a run, and resuming it would write into"):
        resume_with_overrides(lone)
    finished = resume_with_overrides(copy)
    assert finished.folder == copy and contents(interrupted.save_dir) == original
    with pytest.raises(ConfigError, match="epochs: got 4, expected a whole number above the 4"):
        resume_with_overrides(copy, overrides=["epochs=4"])
    with pytest.raises(WeightsError, match="extend it with epochs=N"):
        resume_with_overrides(copy)

    # What no criterion begins with and no epoch comes to.
    checkpoint = torch.load(finished.last, weights_only=False, map_location="cpu")
    stored = {**metadata_of(checkpoint), "deviations": [7.0, 8.0, 9.0]}
    set_metadata(checkpoint, stored)
    torch.save(checkpoint, finished.last)
    before = contents(copy)
    extended = resume_with_overrides(copy, overrides=["epochs=5"])
    assert extended.folder == tmp_path / "copy_to_5" and contents(copy) == before
    lines = (extended.folder / "results.csv").read_text().splitlines()
    assert [line.split(",")[0].strip() for line in lines] == ["epoch", "1"]
    after = metadata_of(load_checkpoint_file(extended.last, trust=True))
    assert after["reg"] == stored["reg"]
    assert after["deviations"] == pytest.approx(stored["deviations"], rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_saves_and_exits_with_130(rectangles: Path, tmp_path: Path, number: signal.Signals) -> None:
    log = (tmp_path / "log").open("w")
    words = [
        "train", "detect/yolov8n", f"model={TINY_MODEL}", f"data={rectangles}", "epochs=500", "imgsz=64", "batch=8",
        "device=cpu",
        "plots=false", "val=false", "albumentations=none", f"project={tmp_path}", "name=run",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "reg_yolo.cli.app", *words], stdout=log, stderr=log, cwd=tmp_path, env=os.environ
    )
    last = tmp_path / "run" / "weights" / "last.pt"
    deadline = time.monotonic() + 300
    while not last.exists() and time.monotonic() < deadline:
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.2)
    process.send_signal(number)
    assert process.wait(timeout=120) == 130
    text = (tmp_path / "log").read_text()
    assert f"{number.name}: saved" in text and "--resume" in text and "Traceback" not in text
    assert load_checkpoint_file(last)["optimizer"] is not None

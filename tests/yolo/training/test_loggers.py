"""Experiment loggers get the terms and settings of our trainers, and send nothing without being asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
import ultralytics.utils
import yaml
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.utils import SETTINGS

from reg_yolo.yolo.training import loggers
from reg_yolo.yolo.training.mixin import RegTraining
from reg_yolo.yolo.training.trainers import (
    RegDetectionTrainer,
    RegJointTrainer,
    RegSegmentationTrainer,
    RegSemanticTrainer,
)
from tests.conftest import polygon_row, write_rectangles
from tests.yolo.runs import FAST

# A class name with vowel and tone marks, and one with a sign, which MLflow takes neither of.
CLASSES = ("ป้ายเตือน", "sign & pole", "blue")
ALL = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")
Switch = Callable[..., None]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four training and two validation images with a polygon in every row; its YAML."""
    path = write_rectangles(tmp_path_factory.mktemp("logged"), {"train": 4, "val": 2}, row=polygon_row)
    names = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**names, "names": list(CLASSES)}, allow_unicode=True), encoding="utf-8")
    return path


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Switch:
    """Return a function that switches loggers on as Ultralytics' settings do, and all others off."""

    def switch(*wanted: str) -> None:
        # Upstream logs nothing where it finds pytest, and decides that as a logger's module is imported.
        monkeypatch.setattr(ultralytics.utils, "TESTS_RUNNING", False)
        for name in (*ALL, "wb"):
            monkeypatch.delitem(sys.modules, f"ultralytics.utils.callbacks.{name}", raising=False)
        monkeypatch.setattr(
            ultralytics.utils, "SETTINGS", {**SETTINGS, **dict.fromkeys(ALL, False), **dict.fromkeys(wanted, True)}
        )
        for name in ("COMET_START_ONLINE", "COMET_MODE", "CLEARML_OFFLINE_MODE", "ULTRALYTICS_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("YOLO_OFFLINE", "true")

    return switch


class Packages:
    """Stand-ins of wandb, clearml and comet_ml, which record what upstream's callbacks hand to them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wandb, self.clearml, self.comet = (ModuleType(name) for name in ("wandb", "clearml", "comet_ml"))
        for module in (self.wandb, self.clearml, self.comet):
            module.__version__ = "1.0"  # type: ignore[attr-defined]
            monkeypatch.setitem(sys.modules, module.__name__, module)
        self.run, self.task, self.experiment = MagicMock(), MagicMock(), MagicMock()
        started = SimpleNamespace(clearml=None, comet=None)

        def begin(place: Any, name: str, value: MagicMock) -> Callable[..., MagicMock]:
            def start(**_: Any) -> MagicMock:
                setattr(place, name, value)
                return value

            return start

        self.wandb.run = None  # type: ignore[attr-defined]
        self.wandb.init = MagicMock(side_effect=begin(self.wandb, "run", self.run))  # type: ignore[attr-defined]
        self.wandb.finish, self.wandb.Artifact = MagicMock(), MagicMock()  # type: ignore[attr-defined]
        self.init = MagicMock(side_effect=begin(started, "clearml", self.task))
        self.clearml.Task = SimpleNamespace(  # type: ignore[attr-defined]
            init=self.init, current_task=lambda: started.clearml
        )
        self.start = MagicMock(side_effect=begin(started, "comet", self.experiment))
        self.comet.start = self.start  # type: ignore[attr-defined]
        self.comet.get_running_experiment = lambda: started.comet  # type: ignore[attr-defined]


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Packages:
    return Packages(monkeypatch)


def trainer_of(trainer: type[RegTraining], data: Path, folder: Path, reg: Any = "reg_v1") -> Any:
    """Return a trainer for one epoch, not started yet."""
    joint = None
    model = "yolov8n.yaml"
    if trainer is RegJointTrainer:
        joint = {"data": str(data), "mask_classes": list(CLASSES[:2]), "lambda_seg": 0.5}
    if trainer is not RegDetectionTrainer:
        model = "yolov8n-sem.yaml" if trainer is RegSemanticTrainer else "yolov8n-seg.yaml"
    own = {**FAST, "imgsz": 32, "batch": 4, "model": model, "data": str(data), "save_dir": str(folder), "name": "run"}
    return trainer.with_settings(reg, joint=joint)(overrides=own)


def merged(mock: MagicMock) -> dict[str, Any]:
    """Return all dictionaries that a method was called with as one."""
    return {key: value for call in mock.call_args_list for one in call.args[:1] for key, value in one.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trainer", "loss", "term"),
    [
        (RegJointTrainer, "train/seg_loss", "reg/mask_scale"),
        (RegSemanticTrainer, "train/ce_loss", "reg/pixels_object"),
    ],
    ids=["joint", "semantic"],
)
def test_every_logger_gets_terms_and_settings(
    trainer: type[RegTraining], loss: str, term: str, data: Path, tmp_path: Path, switch: Switch, packages: Packages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    switch("clearml", "comet", "wandb")
    monkeypatch.setenv("COMET_START_ONLINE", "0")
    monkeypatch.setenv("CLEARML_OFFLINE_MODE", "1")
    trainer_of(trainer, data, tmp_path / "run", {"preset": "reg_v1", "focal": {"gamma": 1.25}}).train()
    weight = f"reg/weight/{CLASSES[0]}"
    reported = [call.args for call in packages.task.get_logger().report_scalar.call_args_list if call.args]
    scalars = {name: value for _, name, value in reported}
    for logged in (merged(packages.run.log), merged(packages.experiment.log_metrics), scalars):
        assert logged[loss] > 0
        assert logged[term] > 0 and logged["reg/scale"] > 0 and logged[weight] > 0
    for parameters in (
        merged(packages.run.config.setdefaults),
        merged(packages.experiment.log_parameters),
        merged(packages.task.connect),
    ):
        # Upstream's own arguments, and ours next to them.
        assert parameters["imgsz"] == 32
        assert parameters["reg.focal.gamma"] == 1.25 and parameters["reg.preset"] == "reg_v1"
        assert parameters["reg_yolo.task"] == trainer.task_name
        assert ("joint.lambda_seg" in parameters) == (trainer is RegJointTrainer)
    packages.task.connect.assert_called_with(
        packages.task.connect.call_args.args[0], name="reg_yolo", ignore_remote_overrides=True
    )


@pytest.mark.slow
def test_mlflow_and_tensorboard_get_terms_and_settings(
    data: Path, tmp_path: Path, switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real packages. Upstream logs to MLflow in tests whose name has `test_mlflow` in it."""
    wanted = [name for name in ("tensorboard", "mlflow") if _installed(name)]
    if not wanted:
        pytest.skip("neither tensorboard nor mlflow is installed")
    switch(*wanted)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/mlruns")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "roads")
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    # Of the graph of the network; it takes longer than the run.
    monkeypatch.setattr(torch.jit, "trace", MagicMock(side_effect=RuntimeError("no graph in tests")))
    trainer_of(RegDetectionTrainer, data, tmp_path / "run", {"preset": "reg_v1", "focal": {"gamma": 1.25}}).train()
    if "tensorboard" in wanted:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(tmp_path / "run")).Reload()
        tags = set(events.Tags()["scalars"])
        assert {"train/cls_loss", "metrics/mAP50(B)", "reg/class_positive", "reg/scale"} <= tags
        assert f"reg/weight/{CLASSES[0]}" in tags or "mlflow" in wanted
        assert events.Scalars("reg/class_positive")[0].value > 0
        [text] = events.Tensors("reg_yolo settings/text_summary")
        assert "gamma: 1.25" in text.tensor_proto.string_val[0].decode()
    if "mlflow" in wanted:
        from mlflow.tracking import MlflowClient

        client = MlflowClient()
        [run] = client.search_runs([client.get_experiment_by_name("roads").experiment_id])
        assert run.info.status == "FINISHED" and run.info.run_name == "run"
        assert run.data.params["reg.focal.gamma"] == "1.25" and run.data.params["imgsz"] == "32"
        assert run.data.params["task"] == "detect"
        assert run.data.metrics["reg/class_positive"] > 0 and run.data.metrics["train/cls_loss"] > 0
        # Names that MLflow refuses would have ended its logging.
        assert run.data.metrics["reg/weight/ป_ายเต_อน"] > 0 and run.data.metrics["reg/weight/sign _ pole"] > 0
        assert "metrics/mAP50B" in run.data.metrics


@pytest.mark.slow
def test_a_logger_that_fails_ends_no_training_and_is_called_no_more(
    data: Path, tmp_path: Path, switch: Switch, packages: Packages, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    switch("comet", "wandb")
    monkeypatch.setenv("COMET_START_ONLINE", "0")
    packages.run.log.side_effect = RuntimeError("disk quota\nof the store")
    trainer = trainer_of(RegDetectionTrainer, data, tmp_path / "run")
    trainer.train()
    said = [record.getMessage() for record in caplog.records if "logs no more" in record.getMessage()]
    assert len(said) == 1
    assert "Weights & Biases" in said[0] and said[0].endswith("RuntimeError: disk quota")
    packages.run.log.assert_called_once()
    assert merged(packages.experiment.log_metrics)["train/cls_loss"] > 0
    assert (tmp_path / "run/weights/best.pt").is_file()


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def test_what_sends_a_run_away_is_asked_for(
    rectangles: Path, tmp_path: Path, switch: Switch, packages: Packages, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def begin() -> Any:
        caplog.clear()
        return trainer_of(RegDetectionTrainer, rectangles, tmp_path / "run")

    switch("clearml", "comet", "tensorboard")
    monkeypatch.setenv("ULTRALYTICS_API_KEY", "ul_secret")
    trainer = begin()
    packages.init.assert_not_called()
    packages.start.assert_not_called()
    said = [record.getMessage() for record in caplog.records if "stays offline" in record.getMessage()]
    titles = [line.partition(" logs nothing")[0].rpartition("️ ")[2] for line in said]
    assert titles == ["ClearML", "Comet", "Ultralytics Platform"]
    assert "CLEARML_OFFLINE_MODE=1" in said[0] and "COMET_START_ONLINE=0" in said[1]
    modules = {callback.__module__.rpartition(".")[2] for each in trainer.callbacks.values() for callback in each}
    assert not modules & {"clearml", "comet", "platform"}
    monkeypatch.setenv("COMET_START_ONLINE", "0")
    begin()
    packages.start.assert_called_once()
    packages.init.assert_not_called()
    monkeypatch.setenv("YOLO_OFFLINE", "false")
    monkeypatch.delenv("ULTRALYTICS_API_KEY")
    begin()
    packages.init.assert_called_once()


def test_a_logger_that_fails_stops_no_training(
    caplog: pytest.LogCaptureFixture, packages: Packages, switch: Switch
) -> None:
    switch("wandb")
    wb = import_module("ultralytics.utils.callbacks.wb")
    packages.wandb.run = packages.run  # type: ignore[attr-defined]
    packages.run.config.setdefaults.side_effect = ValueError("no room\nat all")
    trainer = SimpleNamespace(callbacks={"on_train_end": [wb.callbacks["on_train_end"]]})
    loggers.log_settings(trainer, {"reg": {"focal": {"gamma": 1.0}, "alpha": {"weights": [1, 2]}}})
    assert caplog.messages[-1].removeprefix("WARNING ⚠️ ") == "wb: takes no settings of the loss (ValueError: no room)"
    packages.run.config.setdefaults.assert_called_with({"reg.focal.gamma": 1.0, "reg.alpha.weights": "[1, 2]"})
    packages.run.config.setdefaults.reset_mock()
    loggers.log_settings(SimpleNamespace(callbacks={}), {"reg": {}})
    packages.run.config.setdefaults.assert_not_called()


def test_all_trainers_have_it() -> None:
    for trainer in (RegDetectionTrainer, RegSegmentationTrainer, RegJointTrainer, RegSemanticTrainer):
        classes = trainer.__mro__
        assert classes.index(loggers.LoggedTraining) < classes.index(BaseTrainer)


def test_names_that_mlflow_takes_are_kept_and_others_stay_apart() -> None:
    names = ["train/box_loss", "reg/weight/a/b", "reg/weight/..", "reg/weight/a#b", "reg/weight/a&b", "fitness"]
    assert loggers.loggable_names(names) == [
        "train/box_loss", "reg/weight/a_b", "reg/weight/_", "reg/weight/a_b_2", "reg/weight/a_b_3", "fitness",
    ]  # fmt: skip

"""Training as a whole: what a run leaves, what a refused one does not, and the same from Python."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from ultralytics import YOLO

import reg_yolo
from reg_yolo.config.loader import load_config
from reg_yolo.config.overrides import read_overrides
from reg_yolo.config.yaml_text import read_yaml
from reg_yolo.errors import ConfigError, DataError, RegYoloError
from reg_yolo.yolo.commands import train as train_run
from reg_yolo.yolo.criterion.detection import RegDetectionLoss
from reg_yolo.yolo.training import records
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of
from tests.yolo.runs import TINY_MODEL

FAST: dict[str, Any] = {
    "model": TINY_MODEL, "epochs": 1, "imgsz": 64, "batch": 8, "device": "cpu", "workers": 0, "plots": False,
    "verbose": False,
}  # fmt: skip
REG = {"preset": "reg_v1", "focal": {"gamma": 2.0}, "alpha": {"scheme": "inverse_frequency"}}


@pytest.fixture(scope="module")
def finished(rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> train_run.TrainingResult:
    """A run of one epoch, started from Python with settings by keyword."""
    folder = tmp_path_factory.mktemp("runs")
    return reg_yolo.train("detect/yolov8n", data=rectangles, reg=REG, project=folder, name="first", **FAST)


@pytest.mark.slow
def test_run_leaves_weights_settings_counts_and_the_table(finished: Any) -> None:
    names = {path.name for path in finished.folder.iterdir()}
    expected = {
        "args.yaml",
        "augmented_training_images.jpg",
        "class_weights.csv",
        "data.yaml",
        "reg.yaml",
        "results.csv",
    }
    tables = {f"per_class.{suffix}" for suffix in ("csv", "json", "md", "txt")}
    assert expected | tables | {"weights"} <= names
    assert finished.folder.name == "first"
    assert (finished.best, finished.last) == tuple(finished.folder / f"weights/{name}.pt" for name in ("best", "last"))
    assert {path.name for path in (finished.folder / "weights").iterdir()} == {"best.pt", "last.pt"}
    assert finished.metrics.keys() >= {"metrics/mAP50(B)", "metrics/mAP50-95(B)"}


@pytest.mark.slow
def test_table_names_the_split_and_marks_rare_classes(finished: Any, rectangles: Path) -> None:
    text = (finished.folder / "per_class.txt").read_text()
    assert "Split: val" in text and "blue *" in text and "fewer than 20 instances" in text
    table = json.loads((finished.folder / "per_class.json").read_text())
    rows = [line for file in (rectangles.parent / "labels/val").glob("*.txt") for line in file.read_text().splitlines()]
    counts = {
        name: sum(row.startswith(str(index)) for row in rows) for index, name in enumerate(("red", "green", "blue"))
    }
    assert {row["name"]: row["instances"] for row in table["classes"]} == counts
    assert [result.instances for result in finished.report.classes] == list(counts.values())


@pytest.mark.slow
def test_settings_of_the_run_repeat_it(finished: Any, rectangles: Path) -> None:
    file = finished.folder / "reg.yaml"
    again = load_config(file, train_keys=train_run.DEFAULT_CFG_DICT)
    assert (again.task, again.model, again.data) == ("detect", TINY_MODEL, str(rectangles))
    assert again.reg.to_dict() == metadata_of(load_checkpoint_file(finished.best))["reg"]
    assert (again.reg.focal.gamma, again.reg.alpha.scheme) == (2.0, "inverse_frequency")
    assert {key: again.train[key] for key in ("epochs", "imgsz", "batch")} == {"epochs": 1, "imgsz": 64, "batch": 8}
    assert "project" not in yaml.safe_load(file.read_text())["train"]


@pytest.mark.slow
def test_final_validation_stores_thresholds_in_best(finished: Any) -> None:
    stored = metadata_of(load_checkpoint_file(finished.best))["thresholds"]
    assert stored["criterion"] == "best_f1" and list(stored["values"]) == ["red", "green", "blue"]
    assert stored["values"] == {row.name: row.threshold for row in finished.report.classes}


@pytest.mark.slow
def test_validation_takes_the_data_of_the_training(finished: Any, rectangles: Path) -> None:
    result = reg_yolo.val(finished.best, device="cpu", workers=0, plots=False)
    assert json.loads(result.thresholds_file.read_text())["data"] == str(rectangles)
    assert result.metrics["metrics/mAP50(B)"] == pytest.approx(finished.metrics["metrics/mAP50(B)"], abs=1e-3)


@pytest.mark.slow
def test_terms_of_the_criterion_are_logged_with_every_epoch(finished: Any) -> None:
    rows = list(csv.DictReader((finished.folder / "results.csv").read_text().splitlines()))
    assert len(rows) == 1
    ours = [name for name in rows[0] if name.startswith("reg/")]
    assert ours and all(math.isfinite(float(rows[0][name])) for name in ours)


def test_run_that_fails_before_it_saved_leaves_no_trace(
    own_rectangles: Path, monkeypatch: pytest.MonkeyPatch, working_directory: Path
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(train_run.RegDetectionTrainer, "setup_model", fail)
    with pytest.raises(OSError, match="Input/output"):
        reg_yolo.train("detect/yolov8n", data=own_rectangles, **FAST)
    assert not any(working_directory.iterdir())


def test_folder_that_was_there_before_survives_a_failure(own_rectangles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RegYoloError("refused")

    monkeypatch.setattr(train_run.RegDetectionTrainer, "setup_model", fail)
    notes = Path("mine/run/notes.txt")
    notes.parent.mkdir(parents=True)
    notes.write_text("keep")
    with pytest.raises(RegYoloError):
        reg_yolo.train("detect/yolov8n", data=own_rectangles, project="mine", name="run", exist_ok=True, **FAST)
    assert notes.read_text() == "keep"
    # Without exist_ok the run would have gone into a folder of its own, which is gone again.
    with pytest.raises(RegYoloError):
        reg_yolo.train("detect/yolov8n", data=own_rectangles, project="mine", name="run", **FAST)
    assert [path.name for path in Path("mine").iterdir()] == ["run"]


def test_run_that_had_saved_stays(own_rectangles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save_and_fail(self: Any) -> None:
        self.last.write_bytes(b"weights")
        raise KeyboardInterrupt

    monkeypatch.setattr(train_run.RegDetectionTrainer, "setup_model", save_and_fail)
    with pytest.raises(KeyboardInterrupt):
        reg_yolo.train("detect/yolov8n", data=own_rectangles, **FAST)
    assert Path("runs/detect/train/weights/last.pt").is_file()


def test_project_that_is_a_file_is_refused(own_rectangles: Path) -> None:
    Path("taken").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        reg_yolo.train("detect/yolov8n", data=own_rectangles, project="taken", **FAST)


def test_dry_run_computes_one_batch_and_makes_no_folder(own_rectangles: Path, working_directory: Path) -> None:
    words = [f"{key}={json.dumps(value)}" for key, value in FAST.items()]
    result = reg_yolo.dry_run("detect/yolov8n", [f"data={own_rectangles}", *words, "model=yolov8n.yaml"])
    assert not any(working_directory.iterdir())
    assert set(result.losses) == {"box_loss", "cls_loss", "dfl_loss"}
    assert all(math.isfinite(value) and value > 0 for value in result.losses.values())
    assert result.images == 6 and result.parameters > 3_000_000 and "preset reg" in result.description
    rows = [row for file in (own_rectangles.parent / "labels/train").glob("*.txt") for row in file.open()]
    assert sum(result.class_counts.values()) == len(rows) and list(result.class_counts) == ["red", "green", "blue"]
    assert result.terms and all(math.isfinite(value) for value in result.terms.values())


def test_dry_run_refuses_what_training_would(own_rectangles: Path, working_directory: Path) -> None:
    with pytest.raises(ConfigError, match="epocs"):
        reg_yolo.dry_run("detect/yolov8n", [f"data={own_rectangles}", "epocs=1"])
    sorted((own_rectangles.parent / "labels/train").glob("*.txt"))[0].write_text("9 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError, match="class id 9"):
        reg_yolo.dry_run("detect/yolov8n", [f"data={own_rectangles}"])
    assert not any(working_directory.iterdir())


# From Python ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_trainer_goes_into_ultralytics_own_train(rectangles: Path, tmp_path: Path) -> None:
    trainer = reg_yolo.RegDetectionTrainer.with_settings({"preset": "reg_v1", "focal": {"gamma": 1.5}})
    model = YOLO("yolov8n.yaml")
    seen: list[Any] = []
    model.add_callback("on_train_end", lambda running: seen.append(running.criterion))
    model.train(trainer=trainer, data=str(rectangles), project=str(tmp_path), name="run", **FAST)
    assert isinstance(seen[0], RegDetectionLoss) and seen[0].training_calls > 0
    stored = metadata_of(load_checkpoint_file(tmp_path / "run/weights/best.pt"))
    assert stored["reg"]["focal"]["gamma"] == 1.5
    assert model.names == {0: "red", 1: "green", 2: "blue"}
    results = model.predict(torch.zeros(1, 3, 64, 64), verbose=False)
    assert len(results) == 1


def test_trainer_refuses_unknown_settings_at_once() -> None:
    with pytest.raises(ConfigError, match=r"reg\.focal\.gama|focal\.gama"):
        reg_yolo.RegDetectionTrainer.with_settings({"focal": {"gama": 1.5}})


def test_resolved_configuration_can_be_handed_over(own_rectangles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = reg_yolo.load_config("detect/yolov8n", [f"data={own_rectangles}", "reg.focal.gamma=0.5", "epochs=1"])
    seen: list[Any] = []

    def note(self: Any) -> None:
        seen.append((self.reg.focal.gamma, self.args.epochs, self.args.data))
        raise RegYoloError("far enough")

    monkeypatch.setattr(train_run.RegDetectionTrainer, "train", note)
    with pytest.raises(RegYoloError, match="far enough"):
        reg_yolo.train(config)
    assert seen == [(0.5, 1, str(own_rectangles))]
    with pytest.raises(ConfigError, match="overrides"):
        reg_yolo.train(config, ["epochs=2"])


def test_keywords_mean_what_they_say_whatever_their_text() -> None:
    for value in ("a: b #c", "null", "1", 1e-05, None, [640, 384], Path("/a b/ป้าย.yaml")):
        word = train_run.as_override("project", value)
        expected = str(value) if isinstance(value, Path) else value
        assert read_overrides([word]).values == {"train": {"project": expected}}


def test_a_model_alone_takes_the_configuration_of_its_name(rectangles: Path) -> None:
    resolved = train_run.resolve_config(None, ["model=yolov8s.yaml", f"data={rectangles}", "epochs=3"])
    assert (resolved.task, resolved.model, resolved.train["epochs"]) == ("detect", "yolov8s.yaml", 3)
    assert resolved.reg == load_config("detect/yolov8s", train_keys=train_run.DEFAULT_CFG_DICT).reg
    with pytest.raises(ConfigError, match=r"neither a configuration nor a model is named; .*model=yolov8n\.pt"):
        train_run.resolve_config(None, [f"data={rectangles}"])


@pytest.mark.slow
def test_weights_alone_say_their_task(finished: Any, rectangles: Path) -> None:
    resolved = train_run.resolve_config(None, [f"model={finished.best}", f"data={rectangles}"])
    assert (resolved.task, resolved.model) == ("detect", str(finished.best))


def test_class_names_that_look_like_numbers_come_back_as_text(tmp_path: Path) -> None:
    arguments = {"model": "yolov8n.yaml", "data": "data.yaml", "epochs": 3, "name": "run"}
    joint = {"mask_classes": ["1e3", "no", "0x10", "wall"]}
    records.write_settings(tmp_path, "joint", arguments, reg={"preset": "reg_v1"}, joint=joint)
    assert read_yaml((tmp_path / "reg.yaml").read_text(), "reg.yaml").value["mask_classes"] == joint["mask_classes"]


@pytest.mark.slow
def test_bfloat16_trains_by_command_where_the_processor_computes_it(
    rectangles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reg_yolo.yolo.training import precision

    monkeypatch.setattr(precision, "cpu_computes_bfloat16", lambda: True)
    words = {**FAST, "data": str(rectangles), "amp": "bf16", "project": str(tmp_path), "name": "bf16"}
    result = reg_yolo.train("detect/yolov8n", [], **words)
    assert metadata_of(load_checkpoint_file(result.last))["precision"] == "bf16"

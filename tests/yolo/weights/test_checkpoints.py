"""Checkpoints stay portable, carry what must survive, and are never cut off."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ultralytics import YOLO
from ultralytics.nn.tasks import DetectionModel

from reg_yolo import files
from reg_yolo.errors import WeightsError
from reg_yolo.evaluation.thresholds import ClassThresholds
from reg_yolo.files import file_sha256, replace_bytes
from reg_yolo.yolo.weights.checkpoints import (
    METADATA_KEY,
    load_checkpoint_file,
    metadata_of,
    model_of,
    read_thresholds,
    write_thresholds,
)
from tests.yolo.runs import trainer_for


@pytest.fixture(scope="module")
def finished(rectangles: Path, tmp_path_factory: pytest.TempPathFactory):
    """A finished run of one epoch with the full REG loss."""
    trainer = trainer_for(rectangles, tmp_path_factory.mktemp("run") / "train", "reg_u")
    trainer.train()
    return trainer


def plain(value: object) -> bool:
    """Whether a value is made of plain Python data alone."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(plain(item) for item in value)
    return value is None or type(value) in {str, int, float, bool}


@pytest.mark.slow
def test_best_loads_and_predicts_where_reg_yolo_cannot_be_imported(finished, tmp_path: Path) -> None:
    script = """
import builtins, sys
real = builtins.__import__
def refuse(name, *args, **kwargs):
    if name.split(".")[0] == "reg_yolo":
        raise ImportError(f"{name} is not installed here")
    return real(name, *args, **kwargs)
builtins.__import__ = refuse
sys.modules["reg_yolo"] = None
import numpy as np
from ultralytics import YOLO
model = YOLO(sys.argv[1])
assert type(model.model).__module__ == "ultralytics.nn.tasks", type(model.model)
results = model.predict(np.zeros((96, 128, 3), np.uint8), imgsz=64, verbose=False, device="cpu")
assert len(results) == 1
assert not [name for name, module in sys.modules.items() if name.startswith("reg_yolo") and module is not None]
print("LOADED", list(model.names.values()))
"""
    for weights in (finished.best, finished.last):
        done = subprocess.run(
            [sys.executable, "-c", script, str(weights)], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert "LOADED ['red', 'green', 'blue']" in done.stdout, done.stderr


def test_best_opens_with_the_restricted_loader_and_holds_a_stock_model(finished) -> None:
    checkpoint = load_checkpoint_file(finished.best)
    assert type(model_of(checkpoint)) is DetectionModel
    assert getattr(model_of(checkpoint), "criterion", None) is None


def test_metadata_is_plain_data_under_the_key_and_on_the_model(finished) -> None:
    checkpoint = torch.load(finished.best, weights_only=False, map_location="cpu")
    stored = checkpoint[METADATA_KEY]
    assert stored == getattr(checkpoint["model"], METADATA_KEY)
    assert plain(stored)
    assert stored["reg"] == finished.reg.to_dict()
    assert stored["class_counts"] == finished.class_counts
    assert set(stored["thresholds"]["values"]) == {"red", "green", "blue"}
    assert stored["class_weights"] == pytest.approx(finished.criterion.class_weights_list())


def test_weights_saved_again_by_plain_ultralytics_keep_our_metadata(finished, tmp_path: Path) -> None:
    model = YOLO(finished.best)
    copy = tmp_path / "copy.pt"
    model.save(copy)
    assert metadata_of(load_checkpoint_file(copy))["reg"] == finished.reg.to_dict()


def test_run_directory_has_everything_and_no_partial_file(finished) -> None:
    names = {path.name for path in finished.save_dir.rglob("*")}
    assert {"reg.yaml", "class_weights.csv", "per_class.txt", "per_class.json", "best.pt", "last.pt"} <= names
    assert not [name for name in names if name.endswith(".part") or name.startswith(".")]
    report = json.loads((finished.save_dir / "per_class.json").read_text())
    assert report["split"] == "val" and len(report["classes"]) == 3


def test_results_table_logs_the_terms_and_the_class_weights(finished) -> None:
    header, first = (finished.save_dir / "results.csv").read_text().splitlines()[:2]
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert float(row["reg/class_positive"]) > 0 and float(row["reg/class_negative"]) > 0
    assert float(row["reg/weight/green"]) > float(row["reg/weight/red"]) > 0
    assert 0 < float(row["reg/spatial_mean"]) <= 1 and float(row["reg/deviation_mean"]) > 0


def test_a_crash_while_writing_leaves_the_old_file(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = working_directory / "last.pt"
    target.write_bytes(b"old")

    def no_room(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", no_room)
    with pytest.raises(OSError, match="No space left"):
        replace_bytes(target, b"new and cut off")
    assert target.read_bytes() == b"old"
    assert list(working_directory.iterdir()) == [target]


@pytest.mark.slow
def test_checkpoints_of_a_run_change_by_rename_only(rectangles: Path, tmp_path: Path) -> None:
    trainer = trainer_for(rectangles, tmp_path / "run", epochs=2, val=False)
    seen: dict[str, set[int]] = {"last.pt": set(), "best.pt": set()}
    held = []

    def look(_trainer: object) -> None:
        for name, inodes in seen.items():
            stream = (trainer.wdir / name).open("rb")
            held.append(stream)  # keeps the number of the replaced file from being given out again
            inodes.add((trainer.wdir / name).stat().st_ino)

    trainer.add_callback("on_model_save", look)
    trainer.add_callback("on_train_end", look)
    trainer.train()
    # Two saves and the final strip: a file written in place would keep its number.
    assert len(seen["last.pt"]) == 3 and len(seen["best.pt"]) == 3
    for stream in held:
        stream.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not a readable checkpoint"), (b"\x89PNG not weights", "not a readable checkpoint")],
)
def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        load_checkpoint_file(file)


def test_cut_off_checkpoint_is_refused(finished, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pt"
    cut.write_bytes(finished.best.read_bytes()[:200_000])
    with pytest.raises(WeightsError, match="not a readable checkpoint"):
        load_checkpoint_file(cut)


def test_checkpoint_without_a_model_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "state.pt"
    torch.save({"state": torch.zeros(3)}, file)
    with pytest.raises(WeightsError, match="holds no Ultralytics model"):
        load_checkpoint_file(file)


class Foreign:
    """A class that the restricted loader does not know."""


def test_foreign_code_is_refused_unless_trusted(finished, tmp_path: Path) -> None:
    checkpoint = torch.load(finished.best, weights_only=False, map_location="cpu")
    checkpoint["surprise"] = Foreign()
    file = tmp_path / "foreign.pt"
    torch.save(checkpoint, file)
    with pytest.raises(WeightsError, match="`trust=True`"):
        load_checkpoint_file(file)
    assert type(load_checkpoint_file(file, trust=True)["surprise"]) is Foreign


def test_thresholds_beside_weights_go_first_and_only_for_those_weights(tmp_path: Path) -> None:
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"weights")
    inside = {"thresholds": ClassThresholds("best_f1", {"a": 0.3}).to_dict()}
    found = read_thresholds(weights, inside)
    assert found is not None and found[0].values == {"a": 0.3}
    written = write_thresholds(weights, ClassThresholds("min_precision", {"a": 0.7}, 0.9), "data.yaml")
    assert json.loads(written.read_text())["weights_sha256"] == file_sha256(weights)
    found = read_thresholds(weights, inside)
    assert found is not None and found[0].values == {"a": 0.7} and found[1] == str(written)
    weights.write_bytes(b"weights, trained again")
    found = read_thresholds(weights, inside)
    assert found is not None and found[0].values == {"a": 0.3}
    assert read_thresholds(weights, {}) is None


def test_damaged_thresholds_file_is_named(tmp_path: Path) -> None:
    weights = tmp_path / "best.pt"
    weights.write_bytes(b"weights")
    (tmp_path / "best.thresholds.json").write_text("{")
    with pytest.raises(WeightsError, match=r"best\.thresholds\.json: not a thresholds file"):
        read_thresholds(weights, {})

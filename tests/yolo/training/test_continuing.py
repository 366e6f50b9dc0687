"""A run that was cut off at any point goes on where it lies, and nothing counts twice."""

from __future__ import annotations

import csv
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ultralytics.utils import LOGGER

from reg_yolo.config.loader import load_config
from reg_yolo.errors import ConfigError, TrainingInterrupted, WeightsError
from reg_yolo.yolo.commands.resume import resume_with_overrides
from reg_yolo.yolo.training import saving
from reg_yolo.yolo.training.resume import epochs_behind, run_folder_of
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of
from tests.cli.conftest import contents
from tests.yolo.runs import TINY_MODEL, trainer_for

pytestmark = pytest.mark.slow

EPOCHS = 2


class Killed(BaseException):
    """The end of a process, as far as this one can play it."""


def kill(*_: Any, **__: Any) -> None:
    raise Killed


def epochs_in(folder: Path) -> list[int]:
    """Return the epochs in results.csv, in its order."""
    with (folder / "results.csv").open() as stream:
        return [int(row["epoch"]) for row in csv.DictReader(stream)]


def epoch_of(weights: Path) -> int:
    return int(load_checkpoint_file(weights)["epoch"])


def cut_off(rectangles: Path, folder: Path, patch: Callable[[Any], None]) -> Path:
    """Train in `folder` until something that `patch` has laid into the trainer ends the process."""
    trainer = trainer_for(rectangles, folder, epochs=EPOCHS)
    patch(trainer)
    with pytest.raises((Killed, TrainingInterrupted)):
        trainer.train()
    return folder


def require_finished(folder: Path) -> None:
    """Check that a run is whole: every epoch once, both checkpoints stripped, thresholds and per-class files."""
    assert epochs_in(folder) == list(range(1, EPOCHS + 1))
    for name in ("last.pt", "best.pt"):
        assert load_checkpoint_file(folder / "weights" / name)["optimizer"] is None
    assert list(metadata_of(load_checkpoint_file(folder / "weights/best.pt"))["thresholds"]["values"])
    assert {path.suffix for path in folder.glob("per_class.*")} == {".csv", ".json", ".md", ".txt"}
    assert not list(folder.rglob("*.part"))
    with pytest.raises(WeightsError, match="this run is finished"):
        resume_with_overrides(folder)


def stop_in_epoch(epoch: int) -> Callable[[Any], None]:
    """Let a signal arrive during the batches of an epoch, counted from 0."""

    def patch(trainer: Any) -> None:
        def ask(running: Any) -> None:
            if running.epoch == epoch:
                signal.raise_signal(signal.SIGTERM)

        trainer.add_callback("on_train_batch_end", ask)

    return patch


@pytest.fixture(scope="module")
def stopped(rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that a signal stopped in its second epoch."""
    return cut_off(rectangles, tmp_path_factory.mktemp("stopped") / "run", stop_in_epoch(1))


@pytest.fixture(scope="module")
def trained(rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed after the last last.pt, before its final evaluation."""

    def patch(trainer: Any) -> None:
        trainer.final_eval = kill

    return cut_off(rectangles, tmp_path_factory.mktemp("trained") / "run", patch)


def test_resuming_a_copy_writes_into_the_copy(stopped: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(stopped, tmp_path / "copy"))
    before = contents(stopped)
    result = resume_with_overrides(copied)
    assert result.folder == copied
    require_finished(copied)
    assert contents(stopped) == before
    # The settings still name the model that the run began with, not its own checkpoint.
    assert load_config(copied / "reg.yaml", []).model == TINY_MODEL


def test_a_row_without_its_checkpoint_is_not_doubled(rectangles: Path, tmp_path: Path) -> None:
    def patch(trainer: Any) -> None:
        save = trainer.save_model
        trainer.save_model = lambda *a, **k: kill() if trainer.epoch == 1 else save(*a, **k)

    folder = cut_off(rectangles, tmp_path / "run", patch)
    assert epochs_in(folder) == [1, 2] and epoch_of(folder / "weights/last.pt") == 0
    with (folder / "results.csv").open("a") as stream:
        stream.write("3,0.5,1.")
    (folder / "weights/.last.pt.0123abcd.part").write_bytes(b"half of it")
    resume_with_overrides(folder)
    require_finished(folder)


def test_a_best_that_was_not_written_any_more_is_written(
    rectangles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []
    write = saving.write_checkpoint

    def write_one(checkpoint: Any, paths: list[Path]) -> None:
        written.extend(paths)
        write(checkpoint, paths[:1])
        if checkpoint["epoch"] == EPOCHS - 1:
            raise Killed

    def nothing(_: Any) -> None:
        monkeypatch.setattr(saving, "write_checkpoint", write_one)

    folder = cut_off(rectangles, tmp_path / "run", nothing)
    monkeypatch.undo()
    # On so small a set no epoch is better than another, and upstream takes the last of equals.
    assert written == [folder / "weights" / name for name in ("last.pt", "best.pt")] * EPOCHS
    assert not (folder / "weights/best.pt").exists()
    resume_with_overrides(folder)
    require_finished(folder)


@pytest.mark.parametrize("place", ["best not stripped", "validation", "thresholds"])
def test_a_run_killed_in_its_final_evaluation_is_completed(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    strip = saving.AtomicCheckpoints._strip

    def strip_last(self: Any, path: Path, updates: dict[str, Any]) -> dict[str, Any]:
        return kill() if path.name == "best.pt" else strip(self, path, updates)

    from reg_yolo.yolo.validation.validators import RegDetectionValidator

    patches: dict[str, tuple[Any, str, Any]] = {
        "best not stripped": (saving.AtomicCheckpoints, "_strip", strip_last),
        "validation": (RegDetectionValidator, "preprocess", kill),
        "thresholds": (saving, "write_checkpoint", kill),
    }
    monkeypatch.setattr(*patches[place])
    with pytest.raises(Killed):
        resume_with_overrides(folder)
    monkeypatch.undo()
    rows = (folder / "results.csv").read_text()
    resume_with_overrides(folder)
    require_finished(folder)
    assert (folder / "results.csv").read_text() == rows


def test_a_signal_in_the_final_validation_keeps_the_trained_weights(trained: Path, tmp_path: Path) -> None:
    from reg_yolo.yolo.training.trainers import RegDetectionTrainer

    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    weights = load_checkpoint_file(folder / "weights/last.pt")["ema"].state_dict()
    trainer = RegDetectionTrainer(overrides={"resume": str(folder / "weights/last.pt")})
    trainer.add_callback("on_val_start", lambda _: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(TrainingInterrupted, match="continue with: reg-yolo train --resume"):
        trainer.train()
    after = load_checkpoint_file(folder / "weights/last.pt")["model"].state_dict()
    assert weights.keys() == after.keys() and all(torch.equal(weights[name], after[name]) for name in weights)
    resume_with_overrides(folder)
    require_finished(folder)


def test_a_signal_in_the_first_epoch_repeats_it(rectangles: Path, tmp_path: Path) -> None:
    folder = cut_off(rectangles, tmp_path / "run", stop_in_epoch(0))
    checkpoint = load_checkpoint_file(folder / "weights/last.pt")
    assert checkpoint["epoch"] == -1 and epochs_behind(checkpoint) == 0
    with pytest.raises(ConfigError, match="is not finished"):
        resume_with_overrides(folder, overrides=["epochs=5"])
    resume_with_overrides(folder)
    require_finished(folder)


def test_changed_labels_and_images_are_said(
    own_rectangles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cut_off(own_rectangles, tmp_path / "run", stop_in_epoch(0))
    root = own_rectangles.parent
    label = next(iter(sorted((root / "labels/train").glob("*.txt"))))
    label.write_text("0 0.5 0.5 0.25 0.25\n")
    image = next(iter(sorted((root / "images/val").glob("*"))))
    shutil.copy(image, image.with_name(f"zz{image.suffix}"))
    said: list[str] = []
    monkeypatch.setattr(LOGGER, "warning", said.append)
    resume_with_overrides(folder)
    [line] = [text for text in said if "has changed" in text]
    count = len(list((root / "images/val").glob("*")))
    assert "train: other content in its labels" in line and f"val: {count} images, {count - 1} before" in line


def test_an_untouched_data_set_is_not_said_to_have_changed(
    stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(LOGGER, "warning", said.append)
    resume_with_overrides(Path(shutil.copytree(stopped, tmp_path / "copy")))
    assert not [text for text in said if "has changed" in text]


def test_a_checkpoint_outside_of_a_run_touches_no_other_folder(stopped: Path, tmp_path: Path) -> None:
    before = contents(stopped)
    shutil.copy(stopped / "weights/last.pt", tmp_path / "last.pt")
    with pytest.raises(ConfigError, match="lies outside of a run"):
        resume_with_overrides(tmp_path / "last.pt")
    from reg_yolo.yolo.training.trainers import RegDetectionTrainer

    trainer = RegDetectionTrainer(overrides={"resume": str(tmp_path / "last.pt")})
    assert Path(trainer.save_dir) == tmp_path
    assert contents(stopped) == before


def test_the_folder_of_a_run_is_where_its_checkpoint_lies() -> None:
    assert run_folder_of(Path("runs/a/weights/last.pt")) == Path.cwd() / "runs/a"
    assert run_folder_of(Path("/x/weights/last.pt")) == Path("/x")
    assert run_folder_of(Path("runs/a/last.pt")) is None

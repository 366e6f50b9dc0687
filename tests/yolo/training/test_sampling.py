"""Sampling in whole runs: the loader's draws, what is written, what a resumed run goes on with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ultralytics.data.build import InfiniteDataLoader
from ultralytics.utils import DEFAULT_CFG_DICT

from reg_yolo.config.loader import load_config
from reg_yolo.errors import ConfigError, TrainingInterrupted
from reg_yolo.yolo.commands.resume import resume_with_overrides
from reg_yolo.yolo.datasets.sampling import SampledDataLoader
from reg_yolo.yolo.training.trainers import RegDetectionTrainer, RegJointTrainer
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of
from tests.yolo.runs import FAST

SAMPLING = {"method": "repeat_factor", "threshold": 1.0, "copy_paste": {"probability": 0.5, "classes": ["green"]}}


def trainer_of(data: Path, folder: Path, sampling: Any, **arguments: Any) -> Any:
    settings = {**FAST, "data": str(data), "save_dir": str(folder), **arguments}
    return RegDetectionTrainer.with_settings("reg_v1", sampling=sampling)(overrides=settings)


def draws_by_epoch(trainer: Any) -> dict[int, list[str]]:
    """Note which images each epoch of a run was shown, in order."""
    shown: dict[int, list[str]] = {}
    prepare = trainer.preprocess_batch

    def note(batch: dict[str, Any]) -> dict[str, Any]:
        shown.setdefault(trainer.epoch, []).extend(Path(file).name for file in batch["im_file"])
        return prepare(batch)

    trainer.preprocess_batch = note
    return shown


@pytest.fixture(scope="module")
def sampled(rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of four epochs with sampling, stopped in its third; and what each epoch was shown."""
    trainer = trainer_of(rectangles, tmp_path_factory.mktemp("sampled") / "run", SAMPLING, epochs=4, close_mosaic=1)
    shown = draws_by_epoch(trainer)

    def stop(running: Any) -> None:
        if running.epoch == 2:
            running.interruption._receive(15, None)

    trainer.add_callback("on_train_batch_end", stop)
    with pytest.raises(TrainingInterrupted):
        trainer.train()
    return trainer, shown


def test_images_of_rare_classes_are_shown_more_often(sampled: Any) -> None:
    trainer, shown = sampled
    sampler = trainer.train_loader.sampler
    files = [Path(file).name for file in trainer.train_loader.dataset.im_files]
    for epoch in (0, 1):
        counts = np.array([Counter(shown[epoch])[file] for file in files])
        assert counts.sum() == len(files) == 24
        assert np.all((counts == np.floor(sampler.expectations)) | (counts == np.ceil(sampler.expectations)))
        assert shown[epoch] == [files[index] for index in sampler._draws.order(epoch)]
    rare = np.array([1 in label["cls"] for label in trainer.train_loader.dataset.labels])
    assert 0 < rare.sum() < 24
    assert sampler.expectations[rare].min() > 1.2 * sampler.expectations[~rare].max()


def test_the_run_keeps_its_sampling(sampled: Any) -> None:
    trainer, _ = sampled
    assert metadata_of(load_checkpoint_file(trainer.last))["sampling"] == trainer.sampling.to_dict()
    config = load_config(trainer.save_dir / "reg.yaml", train_keys=DEFAULT_CFG_DICT)
    assert config.sampling == trainer.sampling
    assert config.sampling.copy_paste.classes == ["green"]


def test_another_sampling_is_refused_with_the_difference(sampled: Any) -> None:
    trainer, _ = sampled
    with pytest.raises(ConfigError) as refused:
        resume_with_overrides(trainer.save_dir, overrides=["sampling.threshold=0.5", "sampling.method=none"])
    assert 'sampling.method: "repeat_factor", now "none"' in str(refused.value)
    assert "sampling.threshold: 1.0, now 0.5" in str(refused.value)
    resumed = {"resume": str(trainer.last), "model": str(trainer.last)}
    with pytest.raises(ConfigError, match=r"sampling\.copy_paste.probability: 0\.5, now 0"):
        RegDetectionTrainer.with_settings("reg_v1", sampling="repeat_factor")(overrides=resumed)


@pytest.mark.slow
def test_a_resumed_run_goes_on_with_the_draws_of_its_epoch(sampled: Any) -> None:
    trainer, _ = sampled
    resumed = RegDetectionTrainer(overrides={"resume": str(trainer.last), "model": str(trainer.last)})
    shown = draws_by_epoch(resumed)
    resumed.train()
    files = [Path(file).name for file in trainer.train_loader.dataset.im_files]
    # Mosaic is closed for the last epoch, which resets the loader.
    for epoch in (2, 3):
        assert shown[epoch] == [files[index] for index in trainer.train_loader.sampler._draws.order(epoch)]


def test_without_sampling_the_loader_is_upstreams(rectangles: Path, tmp_path: Path) -> None:
    trainer = trainer_of(rectangles, tmp_path / "run", None)
    trainer._setup_train()
    assert type(trainer.train_loader) is InfiniteDataLoader
    assert "sampling" not in (tmp_path / "run" / "reg.yaml").read_text()


@pytest.mark.slow
def test_fraction_and_scaled_epochs(rectangles: Path, tmp_path: Path) -> None:
    sampling = {"method": "instance_repeat_factor", "epoch": "scaled", "threshold": 1.0}
    trainer = trainer_of(rectangles, tmp_path / "run", sampling, fraction=0.5)
    trainer._setup_train()
    assert len(trainer.train_loader.dataset) == 12
    assert len(trainer.train_loader.sampler) == round(trainer.train_loader.sampler.expectations.sum()) > 12


@pytest.mark.slow
def test_joint_sets_train_with_sampling(mixed_rectangles: Path, tmp_path: Path) -> None:
    joint = {"data": str(mixed_rectangles), "mask_classes": ["red", "blue"]}
    settings = {**FAST, "task": "segment", "model": "yolov8n-seg.yaml", "mixup": 0.5, "data": str(mixed_rectangles)}
    trainer_class = RegJointTrainer.with_settings("reg_v1", sampling=SAMPLING, joint=joint)
    trainer = trainer_class(overrides={**settings, "save_dir": str(tmp_path / "run")})
    shown = draws_by_epoch(trainer)
    trainer.train()
    assert isinstance(trainer.train_loader, SampledDataLoader)
    assert len(shown[0]) == 40


def test_rectangular_batches_are_refused(rectangles: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rect: orders the images by shape"):
        trainer_of(rectangles, tmp_path / "run", "repeat_factor", rect=True)._setup_train()

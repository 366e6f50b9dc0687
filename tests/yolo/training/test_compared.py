"""Runs that can be compared: what an arm draws while it is set up reaches neither its weights nor its batches."""

from __future__ import annotations

import random
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reg_yolo.yolo.training.compared import ComparedTraining, compared, digest_of_weights
from reg_yolo.yolo.training.trainers import RegDetectionTrainer, RegJointTrainer, RegSegmentationTrainer
from tests.yolo.runs import FAST

pytestmark = pytest.mark.slow


class DrawingTrainer(RegDetectionTrainer):
    """A trainer that uses random numbers before its model is built and before its first batch."""

    def _draw(self) -> None:
        random.random()
        np.random.rand()  # noqa: NPY002  (the generator that augmentation draws from)
        torch.rand(3)

    def setup_model(self) -> Any:
        self._draw()
        return super().setup_model()

    def set_class_weights(self) -> None:
        self._draw()
        super().set_class_weights()


def trained(trainer: type, data: Path, folder: Path, joint: Any = None, **arguments: Any) -> ComparedTraining:
    """Train an epoch."""
    settings = {**FAST, "data": str(data), "save_dir": str(folder), "val": False, "nbs": 8, **arguments}
    own = compared(trainer.with_settings("stock", joint=joint), progress=None, reading=nullcontext)(overrides=settings)
    own.train()
    return own


def test_what_an_arm_draws_while_it_is_set_up_changes_nothing(rectangles: Path, tmp_path: Path) -> None:
    plain = trained(RegDetectionTrainer, rectangles, tmp_path / "plain")
    drawing = trained(DrawingTrainer, rectangles, tmp_path / "drawing")
    other = trained(RegDetectionTrainer, rectangles, tmp_path / "other", seed=1)
    assert drawing.initial_weights == plain.initial_weights and drawing.draws == plain.draws
    assert other.initial_weights != plain.initial_weights and other.draws != plain.draws
    assert plain.steps == drawing.steps == 3
    assert not plain.best.exists() and plain.last.exists()
    assert plain.validator.matches["box"].images == tuple(f"{number:03d}.png" for number in range(8))


def test_matches_of_masks_are_kept_by_task(mixed_rectangles: Path, polygons: Path, tmp_path: Path) -> None:
    """Of task segment every object has a mask; of joint those of the mask classes that were outlined."""
    joint = {"data": str(mixed_rectangles), "mask_classes": ["red", "blue"]}
    model = {"model": "yolov8n-seg.yaml", "task": "segment"}
    runs = {
        "joint": trained(RegJointTrainer, mixed_rectangles, tmp_path / "joint", joint=joint, **model),
        "segment": trained(RegSegmentationTrainer, polygons, tmp_path / "segment", **model),
    }
    for task, own in runs.items():
        boxes, masks = own.validator.matches["box"], own.validator.matches["mask"]
        for matches, report in ((boxes, own.report), (masks, own.mask_report)):
            counts = np.bincount(matches.target_class, minlength=3)
            names = [own.data["names"][index] for index in range(3)]
            instances = {result.name: result.instances for result in report.classes}
            assert dict(zip(names, counts.tolist(), strict=True)) == {name: instances.get(name, 0) for name in names}
            assert matches.images == boxes.images and matches.correct.shape == (len(matches.confidence), 10)
        assert (len(masks.target_class) < len(boxes.target_class)) == (task == "joint")


def test_the_digest_of_weights_sees_every_number() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    before = digest_of_weights(model)
    assert digest_of_weights(model) == before
    with torch.no_grad():
        model[1].running_mean[1] += 1e-6
    assert digest_of_weights(model) != before

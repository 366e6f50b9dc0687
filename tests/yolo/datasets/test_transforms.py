"""Albumentations transforms arrive in the training pipeline, the run proves it, and its sheets show them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import albumentations
import cv2
import numpy as np
import pytest
import torch
from ultralytics.data.augment import Albumentations

from reg_yolo.errors import ConfigError, RegYoloError
from reg_yolo.yolo.datasets.transforms import (
    SHEET_FILE,
    active_transforms,
    draw_transforms,
    prove_augmentations,
    serialised_augmentations,
)
from reg_yolo.yolo.training.records import TRAINING_SHEET, draw_training_sheet
from reg_yolo.yolo.training.trainers import RegDetectionTrainer
from tests.yolo.runs import FAST

OWN = {"transforms": [{"ToGray": {"p": 0.5}}, {"RandomGamma": {"gamma_limit": [80, 120], "p": 0.25}}]}


def names(transforms: list[dict[str, Any]]) -> list[str]:
    """Return the names of serialised transforms."""
    return [type(albumentations.from_dict(item)).__name__ for item in transforms]


def prepared(data: Path, folder: Path, settings: dict[str, Any] | None, **arguments: Any) -> RegDetectionTrainer:
    """Return a trainer that is ready for its first batch."""
    trainer_class = RegDetectionTrainer.with_settings("reg_v1", albumentations=settings)
    trainer = trainer_class(overrides={**FAST, "data": str(data), "save_dir": str(folder), **arguments})
    trainer._setup_train()
    return trainer


@pytest.fixture(scope="module")
def trainer(rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> RegDetectionTrainer:
    """A trainer with two transforms of its own after upstream's list."""
    return prepared(rectangles, tmp_path_factory.mktemp("run") / "train", {**OWN, "mode": "extend"})


def test_extending_keeps_upstreams_list_first() -> None:
    stock = [type(transform).__name__ for transform in Albumentations(transforms=None).transform.transforms]
    assert len(stock) > 3
    assert names(serialised_augmentations({**OWN, "mode": "extend"})) == [*stock, "ToGray", "RandomGamma"]


def test_replacing_leaves_only_ones_own() -> None:
    given = serialised_augmentations({**OWN, "mode": "replace"})
    assert names(given) == ["ToGray", "RandomGamma"]
    built = [albumentations.from_dict(item) for item in given]
    assert (built[0].p, built[1].p, built[1].gamma_limit) == (0.5, 0.25, (80, 120))


def test_nothing_asked_for_leaves_upstream_to_itself(rectangles: Path, tmp_path: Path) -> None:
    assert serialised_augmentations({}) is None
    trainer = prepared(rectangles, tmp_path / "run", None)
    assert trainer.requested_augmentations is None
    assert active_transforms(trainer.train_loader.dataset) == [
        type(transform).__name__ for transform in Albumentations(transforms=None).transform.transforms
    ]
    assert not (tmp_path / "run" / SHEET_FILE).exists() and (tmp_path / "run" / "reg.yaml").is_file()


@pytest.mark.parametrize(
    "settings, fragments",
    [
        ({"transforms": [{"RandomRian": {}}]}, ["RandomRian", "RandomRain"]),
        ({"transforms": [{"ToGray": {"prob": 1}}]}, ["ToGray", "prob"]),
        ({"preset": "highwy"}, ["highwy", "highway"]),
        ({"transforms": ["ToGray"], "mode": "append"}, ["append", "extend", "replace"]),
    ],
)
def test_unknown_transform_argument_preset_or_mode_is_an_error(settings: dict[str, Any], fragments: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        serialised_augmentations(settings)
    for fragment in fragments:
        assert fragment in str(raised.value)


def test_transforms_arrive_in_the_training_pipeline(trainer: RegDetectionTrainer) -> None:
    active = active_transforms(trainer.train_loader.dataset)
    assert active[-2:] == ["ToGray", "RandomGamma"] and len(active) > 2
    assert trainer.args.augmentations is not None


def test_transforms_stay_when_the_mosaic_is_closed(trainer: RegDetectionTrainer) -> None:
    before = active_transforms(trainer.train_loader.dataset)
    trainer._close_dataloader_mosaic()
    assert active_transforms(trainer.train_loader.dataset) == before


def test_validation_images_are_not_augmented(trainer: RegDetectionTrainer) -> None:
    assert active_transforms(trainer.test_loader.dataset) == []


def test_transforms_change_what_is_trained_on(rectangles: Path, tmp_path: Path) -> None:
    grey = {"transforms": [{"ToGray": {"p": 1.0}}], "mode": "replace"}
    trainer = prepared(rectangles, tmp_path / "run", grey, hsv_h=0.0, hsv_s=0.0, hsv_v=0.0)
    images = next(iter(trainer.train_loader))["img"]
    assert torch.equal(images[:, 0], images[:, 1]) and torch.equal(images[:, 1], images[:, 2])


class Pipeline:
    """A data set with the given transforms only."""

    def __init__(self, transforms: list[dict[str, Any]]) -> None:
        self.transforms = Albumentations(transforms=[albumentations.from_dict(item) for item in transforms])


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_run_stops_when_a_transform_has_not_arrived(lost: int) -> None:
    # Two of one kind with different arguments: the loss of either shows.
    twice = {"transforms": [{"RandomGamma": {"p": 0.5}}, {"ToGray": {"p": 0.5}}, {"RandomGamma": {"p": 0.1}}]}
    expected = serialised_augmentations({**twice, "mode": "replace"})
    prove_augmentations(Pipeline(expected), expected)
    arrived = [item for index, item in enumerate(expected) if index != lost]
    missing = names(expected)[lost]
    with pytest.raises(RegYoloError, match=f"{missing} did not arrive"):
        prove_augmentations(Pipeline(arrived), expected)


def test_run_stops_when_upstream_builds_none() -> None:
    expected = serialised_augmentations({**OWN, "mode": "replace"})
    with pytest.raises(RegYoloError, match=r"ToGray, RandomGamma did not arrive .*active: none"):
        prove_augmentations(object(), expected)


# The sheets -----------------------------------------------------------------------------------------------------


def test_sheet_shows_each_requested_transform_at_work(rectangles: Path, tmp_path: Path) -> None:
    images = sorted((rectangles.parent / "images/train").glob("*.png"))
    dataset = type("Dataset", (), {"im_files": [str(path) for path in images]})()
    settings = {"transforms": [{"ToGray": {"p": 0.01}}, {"RandomGamma": {"p": 0.01}}], "mode": "replace"}
    draw_transforms(dataset, serialised_augmentations(settings), tmp_path)
    sheet = cv2.imread(str(tmp_path / SHEET_FILE))
    assert sheet.shape == (240, 4 * 320, 3)
    grey, coloured = sheet[30:, :320].astype(int), sheet[30:, 320:640].astype(int)
    # With p of 0.01 it would hardly ever show: it is forced. JPEG leaves a little colour.
    assert np.abs(grey - grey.mean(-1, keepdims=True)).max() < 12
    assert np.abs(coloured - coloured.mean(-1, keepdims=True)).max() > 40


def test_run_folder_has_both_sheets(trainer: RegDetectionTrainer) -> None:
    trainer.preprocess_batch(next(iter(trainer.train_loader)))
    for name in (SHEET_FILE, TRAINING_SHEET):
        assert cv2.imread(str(trainer.save_dir / name)) is not None


def test_training_sheet_shows_the_labels(trainer: RegDetectionTrainer, tmp_path: Path) -> None:
    batch = {
        "img": torch.zeros(1, 3, 64, 64), "im_file": ["road.png"], "batch_idx": torch.zeros(1),
        "cls": torch.tensor([[1.0]]), "bboxes": torch.tensor([[0.5, 0.5, 0.5, 0.5]]),
    }  # fmt: skip
    draw_training_sheet(batch, trainer.data["names"], tmp_path)
    empty = {**batch, "batch_idx": torch.zeros(0), "cls": torch.zeros(0, 1), "bboxes": torch.zeros(0, 4)}
    (tmp_path / "empty").mkdir()
    draw_training_sheet(empty, trainer.data["names"], tmp_path / "empty")
    drawn, bare = (cv2.imread(str(folder / TRAINING_SHEET)).astype(int) for folder in (tmp_path, tmp_path / "empty"))
    side = drawn.shape[0]
    outline = slice(side // 4 - 3, side // 4 + 4)
    changed = np.abs(drawn - bare).max(-1)
    assert changed[outline, side // 2].max() > 50 and changed[side // 2, outline].max() > 50


def test_drawing_changes_neither_the_batch_nor_the_random_states(trainer: RegDetectionTrainer, tmp_path: Path) -> None:
    # As it goes to the model: floats, which upstream's drawing scales in place.
    trainer.sheet_drawn = True
    batch = trainer.preprocess_batch(next(iter(trainer.train_loader)))
    before = {key: value.clone() for key, value in batch.items() if isinstance(value, torch.Tensor)}
    states = (random.getstate(), np.random.get_state(), torch.get_rng_state())  # noqa: NPY002  (upstream's is global)
    draw_training_sheet(batch, trainer.data["names"], tmp_path)
    draw_transforms(trainer.train_loader.dataset, trainer.requested_augmentations, tmp_path)
    assert random.getstate() == states[0]
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), states[1], strict=True))  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), states[2])
    for key, value in before.items():
        assert torch.equal(batch[key], value)

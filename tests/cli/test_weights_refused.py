"""Weights that are refused: missing, cut off, no checkpoint, or carrying code of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ultralytics.nn.tasks import DetectionModel, PoseModel

from tests.cli.conftest import Refused


class Bomb:
    """Makes a folder when it is unpickled; stands for any code that a checkpoint may carry."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.makedirs, (self.marker, 0o777, True)


@pytest.fixture
def images(even_rectangles: Path) -> Path:
    """A folder of images."""
    return even_rectangles.parent / "images/val"


@pytest.fixture
def bomb(detector: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A checkpoint that makes a folder when it is unpickled, and that folder."""
    marker = tmp_path / "code was run"
    checkpoint = torch.load(detector, weights_only=False)
    path = tmp_path / "bomb.pt"
    torch.save({**checkpoint, "extra": Bomb(marker)}, path)
    return path, marker


def damaged(detector: Path, folder: Path, kind: str) -> Path:
    """Return a file that is called weights and is none."""
    path = folder / f"{kind.replace(' ', '_')}.pt"
    content = detector.read_bytes()
    if kind == "cut off":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("weights, honestly")
    elif kind == "picture":
        path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    elif kind == "tensors alone":
        torch.save({"weight": torch.zeros(3)}, path)
    elif kind == "state only":
        torch.save({"model": {"weight": torch.zeros(3)}}, path)
    elif kind == "list":
        torch.save([1, 2], path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "another suffix":
        path = path.with_suffix(".pth")
        path.write_bytes(content)
    return path


KINDS = ["cut off", "empty", "text", "picture", "tensors alone", "state only", "list", "folder", "another suffix", "no"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["predict", "val", "train"])
def test_file_that_is_no_checkpoint_is_refused(
    command: str, kind: str, detector: Path, images: Path, own_rectangles: Path, tmp_path: Path, refused: Refused
) -> None:
    weights = damaged(detector, tmp_path, kind)
    words: list[object] = {
        "predict": ["predict", weights, images],
        "val": ["val", weights, "--data", own_rectangles],
        "train": ["train", "detect/yolov8n", f"data={own_rectangles}", f"model={weights}", "device=cpu"],
    }[command]
    message = refused(*words)
    assert str(weights) in message


def test_model_of_another_kind_is_refused(images: Path, own_rectangles: Path, tmp_path: Path, refused: Refused) -> None:
    pose, end_to_end = tmp_path / "pose.pt", tmp_path / "end_to_end.pt"
    torch.save({"model": PoseModel("yolov8n-pose.yaml", nc=1, verbose=False)}, pose)
    torch.save({"model": DetectionModel("yolov10n.yaml", nc=3, verbose=False)}, end_to_end)
    for weights, head in ((pose, "Pose"), (end_to_end, "v10Detect")):
        for words in (["predict", weights, images], ["val", weights, "--data", own_rectangles]):
            message = refused(*words)
            assert str(weights) in message and head in message and "YOLOv8" in message


@pytest.mark.parametrize("command", ["predict", "val", "train"])
def test_checkpoint_with_code_of_its_own_is_refused_before_it_runs(
    command: str, bomb: tuple[Path, Path], images: Path, own_rectangles: Path, refused: Refused
) -> None:
    weights, marker = bomb
    words: list[object] = {
        "predict": ["predict", weights, images],
        "val": ["val", weights, "--data", own_rectangles],
        "train": ["train", "detect/yolov8n", f"data={own_rectangles}", f"model={weights}", "device=cpu"],
    }[command]
    message = refused(*words)
    assert str(weights) in message and "--trust" in message
    assert not marker.exists()


@pytest.mark.slow
def test_trusted_checkpoint_is_loaded(bomb: tuple[Path, Path], images: Path, working_directory: Path) -> None:
    weights, marker = bomb
    picture = sorted(images.glob("*.png"))[0]
    words = ["predict", str(weights), str(picture), "device=cpu", "--out", "found", "--trust"]
    environment = {name: value for name, value in os.environ.items() if name != "ULTRALYTICS_SAFE_LOAD"}
    command = [sys.executable, "-m", "reg_yolo.cli.app", *words]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert marker.is_dir()
    assert ended.returncode == 0, ended.stderr
    assert (working_directory / "found/detections.jsonl").is_file()


def test_weights_without_a_data_set_ask_for_one(detector: Path, refused: Refused) -> None:
    message = refused("val", detector)
    assert str(detector) in message and "--data" in message


def test_weights_whose_data_set_is_gone_ask_for_one(detector: Path, tmp_path: Path, refused: Refused) -> None:
    weights = tmp_path / "moved.pt"
    checkpoint = torch.load(detector, weights_only=False)
    torch.save({**checkpoint, "train_args": {"data": "coco.yaml", "imgsz": 64}}, weights)
    message = refused("val", weights)
    assert str(weights) in message and "coco.yaml" in message and "--data" in message


def test_damaged_thresholds_beside_the_weights_are_refused(
    detector: Path, images: Path, tmp_path: Path, refused: Refused
) -> None:
    weights = Path(shutil.copy(detector, tmp_path / "mine.pt"))
    beside = tmp_path / "mine.thresholds.json"
    beside.write_text('{"weights_sha256": ')
    message = refused("predict", weights, images)
    assert str(beside) in message and "reg-yolo val" in message

"""With every REG term neutral a whole training run equals upstream's, bit for bit."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer
from ultralytics.models.yolo.semantic import SemanticSegmentationTrainer

from reg_yolo.config.shipped import shipped_file
from reg_yolo.yolo.training.trainers import RegDetectionTrainer, RegSegmentationTrainer, RegSemanticTrainer

pytestmark = pytest.mark.slow


def run(trainer_class: Any, data: Path, folder: Path, **arguments: Any) -> tuple[dict[str, torch.Tensor], list[dict]]:
    """Train for three epochs and return the weights of last.pt and the rows of results.csv."""
    settings = {
        "model": "yolov8n.yaml", "data": str(data), "epochs": 2, "imgsz": 64, "batch": 8, "optimizer": "AdamW",
        "device": "cpu", "save_dir": str(folder), "verbose": False, "plots": False, "close_mosaic": 1, **arguments,
    }  # fmt: skip
    trainer = trainer_class(overrides=settings)
    trainer.train()
    weights = torch.load(trainer.last, weights_only=False, map_location="cpu")["model"].state_dict()
    with trainer.csv.open() as stream:
        rows = list(csv.DictReader(stream))
    return weights, rows


TASKS = {
    "detect": (DetectionTrainer, RegDetectionTrainer, "rectangles", "yolov8n.yaml"),
    "segment": (SegmentationTrainer, RegSegmentationTrainer, "polygons", "yolov8n-seg.yaml"),
    "semantic": (SemanticSegmentationTrainer, RegSemanticTrainer, "polygons", "yolov8n-sem.yaml"),
}


@pytest.mark.parametrize("task", TASKS)
def test_neutral_run_equals_the_stock_run(task: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    stock_trainer, our_trainer, fixture, model = TASKS[task]
    data: Path = request.getfixturevalue(fixture)
    # Upstream would resolve the data set's `path: ./` against the working directory.
    absolute = tmp_path / "absolute.yaml"
    absolute.write_text(data.read_text().replace("path: ./", f"path: {data.parent}"))
    stock_model = model
    if task == "semantic":
        # A model of ours; upstream knows none of YOLOv8 for this task.
        stock_model = str(tmp_path / model)
        Path(stock_model).write_text(shipped_file("yolov8-sem", "models").read_text())
    stock, stock_rows = run(stock_trainer, absolute, tmp_path / "stock", model=stock_model)
    ours, our_rows = run(our_trainer.with_settings("stock"), data, tmp_path / "ours", model=model)
    different = [name for name, tensor in stock.items() if not torch.equal(tensor, ours[name])]
    assert not different
    for theirs, mine in zip(stock_rows, our_rows, strict=True):
        assert {k: v for k, v in theirs.items() if k != "time"} == {k: mine[k] for k in theirs if k != "time"}


def test_a_switched_on_term_changes_the_run(rectangles: Path, tmp_path: Path) -> None:
    # Guards the test above: a comparison that always agrees would prove nothing.
    neutral, _ = run(RegDetectionTrainer.with_settings("stock"), rectangles, tmp_path / "a", epochs=1, val=False)
    focal, _ = run(RegDetectionTrainer.with_settings("gfl"), rectangles, tmp_path / "b", epochs=1, val=False)
    assert any(not torch.equal(tensor, focal[name]) for name, tensor in neutral.items())

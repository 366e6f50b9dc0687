"""The blog post's baseline: its network and its loss train, and its weights need nothing of ours."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from ultralytics.nn.modules import Conv

import reg_yolo
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.commands.train import dry_run

SCRIPT = """
import sys
from ultralytics import YOLO
model = YOLO(sys.argv[1])
kinds = {type(m.act).__name__ for m in model.model.modules() if hasattr(m, "bn")}
print(kinds, "reg_yolo" in sys.modules)
model.predict(sys.argv[2], imgsz=64, verbose=False)
"""


@pytest.fixture(scope="module")
def trained(rectangles: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("blog")
    words = [
        f"project={folder}", "imgsz=64", "batch=8", "nbs=8", "epochs=4", "lr0=0.01", "warmup_epochs=0", "device=cpu",
        "plots=false", "workers=0", "mosaic=0", "albumentations=none", "reg=blog", "model=yolov8n-leaky.yaml",
    ]  # fmt: skip
    return reg_yolo.train("detect/yolov8n", words, data=str(rectangles))


def test_it_trains_with_the_network_and_the_loss_of_the_post(trained) -> None:
    with (trained.folder / "results.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for term in ("box_loss", "cls_loss", "dfl_loss"):
        losses = [float(row[f"train/{term}"]) for row in rows]
        assert min(losses) > 0, term
    # From scratch for 12 steps: the classes are learned first, the boxes begin to be.
    assert sum(float(row["train/cls_loss"]) for row in rows[-2:]) < sum(
        float(row["train/cls_loss"]) for row in rows[:2]
    )
    model = torch.load(trained.best, weights_only=False)["model"]
    assert {type(m.act) for m in model.modules() if isinstance(m, Conv)} == {nn.LeakyReLU}
    assert model.yaml["yaml_file"] == "yolov8n-leaky.yaml" and model.yaml["scale"] == "n"


@pytest.mark.slow
def test_its_weights_load_where_reg_yolo_is_not(trained, rectangles: Path, tmp_path: Path) -> None:
    image = next((rectangles.parent / "images/val").glob("*.png"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(trained.best), str(image)], capture_output=True, text=True, cwd=tmp_path,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "{'LeakyReLU'} False" in done.stdout


def test_its_loss_is_smooth_l1_on_boxes_and_cross_entropy_on_classes(rectangles: Path) -> None:
    words = [
        f"data={rectangles}", "imgsz=64", "batch=8", "device=cpu", "workers=0", "model=yolov8n-leaky.yaml",
        "albumentations=none",
    ]  # fmt: skip
    blog, stock = (dry_run("detect/yolov8n", [*words, f"reg={preset}"]) for preset in ("blog", "stock"))
    assert "box smooth_l1" in blog.description
    for term in ("cls_loss", "dfl_loss"):
        assert blog.losses[term] == stock.losses[term]
    assert blog.losses["box_loss"] != pytest.approx(stock.losses["box_loss"], rel=0.05)
    assert blog.parameters == dry_run("detect/yolov8n", [*words[:-2], "albumentations=none", "reg=blog"]).parameters


def test_it_is_a_detection_network(rectangles: Path) -> None:
    with pytest.raises(ConfigError, match=r"yolov8n-leaky\.yaml does not fit task segment"):
        dry_run("segment/yolov8n", [f"data={rectangles}", "model=yolov8n-leaky.yaml"])

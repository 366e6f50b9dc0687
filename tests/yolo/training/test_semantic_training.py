"""Training on pixels from polygons and from masks: what is counted, learned, stored, resumed and refused."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from reg_yolo.errors import ConfigError, DataError
from reg_yolo.yolo.commands.resume import resume
from reg_yolo.yolo.commands.train import dry_run, train
from reg_yolo.yolo.training.trainers import RegSemanticTrainer
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of
from reg_yolo.yolo.weights.opening import open_detector
from tests.conftest import HEIGHT, WIDTH
from tests.yolo.runs import FAST

SEMANTIC = {**FAST, "model": "yolov8n-sem.yaml", "batch": 8}


def trainer_for(data: Path, folder: Path, reg: Any = "reg_v1", **arguments: Any) -> RegSemanticTrainer:
    settings = {**SEMANTIC, "data": str(data), "save_dir": str(folder), **arguments}
    return RegSemanticTrainer.with_settings(reg)(overrides=settings)


@pytest.fixture(scope="module")
def trained(polygons: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of two epochs on polygons. Do not write to it."""
    folder = tmp_path_factory.mktemp("semantic") / "run"
    trainer_for(polygons, folder, epochs=2).train()
    return folder


@pytest.fixture
def masked(tmp_path: Path) -> Path:
    """A small set of mask PNGs: a bright block of class 1 on background 0, and unknown pixels; its YAML."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for kind in ("images", "masks"):
            (tmp_path / "set" / kind / split).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            x = 10 + 12 * number
            mask[20:60, x : x + 30] = 1
            image[20:60, x : x + 30] = 255
            mask[:5] = 255
            cv2.imwrite(str(tmp_path / "set/images" / split / f"{number}.png"), image)
            cv2.imwrite(str(tmp_path / "set/masks" / split / f"{number}.png"), mask)
    path = tmp_path / "set/data.yaml"
    path.write_text("train: images/train\nval: images/val\nmasks_dir: masks\nnames: [sign]\n")
    return path


def test_a_run_leaves_a_report_of_pixels_and_the_weights_of_their_counts(trained: Path) -> None:
    report = json.loads((trained / "per_class.json").read_text())
    assert report["schema"] == "reg_yolo.per_pixel/1"
    assert [row["name"] for row in report["classes"]] == ["red", "green", "blue", "background"]
    assert report["classes"][3]["pixels"] > 10 * report["classes"][2]["pixels"]
    assert report["classes"][3]["boundary_f1"] is not None
    with (trained / "class_weights.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    counts = [int(row["pixels"]) for row in rows]
    assert sum(counts) == 24 * HEIGHT * WIDTH
    # Tempered by 0.5 with a mean of 1 over the pixels.
    weights = [float(row["weight"]) for row in rows]
    assert sum(n * w for n, w in zip(counts, weights, strict=True)) == pytest.approx(sum(counts), rel=1e-4)
    assert weights[0] / weights[3] == pytest.approx((counts[3] / counts[0]) ** 0.5, rel=1e-4)
    assert (trained / "augmented_training_images.jpg").is_file()


def test_the_terms_of_the_loss_are_in_results_csv(trained: Path) -> None:
    with (trained / "results.csv").open() as stream:
        row = list(csv.DictReader(stream))[-1]
    assert {"train/ce_loss", "train/dice_loss", "train/aux_loss", "metrics/mIoU", "reg/spatial_mean"} <= set(row)
    parts = float(row["reg/pixels_object"]) + float(row["reg/pixels_background"])
    assert parts == pytest.approx(float(row["train/ce_loss"]), rel=1e-3)


def test_weights_say_their_task_and_load_without_us(trained: Path) -> None:
    best = trained / "weights/best.pt"
    detector = open_detector(best, pixels=True)
    assert detector.task == "semantic"
    assert detector.class_names == ["red", "green", "blue", "background"]
    metadata = metadata_of(load_checkpoint_file(best))
    assert metadata["task"] == "semantic"
    assert metadata["measured"] is True
    assert len(metadata["class_weights"]) == 4
    script = (
        "import sys; sys.modules['reg_yolo'] = None\n"
        "from ultralytics import YOLO\n"
        f"m = YOLO({str(best)!r}); print(m.task, type(m.model).__name__, type(m.model.model[-1]).__name__)\n"
        "import numpy as np\n"
        "r = m.predict(np.zeros((64, 64, 3), np.uint8), imgsz=64, verbose=False)[0]\n"
        "print(tuple(r.semantic_mask.data.shape))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["semantic SemanticSegmentationModel SemanticSegment", "(64, 64)"]


def test_a_finished_run_is_extended_and_keeps_its_criterion(trained: Path) -> None:
    stored = metadata_of(load_checkpoint_file(trained / "weights/last.pt"))
    result = resume(trained, epochs=3)
    assert result.folder.name == "run_to_3"
    again = metadata_of(load_checkpoint_file(result.last))
    assert again["scale"] == stored["scale"]
    assert again["class_weights"] == stored["class_weights"]
    assert result.report is not None
    assert result.report.kind == "pixel"


def test_a_run_that_was_cut_off_goes_on(polygons: Path, tmp_path: Path) -> None:
    trainer = trainer_for(polygons, tmp_path / "cut", epochs=2)

    def stop(trainer: Any) -> None:
        if trainer.epoch == 1:
            raise KeyboardInterrupt

    trainer.add_callback("on_train_epoch_start", stop)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    before = metadata_of(load_checkpoint_file(tmp_path / "cut/weights/last.pt"))
    result = resume(tmp_path / "cut")
    assert len((tmp_path / "cut/results.csv").read_text().splitlines()) == 3
    assert metadata_of(load_checkpoint_file(result.last))["scale"] == before["scale"]
    with pytest.raises(ConfigError, match=r"reg\.semantic\.dice: true, now false"):
        resume_with(tmp_path / "cut", "reg.semantic.dice=false")


def resume_with(run: Path, *words: str) -> Any:
    from reg_yolo.yolo.commands.resume import resume_with_overrides

    return resume_with_overrides(run, None, words)


def test_one_class_is_a_softmax_over_two(masked: Path, tmp_path: Path) -> None:
    trainer = trainer_for(masked, tmp_path / "run", batch=4)
    trainer.train()
    model = torch.load(trainer.best, weights_only=False)["model"]
    assert model.names == {0: "background", 1: "sign"}
    assert model.model[-1].nc == 2
    assert trainer.class_counts == [4 * (HEIGHT * WIDTH - 5 * WIDTH - 40 * 30), 4 * 40 * 30]
    assert trainer.criterion.background == 0


def test_one_class_of_polygons_is_a_softmax_over_two_as_well(own_polygons: Path) -> None:
    own_polygons.write_text("train: images/train\nval: images/val\nnames: [block]\n")
    result = dry_run(None, [*WORDS, f"data={own_polygons}"])
    assert list(result.class_counts) == ["block", "background"]
    assert all(result.class_counts.values())


@pytest.fixture
def own_polygons(tmp_path: Path) -> Path:
    """Polygons of one class, to be broken at will; the set's YAML."""
    from tests.conftest import polygon_row, write_rectangles

    return write_rectangles(tmp_path / "own", {"train": 4, "val": 2}, (1.0, 0.0, 0.0), polygon_row)


WORDS = ["model=yolov8n-sem.yaml", "imgsz=64", "batch=4", "workers=0", "device=cpu", "epochs=1"]


def test_unlabelled_pixels_are_background_unless_the_set_says_ignore(own_polygons: Path) -> None:
    text = "train: images/train\nval: images/val\nnames: [block, other]\n"
    own_polygons.write_text(text)
    labelled = dry_run(None, [*WORDS, f"data={own_polygons}"])
    own_polygons.write_text(text + "unlabelled: ignore\n")
    unknown = dry_run(None, [*WORDS, f"data={own_polygons}"])
    assert list(unknown.class_counts) == ["block", "other"]
    assert unknown.class_counts["block"] == labelled.class_counts["block"]
    with pytest.raises(ConfigError, match="the data set has no class background"):
        dry_run(None, [*WORDS, f"data={own_polygons}", "reg.semantic.spatial.enabled=true"])
    own_polygons.write_text(text + "unlabelled: nothing\n")
    with pytest.raises(DataError, match="'unlabelled' is 'nothing', expected background or ignore"):
        dry_run(None, [*WORDS, f"data={own_polygons}"])


def test_a_box_row_and_a_missing_mask_are_named(rectangles: Path, masked: Path) -> None:
    with pytest.raises(DataError, match="bad label rows in"):
        train(None, [*WORDS, f"data={rectangles}"])
    (masked.parent / "masks/train/2.png").unlink()
    with pytest.raises(DataError, match=r"1 bad mask in the 'train' split.*\n.*masks/train/2.png: no such file"):
        train(None, [*WORDS, f"data={masked}"])


def test_a_model_without_pixels_is_refused(polygons: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="this model ends in Detect; task semantic needs a head of two or more classes"
    ):
        trainer_for(polygons, tmp_path / "run", model="yolov8n.yaml").train()


def test_the_backbone_of_other_weights_is_taken(polygons: Path, tmp_path: Path, detector: Path) -> None:
    trainer = trainer_for(polygons, tmp_path / "run", pretrained=str(detector))
    trainer._setup_train()
    source = load_checkpoint_file(detector)["model"].float().state_dict()
    own = trainer.model.state_dict()
    taken = [name for name in own if name in source and torch.equal(own[name].cpu(), source[name])]
    assert {name.split(".")[1] for name in taken} >= {str(index) for index in range(10)}

"""The joint task from end to end: one set or two, one network, a stock checkpoint, and a run that can be resumed."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from ultralytics import YOLO
from ultralytics.nn.tasks import SegmentationModel

import reg_yolo
from reg_yolo.config.loader import load_config
from reg_yolo.errors import ConfigError, DataError, TrainingInterrupted
from reg_yolo.yolo.commands.resume import resume_with_overrides
from reg_yolo.yolo.commands.val import val
from reg_yolo.yolo.training.start_checks import describe_start
from reg_yolo.yolo.training.trainers import RegJointTrainer, RegSegmentationTrainer
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, metadata_of
from tests.conftest import polygon_row, write_rectangles
from tests.yolo.runs import FAST, TINY_SEG_MODEL

MASK_CLASSES = ["red", "blue"]
WORDS = ["epochs=1", "imgsz=64", "batch=8", "device=cpu", "workers=0", "plots=false", "albumentations=none"]


def train(data: str, folder: Path, *words: str, config: str = "joint/yolov8n") -> Any:
    """A short run into `folder`."""
    own = [f"model={TINY_SEG_MODEL}", f"data={data}", f"project={folder}", "name=run", *WORDS, *words]
    return reg_yolo.train(config, own)


def report(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def joint_run(mixed_rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A joint run over one set that mixes boxes and polygons."""
    folder = tmp_path_factory.mktemp("joint")
    return train(str(mixed_rectangles), folder, f"mask_classes={MASK_CLASSES}", "lambda_seg=0.5")


@pytest.fixture(scope="module")
def boxes_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detection set that names two of the classes, in an order of its own."""
    yaml = write_rectangles(tmp_path_factory.mktemp("boxes"), {"train": 16, "val": 6}, (0.5, 0.5, 0.0))
    yaml.write_text(yaml.read_text().replace("  2: blue\n", ""))
    return yaml


@pytest.fixture(scope="module")
def masks_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmentation set of the classes blue (0) and red (1); green objects stand in it without a label."""
    root = tmp_path_factory.mktemp("masks")
    yaml = write_rectangles(root, {"train": 16, "val": 6}, (0.4, 0.2, 0.4), polygon_row)
    for file in root.glob("labels/*/*.txt"):
        rows = [row for row in file.read_text().splitlines() if not row.startswith("1 ")]
        swapped = [{"0": "1", "2": "0"}[row[0]] + row[1:] for row in rows]
        file.write_text("".join(f"{row}\n" for row in swapped))
    yaml.write_text(yaml.read_text().partition("names:")[0] + "names: [blue, red]\n")
    return yaml


@pytest.mark.slow
class TestOneSet:
    def test_boxes_of_all_classes_and_masks_of_some_are_reported(self, joint_run: Any, mixed_rectangles: Path) -> None:
        boxes, masks = (report(joint_run.folder, name) for name in ("per_class", "per_class_masks"))
        assert [row["name"] for row in boxes["classes"]] == ["red", "green", "blue"]
        assert [row["name"] for row in masks["classes"]] == MASK_CLASSES
        rows = [
            row.split()
            for file in (mixed_rectangles.parent / "labels/val").glob("*.txt")
            for row in file.read_text().splitlines()
        ]
        polygons = [sum(row[0] == c and len(row) > 5 for row in rows) for c in "02"]
        assert [row["instances"] for row in masks["classes"]] == polygons
        assert sum(row["instances"] for row in boxes["classes"]) == len(rows) > sum(polygons)

    def test_the_checkpoint_is_stock_and_knows_its_mask_classes(self, joint_run: Any) -> None:
        checkpoint = load_checkpoint_file(joint_run.best)
        assert type(checkpoint["model"]) is SegmentationModel
        stored = metadata_of(checkpoint)
        assert (stored["task"], stored["mask_classes"], stored["lambda_seg"]) == ("joint", MASK_CLASSES, 0.5)
        assert len(stored["mask_class_weights"]) == 3
        assert YOLO(joint_run.best).task == "segment"

    def test_losses_and_mask_terms_are_logged(self, joint_run: Any) -> None:
        with (joint_run.folder / "results.csv").open() as stream:
            row = next(csv.DictReader(stream))
        assert float(row["train/seg_loss"]) > 0 and float(row["val/seg_loss"]) > 0
        assert float(row["reg/mask_scale"]) > 0 and "reg/mask_weight/red" in row
        assert {"metrics/mAP50(B)", "metrics/mAP50(M)"} <= row.keys()

    def test_the_settings_file_repeats_the_run(self, joint_run: Any) -> None:
        config = load_config(joint_run.folder / "reg.yaml", [])
        assert (config.task, config.mask_classes, config.lambda_seg) == ("joint", MASK_CLASSES, 0.5)

    def test_val_finds_the_data_and_gives_both_reports(self, joint_run: Any, tmp_path: Path) -> None:
        result = val(joint_run.best, out=tmp_path / "val", device="cpu", workers=0, plots=False)
        assert result.mask_report is not None
        assert [c.instances for c in result.mask_report.classes] == [
            row["instances"] for row in report(joint_run.folder, "per_class_masks")["classes"]
        ]
        assert (tmp_path / "val/per_class_masks.csv").is_file()
        with pytest.raises(ConfigError, match="single_cls: makes one class of all"):
            val(joint_run.best, out=tmp_path / "one", device="cpu", single_cls=True)

    def test_upstreams_files_of_predictions_have_masks_of_mask_classes_alone(
        self, joint_run: Any, tmp_path: Path
    ) -> None:
        out = tmp_path / "val"
        val(joint_run.best, out=out, device="cpu", workers=0, plots=True, save_json=True, save_txt=True, max_det=100)
        entries = json.loads((out / "predictions.json").read_text())
        assert {(entry["category_id"], "segmentation" in entry) for entry in entries} == {
            (1, True), (2, False), (3, True),
        }  # fmt: skip
        rows = [row.split() for file in (out / "labels").glob("*.txt") for row in file.read_text().splitlines()]
        assert len(rows) == len(entries)
        assert {len(row) for row in rows if row[0] == "1"} == {5}
        assert any(len(row) > 5 for row in rows)

    def test_upstreams_label_cache_is_left_alone(self, joint_run: Any, mixed_rectangles: Path) -> None:
        assert joint_run.best.is_file()
        assert not list(mixed_rectangles.parent.rglob("*.cache"))


@pytest.fixture(scope="module")
def pair_run(boxes_set: Path, masks_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A joint run over a detection set and a segmentation set."""
    return train(f"{{detect: {boxes_set}, segment: {masks_set}}}", tmp_path_factory.mktemp("pair"))


@pytest.mark.slow
class TestTwoSets:
    def test_class_lists_are_joined_by_name(self, pair_run: Any) -> None:
        boxes, masks = (report(pair_run.folder, name) for name in ("per_class", "per_class_masks"))
        assert [row["name"] for row in boxes["classes"]] == ["red", "green", "blue"]
        assert [row["name"] for row in masks["classes"]] == ["red", "blue"]
        assert boxes["images"] == 12

    def test_both_sets_are_counted(self, pair_run: Any, boxes_set: Path, masks_set: Path) -> None:
        def count(yaml: Path, label: str) -> int:
            files = (yaml.parent / "labels/train").glob("*.txt")
            return sum(row.split()[0] == label for file in files for row in file.read_text().splitlines())

        stored = metadata_of(load_checkpoint_file(pair_run.best))
        assert stored["class_counts"] == [
            count(boxes_set, "0") + count(masks_set, "1"), count(boxes_set, "1"), count(masks_set, "0"),
        ]  # fmt: skip
        assert stored["data"] == {"detect": str(boxes_set), "segment": str(masks_set)}

    def test_val_measures_on_both_again(self, pair_run: Any, tmp_path: Path) -> None:
        result = val(pair_run.best, out=tmp_path / "val", device="cpu", workers=0, plots=False)
        assert result.report.images == 12

    def test_the_pair_goes_with_the_settings(self, pair_run: Any, boxes_set: Path) -> None:
        config = load_config(pair_run.folder / "reg.yaml", [])
        assert config.data.detect == str(boxes_set)  # type: ignore[union-attr]


@pytest.mark.slow
def test_an_interrupted_run_goes_on_with_its_sets(mixed_rectangles: Path, tmp_path: Path) -> None:
    joint = {"data": str(mixed_rectangles), "mask_classes": MASK_CLASSES, "lambda_seg": 2.0}
    reg = {"preset": "reg_v1", "alpha": {"scheme": "dual", "weights": None}}
    settings = {**FAST, "model": TINY_SEG_MODEL, "epochs": 3, "save_dir": str(tmp_path / "run")}
    trainer = RegJointTrainer.with_settings(reg, joint=joint)(overrides=settings)

    def ask(running: Any) -> None:
        if running.epoch == 1:
            signal.raise_signal(signal.SIGTERM)

    trainer.add_callback("on_train_batch_end", ask)
    with pytest.raises(TrainingInterrupted):
        trainer.train()
    stored = metadata_of(load_checkpoint_file(trainer.last))
    result = reg_yolo.resume(tmp_path / "run")
    after = metadata_of(load_checkpoint_file(result.last))
    assert (after["task"], after["mask_classes"], after["lambda_seg"]) == ("joint", MASK_CLASSES, 2.0)
    assert after["mask_scale"] == stored["mask_scale"]
    assert after["mask_dual"] != stored["mask_dual"]
    assert "per_class_masks.json" in {path.name for path in result.folder.iterdir()}


@pytest.fixture
def started_pair(boxes_set: Path, masks_set: Path, tmp_path: Path) -> Path:
    """The folder of a run over a pair that was stopped in its second epoch, and whose boxes have moved since."""
    moved = shutil.copytree(boxes_set.parent, tmp_path / "before") / boxes_set.name
    joint = {"data": {"detect": str(moved), "segment": str(masks_set)}, "lambda_seg": 2.0}
    settings = {**FAST, "model": TINY_SEG_MODEL, "epochs": 2, "save_dir": str(tmp_path / "run"), "val": False}
    trainer = RegJointTrainer.with_settings("reg_v1", joint=joint)(overrides=settings)

    def ask(running: Any) -> None:
        if running.epoch == 1:
            signal.raise_signal(signal.SIGTERM)

    trainer.add_callback("on_train_batch_end", ask)
    with pytest.raises(TrainingInterrupted):
        trainer.train()
    moved.parent.rename(tmp_path / "after")
    return tmp_path / "run"


@pytest.mark.slow
def test_a_run_over_a_pair_goes_on_where_one_set_has_moved(started_pair: Path, masks_set: Path) -> None:
    with pytest.raises(DataError, match="before"):
        reg_yolo.resume(started_pair)
    after = started_pair.parent / "after/data.yaml"
    result = resume_with_overrides(started_pair, None, [f"data={{detect: {after}, segment: {masks_set}}}"])
    stored = metadata_of(load_checkpoint_file(result.last))
    assert stored["data"] == {"detect": str(after), "segment": str(masks_set)}
    assert (stored["mask_classes"], stored["lambda_seg"]) == (["red", "blue"], 2.0)
    assert len((result.folder / "results.csv").read_text().splitlines()) == 3


def test_mask_counts_are_of_what_classes_and_fraction_leave(mixed_rectangles: Path, tmp_path: Path) -> None:
    joint = {"data": str(mixed_rectangles), "mask_classes": MASK_CLASSES}
    settings = {**FAST, "model": TINY_SEG_MODEL, "save_dir": str(tmp_path / "run"), "fraction": 0.5}
    trainer = RegJointTrainer.with_settings("reg_v1", joint=joint)(overrides={**settings, "classes": [1, 2]})
    trainer._setup_train()
    images = [Path(file).stem for file in trainer.train_loader.dataset.im_files]
    assert len(images) == 20
    rows = [
        row.split()
        for image in images
        for row in (mixed_rectangles.parent / f"labels/train/{image}.txt").read_text().splitlines()
    ]
    assert trainer.mask_counts == [0, 0, sum(row[0] == "2" and len(row) > 5 for row in rows)]
    assert trainer.class_counts == [0, *(sum(row[0] == label for row in rows) for label in "12")]
    with pytest.raises(DataError, match="has a mask once `classes`"):
        RegJointTrainer.with_settings("reg_v1", joint=joint)(overrides={**settings, "classes": [1]})._setup_train()


@pytest.mark.slow
def test_segment_run_reports_boxes_and_masks(polygons: Path, tmp_path: Path) -> None:
    result = train(str(polygons), tmp_path, config="segment/yolov8n")
    assert report(result.folder, "per_class_masks")["kind"] == "mask"
    stored = metadata_of(load_checkpoint_file(result.best))
    assert stored["task"] == "segment" and stored["mask_scale"] > 0
    assert val(result.best, device="cpu", workers=0, plots=False).mask_report is not None


def test_a_worker_gets_sets_and_settings_by_value(mixed_rectangles: Path) -> None:
    joint = {"data": str(mixed_rectangles), "mask_classes": MASK_CLASSES, "lambda_seg": 0.5}
    trainer = cloudpickle.loads(cloudpickle.dumps(RegJointTrainer.with_settings("reg_v1", joint=joint)))
    assert trainer.settings["joint"] == joint and trainer.task_name == "joint"


@pytest.mark.parametrize(
    ("config", "words", "message"),
    [
        ("joint/yolov8n", ["mask_classes=[red, grey]"], "mask_classes: grey is not a class"),
        ("joint/yolov8n", ["mask_classes=[green]"], "No object of the training split has a mask of green"),
        ("joint/yolov8n", ["mask_classes=[red]", "single_cls=true"], "single_cls: makes one class of all"),
        ("joint/yolov8n", ["mask_classes=[red]", "model=yolov8n.yaml"], "expected yolov8n-seg.yaml"),
        ("segment/yolov8n", [], "a box row"),
    ],
)
def test_what_does_not_fit_is_refused(
    config: str, words: list[str], message: str, mixed_rectangles: Path, tmp_path: Path
) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        train(str(mixed_rectangles), tmp_path, *words, config=config)
    assert not list(tmp_path.iterdir())


def test_a_head_of_another_task_is_refused(polygons: Path, tmp_path: Path) -> None:
    model = tmp_path / "mine.yaml"
    model.write_text((Path(__import__("ultralytics").__file__).parent / "cfg/models/v8/yolov8.yaml").read_text())
    with pytest.raises(ConfigError, match=r"ends in Detect; task segment needs masks, as yolov8n-seg\.yaml has"):
        train(str(polygons), tmp_path, f"model={model}", config="segment/yolov8n")


def test_segmentation_trainer_is_handed_to_ultralytics(polygons: Path, tmp_path: Path) -> None:
    settings = {**FAST, "model": TINY_SEG_MODEL, "data": str(polygons), "save_dir": str(tmp_path / "run")}
    trainer = RegSegmentationTrainer.with_settings("reg_v1")(overrides=settings)
    trainer._setup_train()
    assert trainer.criterion is trainer.model.criterion is trainer.ema.ema.criterion
    assert trainer.criterion.mask_terms.alpha is not None
    assert "model=yolov8n-seg.pt" in describe_start(vars(trainer.args), "segment", 24, resumed_at=None)

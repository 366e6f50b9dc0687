"""Validation: the table in four forms, and thresholds by class that predict finds again."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ultralytics import YOLO

import reg_yolo
from reg_yolo.data import convert_dataset
from reg_yolo.errors import ConfigError, DataError, OutputError
from reg_yolo.yolo.commands import val as val_run
from reg_yolo.yolo.validation.validators import RegDetectionValidator
from tests.detector import IMGSZ, write_detector
from tests.detector import _wanted_scores as original

FAST: dict[str, Any] = {"device": "cpu", "workers": 0, "plots": False}
# From these confidences on, the detector's own boxes are the truth of the data set below.
TRUE_FROM = {"red": 0.8, "green": 0.55, "blue": 0.3}
NAMES = tuple(TRUE_FROM)


@pytest.fixture(scope="module")
def everything_found(even_rectangles: Path, detector: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By name of the image, all boxes that plain Ultralytics finds in validation: class, x, y, w, h, confidence."""
    folder = tmp_path_factory.mktemp("stock")
    data = folder / "data.yaml"
    data.write_text(even_rectangles.read_text().replace("./", str(even_rectangles.parent)))
    YOLO(detector).val(
        data=str(data), imgsz=IMGSZ, conf=0.1, save_txt=True, save_conf=True, project=str(folder), name="val",
        verbose=False, **FAST,
    )  # fmt: skip
    files = sorted((folder / "val/labels").glob("*.txt"))
    return {path.stem: np.loadtxt(path, ndmin=2) for path in files}


@pytest.fixture(scope="module")
def labelled(even_rectangles: Path, everything_found: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set whose truth is what the detector finds from `TRUE_FROM` on; its YAML."""
    root = tmp_path_factory.mktemp("labelled") / "data"
    shutil.copytree(even_rectangles.parent, root)
    for file in (root / "labels/val").glob("*.txt"):
        boxes = everything_found.get(file.stem, np.zeros((0, 6)))
        rows = [row for row in boxes if row[5] >= TRUE_FROM[NAMES[int(row[0])]]]
        file.write_text("".join(f"{int(row[0])} {' '.join(f'{value:.6f}' for value in row[1:5])}\n" for row in rows))
    return root / "data.yaml"


@pytest.fixture
def weights(detector: Path, labelled: Path, tmp_path: Path) -> Path:
    """Weights of the test's own, which say what they were trained on."""
    path = tmp_path / "weights" / "best.pt"
    path.parent.mkdir()
    checkpoint = torch.load(detector, weights_only=False)
    torch.save({**checkpoint, "train_args": {"imgsz": IMGSZ, "data": str(labelled)}}, path)
    return path


def precision_from(everything_found: dict[str, Any], name: str, threshold: float) -> float:
    """Return the share of true ones among the boxes of a class from a confidence on."""
    boxes = np.concatenate(list(everything_found.values()))
    confidences = boxes[boxes[:, 0] == NAMES.index(name), 5]
    return float((confidences >= max(threshold, TRUE_FROM[name])).sum() / (confidences >= threshold).sum())


def test_best_f1_thresholds_are_where_the_truth_begins(weights: Path) -> None:
    result = reg_yolo.val(weights, **FAST)
    assert result.thresholds.criterion == "best_f1"
    # A box at the image's edge is cut in the truth, so that not every one is matched and the maximum is a little off.
    assert result.thresholds.values == pytest.approx(TRUE_FROM, abs=0.02)
    assert result.metrics["metrics/mAP50(B)"] > 0.8


def test_minimum_precision_gives_the_lowest_threshold_that_reaches_it(
    weights: Path, everything_found: dict[str, Any]
) -> None:
    precise = reg_yolo.val(weights, min_precision=0.9, **FAST).thresholds
    assert (precise.criterion, precise.minimum_precision) == ("min_precision", 0.9)
    threshold = precise.values["blue"]
    assert 0.2 < threshold < TRUE_FROM["blue"] - 0.02
    assert precision_from(everything_found, "blue", threshold) == pytest.approx(0.9, abs=0.02)
    assert precision_from(everything_found, "blue", threshold - 0.02) < 0.89


def test_table_lies_in_the_folder_in_four_forms(weights: Path) -> None:
    result = reg_yolo.val(weights, out="tables", **FAST)
    assert result.folder == Path.cwd() / "tables"
    text, markdown = (Path(f"tables/per_class.{suffix}").read_text() for suffix in ("txt", "md"))
    rows = list(csv.DictReader(Path("tables/per_class.csv").read_text().splitlines()))
    content = json.loads(Path("tables/per_class.json").read_text())
    assert [row["class"] for row in rows if row["class"] != "all"] == list(NAMES)
    for name in NAMES:
        assert name in text and name in markdown and name in json.dumps(content)
        row = next(row for row in rows if row["class"] == name)
        assert float(row["threshold"]) == pytest.approx(result.thresholds.values[name], abs=1e-4)
        assert float(row["ap50"]) > 0.8
    assert "Split: val" in text
    assert text == result.report.as_text() or text == result.report.as_text() + "\n"


def test_thresholds_lie_beside_the_weights_and_predict_takes_them(weights: Path, labelled: Path) -> None:
    result = reg_yolo.val(weights, **FAST)
    assert result.thresholds_file == weights.with_name("best.thresholds.json")
    content = json.loads(result.thresholds_file.read_text())
    assert content["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert content["data"] == str(labelled) and content["thresholds"]["values"] == result.thresholds.values
    summary = reg_yolo.predict(weights, labelled.parent / "images/val", device="cpu", save=False)
    assert summary.thresholds == result.thresholds.values
    # Other weights in its place make the file stale.
    checkpoint = torch.load(weights, weights_only=False)
    torch.save({**checkpoint, "date": "later"}, weights)
    summary = reg_yolo.predict(weights, labelled.parent / "images/val/000.png", device="cpu", save=False)
    assert set(summary.thresholds.values()) == {0.25}


def test_weights_in_a_read_only_folder_leave_the_thresholds_with_the_table(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = val_run.write_thresholds

    def refuse_beside(path: Path, thresholds: Any, data: str, folder: Path | None = None, **_: Any) -> Path:
        if folder is None:
            raise OutputError("cannot be written: Read-only file system", errno.EROFS)
        return original(path, thresholds, data, folder)

    monkeypatch.setattr(val_run, "write_thresholds", refuse_beside)
    result = reg_yolo.val(weights, **FAST)
    assert result.thresholds_file == result.folder / "best.thresholds.json" and result.thresholds_file.is_file()


def test_metrics_are_those_of_plain_ultralytics(detector: Path, even_rectangles: Path, tmp_path: Path) -> None:
    weights = Path(shutil.copy(detector, tmp_path / "stock.pt"))
    ours = reg_yolo.val(weights, even_rectangles, **FAST).metrics
    data = tmp_path / "data.yaml"
    data.write_text(even_rectangles.read_text().replace("./", str(even_rectangles.parent)))
    stock = YOLO(weights).val(data=str(data), imgsz=IMGSZ, project=str(tmp_path), verbose=False, **FAST).results_dict
    assert ours["metrics/mAP50(B)"] > 0
    for name, value in stock.items():
        assert ours[name] == pytest.approx(float(value), abs=1e-6)


def test_stock_weights_without_our_data_work_with_a_data_set_named(
    detector: Path, even_rectangles: Path, tmp_path: Path
) -> None:
    weights = Path(shutil.copy(detector, tmp_path / "stock.pt"))
    result = reg_yolo.val(weights, even_rectangles, split="train", **FAST)
    assert "Split: train" in result.report.as_text()
    assert result.report.title == "stock.pt" and weights.with_name("stock.thresholds.json").is_file()


def test_weights_of_one_class_for_all_are_measured_on_all(
    even_rectangles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = sorted((even_rectangles.parent / "images/train").glob("*.png"))
    monkeypatch.setattr("tests.detector._wanted_scores", lambda images, _: original(images, 3).amax(1, keepdim=True))
    weights = write_detector(tmp_path / "any.pt", ["item"], training, single_cls=True)
    result = reg_yolo.val(weights, even_rectangles, **FAST)
    assert [row.name for row in result.report.classes] == ["item"]
    rows = [row for file in (even_rectangles.parent / "labels/val").glob("*.txt") for row in file.open()]
    assert result.report.classes[0].instances == len(rows) and result.metrics["metrics/mAP50(B)"] > 0


def test_shipped_data_set_goes_by_name(weights: Path) -> None:
    with pytest.raises(DataError, match=r"highway_detect\.yaml"):
        reg_yolo.val(weights, "highway_detect", **FAST)


def test_class_without_a_label_gets_a_note(weights: Path, labelled: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(labelled.parent, root)
    for file in (root / "labels/val").glob("*.txt"):
        file.write_text("".join(f"{row}\n" for row in file.read_text().splitlines() if not row.startswith("1 ")))
    result = reg_yolo.val(weights, root / "data.yaml", **FAST)
    assert "green" in result.thresholds.notes and list(result.thresholds.values) == list(NAMES)
    # The mean of the others is a better guess than none.
    others = [result.thresholds.values[name] for name in ("red", "blue")]
    assert result.thresholds.values["green"] == pytest.approx(np.mean(others), abs=1e-3)


def test_split_without_any_label_still_gives_a_table(weights: Path, labelled: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(labelled.parent, root)
    for file in (root / "labels/val").glob("*.txt"):
        file.write_text("")
    result = reg_yolo.val(weights, root / "data.yaml", **FAST)
    assert result.thresholds.values == dict.fromkeys(NAMES, 0.25)
    assert (result.folder / "per_class.txt").is_file()


def test_failure_leaves_no_folder_and_no_thresholds(
    weights: Path, monkeypatch: pytest.MonkeyPatch, working_directory: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RegDetectionValidator, "class_thresholds", fail)
    with pytest.raises(KeyboardInterrupt):
        reg_yolo.val(weights, **FAST)
    assert not any(working_directory.iterdir())
    assert [path.name for path in weights.parent.iterdir()] == ["best.pt"]


def test_folder_is_numbered_or_named(weights: Path) -> None:
    folders = [reg_yolo.val(weights, **FAST, **where).folder for where in ({}, {}, {"project": "mine", "name": "x"})]
    assert folders == [Path.cwd() / "runs/detect/val", Path.cwd() / "runs/detect/val-2", Path.cwd() / "mine/x"]


def test_unknown_argument_is_refused_from_python_too(weights: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean split"):
        reg_yolo.val(weights, spilt="val")
    with pytest.raises(ConfigError, match="mode: not taken by val"):
        reg_yolo.val(weights, mode="train")


def test_predictions_and_the_converted_set_join_by_their_ids(weights: Path, labelled: Path, tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    val_run.val(weights, labelled, out=tmp_path / "val", save_json=True, **FAST)
    convert_dataset(labelled, tmp_path / "coco", to="coco", background=True)
    truth = COCO(str(tmp_path / "coco/annotations/instances_val.json"))
    predictions = json.loads((tmp_path / "val/predictions.json").read_text())
    assert predictions and {entry["image_id"] for entry in predictions} <= set(truth.getImgIds())
    evaluation = COCOeval(truth, truth.loadRes(predictions), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    # The labels are the detector's own most certain boxes.
    assert evaluation.stats[1] == pytest.approx(1.0, abs=0.01)
    ids = json.loads((tmp_path / "val/image_ids.json").read_text())
    named = {f"val/{Path(path).name}": number for path, number in ids.items()}
    assert named.items() <= json.loads((tmp_path / "coco/image_ids.json").read_text()).items()

"""Data sets that are refused before anything is written, and what is warned about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Refused, Run
from tests.yolo.runs import TINY_MODEL

FAST = [f"model={TINY_MODEL}", "device=cpu", "workers=0", "epochs=1", "imgsz=64", "batch=8", "plots=false"]


def label_files(data: Path, split: str = "train") -> list[Path]:
    """Return the label files of a split."""
    return sorted((data.parent / "labels" / split).glob("*.txt"))


@pytest.fixture
def refused_data(own_rectangles: Path, refused: Refused) -> Callable[..., str]:
    """Return a function that trains on the test's own data set, which must be refused."""

    def run(*, lines: int = 2) -> str:
        return refused("train", "detect/yolov8n", f"data={own_rectangles}", *FAST, lines=lines)

    return run


YAMLS = {
    "no names": ("path: ./\ntrain: images/train\nval: images/val\n", ["data.yaml", "no class names", "names:"]),
    "no validation split": ("path: ./\ntrain: images/train\nnames: [a, b, c]\n", ["data.yaml", "'val:'"]),
    "names with a gap": (
        "path: ./\ntrain: images/train\nval: images/val\nnames: {0: a, 2: b}\n",
        ["data.yaml", "without a gap"],
    ),
    "count against names": (
        "path: ./\ntrain: images/train\nval: images/val\nnc: 2\nnames: [a, b, c]\n",
        ["data.yaml", "'nc' is 2", "3"],
    ),
    "missing folder": ("path: ./\ntrain: images/nowhere\nval: images/val\nnames: [a]\n", ["images/nowhere", "exist"]),
    "folder without images": ("path: ./\ntrain: labels/train\nval: images/val\nnames: [a]\n", ["labels/train", "no"]),
    "broken YAML": ("path: [./\n", ["data.yaml:", "YAML"]),
}


@pytest.mark.parametrize("text, fragments", YAMLS.values(), ids=YAMLS.keys())
def test_wrong_data_yaml_is_refused(
    text: str, fragments: list[str], own_rectangles: Path, refused_data: Callable[..., str]
) -> None:
    own_rectangles.write_text(text)
    message = refused_data()
    for fragment in fragments:
        assert fragment in message


ROWS = {
    "class id out of range": ("3 0.5 0.5 0.2 0.2", "class id 3 is out of range, expected 0 to 2"),
    "class id below zero": ("-1 0.5 0.5 0.2 0.2", "class id -1 is out of range"),
    "not finite": ("0 nan 0.5 0.2 0.2", "column 2 is not finite"),
    "infinite": ("0 0.5 0.5 inf 0.2", "column 4 is not finite"),
    "outside": ("0 1.02 0.5 0.2 0.2", "x_center 1.02 is outside [0, 1] by more than 1 %"),
    "pixels": ("0 64 48 20 20", "are these pixels?"),
    "negative": ("0 0.5 -0.02 0.2 0.2", "y_center -0.02 is outside"),
    "too few columns": ("0 0.5 0.5 0.2", "4 columns, expected 5"),
    "a confidence": ("0 0.5 0.5 0.2 0.2 0.9", "6 columns, expected 5"),
    "no number": ("0 0.5 half 0.2 0.2", "column 3 is not a number: 'half'"),
    "a name": ("red 0.5 0.5 0.2 0.2", "column 1 is not a number: 'red'"),
    "decimal comma": ("0 0,5 0.5 0.2 0.2", "write a decimal point"),
}


@pytest.mark.parametrize("row, expected", ROWS.values(), ids=ROWS.keys())
def test_bad_label_row_is_refused_with_file_and_line(
    row: str, expected: str, own_rectangles: Path, refused_data: Callable[..., str]
) -> None:
    file = label_files(own_rectangles)[2]
    file.write_text(f"0 0.5 0.5 0.2 0.2\n\n{row}\n")
    message = refused_data()
    assert "1 bad label row in 1 file of the 'train' split" in message
    assert f"{file}:3: " in message and expected in message


def test_all_bad_rows_of_all_files_are_counted(own_rectangles: Path, refused_data: Callable[..., str]) -> None:
    first, second = label_files(own_rectangles)[:2]
    first.write_text("7 0.5 0.5 0.2 0.2\n" * 4)
    second.write_text("0 0.5 0.5 0.2 0.2\n0 5 0.5 0.2 0.2\n0 0.5 0.5\n8 0.1 0.1 0.1 0.1\n")
    message = refused_data(lines=8)
    assert "7 bad label rows in 2 files" in message
    assert f"{first}:1: " in message and f"{second}:2: " in message and "... and 2 more" in message


def test_bad_row_of_the_validation_split_is_refused_too(own_rectangles: Path, refused_data: Callable[..., str]) -> None:
    file = label_files(own_rectangles, "val")[0]
    file.write_text("9 0.5 0.5 0.2 0.2\n")
    assert f"{file}:1: " in refused_data()


@pytest.mark.parametrize("content", ["", "no image", "cut"], ids=["empty", "text", "cut off"])
def test_image_that_does_not_decode_is_refused(
    content: str, own_rectangles: Path, refused_data: Callable[..., str]
) -> None:
    image = sorted((own_rectangles.parent / "images/train").glob("*.png"))[0]
    image.write_bytes(image.read_bytes()[:2000] if content == "cut" else content.encode())
    message = refused_data()
    assert "1 image of the 'train' split cannot be used" in message and str(image) in message


def test_empty_training_split_is_refused(own_rectangles: Path, refused_data: Callable[..., str]) -> None:
    for file in label_files(own_rectangles):
        file.unlink()
    message = refused_data()
    assert "'train' split has 6 images but no labelled object" in message and "labels/train/000.txt" in message


def test_missing_data_of_val_is_refused(detector: Path, refused: Refused) -> None:
    assert "nowhere.yaml" in refused("val", detector, "--data", "nowhere.yaml")


def test_labels_are_checked_by_val_too(own_rectangles: Path, detector: Path, refused: Refused) -> None:
    file = label_files(own_rectangles, "val")[1]
    file.write_text("0 0.5 0.5 0.2\n")
    assert f"{file}:1: " in refused("val", detector, "--data", own_rectangles, "imgsz=64")


def test_data_of_other_classes_is_refused_by_val(own_rectangles: Path, detector: Path, refused: Refused) -> None:
    text = own_rectangles.read_text()
    own_rectangles.write_text(text.replace("green", "lime"))
    message = refused("val", detector, "--data", own_rectangles)
    assert "class 1 is 'lime'" in message and "'green'" in message
    own_rectangles.write_text(text + "  3: yellow\n")
    message = refused("val", detector, "--data", own_rectangles)
    assert "has 3 classes" in message and "names 4" in message


@pytest.mark.slow
def test_class_without_labels_is_warned_about_with_its_weight(own_rectangles: Path, run_cli: Run) -> None:
    for split in ("train", "val"):
        for file in label_files(own_rectangles, split):
            rows = [row for row in file.read_text().splitlines() if not row.startswith("2")]
            file.write_text("\n".join(rows) + "\n")
    outcome = run_cli("train", "detect/yolov8n", f"data={own_rectangles}", *FAST)
    assert outcome.code == 0
    weight = (Path("runs/detect/train/class_weights.csv").read_text().splitlines()[3]).split(",")
    assert weight[:3] == ["2", "blue", "0"]
    assert f"class 'blue' has no label in the training split; its weight is {float(weight[3]):.3g}" in outcome.out
    assert "no label in the 'val' split for: blue" in outcome.out

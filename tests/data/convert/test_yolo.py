"""YOLO label files: with a YAML, in darknet's layout, with names beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reg_yolo.data import convert_dataset as convert
from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.data.dataset.label_scan import scan_labels
from reg_yolo.errors import DataError
from tests.data.convert.exports import rows, write_picture

MIXED = "0 0.500000 0.500000 0.250000 0.250000\n1 0.100000 0.100000 0.200000 0.100000 0.200000 0.200000\n"


def write_yolo(folder: Path, text: str = MIXED, split: str = "train", stem: str = "a") -> Path:
    write_picture(folder / f"images/{split}/{stem}.png")
    (folder / f"labels/{split}").mkdir(parents=True, exist_ok=True)
    (folder / f"labels/{split}/{stem}.txt").write_bytes(text.encode())
    splits = "".join(f"{name}: images/{name}\n" for name in ("train", "val") if (folder / "images" / name).is_dir())
    (folder / "data.yaml").write_text(f"{splits}names: [ป้าย, เสา]\n", encoding="utf-8")
    return folder


def test_mixed_rows_windows_line_ends_and_splits_come_through(tmp_path: Path) -> None:
    write_yolo(tmp_path / "in", "\ufeff" + MIXED.replace("\n", "\r\n"))
    write_yolo(tmp_path / "in", MIXED, "val", "ถนน")
    convert(tmp_path / "in", tmp_path / "out", classes=["เสา", "ป้าย"])
    assert (tmp_path / "out/labels/val/ถนน.txt").read_text() == MIXED.replace("1 0.1", "0 0.1").replace(
        "0 0.5", "1 0.5", 1
    )
    description = read_dataset_yaml(tmp_path / "out/data.yaml")
    scan = scan_labels(description, "train", allow_mixed=True)
    assert not scan.problems and scan.box_counts == [0, 1] and scan.polygon_counts == [1, 0]


def test_darknet_lists_and_obj_names(tmp_path: Path) -> None:
    for name, listing in (("a", "train.txt"), ("b", "valid.txt")):
        write_picture(tmp_path / f"in/obj_train_data/{name}.png")
        (tmp_path / f"in/obj_train_data/{name}.txt").write_text("0 0.5 0.5 0.1 0.1\n")
        (tmp_path / "in" / listing).write_bytes(f"data\\obj_train_data\\{name}.png\r\n".encode())
    (tmp_path / "in/obj.names").write_text("sign\npole\n\n")
    (tmp_path / "in/obj.data").write_text("classes = 2\n")
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert dict(summary.images) == {"train": 1, "val": 1} and summary.class_names == ["sign", "pole"]


def test_names_beside_the_labels(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/a.png")
    (tmp_path / "in/a.txt").write_text("1 0.5 0.5 0.1 0.1\n")
    (tmp_path / "in/classes.txt").write_bytes("\ufeffsign\r\npole\r\n".encode())
    convert(tmp_path / "in", tmp_path / "out")
    assert rows(tmp_path / "out") == [[1, 0.5, 0.5, 0.1, 0.1]]


def test_equal_names_in_two_folders_get_the_folder_in_front(tmp_path: Path) -> None:
    for day in ("day1", "day2"):
        write_yolo(tmp_path / "in", split=f"train/{day}", stem="0001")
    write_yolo(tmp_path / "in", split="train/day2", stem="0002")
    (tmp_path / "in/data.yaml").write_text("train: images/train\nnames: [a, b]\n")
    convert(tmp_path / "in", tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out/images/train").iterdir())
    assert names == ["0002.png", "day1__0001.png", "day2__0001.png"]


BROKEN = {
    "columns": (b"0 0.5 0.5 0.1\n", "line 1 (4 columns, expected 5", "row that cannot be read"),
    "class": (b"2 0.5 0.5 0.1 0.1\n", "line 1 (class id 2 is out of range", "class id that the set does not name"),
    "word": (b"0 0.5 x 0.1 0.1\n", "line 1 (column 3 is not a number: 'x')", "row that cannot be read"),
    "pixels": (b"0 40 30 8 6\n", "line 1 (x_center 40 is outside", "coordinates outside of the image"),
    "file": ("0 0.5 0.5 0.1 0.1\n".encode("utf-16"), "(is UTF-16 text", "label file that cannot be read"),
}


@pytest.mark.parametrize("text, place, reason", BROKEN.values(), ids=BROKEN.keys())
def test_bad_rows_are_left_out_and_named(tmp_path: Path, text: bytes, place: str, reason: str) -> None:
    folder = write_yolo(tmp_path / "in", "0 0.5 0.5 0.25 0.25\n")
    for stem in ("b", "c"):
        write_yolo(folder, stem=stem)
        (folder / f"labels/train/{stem}.txt").write_bytes(text)
    if reason != "label file that cannot be read":
        (folder / "labels/train/c.txt").write_bytes(text + b"0 0.5 0.5 0.25 0.25\n")
    summary = convert(folder, tmp_path / "out", background=True)
    # An image whose only row is bad is not a background; one with a good row beside it keeps that.
    written = sorted(path.stem for path in (tmp_path / "out/images/train").iterdir())
    assert written == (["a"] if "file" in reason else ["a", "c"])
    lost = [remark for remark in summary.remarks if remark.place]
    assert len(lost) == 2 and all(remark.reason.startswith(reason) for remark in lost)
    assert lost[0].file == "labels/train/b.txt" and lost[0].place.startswith(place)
    with pytest.raises(DataError, match=r"strict, and.*\n.*b\.txt") as refused:
        convert(folder, tmp_path / "strict", strict=True)
    assert place in str(refused.value) and not (tmp_path / "strict").exists()


def test_a_repeated_row_is_left_out_and_named(tmp_path: Path) -> None:
    summary = convert(write_yolo(tmp_path / "in", MIXED + MIXED), tmp_path / "out")
    assert (tmp_path / "out/labels/train/a.txt").read_text() == MIXED
    assert [(r.place, r.reason) for r in summary.remarks] == [
        ("line 3 (as line 1)", "the same object a second time"),
        ("line 4 (as line 2)", "the same object a second time"),
    ]


def test_a_split_that_is_named_and_not_there_is_noted(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "in")
    text = (folder / "data.yaml").read_text(encoding="utf-8")
    (folder / "data.yaml").write_text(f"test: images/test\n{text}", encoding="utf-8")
    summary = convert(folder, tmp_path / "out")
    assert summary.notes == ["'test:' points to what does not exist, and is left out."]
    assert "test" not in read_dataset_yaml(tmp_path / "out/data.yaml", ["train"]).splits
    (folder / "data.yaml").write_text(text.replace("images/train", "images/trian"), encoding="utf-8")
    with pytest.raises(DataError, match=r"'train:' points to .*images/trian"):
        convert(folder, tmp_path / "none")


def test_labels_that_are_nowhere_are_refused(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "in")
    (folder / "labels/train/a.txt").unlink()
    with pytest.raises(DataError, match=r"none of 1 images has a label.*labels/train/a\.txt"):
        convert(folder, tmp_path / "out")

"""COCO: ids of any kind, parts, holes, masks, crowds, and what is left out."""

from __future__ import annotations

import csv
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from reg_yolo.data import convert_dataset as convert
from reg_yolo.data.convert.formats.recognise import read_annotations
from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.errors import DataError
from tests.data.convert.exports import (
    HEIGHT,
    WIDTH,
    coco_content,
    painted,
    pixel_rows,
    rows,
    write_coco,
    write_picture,
)

SQUARE = [10, 10, 30, 10, 30, 40, 10, 40]
FAR = [50, 20, 60, 20, 60, 30, 50, 30]


def test_zero_based_and_sparse_ids_become_classes_by_name(tmp_path: Path) -> None:
    content = coco_content(
        [
            {"category_id": 0, "bbox": [1, 2, 10, 20]},
            {"category_id": 90, "bbox": [5, 6, 10, 20]},
            {"category_id": 7, "bbox": [9, 9, 10, 20]},
        ],
        categories=((90, "wall"), (0, "sign"), (7, "pole")),
    )
    convert(write_coco(tmp_path / "in", content), tmp_path / "out")
    assert read_dataset_yaml(tmp_path / "out/data.yaml", required=["train"]).class_names == ["sign", "pole", "wall"]
    assert pixel_rows(tmp_path / "out") == [(0, [1, 2, 11, 22]), (2, [5, 6, 15, 26]), (1, [9, 9, 19, 29])]


def test_polygons_and_boxes_stand_side_by_side_and_no_box_becomes_a_polygon(tmp_path: Path) -> None:
    content = coco_content(
        [
            {"bbox": [10, 10, 20, 30], "segmentation": [SQUARE]},
            {"bbox": [1, 2, 10, 20], "segmentation": []},
            {"bbox": [3, 2, 10, 20]},
            {"bbox": [4, 2, 10, 20], "segmentation": [[]]},
            {"segmentation": SQUARE[:6]},
        ]
    )
    convert(write_coco(tmp_path / "in", content), tmp_path / "out")
    assert [len(row) for row in rows(tmp_path / "out")] == [9, 5, 5, 5, 7]
    assert pixel_rows(tmp_path / "out")[0] == (0, SQUARE)


def test_parts_of_an_object_are_one_row_with_the_mask_of_both(tmp_path: Path) -> None:
    content = coco_content([{"segmentation": [SQUARE, FAR]}])
    convert(write_coco(tmp_path / "in", content), tmp_path / "out")
    (row,) = rows(tmp_path / "out")
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[10:40, 10:30] = expected[20:30, 50:60] = 1
    np.testing.assert_array_equal(painted(row), expected)


def mask_with_hole() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:40, 10:40] = 1
    mask[20:30, 20:25] = 0
    mask[45:50, 60:70] = 1
    return mask


@pytest.mark.parametrize("compressed", [True, False])
def test_masks_keep_parts_and_holes_to_the_pixel(tmp_path: Path, compressed: bool) -> None:
    mask = mask_with_hole()
    if compressed:
        encoded = coco_mask.encode(np.asfortranarray(mask))
        counts: object = encoded["counts"].decode()
    else:
        flat = mask.ravel(order="F")
        edges = np.flatnonzero(np.diff(flat)) + 1
        counts = np.diff([0, *edges, flat.size]).tolist()
    content = coco_content([{"segmentation": {"size": [HEIGHT, WIDTH], "counts": counts}}])
    convert(write_coco(tmp_path / "in", content), tmp_path / "out")
    (row,) = rows(tmp_path / "out")
    np.testing.assert_array_equal(painted(row), mask)


def test_crowds_are_left_out_and_named_unless_asked_for(tmp_path: Path) -> None:
    content = coco_content(
        [{"bbox": [10, 10, 20, 30], "segmentation": [SQUARE]}, {"iscrowd": 1, "segmentation": [FAR]}]
    )
    folder = write_coco(tmp_path / "in", content)
    convert(folder, tmp_path / "out")
    assert len(rows(tmp_path / "out")) == 1
    with (tmp_path / "out/conversion.csv").open(encoding="utf-8-sig") as stream:
        (line,) = csv.DictReader(stream)
    assert (line["what"], line["file"], line["object"], line["class"]) == ("dropped", "a.png", "annotations[1]", "sign")
    assert "iscrowd" in line["reason"]
    convert(folder, tmp_path / "kept", keep_crowd=True)
    assert len(rows(tmp_path / "kept")) == 2


def test_splits_come_from_file_names_and_equal_names_stay_apart(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for split, name in (("train2017", "instances_train2017.json"), ("val2017", "instances_val2017.json")):
        content = coco_content([{"bbox": [1, 2, 10, 20 if split == "train2017" else 30]}], images=["000001.png"])
        write_picture(folder / split / "000001.png", seed=len(split))
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / name).write_text(json.dumps(content))
    summary = convert(folder, tmp_path / "out")
    assert dict(summary.images) == {"train": 1, "val": 1}
    assert pixel_rows(tmp_path / "out", "000001", "val") == [(0, [1, 2, 11, 32])]
    for split in ("train", "val"):
        written = (tmp_path / f"out/images/{split}/000001.png").read_bytes()
        assert written == (folder / f"{split}2017/000001.png").read_bytes()


FAULTS = {
    "box without area": ({"bbox": [1, 2, 0, 20]}, "no area"),
    "outside": ({"bbox": [200, 2, 10, 20]}, "outside of the image"),
    "polygon outside": ({"segmentation": [[200, 2, 210, 2, 210, 20]]}, "outside of the image"),
    "line": ({"segmentation": [[1, 2, 10, 20]]}, "no area"),
    "nothing": ({}, "neither box nor outline"),
    "not finite": ({"bbox": [float("nan"), 2, 10, 20]}, "not finite"),
    "twice": ({"bbox": [40, 40, 10, 10]}, "second time"),
}


@pytest.mark.parametrize("entry, reason", FAULTS.values(), ids=FAULTS.keys())
def test_objects_that_cannot_be_trained_on_are_left_out_and_named(
    tmp_path: Path, entry: dict[str, object], reason: str
) -> None:
    folder = write_coco(tmp_path / "in", coco_content([{"bbox": [40, 40, 10, 10]}, entry]))
    summary = convert(folder, tmp_path / "out")
    assert len(rows(tmp_path / "out")) == 1
    (remark,) = summary.remarks
    assert remark.kind == "dropped" and reason in remark.reason and remark.place == "annotations[1]"
    assert reason in summary.as_text()
    with pytest.raises(DataError, match=r"strict, and(.|\n)*annotations\[1\]"):
        convert(folder, tmp_path / "strict", strict=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_what_sticks_out_is_cut_and_a_line_with_a_box_stays_a_box(tmp_path: Path) -> None:
    content = coco_content(
        [
            {"bbox": [70, 50, 20, 20]},
            {"segmentation": [[70, 10, 90, 10, 90, 30, 70, 30]]},
            {"segmentation": [[1, 2, 10, 20]], "bbox": [1, 2, 9, 18]},
        ]
    )
    summary = convert(write_coco(tmp_path / "in", content), tmp_path / "out")
    box, polygon, line = pixel_rows(tmp_path / "out")
    assert box == (0, [70, 50, 80, 60])
    assert line == (0, [1, 2, 10, 20])
    assert {tuple(p) for p in np.reshape(polygon[1], (-1, 2))} == {(70, 10), (80, 10), (80, 30), (70, 30)}
    assert [remark.kind for remark in summary.remarks] == ["changed"] * 3


def test_a_box_that_is_not_around_its_outline_is_named(tmp_path: Path) -> None:
    outline = [[10, 10, 30, 10, 30, 40]]
    content = coco_content(
        [
            {"segmentation": outline, "bbox": [10.4, 9, 19.1, 32]},
            {"segmentation": [[value + 5 for value in outline[0]]], "bbox": [40, 15, 20, 30]},
            {"segmentation": [[60, 10, 90, 10, 90, 30]], "bbox": [60, 10, 30, 20]},
        ]
    )
    summary = convert(write_coco(tmp_path / "in", content), tmp_path / "out")
    assert [(remark.place, remark.reason) for remark in summary.remarks] == [
        ("annotations[1]", "box is not the one around the outline: the outline is taken"),
        ("annotations[2]", "cut at the border of the image"),
    ]


def test_windows_paths_byte_order_mark_and_thai_names(tmp_path: Path) -> None:
    content = coco_content([{"bbox": [1, 2, 10, 20]}], categories=((0, "ป้ายเตือน"),))
    content["images"][0]["file_name"] = "C:\\งาน\\ภาพ\\ถนน ๑.png"
    write_picture(tmp_path / "in/ภาพ/ถนน ๑.png")
    text = json.dumps(content, ensure_ascii=False, indent=1).replace("\n", "\r\n")
    (tmp_path / "in/ส่งออก.json").write_bytes("\ufeff".encode() + text.encode())
    convert(tmp_path / "in", tmp_path / "out")
    assert pixel_rows(tmp_path / "out", "ถนน ๑") == [(0, [1, 2, 11, 22])]
    description = read_dataset_yaml(tmp_path / "out/data.yaml", required=["train"])
    assert description.class_names == ["ป้ายเตือน"]
    assert description.images("train") == [tmp_path / "out/images/train/ถนน ๑.png"]


BROKEN = {
    "unknown class": ({"category_id": 3}, r"annotations\[1\] \(category_id 3\)"),
    "unknown image": ({"image_id": 3}, r"annotations\[1\] \(image_id 3\)"),
    "short box": ({"bbox": [1, 2, 3]}, r"annotations\[1\] \(bbox: .*3 values"),
    "words in a box": ({"bbox": [1, 2, "x", 3]}, r"annotations\[1\] \(bbox.*'x'"),
    "odd polygon": ({"segmentation": [[1, 2, 3, 4, 5]]}, r"annotations\[1\] \(segmentation\[0\]"),
    "short mask": ({"segmentation": {"size": [60, 80], "counts": [5]}}, "counts: runs of 5 pixels"),
    "other mask": ({"segmentation": {"size": [6, 8], "counts": [48]}}, "the mask is 8x6, its image 80x60"),
    "cut off mask": ({"segmentation": {"size": [60, 80], "counts": "P"}}, "counts: cut off"),
}


@pytest.mark.parametrize("entry, message", BROKEN.values(), ids=BROKEN.keys())
def test_a_bad_object_is_skipped_and_named_and_strict_refuses(
    tmp_path: Path, entry: dict[str, object], message: str
) -> None:
    folder = write_coco(tmp_path / "in", coco_content([{"bbox": [1, 2, 10, 20]}, entry]))
    with pytest.raises(DataError, match=f"strict.*\n.*{message}"):
        convert(folder, tmp_path / "out", strict=True)
    assert not (tmp_path / "out").exists()
    summary = convert(folder, tmp_path / "out")
    assert pixel_rows(tmp_path / "out") == [(0, [1, 2, 11, 22])]
    assert [remark.kind for remark in summary.remarks] == ["dropped"] and summary.images_lost == 0


def test_missing_pictures_are_counted_and_the_rest_is_written(tmp_path: Path) -> None:
    content = coco_content(
        [{"bbox": [1, 2, 10, 20]}, {"image_id": 1, "bbox": [1, 2, 10, 20]}], images=["a.png", "b.png"]
    )
    folder = write_coco(tmp_path / "in", content)
    (folder / "b.png").unlink()
    summary = convert(folder, tmp_path / "out")
    assert summary.images_lost == 1 and summary.images["train"] == 1
    write_picture(tmp_path / "elsewhere/b.png")
    assert convert(folder, tmp_path / "both", images=tmp_path / "elsewhere").images["train"] == 2


def test_masks_with_many_corners_are_thinned_and_said_so(tmp_path: Path) -> None:
    side = 400
    y, x = np.mgrid[:side, :side]
    mask = (np.hypot(x - 200, y - 200) < 150 + 30 * np.sin(60 * np.arctan2(y - 200, x - 200))).astype(np.uint8)
    counts = coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
    content = coco_content([{"segmentation": {"size": [side, side], "counts": counts}}], size=(side, side))
    summary = convert(write_coco(tmp_path / "in", content), tmp_path / "out")
    (row,) = rows(tmp_path / "out")
    drawn = painted(row, (side, side))
    assert len(row) <= 2001
    assert (drawn & mask).sum() / (drawn | mask).sum() > 0.95
    assert "simplified" in summary.remarks[0].reason


def test_large_files_do_not_stand_in_memory_as_python_numbers(tmp_path: Path) -> None:
    ring = [round(5 + 40 * abs(np.sin(k)), 3) for k in range(400)]
    folder = write_coco(tmp_path / "in", coco_content([{"segmentation": [ring]}] * 1000))
    size = (folder / "instances.json").stat().st_size
    tracemalloc.start()
    try:
        read_annotations(folder)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The text as bytes and decoded, and eight bytes for each number; lists of floats take seven times the file.
    assert peak < 4 * size


def test_files_without_instances_beside_others_are_passed_over(tmp_path: Path) -> None:
    folder = write_coco(tmp_path / "in", coco_content([{"bbox": [1, 2, 10, 20]}]))
    (folder / "captions.json").write_text('{"images": [], "annotations": []}')
    summary = convert(folder, tmp_path / "out")
    assert summary.notes == ["captions.json holds no instances (it has no 'categories'): skipped."]

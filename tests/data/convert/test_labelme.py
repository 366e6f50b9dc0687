"""Labelme JSON: shapes, groups, images beside and inside the file."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reg_yolo.data import convert_dataset as convert
from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.errors import DataError
from tests.data.convert.exports import painted, pixel_rows, rows, write_picture


def shape(points: list[list[float]], kind: str | None = "polygon", label: str = "sign", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **more}


def write_labelme(path: Path, shapes: list[dict[str, Any]], **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"{path.stem}.png",
        "imageData": None,
        "imageHeight": 60,
        "imageWidth": 80,
        **more,
    }
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def test_polygons_rectangles_circles_and_lines(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/a.png")
    shapes = [
        shape([[10, 10], [30, 10], [30, 40]]),
        shape([[40, 30], [20, 10]], "rectangle", "ป้าย"),
        shape([[50, 30], [50, 40]], "circle"),
        shape([[20, 10], [30, 20], [20, 30], [10, 20]], "rotation"),
        shape([[1, 1], [2, 2]], "line"),
        shape([[1, 1]], "point"),
    ]
    write_labelme(tmp_path / "in/a.json", shapes)
    summary = convert(tmp_path / "in", tmp_path / "out")
    found = pixel_rows(tmp_path / "out")
    assert read_dataset_yaml(tmp_path / "out/data.yaml", ["train"]).class_names == ["sign", "ป้าย"]
    assert found[0] == (0, [10, 10, 30, 10, 30, 40])
    assert found[1] == (1, [20, 10, 40, 30])
    circle = np.reshape(found[2][1], (-1, 2))
    assert np.hypot(*(circle - [50, 30]).T) == pytest.approx(10, abs=0.02)
    assert found[3] == (0, [10, 10, 30, 30])
    assert [remark.place for remark in summary.remarks] == ["shapes[4]", "shapes[5]"]


def test_parts_of_a_group_are_one_object(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/a.png")
    parts = [[[10, 10], [20, 10], [20, 20], [10, 20]], [[40, 10], [50, 10], [50, 20], [40, 20]]]
    write_labelme(tmp_path / "in/a.json", [shape(part, group_id=0) for part in parts])
    convert(tmp_path / "in", tmp_path / "out")
    (row,) = rows(tmp_path / "out")
    assert painted(row).sum() == 200


def test_an_embedded_picture_is_written_and_a_mask_is_traced(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "elsewhere/x.png")
    mask = np.zeros((11, 21), np.uint8)
    mask[2:8, 3:15] = 255
    encoded = base64.b64encode(cv2.imencode(".png", mask)[1].tobytes()).decode()
    write_labelme(
        tmp_path / "in/ภาพ.json",
        [shape([[10, 20], [30, 30]], "mask", mask=encoded)],
        imageData=base64.b64encode(picture.read_bytes()).decode(),
        imagePath="..\\gone\\x.png",
    )
    convert(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out/images/train/ภาพ.png").read_bytes() == picture.read_bytes()
    (row,) = rows(tmp_path / "out", "ภาพ")
    drawn = painted(row)
    assert drawn[22:28, 13:25].all() and drawn.sum() == 72


def test_pictures_without_a_file_are_background_on_request(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "line"):
        write_picture(tmp_path / f"in/{name}.png")
    # Something is in it, though nothing that can be a label.
    write_labelme(tmp_path / "in/line.json", [shape([[1, 1], [2, 2]], "line")])
    write_labelme(tmp_path / "in/a.json", [shape([[10, 10], [30, 10], [30, 40]])])
    write_labelme(tmp_path / "in/b.json", [])
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert summary.unlabelled == 2 and summary.images["train"] == 1
    kept = convert(tmp_path / "in", tmp_path / "kept", background=True)
    assert kept.images["train"] == 3 and kept.background["train"] == 2
    assert not (tmp_path / "kept/images/train/line.png").exists()
    assert (tmp_path / "kept/labels/train/c.txt").read_text() == ""


BROKEN = {
    "shape type": ([shape([[1, 1], [2, 2]], "star")], r"shapes\[0\] \(shape_type 'star'"),
    "no label": ([{"points": [[1, 1]]}], r"shapes\[0\] \(label"),
    "circle": ([shape([[1, 1]], "circle")], "a circle needs its centre"),
    "mask": ([shape([[1, 1], [2, 2]], "mask", mask="AAAA")], "mask: expected a PNG"),
    "points": ([shape([[1, 1], [2, "x"]])], r"shapes\[0\] \(points"),
}


@pytest.mark.parametrize("shapes, message", BROKEN.values(), ids=BROKEN.keys())
def test_broken_files_are_refused_with_their_place(tmp_path: Path, shapes: list[Any], message: str) -> None:
    write_picture(tmp_path / "in/a.png")
    write_labelme(tmp_path / "in/a.json", shapes)
    with pytest.raises(DataError, match=message):
        convert(tmp_path / "in", tmp_path / "out")

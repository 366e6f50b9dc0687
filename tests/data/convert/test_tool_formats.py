"""Label Studio, VIA, Datumaro, CreateML, LabelMe XML and mask images: the same objects, written as each tool does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from reg_yolo.data import convert_dataset as convert
from reg_yolo.data.convert.formats.label_studio import unpack_brush
from reg_yolo.data.convert.formats.recognise import recognise
from reg_yolo.errors import DataError
from tests.data.convert.exports import HEIGHT, WIDTH, painted, pixel_rows, rows, write_picture

BOX = (10.0, 20.0, 30.0, 40.0)
RING = [(40.0, 10.0), (60.0, 12.0), (50.0, 30.0)]
# What every tool of this file is given: a box of the first class, an outline of the second.
WANTED = [("sign", list(BOX)), ("pole", [value for point in RING for value in point])]
MASK = np.zeros((HEIGHT, WIDTH), np.uint8)
MASK[10:30, 40:60] = 1
MASK[15:20, 45:50] = 0


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def percent(value: float, side: int) -> float:
    return value / side * 100


def write_label_studio(folder: Path) -> Any:
    """Write a full export and return its task."""
    left, top, right, bottom = BOX
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    regions: list[dict[str, Any]] = [
        {
            "type": "rectanglelabels",
            **size,
            "value": {
                "x": percent(left, WIDTH),
                "y": percent(top, HEIGHT),
                "width": percent(right - left, WIDTH),
                "height": percent(bottom - top, HEIGHT),
                "rotation": 0,
                "rectanglelabels": ["sign"],
            },
        },
        {
            "type": "polygonlabels",
            **size,
            "value": {
                "points": [[percent(x, WIDTH), percent(y, HEIGHT)] for x, y in RING],
                "polygonlabels": ["pole"],
            },
        },
        {"type": "choices", "value": {"choices": ["wet"]}},
    ]
    task = {"data": {"image": "/data/upload/1/3f2a-a.png"}, "annotations": [{"result": regions}]}
    write(folder / "project-1.json", [task])
    return task


def write_label_studio_min(folder: Path) -> None:
    """Write JSON-MIN, in which the values of a control stand by themselves."""
    regions = write_label_studio(folder)["annotations"][0]["result"]
    flat = [{**region["value"], "original_width": WIDTH, "original_height": HEIGHT} for region in regions[:2]]
    write(
        folder / "project-1.json",
        [{"id": 1, "image": "/data/local-files/?d=x/a.png", "label": flat[:1], "o": flat[1:]}],
    )


def write_via(folder: Path) -> None:
    left, top, right, bottom = BOX
    regions = [
        {
            "shape_attributes": {"name": "rect", "x": left, "y": top, "width": right - left, "height": bottom - top},
            "region_attributes": {"kind": "sign", "note": ""},
        },
        {
            "shape_attributes": {
                "name": "polygon",
                "all_points_x": [x for x, _ in RING],
                "all_points_y": [y for _, y in RING],
            },
            "region_attributes": {"kind": {"pole": True}},
        },
    ]
    entry = {"filename": "a.png", "size": 123, "regions": regions, "file_attributes": {}}
    write(folder / "via_project.json", {"_via_settings": {}, "_via_img_metadata": {"a.png123": entry}})


def write_via_1(folder: Path) -> None:
    """Write VIA 1, which numbers its regions in an object."""
    write_via(folder)
    content = json.loads((folder / "via_project.json").read_text())["_via_img_metadata"]
    content["a.png123"]["regions"] = dict(enumerate(content["a.png123"]["regions"]))
    write(folder / "via_project.json", content)


def write_datumaro(folder: Path) -> None:
    left, top, right, bottom = BOX
    annotations = [
        {"type": "bbox", "label_id": 0, "bbox": [left, top, right - left, bottom - top], "group": 0, "attributes": {}},
        {"type": "polygon", "label_id": 1, "points": [value for point in RING for value in point], "group": 0},
        {"type": "label", "label_id": 1},
    ]
    item = {"id": "a", "annotations": annotations, "image": {"path": "a.png", "size": [HEIGHT, WIDTH]}}
    labels = {"label": {"labels": [{"name": "sign"}, {"name": "pole"}]}}
    write(folder / "annotations/default.json", {"info": {}, "categories": labels, "items": [item]})


def write_labelme_xml(folder: Path) -> None:
    def points(ring: list[tuple[float, float]]) -> str:
        return "<polygon>" + "".join(f"<pt><x>{x:g}</x><y>{y:g}</y></pt>" for x, y in ring) + "</polygon>"

    left, top, right, bottom = BOX
    box = points([(left, top), (right, top), (right, bottom), (left, bottom)])
    write(
        folder / "a.xml",
        f"<annotation><filename>a.png</filename><imagesize><nrows>{HEIGHT}</nrows><ncols>{WIDTH}</ncols></imagesize>"
        f"<object><name>sign</name><deleted>0</deleted><type>bounding_box</type>{box}</object>"
        f"<object><name>pole</name><deleted>0</deleted>{points(RING)}</object>"
        f"<object><name>pole</name><deleted>1</deleted>{points(RING)}</object></annotation>",
    )


KINDS = {"label": "label-studio", "via": "via", "datumaro": "datumaro"}
TOOLS: dict[str, Callable[[Path], Any]] = {
    "Label Studio": write_label_studio,
    "Label Studio JSON-MIN": write_label_studio_min,
    "VIA 2": write_via,
    "VIA 1": write_via_1,
    "Datumaro": write_datumaro,
    "LabelMe XML": write_labelme_xml,
}


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS.keys())
def test_boxes_and_outlines_come_through_and_back_from_coco(tmp_path: Path, tool: Callable[[Path], Any]) -> None:
    write_picture(tmp_path / "in/a.png")
    tool(tmp_path / "in")
    summary = convert(tmp_path / "in", tmp_path / "out", classes=["sign", "pole"])
    found = [(summary.class_names[index], values) for index, values in pixel_rows(tmp_path / "out")]
    assert found == WANTED
    (kind,) = recognise(tmp_path / "in")
    assert kind == summary.format_name == ("voc" if tool is write_labelme_xml else KINDS[tool.__name__.split("_")[1]])
    assert summary.images_lost == 0 and not [r for r in summary.remarks if r.kind == "dropped"]
    convert(tmp_path / "in", tmp_path / "coco", to="coco", classes=["sign", "pole"])
    convert(tmp_path / "coco", tmp_path / "back")
    assert [(index, values) for index, values in pixel_rows(tmp_path / "back")] == pixel_rows(tmp_path / "out")


def test_boxes_of_createml_are_given_by_their_middle(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/a.png")
    entry = {"label": "sign", "coordinates": {"x": 20, "y": 30, "width": 20, "height": 20}}
    bad = {"label": "sign", "coordinates": {"x": 20, "y": 30, "width": 20}}
    write(tmp_path / "in/_annotations.createml.json", [{"image": "a.png", "annotations": [entry, bad]}])
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert pixel_rows(tmp_path / "out") == [(0, list(BOX))]
    assert [remark.reason for remark in summary.remarks] == ["object that cannot be read"]


# Label Studio ----------------------------------------------------------------------------------------------------


def packed(values: np.ndarray) -> list[int]:
    """Pack bytes as Label Studio does, every run with its length in sixteen bits."""
    bits = f"{len(values):032b}{7:05b}{15:04b}{15:04b}{15:04b}{15:04b}"
    start = 0
    while start < len(values):
        end = start + 1
        while end < len(values) and values[end] == values[start] and end - start < 65536:
            end += 1
        bits += f"1{0:02b}{end - start - 1:016b}{values[start]:08b}"
        start = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


def test_brush_masks_of_label_studio_keep_their_holes(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/a.png")
    task = write_label_studio(tmp_path / "in")
    rle = packed(np.repeat(MASK.ravel() * 255, 4))
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    task["annotations"][0]["result"] = [
        {"type": "brushlabels", **size, "value": {"format": "rle", "rle": rle, "brushlabels": ["sign"]}},
        {"type": "brushlabels", **size, "value": {"format": "rle", "rle": rle[:20], "brushlabels": ["sign"]}},
    ]
    write(tmp_path / "in/project-1.json", [task])
    summary = convert(tmp_path / "in", tmp_path / "out")
    np.testing.assert_array_equal(painted(rows(tmp_path / "out")[0]), MASK)
    assert [r.place for r in summary.remarks if r.kind == "dropped"] == ["task 0 region 1 (rle: cut off)"]


def test_runs_of_single_values_are_unpacked() -> None:
    # Four values of eight bits, none repeated, lengths in one bit.
    bits = f"{2:032b}{7:05b}{0:04b}{0:04b}{0:04b}{0:04b}" + "0" + "00" + "1" + f"{5:08b}{9:08b}"
    bits += "0" * (-len(bits) % 8)
    numbers = [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]
    assert unpack_brush(numbers, "here", 2).tolist() == [5, 9]
    with pytest.raises(DataError, match="2 values for an image of 8"):
        unpack_brush(numbers, "here", 8)


def test_boxes_of_label_studio_turn_about_their_first_corner_and_cancelled_work_is_not_read(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/a.png")
    task = write_label_studio(tmp_path / "in")
    box, outline, _ = task["annotations"][0]["result"]
    box["value"]["rotation"] = 90
    cancelled = {"was_cancelled": True, "result": [outline]}
    turned = {**outline, "image_rotation": 90}
    task["annotations"] = [cancelled, {"result": [box, turned]}, {"result": [outline]}]
    write(tmp_path / "in/project-1.json", [task])
    summary = convert(tmp_path / "in", tmp_path / "out")
    # 20 x 20 pixels to the right and below of 10, 20, turned clockwise: to the left of it, and cut at the border.
    assert pixel_rows(tmp_path / "out") == [(0, [0, 20, 10, 40])]
    assert "Tasks with several annotations: 1" in summary.as_text()
    assert "region of an image that was turned in Label Studio" in summary.as_text()


# Masks -----------------------------------------------------------------------------------------------------------


def write_ids(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.mark.parametrize("background", [True, False])
def test_class_ids_in_a_mask_become_one_object_for_every_region(tmp_path: Path, background: bool) -> None:
    write_picture(tmp_path / "in/images/a.jpg")
    write_picture(tmp_path / "in/images/empty.jpg")
    values = MASK.copy()
    values[40:50, 5:15] = 2
    values[0:5, 70:80] = 1
    values[55:60, 0:5] = 255
    values[55:60, 20:25] = 7
    write_ids(tmp_path / "in/masks/a.png", values)
    write(tmp_path / "in/classes.txt", ("_background_\n" if background else "") + "sign\npole\n")
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert summary.format_name == "masks" and (summary.images["train"], summary.unlabelled) == (1, 1)
    found = rows(tmp_path / "out")
    assert [int(row[0]) for row in found] == [0, 0, 1]
    np.testing.assert_array_equal(sum(painted(row) for row in found[:2]), values == 1)
    np.testing.assert_array_equal(painted(found[2]), values == 2)
    assert [(r.place, r.reason) for r in summary.remarks] == [("value 7", "value of a mask that no class has")]
    assert ("names no background" in summary.as_text()) is not background


def test_instance_ids_of_cityscapes_and_of_voc_tell_objects_that_touch(tmp_path: Path) -> None:
    first, second = MASK.copy(), np.zeros_like(MASK)
    second[10:30, 60:70] = 1
    write_picture(tmp_path / "city/images/a.jpg")
    write_ids(tmp_path / "city/masks/a.png", first.astype(np.uint16) * 1001 + second.astype(np.uint16) * 1002)
    write(tmp_path / "city/classes.txt", "sign\n")
    write_picture(tmp_path / "voc/JPEGImages/a.jpg")
    colour = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colour[(first | second) > 0] = (128, 0, 64)
    write_ids(tmp_path / "voc/SegmentationClass/a.png", colour)
    instances = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    instances[first > 0], instances[second > 0] = (128, 0, 0), (0, 128, 0)
    write_ids(tmp_path / "voc/SegmentationObject/a.png", instances)
    write(tmp_path / "voc/labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\nsign:128,0,64::\n")
    write(tmp_path / "voc/ImageSets/Segmentation/val.txt", "a\n")
    for name, split in (("city", "train"), ("voc", "val")):
        convert(tmp_path / name, tmp_path / f"{name}_out")
        found = rows(tmp_path / f"{name}_out", split=split)
        assert len(found) == 2
        masks = sorted((painted(row) for row in found), key=lambda mask: int(mask.sum()))
        np.testing.assert_array_equal(masks, [second, first])
    convert(tmp_path / "voc", tmp_path / "coco", to="coco")
    entries = json.loads((tmp_path / "coco/annotations/instances_val.json").read_text())["annotations"]
    areas = sorted(int(entry["area"]) for entry in entries)
    assert areas == sorted([int(first.sum()), int(second.sum())])


def test_a_mask_that_cannot_be_read_costs_its_image(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_picture(tmp_path / f"in/images/{name}.jpg")
        write_ids(tmp_path / f"in/masks/{name}.png", MASK)
    path = tmp_path / "in/masks/b.png"
    path.write_bytes(path.read_bytes()[:60])
    write(tmp_path / "in/classes.txt", "sign\n")
    summary = convert(tmp_path / "in", tmp_path / "out", background=True)
    assert [file.stem for file in (tmp_path / "out/images/train").iterdir()] == ["a"] and summary.images_lost == 1


def test_masks_of_datumaro_are_run_lengths(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/a.png")
    write_datumaro(tmp_path / "in")
    path = tmp_path / "in/annotations/default.json"
    content = json.loads(path.read_text())
    packed_mask = coco_mask.encode(np.asfortranarray(MASK))
    rle = {"counts": packed_mask["counts"].decode(), "size": [HEIGHT, WIDTH]}
    content["items"][0]["annotations"] = [
        {"type": "mask", "label_id": 0, "rle": rle},
        {"type": "bbox", "label_id": 1, "bbox": [15, 25, 30, 10], "attributes": {"rotation": 90.0}},
        {"type": "bbox", "label_id": 5, "bbox": [1, 2, 3, 4]},
        {"type": "points", "label_id": 1, "points": [1, 2]},
    ]
    write(path, content)
    summary = convert(tmp_path / "in", tmp_path / "out")
    found = rows(tmp_path / "out")
    np.testing.assert_array_equal(painted(found[0]), MASK)
    assert pixel_rows(tmp_path / "out")[1] == (1, [25, 15, 35, 45])
    assert [remark.reason for remark in summary.remarks] == ["object that cannot be read", "points have no area"]


def test_circles_of_via_and_ellipses_of_label_studio_have_their_area(tmp_path: Path) -> None:
    write_picture(tmp_path / "via/a.png")
    shape = {"name": "ellipse", "cx": 40, "cy": 30, "rx": 20, "ry": 10, "theta": np.pi / 2}
    region = {"shape_attributes": shape, "region_attributes": {"class": "sign"}}
    line = {"shape_attributes": {"name": "polyline"}, "region_attributes": {"class": "sign"}}
    entry = {"filename": "a.png", "regions": [region, line], "file_attributes": {}}
    write(tmp_path / "via/via.json", {"a.png1": entry})
    summary = convert(tmp_path / "via", tmp_path / "via_out")
    ring = np.array(pixel_rows(tmp_path / "via_out")[0][1]).reshape(-1, 2)
    # Turned by a quarter: 20 wide and 40 high.
    np.testing.assert_allclose([*ring.min(axis=0), *ring.max(axis=0)], [30, 10, 50, 50], atol=0.1)
    assert cv2.contourArea(ring.astype(np.float32)) == pytest.approx(np.pi * 200, rel=0.01)
    assert "a line has no area" in summary.as_text()

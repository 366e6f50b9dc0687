"""Images as exports name them: each stands for a kind of public bug report about tools like this one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reg_yolo.cli.app import app
from reg_yolo.data import convert_dataset as convert
from reg_yolo.errors import DataError
from tests.data.convert.exports import coco_content, write_coco, write_picture
from tests.data.convert.reported import BOX, CVAT, ROW, cvat_image, labelme, reasons, voc, write, written

# Paths and names -------------------------------------------------------------------------------------------------


PATHS = {
    "backslashes that climb": "..\\..\\images\\a.jpg",
    "another machine": "/home/anna/export/images/a.jpg",
    "a drive": "D:\\roads\\images\\a.jpg",
    "a server": "https://tool.example/data/a.jpg",
    "a signed address": "s3://bucket/data/a.jpg?X-Signature=1/2",
    "a data/ prefix": "data/images/a.jpg",
    "other letters": "Images/A.JPG",
    "another suffix": "a.png",
    "no suffix": "a",
    "encoded": "images/%61.jpg",
}


@pytest.mark.parametrize("name", PATHS.values(), ids=PATHS.keys())
@pytest.mark.parametrize("kind", ["coco", "cvat", "labelme", "voc", "darknet", "yolo"])
def test_an_image_is_found_by_the_end_of_its_path_in_every_format(tmp_path: Path, kind: str, name: str) -> None:
    folder = tmp_path / "in"
    write_picture(folder / "images/a.jpg")
    if kind == "coco":
        content = coco_content([{"bbox": [10, 20, 20, 20]}], images=[name])
        write(folder / "annotations/instances.json", json.dumps(content))
    elif kind == "cvat":
        write(folder / "annotations.xml", CVAT.format(cvat_image(name, (10, 20, 30, 40))))
    elif kind == "labelme":
        write(folder / "labels/x.json", labelme(name))
    elif kind == "voc":
        write(folder / "Annotations/x.xml", voc(name).replace("10.5", "10").replace("</bndbox>", "<z>0.5</z></bndbox>"))
    else:
        write(folder / "labels/a.txt", f"0 {ROW}\n")
        write(folder / "train.txt", f"{name}\n")
        if kind == "darknet":
            write(folder / "obj.names", "sign\n")
        else:
            write(folder / "data.yaml", "path: .\ntrain: train.txt\nnames: [sign]\n")
    summary = convert(folder, tmp_path / "out")
    assert summary.images_lost == 0
    box = [10.0, 20.0, 30.0, 40.0] if kind != "voc" else [9.0, 19.0, 30.0, 40.0]
    assert written(tmp_path / "out") == [[0, box]]
    if kind == "yolo":
        assert f"such as {name} as images/a.jpg" in summary.as_text()
    else:
        assert ("image found under another suffix" in reasons(summary)) is (name == "a.png")


@pytest.mark.parametrize("name", ["../private/x.jpg", "..\\private\\x.jpg", "{}/private/x.jpg"])
def test_a_path_that_leads_out_of_the_export_copies_nothing(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / "private/x.jpg")
    folder = write_coco(tmp_path / "in", coco_content([{"bbox": [10, 20, 20, 20]}], images=["a.jpg"]))
    content = coco_content([{"image_id": 1, "bbox": [1, 1, 9, 9]}, {"bbox": [10, 20, 20, 20]}], images=["a.jpg", "b"])
    content["images"][1]["file_name"] = name.format(tmp_path)
    write(folder / "instances.json", json.dumps(content))
    summary = convert(folder, tmp_path / "out")
    assert summary.images_lost == 1
    assert [path.name for path in (tmp_path / "out/images/train").iterdir()] == ["a.jpg"]
    assert ("its path leads out of the export" in summary.as_text()) is name.startswith("..")


def test_images_that_a_list_names_and_that_are_not_found_are_lost(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_picture(folder / "images/a.jpg")
    write(folder / "labels/a.txt", f"0 {ROW}\n")
    write(folder / "data.yaml", "train: train.txt\nval: val.txt\nnames: [sign]\n")
    write(folder / "train.txt", "data/images/a.jpg\n")
    write(folder / "val.txt", "data/images/gone.jpg\n")
    result = CliRunner().invoke(app, ["data", "convert", str(folder), str(tmp_path / "out")])
    assert result.exit_code == 3 and "image not found" in result.output and "gone.jpg" in result.output
    with pytest.raises(DataError, match=r"strict.*\n.*gone\.jpg: image not found"):
        convert(folder, tmp_path / "out2", strict=True)


def test_a_list_of_which_nothing_is_found_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "in/data.yaml", "train: train.txt\nnames: [sign]\n")
    write(tmp_path / "in/train.txt", "data/images/gone.jpg\n")
    with pytest.raises(DataError, match="none of 1 images has a label; image not found"):
        convert(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("kind", ["cvat", "coco"])
def test_an_image_without_objects_that_is_not_found_is_lost_too(tmp_path: Path, kind: str) -> None:
    write_picture(tmp_path / "in/a.jpg")
    if kind == "cvat":
        text = CVAT.format(cvat_image("a.jpg", (10, 20, 30, 40)) + cvat_image("gone.jpg"))
        write(tmp_path / "in/annotations.xml", text)
    else:
        content = coco_content([{"bbox": [10, 20, 20, 20]}], images=["a.jpg", "gone.jpg"])
        write(tmp_path / "in/instances.json", json.dumps(content))
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert (summary.images_lost, summary.unlabelled) == (1, 0)


def test_label_files_of_encoded_names_belong_to_their_images_and_lone_ones_are_named(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/images/ab12-Capture décran 1.jpg")
    write(tmp_path / "in/labels/ab12-Capture%20d%C3%A9cran%201.txt", f"0 {ROW}\n")
    write(tmp_path / "in/labels/gone.txt", f"0 {ROW}\n")
    write(tmp_path / "in/labels/empty.txt", "")
    write(tmp_path / "in/classes.txt", "sign\n")
    summary = convert(tmp_path / "in", tmp_path / "out", background=True)
    assert written(tmp_path / "out", "ab12-Capture décran 1") == [BOX]
    assert [(r.file, r.reason) for r in summary.remarks] == [("labels/gone.txt", "label file without an image")]
    assert summary.images_lost == 1
    with pytest.raises(DataError, match="strict"):
        convert(tmp_path / "in", tmp_path / "out2", strict=True)


# Two entries of one image ----------------------------------------------------------------------------------------


def test_two_entries_of_one_name_are_one_image(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/images/f.jpg")
    entries = cvat_image("f.jpg", (10, 20, 30, 40)) + cvat_image("..\\images\\f.jpg", (40, 20, 60, 40))
    write(tmp_path / "in/annotations.xml", CVAT.format(entries))
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert written(tmp_path / "out", "f") == [BOX, [0, [40.0, 20.0, 60.0, 40.0]]]
    assert reasons(summary) == ["several entries mean this image: their objects are taken together"]


def test_outlines_of_two_entries_are_one_image_too_and_a_line_that_stands_twice_is_one(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/f.jpg")
    outline = '<polygon label="sign" points="10,20;30,20;30,40"/>'
    entries = cvat_image("f.jpg").replace("</image>", f"{outline}</image>") * 3
    write(tmp_path / "in/annotations.xml", CVAT.format(entries))
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert written(tmp_path / "out", "f") == [[0, [10.0, 20.0, 30.0, 20.0, 30.0, 40.0]]]
    assert reasons(summary).count("the same object a second time") == 2
    write_picture(tmp_path / "yolo/images/a.jpg")
    write(tmp_path / "yolo/labels/a.txt", f"0 {ROW}\n")
    write(tmp_path / "yolo/train.txt", "images/a.jpg\n./images/a.jpg\n")
    write(tmp_path / "yolo/data.yaml", "train: train.txt\nnames: [sign]\n")
    summary = convert(tmp_path / "yolo", tmp_path / "yolo_out", strict=True)
    assert written(tmp_path / "yolo_out") == [BOX] and summary.images == {"train": 1}
    assert reasons(summary) == ["image that a list names twice: written once"]


def test_entries_of_other_sizes_or_folders_are_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/f.jpg")
    write_picture(tmp_path / "in/good.jpg")
    good = cvat_image("good.jpg", (10, 20, 30, 40))
    other_size = cvat_image("f.jpg", (1, 2, 9, 9)).replace('"80"', '"160"').replace('"60"', '"120"')
    write(tmp_path / "in/annotations.xml", CVAT.format(good + cvat_image("f.jpg", (10, 20, 30, 40)) + other_size))
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert summary.images_lost == 2 and [path.stem for path in (tmp_path / "out/images/train").iterdir()] == ["good"]
    entries = cvat_image("day1/f.jpg", (10, 20, 30, 40)) + cvat_image("day2/f.jpg", (1, 2, 9, 9))
    write(tmp_path / "in/annotations.xml", CVAT.format(good + entries))
    summary = convert(tmp_path / "in", tmp_path / "out2")
    assert summary.images_lost == 2 and "several entries from different folders mean this image" in reasons(summary)


def test_the_entry_whose_folder_fits_keeps_the_image_and_the_other_is_missing(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/day1/f.jpg")
    entries = cvat_image("day1/f.jpg", (10, 20, 30, 40)) + cvat_image("day2/f.jpg", (1, 2, 9, 9))
    write(tmp_path / "in/annotations.xml", CVAT.format(entries))
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert written(tmp_path / "out", "f") == [BOX] and summary.images_lost == 1


def test_a_labelme_file_that_names_another_image_keeps_its_own(tmp_path: Path) -> None:
    for name in ("road_1", "road_2"):
        write_picture(tmp_path / f"in/{name}.jpg")
    write(tmp_path / "in/road_1.json", labelme("road_1.jpg"))
    other = {"label": "sign", "points": [[40, 20], [60, 40]], "shape_type": "Rectangle"}
    write(tmp_path / "in/road_2.json", labelme("road_1.jpg", [other]))
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert written(tmp_path / "out", "road_1") == [BOX]
    assert written(tmp_path / "out", "road_2") == [[0, [40.0, 20.0, 60.0, 40.0]]]
    assert reasons(summary) == ["file that names another image: the one of its own name is taken"]
    # Its own is not there: the labels of another frame do not go onto this one.
    (tmp_path / "in/road_2.jpg").unlink()
    summary = convert(tmp_path / "in", tmp_path / "out2")
    assert written(tmp_path / "out2", "road_1") == [BOX] and summary.images_lost == 1


def test_names_that_are_equal_take_folders_of_the_export_and_no_more(tmp_path: Path) -> None:
    for folder in ("day1", "day2"):
        write_picture(tmp_path / f"in/images/{folder}/0001.jpg")
        write(tmp_path / f"in/labels/{folder}/0001.txt", f"0 {ROW}\n")
    write(tmp_path / "in/classes.txt", "sign\n")
    convert(tmp_path / "in", tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out/images/train").iterdir())
    assert names == ["day1__0001.jpg", "day2__0001.jpg"]

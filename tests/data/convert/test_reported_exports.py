"""Exports as people have them: each stands for a kind of public bug report about tools like this one."""

from __future__ import annotations

import csv
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from reg_yolo.cli.app import app
from reg_yolo.data import convert_dataset as convert
from reg_yolo.data.convert.report import ConversionSummary
from reg_yolo.errors import DataError
from tests.data.convert.exports import coco_content, pixel_rows, write_coco, write_picture

BOX = [0, [10.0, 20.0, 30.0, 40.0]]
ROW = "0.25 0.5 0.25 0.333333"  # 10, 20 to 30, 40 of 80 x 60 pixels
CVAT = "<annotations><meta><labels><label><name>sign</name></label></labels></meta>{}</annotations>"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def written(out: Path, stem: str = "a", split: str = "train") -> list[list[Any]]:
    """The rows of a label file in whole pixels."""
    return [[index, [round(value, 1) for value in values]] for index, values in pixel_rows(out, stem, split)]


def reasons(summary: ConversionSummary) -> list[str]:
    return [remark.reason for remark in summary.remarks]


def cvat_image(name: str, *boxes: tuple[int, int, int, int], more: str = "") -> str:
    shapes = "".join(
        f'<box label="sign" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"/>'
        for left, top, right, bottom in boxes
    )
    return f'<image id="0" name="{name}" width="80" height="60" {more}>{shapes}</image>'


def voc(name: str, body: str = "", *, folder: str = "", tail: str = "") -> str:
    return (
        f"<annotation><folder>{folder}</folder><filename>{name}</filename><size><width>80</width><height>60</height>"
        f"</size><object><name>sign</name>{body}<bndbox><xmin>10.5</xmin><ymin>20</ymin><xmax>30</xmax><ymax>40</ymax>"
        f"</bndbox>{tail}</object></annotation>"
    )


def labelme(image: str, shapes: list[dict[str, Any]] | None = None) -> str:
    shape = {"label": "sign", "points": [[10, 20], [30, 40]], "shape_type": "rectangle"}
    return json.dumps({"imagePath": image, "imageWidth": 80, "imageHeight": 60, "shapes": shapes or [shape]})


# Paths and names -------------------------------------------------------------------------------------------------


PATHS = {
    "backslashes that climb": "..\\..\\pictures\\a.jpg",
    "another machine": "/home/anna/export/images/a.jpg",
    "a drive": "D:\\roads\\images\\a.jpg",
    "a server": "https://tool.example/data/a.jpg",
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
        assert ("picture found under another suffix" in reasons(summary)) is (name == "a.png")


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
    assert result.exit_code == 3 and "picture not found" in result.output and "gone.jpg" in result.output
    with pytest.raises(DataError, match=r"strict.*\n.*gone\.jpg: picture not found"):
        convert(folder, tmp_path / "out2", strict=True)


def test_a_list_of_which_nothing_is_found_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / "in/data.yaml", "train: train.txt\nnames: [sign]\n")
    write(tmp_path / "in/train.txt", "data/images/gone.jpg\n")
    with pytest.raises(DataError, match="none of 1 pictures has a label; picture not found"):
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
    assert [(r.file, r.reason) for r in summary.remarks] == [("labels/gone.txt", "label file without a picture")]
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
    assert reasons(summary) == ["several entries mean this picture: their objects are taken together"]


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
    assert summary.images_lost == 2 and "several entries from different folders mean this picture" in reasons(summary)


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
    assert reasons(summary) == ["file that names another picture: the one of its own name is taken"]
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


# Turned boxes ----------------------------------------------------------------------------------------------------


def test_turned_boxes_of_coco_and_voc_become_the_upright_box_around(tmp_path: Path) -> None:
    around = [[0, [25.0, 15.0, 35.0, 45.0]]]
    corners = [15, 25, 45, 25, 45, 35, 15, 35]
    for number, segmentation in enumerate(([], [corners])):
        entry = {"bbox": [15, 25, 30, 10], "segmentation": segmentation, "attributes": {"rotation": 90.0}}
        convert(write_coco(tmp_path / f"coco{number}", coco_content([entry])), tmp_path / f"out{number}")
        assert written(tmp_path / f"out{number}") == around
    outline = [15, 25, 45, 25, 30, 35]
    entry = {"bbox": [15, 25, 30, 10], "segmentation": [outline], "attributes": {"rotation": 90.0}}
    convert(write_coco(tmp_path / "outline", coco_content([entry])), tmp_path / "kept")
    assert written(tmp_path / "kept") == [[0, list(map(float, outline))]]
    box = "<bndbox><xmin>15</xmin><ymin>25.0001</ymin><xmax>45</xmax><ymax>35</ymax></bndbox>"
    attribute = "<attributes><attribute><name>rotation</name><value>90.0</value></attribute></attributes>"
    for number, turned in enumerate((attribute, "<rotation>90</rotation>")):
        folder = tmp_path / f"voc{number}"
        write_picture(folder / "a.jpg")
        text = f"<annotation><filename>a.jpg</filename><object><name>sign</name>{box}{turned}</object></annotation>"
        write(folder / "a.xml", text.replace("25.0001", "25.2").replace("35<", "34.8<"))
        convert(folder, tmp_path / f"voc_out{number}")
        assert written(tmp_path / f"voc_out{number}") == [[0, [25.2, 15.0, 34.8, 45.0]]]


# Names and lists -------------------------------------------------------------------------------------------------


def test_the_root_class_of_roboflow_is_left_out_and_equal_names_are_named(tmp_path: Path) -> None:
    content = coco_content([{"category_id": 1, "bbox": [10, 20, 20, 20]}])
    content["categories"] = [
        {"id": 0, "name": "road-assets", "supercategory": "none"},
        {"id": 1, "name": "sign", "supercategory": "road-assets"},
        {"id": 2, "name": "sign", "supercategory": "shop"},
        {"id": 3, "name": "pole", "supercategory": "road-assets"},
    ]
    folder = write_coco(tmp_path / "in", content)
    summary = convert(folder, tmp_path / "out")
    assert summary.class_names == ["sign", "pole"]
    assert "'road-assets' only stands above" in summary.as_text()
    assert "1 (of 'road-assets'), 2 (of 'shop') have one name, 'sign'" in summary.as_text()
    assert convert(folder, tmp_path / "out2", drop=["road-assets", "pole"]).class_names == ["sign"]
    # With objects it is a class like any other.
    content["annotations"].append({"id": 9, "image_id": 0, "category_id": 0, "bbox": [1, 2, 9, 9]})
    assert convert(write_coco(tmp_path / "in2", content), tmp_path / "out3").class_names[0] == "road-assets"


def test_voc_lists_with_spaces_and_suffixes_and_entries_of_nothing(tmp_path: Path) -> None:
    for name in ("a 1", "b.2", "c"):
        write_picture(tmp_path / f"in/JPEGImages/{name}.jpg")
        write(tmp_path / f"in/Annotations/{name}.xml", voc(f"{name}.jpg"))
    write(tmp_path / "in/ImageSets/Main/train.txt", "c.jpg\n")
    write(tmp_path / "in/ImageSets/Main/val.txt", "a 1\nb.2  1\ngone\n")
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert summary.images == {"train": 1, "val": 2}
    assert [(r.file, r.place, r.reason) for r in summary.remarks] == [
        ("val.txt", "line 3 (gone)", "entry of a split list that no picture or file has")
    ]
    assert summary.images_lost == 1


def test_voc_in_day_folders_that_run_in_parallel(tmp_path: Path) -> None:
    for number, day in enumerate(("day1", "day2")):
        write_picture(tmp_path / f"in/images/{day}/0001.jpg", seed=number)
        write(tmp_path / f"in/Annotations/{day}/0001.xml", voc("0001.jpg", folder="day9" if number else day))
    convert(tmp_path / "in", tmp_path / "out")
    for day in ("day1", "day2"):
        image = (tmp_path / f"out/images/train/{day}__0001.jpg").read_bytes()
        assert image == (tmp_path / f"in/images/{day}/0001.jpg").read_bytes()


def test_class_names_of_a_yaml_are_text(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/images/a.jpg")
    write(tmp_path / "in/labels/a.txt", f"1 {ROW}\n")
    write(tmp_path / "in/data.yaml", "train: images\nnames: [no, yes, 1e3, 007, 1_0, on, 2024-01-01]\n")
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert summary.class_names == ["no", "yes", "1e3", "007", "1_0", "on", "2024-01-01"]
    again = convert(tmp_path / "out", tmp_path / "again")
    assert again.class_names == summary.class_names


def test_label_files_called_train_are_no_lists(tmp_path: Path) -> None:
    for number in range(3):
        write_picture(tmp_path / f"in/train_{number}.jpg")
        write(tmp_path / f"in/train_{number}.txt", f"0 {ROW}\n" if number else "")
    write(tmp_path / "in/classes.txt", "sign\n")
    summary = convert(tmp_path / "in", tmp_path / "out", background=True)
    assert summary.images["train"] == 3 and written(tmp_path / "out", "train_1") == [BOX]


def test_two_folders_of_labelimg_go_by_the_names_of_their_own(tmp_path: Path) -> None:
    for folder, names in (("day1", "sign\npole\n"), ("day2", "pole\nsign\n")):
        write_picture(tmp_path / f"in/{folder}/{folder}.jpg")
        write(tmp_path / f"in/{folder}/{folder}.txt", f"0 {ROW}\n")
        write(tmp_path / f"in/{folder}/classes.txt", names)
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert summary.class_names == ["sign", "pole"]
    assert [written(tmp_path / "out", day)[0][0] for day in ("day1", "day2")] == [0, 1]


def test_notes_json_of_label_studio_is_no_format_of_its_own(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/images/a.jpg")
    write(tmp_path / "in/labels/a.txt", f"0 {ROW}\n")
    write(tmp_path / "in/classes.txt", "sign\n")
    write(tmp_path / "in/notes.json", json.dumps({"categories": [{"id": 0, "name": "sign"}], "info": {"year": 2024}}))
    convert(tmp_path / "in", tmp_path / "out")
    assert written(tmp_path / "out") == [BOX]


def test_sets_with_keypoints_give_their_boxes_with_a_remark(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/images/a.jpg")
    write(tmp_path / "in/labels/a.txt", f"0 {ROW} 0.2 0.3 2 0.9 0.9 0\n")
    write(tmp_path / "in/data.yaml", "train: images\nval: images\nnames: [sign]\nkpt_shape: [2, 3]\nflip_idx: [1, 0]\n")
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert written(tmp_path / "out") == [BOX]
    assert "a set with keypoints (kpt_shape)" in summary.as_text()


# One bad object --------------------------------------------------------------------------------------------------


def test_one_bad_object_is_skipped_in_every_format(tmp_path: Path) -> None:
    bad_mask = {"segmentation": {"counts": [], "size": [60, 80]}, "bbox": [10, 20, 20, 20]}
    entries = [bad_mask, {"image_id": 7, "bbox": [1, 2, 3, 4]}, {"category_id": 99, "bbox": [1, 2, 3, 4]}]
    summary = convert(write_coco(tmp_path / "coco", coco_content(entries)), tmp_path / "coco_out")
    assert written(tmp_path / "coco_out") == [BOX]
    assert reasons(summary) == [
        "object of a picture that the file does not name",
        "outline that cannot be read: kept as a box",
        "object of a class that the file does not name",
    ]

    bad = "<object><name>sign</name><bndbox><xmin/><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object>"
    comma = bad.replace("<xmin/>", "<xmin>1,5</xmin>")
    write_picture(tmp_path / "voc/a.jpg")
    write(tmp_path / "voc/a.xml", voc("a.jpg").replace("</annotation>", f"{bad}{comma}</annotation>"))
    summary = convert(tmp_path / "voc", tmp_path / "voc_out")
    assert reasons(summary) == ["object that cannot be read"] * 2
    assert [r.place for r in summary.remarks][1] == "object 3 (xmin: expected a number, got str '1,5')"

    write_picture(tmp_path / "cvat/a.jpg")
    image = cvat_image("a.jpg", (10, 20, 30, 40)).replace("</image>", '<box label="sign" xtl="1,5"/></image>')
    write(tmp_path / "cvat/a.xml", CVAT.format(image))
    assert reasons(convert(tmp_path / "cvat", tmp_path / "cvat_out")) == ["object that cannot be read"]


def test_one_broken_file_costs_its_image_only_and_is_no_background(tmp_path: Path) -> None:
    for kind, text, name in (("labelme", labelme("{}.jpg"), "json"), ("voc", voc("{}.jpg"), "xml")):
        for stem in ("a", "b"):
            write_picture(tmp_path / f"{kind}/{stem}.jpg")
            write(tmp_path / f"{kind}/{stem}.{name}", text.replace("{}", stem))
        write(tmp_path / f"{kind}/b.{name}", text[:40])
        summary = convert(tmp_path / kind, tmp_path / f"{kind}_out", background=True, source_format=kind)
        assert [path.stem for path in (tmp_path / f"{kind}_out/images/train").iterdir()] == ["a"]
        assert summary.images_lost == 1 and reasons(summary) == ["annotation file that cannot be read"]
        with (tmp_path / f"{kind}_out/conversion.csv").open(encoding="utf-8-sig") as stream:
            assert f"b.{name}" in [row["file"] for row in csv.DictReader(stream)]


# Files -----------------------------------------------------------------------------------------------------------


def write_zip(path: Path, folder: Path, separator: str = "/") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                entry = zipfile.ZipInfo(file.name)
                # Its constructor would turn them on Windows.
                entry.filename = separator.join(file.relative_to(folder).parts)
                archive.writestr(entry, file.read_bytes())
    return path


def test_a_zip_whose_folders_are_parted_by_backslashes(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for split in ("Train", "Validation"):
        write_picture(folder / f"images/{split}/f.jpg")
    entries = cvat_image("f.jpg", (10, 20, 30, 40), more='subset="Train"')
    entries += cvat_image("f.jpg", (40, 20, 60, 40), more='subset="Validation"')
    write(folder / "annotations.xml", CVAT.format(entries))
    summary = convert(write_zip(tmp_path / "win.zip", folder, "\\"), tmp_path / "out")
    assert summary.images == {"train": 1, "val": 1}
    assert written(tmp_path / "out", "f", "val") == [[0, [40.0, 20.0, 60.0, 40.0]]]


def test_a_zip_is_measured_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", b"0" * 3_000_000)
    with pytest.raises(DataError, match=r"unpacks to 0\.0 GB, more than the 0\.0 GB.*max_unpacked_gb"):
        convert(path, tmp_path / "out", max_unpacked_gb=0.002)
    result = CliRunner().invoke(
        app, ["data", "convert", str(path), str(tmp_path / "out"), "--max-unpacked-gb", "0.002"]
    )
    assert isinstance(result.exception, DataError)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["bomb.zip"]
    with pytest.raises(DataError, match="no annotations"):
        convert(path, tmp_path / "out")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_pipes_in_an_export_are_never_opened(tmp_path: Path) -> None:
    folder = write_coco(tmp_path / "in", coco_content([{"bbox": [10, 20, 20, 20]}]))
    for name in ("b.png", "more.json", "more.xml", "data.yaml", "classes.txt"):
        os.mkfifo(folder / name)
    convert(folder, tmp_path / "out")
    assert written(tmp_path / "out") == [BOX]


def test_aliases_of_aliases_do_not_explode(tmp_path: Path) -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9)]
    text = "\n".join(["l0: &l0 [x, x, x]", *levels, "names: *l8", "train: images", ""])
    write(tmp_path / "in/data.yaml", text)
    with pytest.raises(DataError, match="more than 200,000 values"):
        convert(tmp_path / "in", tmp_path / "out")


FOREIGN = {
    "CVAT backup": ("annotations.json", [{"version": 0, "tags": [], "shapes": [{"frame": 0}], "tracks": []}]),
    "COCO panoptic": ("p.json", {"annotations": [{"segments_info": []}], "images": [], "categories": []}),
    "Supervisely": ("a.json", {"description": "", "objects": [{"classTitle": "sign"}], "size": {}}),
}


@pytest.mark.parametrize("name, content", FOREIGN.values(), ids=FOREIGN.keys())
def test_formats_that_are_not_read_are_named_with_what_to_export(
    tmp_path: Path, name: str, content: object, request: pytest.FixtureRequest
) -> None:
    write(tmp_path / "in" / name, json.dumps(content))
    with pytest.raises(DataError, match=f"is (a )?{request.node.callspec.id}.*export"):
        convert(tmp_path / "in", tmp_path / "out")

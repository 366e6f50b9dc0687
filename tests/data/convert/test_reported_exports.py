"""Exports as people have them: each stands for a kind of public bug report about tools like this one."""

from __future__ import annotations

import csv
import json
import os
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reg_yolo.cli.app import app
from reg_yolo.data import convert_dataset as convert
from reg_yolo.errors import DataError
from tests.data.convert.exports import coco_content, write_coco, write_picture
from tests.data.convert.reported import BOX, CVAT, ROW, cvat_image, labelme, reasons, voc, write, written

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
    box = "<bndbox><xmin>15</xmin><ymin>25</ymin><xmax>45</xmax><ymax>35</ymax></bndbox>"
    attribute = "<attributes><attribute><name>rotation</name><value>90.0</value></attribute></attributes>"
    for number, turned in enumerate((attribute, "<rotation>90</rotation>")):
        folder = tmp_path / f"voc{number}"
        write_picture(folder / "a.jpg")
        text = f"<annotation><filename>a.jpg</filename><object><name>sign</name>{box}{turned}</object></annotation>"
        write(folder / "a.xml", text)
        convert(folder, tmp_path / f"voc_out{number}")
        # Whole numbers, but not counted as the devkit does, which knows no turned boxes.
        assert written(tmp_path / f"voc_out{number}") == [[0, [25.0, 15.0, 35.0, 45.0]]]


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
        ("val.txt", "line 3 (gone)", "entry of a split list that no image or file has")
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
        "object of an image that the file does not name",
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

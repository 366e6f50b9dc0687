"""Which format an export has, and what is said where that cannot be told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reg_yolo.data import convert_dataset as convert
from reg_yolo.data.convert.formats.recognise import recognise
from reg_yolo.data.dataset.split_words import split_of
from reg_yolo.errors import DataError
from tests.data.convert.exports import coco_content, write_coco, write_picture
from tests.data.convert.test_cvat import box, write_images, write_video
from tests.data.convert.test_labelme import shape, write_labelme
from tests.data.convert.test_voc import voc_object, write_voc
from tests.data.convert.test_yolo import write_yolo


def write_export(folder: Path, kind: str) -> None:
    """Write a small export of a format."""
    if kind == "coco":
        write_coco(folder, coco_content([{"bbox": [1, 2, 10, 20]}]))
    elif kind == "cvat":
        write_images(folder, '<box label="sign" xtl="1" ytl="1" xbr="9" ybr="9"/>')
    elif kind == "labelme":
        write_picture(folder / "a.png")
        write_labelme(folder / "a.json", [shape([[10, 10], [30, 10], [30, 40]])])
    elif kind == "voc":
        write_voc(folder, "a", voc_object(1, 2, 9, 9))
    else:
        write_yolo(folder)


# Those of test_tool_formats.py are recognised there.
@pytest.mark.parametrize("kind", ["coco", "cvat", "labelme", "voc", "yolo"])
def test_every_format_is_recognised_in_a_folder_and_as_a_file(tmp_path: Path, kind: str) -> None:
    write_export(tmp_path / "in", kind)
    (tmp_path / "in/notes.json").write_text('{"by": "someone"}')
    found = recognise(tmp_path / "in")
    assert list(found) == [kind]
    assert convert(tmp_path / "in", tmp_path / "out").format_name == kind
    assert convert(found[kind][0], tmp_path / "one").images == {"train": 1}


def test_a_video_is_cvat(tmp_path: Path) -> None:
    write_video(tmp_path / "in", f'<track id="0" label="sign">{box(0, 0)}</track>')
    assert list(recognise(tmp_path / "in")) == ["cvat"]


def test_two_formats_are_named_and_one_can_be_chosen(tmp_path: Path) -> None:
    write_export(tmp_path / "in", "voc")
    write_export(tmp_path / "in", "yolo")
    with pytest.raises(DataError, match=r"yolo \(data\.yaml\), voc \(a\.xml\); choose one as source_format"):
        convert(tmp_path / "in", tmp_path / "out")
    assert convert(tmp_path / "in", tmp_path / "out", source_format="voc").format_name == "voc"
    with pytest.raises(DataError, match=r"nothing of the format 'coco'; it holds yolo"):
        convert(tmp_path / "in", tmp_path / "out2", source_format="coco")
    with pytest.raises(DataError, match="Did you mean labelme"):
        convert(tmp_path / "in", tmp_path / "out2", source_format="lableme")


def test_nothing_known_is_said_with_what_would_be(tmp_path: Path) -> None:
    write_picture(tmp_path / "in/a.png")
    (tmp_path / "in/results.json").write_text(json.dumps([{"image_id": 1}]))
    with pytest.raises(DataError, match=r"no annotations that are recognised; expected COCO JSON, CVAT XML"):
        convert(tmp_path / "in", tmp_path / "out")
    with pytest.raises(DataError, match="does not exist"):
        convert(tmp_path / "nowhere", tmp_path / "out")


@pytest.mark.parametrize(
    "folders, stem, split",
    [
        ("annotations", "instances_val2017", "val"),
        ("valid", "_annotations.coco", "val"),
        ("images/train2017", "", "train"),
        ("val_images", "", "val"),
        ("test drive 3", "", None),
        ("day1/validation/cam0", "", "val"),
        ("train/test", "", "test"),
        ("", "train_or_val", None),
        ("", "latest", None),
    ],
)
def test_names_that_speak_of_a_split(folders: str, stem: str, split: str | None) -> None:
    assert split_of(folders, stem) == split

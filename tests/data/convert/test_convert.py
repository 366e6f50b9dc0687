"""The command: classes by name, background, links, reports, and nothing half-written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reg_yolo.cli.app import main
from reg_yolo.data import convert_dataset as convert
from reg_yolo.data.convert import image_files
from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.errors import DataError
from tests.data.convert.exports import coco_content, pixel_rows, rows, write_coco, write_picture

THREE = [{"category_id": number, "bbox": [1, 2 + number, 10, 20]} for number in (0, 1, 2)]
CATEGORIES = ((0, "sign"), (1, "sgin"), (2, "pole"))


def run(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as leaving:
        main([str(word) for word in words])
    return int(leaving.value.code or 0)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A COCO export of three classes, one of them a slip, and a second image without objects."""
    return write_coco(tmp_path / "in", coco_content(THREE, ["a.png", "b.png"], CATEGORIES))


def test_classes_are_renamed_merged_dropped_and_ordered(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--map", "sgin=sign", "--drop", "pole", "--classes", "wall,sign"]
    assert run("data", "convert", export, tmp_path / "out", *words) == 0
    assert [row[0] for row in rows(tmp_path / "out")] == [1, 1]
    content = yaml.safe_load((tmp_path / "out/data.yaml").read_text("utf-8"))
    assert content == {"train": "images/train", "names": {0: "wall", 1: "sign"}}
    text = capsys.readouterr().out
    assert "left out as asked: class pole\n" in text
    assert "Images without objects left out: 1; background keeps them." in text


def test_the_order_of_classes_comes_from_a_data_set_yaml(export: Path, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("train: x\nnames: [pole, sign, sgin]\n")
    assert run("data", "convert", export, tmp_path / "out", "--classes", tmp_path / "other.yaml") == 0
    assert [row[0] for row in rows(tmp_path / "out")] == [1, 2, 0]


WRONG = {
    "unknown in --map": (
        ["--map", "sing=sign"],
        "the source has no class 'sing'; it has sign, sgin, pole. Did you mean sign?",
    ),
    "unknown in --drop": (
        ["--drop", "poles"],
        "the source has no class 'poles'; it has sign, sgin, pole. Did you mean pole?",
    ),
    "both": (["--map", "pole=sign", "--drop", "pole"], "class 'pole' stands in "),
    "no equals sign": (["--map", "pole"], "got 'pole', expected OLD=NEW"),
    "two names": (["--map", "pole=a", "--map", "pole=b"], "the class 'pole' gets two names"),
    "not in the order": (["--classes", "sign,sgin"], "the class 'pole' of the source is missing"),
    "twice in the order": (["--classes", "sign,sign"], "'sign' stands twice"),
    "target": (["--to", "voc"], "got 'voc', expected yolo, coco"),
    "exif": (["--exif", "no"], "got 'no', expected auto, upright, raw"),
    "images": (["--images", "nowhere"], "images: nowhere is not a folder"),
    "everything dropped": (["--drop", "pole", "--drop", "sign", "--drop", "sgin"], "no class is left"),
}


@pytest.mark.parametrize("words, message", WRONG.values(), ids=WRONG.keys())
def test_wrong_words_are_refused_in_one_line(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run("data", "convert", export, tmp_path / "out", *words) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_background_is_kept_on_request_and_an_emptied_picture_is_none(tmp_path: Path) -> None:
    content = coco_content(
        [{"iscrowd": 1, "bbox": [1, 2, 10, 20]}, {"image_id": 2, "bbox": [1, 2, 3, 4]}], ["a.png", "b.png", "c.png"]
    )
    summary = convert(write_coco(tmp_path / "in", content), tmp_path / "out", background=True)
    written = sorted(path.name for path in (tmp_path / "out/images/train").iterdir())
    assert written == ["b.png", "c.png"] and (tmp_path / "out/labels/train/b.txt").read_bytes() == b""
    assert "none of its objects can be used" in summary.as_text()


def test_a_class_that_is_dropped_leaves_background(export: Path, tmp_path: Path) -> None:
    summary = convert(export, tmp_path / "out", drop=["sign", "sgin", "pole"], classes=["x"], background=True)
    assert summary.background["train"] == 2


def test_pictures_are_copied_byte_for_byte_or_linked(export: Path, tmp_path: Path) -> None:
    convert(export, tmp_path / "copy")
    convert(export, tmp_path / "link", link=True)
    source = export / "a.png"
    assert (tmp_path / "copy/images/train/a.png").read_bytes() == source.read_bytes()
    assert not (tmp_path / "copy/images/train/a.png").samefile(source)
    assert (tmp_path / "link/images/train/a.png").samefile(source)


def test_a_folder_in_use_or_inside_the_source_is_refused(export: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(DataError, match="exists already"):
        convert(export, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    with pytest.raises(DataError, match="lies inside"):
        convert(export, export / "out")


def test_an_interruption_leaves_nothing_behind(export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(image_files.OpenedImage, "write", interrupt)
    assert run("data", "convert", export, tmp_path / "out") == 130
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_damaged_pictures_are_named_and_the_rest_is_done_partly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = coco_content([{"bbox": [1, 2, 9, 9]}, {"image_id": 1, "bbox": [1, 2, 9, 9]}], ["a.png", "b.png"])
    folder = write_coco(tmp_path / "in", content)
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:200])
    assert run("data", "convert", folder, tmp_path / "out") == 3
    captured = capsys.readouterr()
    assert "the PNG is damaged" in captured.out and "images that could not be used: 1" in captured.err
    assert not (tmp_path / "out/labels/train/b.txt").exists()
    assert run("data", "convert", folder, tmp_path / "strict", "--strict") == 2


def test_names_that_windows_or_a_file_system_refuses(tmp_path: Path) -> None:
    content = coco_content(
        [{"bbox": [1, 2, 9, 9]}, {"image_id": 1, "bbox": [1, 2, 9, 9]}], ["x/A:1?.png", "y/a_1_.jpg"]
    )
    convert(write_coco(tmp_path / "in", content), tmp_path / "out")
    names = sorted(path.stem for path in (tmp_path / "out/labels/train").iterdir())
    assert names == ["x__A_1_", "y__a_1_"]
    assert len(read_dataset_yaml(tmp_path / "out/data.yaml", ["train"]).images("train")) == 2


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    for day in ("d1", "d2"):
        write_picture(tmp_path / f"in/{day}/a.png", seed=len(day))
    content = coco_content([{"bbox": [1, 2, 9, 9]}, {"image_id": 1, "bbox": [1, 2, 9, 9]}], ["d1/a.png", "d2/a.png"])
    folder = write_coco(tmp_path / "in", content)
    for out in ("one", "two"):
        convert(folder, tmp_path / out)
    files = [
        {path.relative_to(tmp_path / out): path.read_bytes() for path in (tmp_path / out).rglob("*") if path.is_file()}
        for out in ("one", "two")
    ]
    assert files[0] == files[1] and len(files[0]) == 6


def test_rows_for_one_task(tmp_path: Path) -> None:
    square = [10, 10, 30, 10, 30, 40, 10, 40]
    folder = write_coco(tmp_path / "in", coco_content([{"segmentation": [square]}, {"bbox": [1, 2, 10, 20]}]))
    mixed = convert(folder, tmp_path / "mixed")
    assert "rows=boxes" in mixed.as_text()
    boxes = convert(folder, tmp_path / "boxes", rows="boxes", strict=True)
    assert pixel_rows(tmp_path / "boxes") == [(0, [10, 10, 30, 40]), (0, [1, 2, 11, 22])]
    assert boxes.boxes["sign"] == 2 and "side by side" not in boxes.as_text()
    polygons = convert(folder, tmp_path / "polygons", rows="polygons", strict=True)
    assert pixel_rows(tmp_path / "polygons") == [(0, square)]
    assert [(remark.kind, remark.place) for remark in polygons.remarks] == [("asked", "annotations[1]")]
    only = write_coco(tmp_path / "boxes only", coco_content([{"bbox": [1, 2, 10, 20]}], ["a.png", "b.png"]))
    background = convert(only, tmp_path / "none", rows="polygons", background=True, strict=True)
    assert background.images["train"] == 1 and (tmp_path / "none/images/train/b.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"to": "voc"}, "to: got 'voc', expected yolo, coco"),
        ({"rows": "box"}, "rows: got 'box', expected mixed, boxes, polygons"),
        ({"exif": "no"}, "exif: got 'no', expected auto, upright, raw"),
        ({"source_format": "cocco"}, "source_format: got 'cocco', expected "),
        ({"images": "nowhere"}, "images: nowhere is not a folder"),
        ({"rename": {"sing": "sign"}}, "rename: the source has no class 'sing'"),
        ({"drop": ["poles"]}, "drop: the source has no class 'poles'"),
        ({"classes": ["sign"]}, "classes: the class 'sgin' of the source is missing"),
        ({"rename": {"pole": "a"}, "drop": ["pole"]}, "class 'pole' stands in rename and in drop"),
    ],
)
def test_the_library_names_its_parameters(
    export: Path, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError) as refused:
        convert(export, tmp_path / "out", **arguments)
    assert str(refused.value).startswith(message)

"""Pascal VOC XML: flags, splits, where pixels are counted from."""

from __future__ import annotations

from pathlib import Path

import pytest

from reg_yolo.data import convert_dataset as convert
from reg_yolo.errors import DataError
from tests.data.convert.exports import pixel_rows, write_picture


def write_voc(folder: Path, stem: str, *objects: str, filename: str = "") -> None:
    write_picture(folder / f"JPEGImages/{stem}.png")
    (folder / "Annotations").mkdir(exist_ok=True)
    body = f"<filename>{filename or stem + '.png'}</filename><size><width>80</width><height>60</height></size>"
    text = f"<annotation>\r\n{body}{''.join(objects)}</annotation>"
    (folder / f"Annotations/{stem}.xml").write_text(text, encoding="utf-8")


def voc_object(*box: float, name: str = "sign", more: str = "") -> str:
    corners = "".join(
        f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name>{more}<bndbox>{corners}</bndbox></object>"


def test_whole_numbers_from_one_follow_the_devkit(tmp_path: Path) -> None:
    write_voc(tmp_path / "in", "a", voc_object(1, 1, 80, 60), voc_object(11, 21, 30, 40))
    summary = convert(tmp_path / "in", tmp_path / "out")
    assert pixel_rows(tmp_path / "out") == [(0, [0, 0, 80, 60]), (0, [10, 20, 30, 40])]
    assert "devkit" in summary.notes[0]


@pytest.mark.parametrize("other", [voc_object(0, 5, 9, 9), voc_object(10.5, 20, 30, 40)])
def test_any_other_numbers_are_taken_as_they_stand(tmp_path: Path, other: str) -> None:
    write_voc(tmp_path / "in", "a", voc_object(11, 21, 30, 40), other)
    assert not convert(tmp_path / "in", tmp_path / "out").notes
    assert pixel_rows(tmp_path / "out")[0] == (0, [11, 21, 30, 40])


def test_difficult_and_truncated_objects_are_kept_unless_asked(tmp_path: Path) -> None:
    flags = "<truncated>1</truncated><difficult>1</difficult>"
    write_voc(tmp_path / "in", "a", voc_object(0, 0, 9, 9), voc_object(20, 20, 40, 40, more=flags))
    convert(tmp_path / "in", tmp_path / "out")
    assert len(pixel_rows(tmp_path / "out")) == 2
    summary = convert(tmp_path / "in", tmp_path / "easy", drop_difficult=True, strict=True)
    assert pixel_rows(tmp_path / "easy") == [(0, [0, 0, 9, 9])]
    assert [(remark.kind, remark.place) for remark in summary.remarks] == [("asked", "object 2")]


def test_image_sets_are_splits_and_file_names_inside_may_be_old(tmp_path: Path) -> None:
    for stem in ("ก", "b", "c"):
        write_voc(tmp_path / "in", stem, voc_object(0, 0, 9, 9), filename="D:\\old\\name.png")
    sets = tmp_path / "in/ImageSets/Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("b\r\n", encoding="utf-8")
    (sets / "val.txt").write_bytes("\ufeffก\r\n".encode())
    (sets / "trainval.txt").write_text("b\nก\n", encoding="utf-8")
    convert(tmp_path / "in", tmp_path / "out")
    written = sorted(path.relative_to(tmp_path / "out/labels").as_posix() for path in tmp_path.glob("out/labels/*/*"))
    assert written == ["train/b.txt", "train/c.txt", "val/ก.txt"]
    (sets / "test.txt").write_text("b\n")
    with pytest.raises(DataError, match=r"train\.txt:1: b is in the 'test' list already"):
        convert(tmp_path / "in", tmp_path / "out2")


def test_polygons_of_roboflow_and_rotated_boxes(tmp_path: Path) -> None:
    polygon = "<polygon><x1>10.5</x1><y1>10</y1><x2>30</x2><y2>10</y2><x3>30</x3><y3>40</y3></polygon>"
    turned = (
        "<object><name>sign</name><robndbox><cx>40</cx><cy>30</cy><w>20</w><h>10</h><angle>1.5707963267948966</angle>"
        "</robndbox></object>"
    )
    write_voc(tmp_path / "in", "a", voc_object(10.5, 10, 30, 40, more=polygon), turned)
    convert(tmp_path / "in", tmp_path / "out")
    assert pixel_rows(tmp_path / "out") == [(0, [10.5, 10, 30, 10, 30, 40]), (0, [35, 20, 45, 40])]


BROKEN = {
    "no box": ("<object><name>sign</name></object>", r"object 1 \(has no <bndbox>"),
    "no name": (voc_object(1, 1, 2, 2, name=""), r"object 1 \(name"),
    "no number": (voc_object(1, 1, 2, 2).replace("<ymax>2", "<ymax>two"), r"object 1 \(ymax.*'two'"),
    "polygon": (voc_object(1, 1, 9, 9, more="<polygon><x1>1</x1></polygon>"), r"object 1 \(polygon"),
}


@pytest.mark.parametrize("text, message", BROKEN.values(), ids=BROKEN.keys())
def test_broken_files_are_refused_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    write_voc(tmp_path / "in", "a", text)
    with pytest.raises(DataError, match=message):
        convert(tmp_path / "in", tmp_path / "out")

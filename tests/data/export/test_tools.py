"""What labelling tools want of a file beyond what our own readers look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from reg_yolo.data import LabelledImage, ObjectAnnotation, write_labelled
from reg_yolo.errors import DataError

NAMES = ["sign", 'ป้าย <a> & "b"']
RING = np.array([[10.0, 10.0], [30.0, 10.0], [20.0, 30.12345]])
OBJECTS = [
    ObjectAnnotation("sign", "", box=(1.0, 2.0, 30.5, 40.0), score=0.87654, note="nobody has labelled this"),
    ObjectAnnotation(NAMES[1], "", parts=[RING, RING + 30]),
    ObjectAnnotation("sign", "", parts=[RING]),
]


def hints(out: Path, tool: str, **values: Any) -> Path:
    images = [
        LabelledImage("b.jpg", (80, 60), OBJECTS),
        LabelledImage("a.jpg", (80, 60), []),
        LabelledImage("a.jpg", (80, 60), OBJECTS[2:], "val"),
    ]
    return write_labelled(iter(images), out, NAMES, to=tool, **values)


def test_cvat_gets_every_attribute_that_its_importer_reads(tmp_path: Path) -> None:
    hints(tmp_path / "out", "cvat")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "annotations_train.xml",
        "annotations_val.xml",
        "labels.json",
    ]
    root = ElementTree.parse(tmp_path / "out/annotations_train.xml").getroot()
    assert root.tag == "annotations" and root.findtext("version") == "1.1"
    assert root.findtext("meta/task/size") == "2" and root.findtext("meta/task/mode") == "annotation"
    assert [name.text for name in root.iterfind("meta/task/labels/label/name")] == NAMES
    # Ids are places in the order of the names, which an importer falls back on.
    assert [(one.get("id"), one.get("name"), one.get("subset")) for one in root.iterfind("image")] == [
        ("0", "a.jpg", "train"),
        ("1", "b.jpg", "train"),
    ]
    shapes = list(root.findall("image")[1])
    assert [one.tag for one in shapes] == ["box", "polygon", "polygon", "polygon"]
    assert all({"label", "occluded", "source", "z_order"} <= set(one.attrib) for one in shapes)
    assert [one.get("group_id") for one in shapes] == [None, "1", "1", None]
    assert [float(shapes[0].get(key, "nan")) for key in ("xtl", "ytl", "xbr", "ybr")] == [1, 2, 30.5, 40]
    assert shapes[3].get("points") == "10.0,10.0;30.0,10.0;20.0,30.1234"
    said = {one.get("name"): one.text for one in shapes[0].iterfind("attribute")}
    assert said == {"confidence": "0.877", "note": "nobody has labelled this"}
    labels = json.loads((tmp_path / "out/labels.json").read_text("utf-8"))
    assert [label["name"] for label in labels] == NAMES
    keys = {"name", "mutable", "input_type", "default_value", "values"}
    assert [(a["name"], set(a)) for a in labels[0]["attributes"]] == [("confidence", keys), ("note", keys)]


def test_label_studios_regions_belong_to_its_interface(tmp_path: Path) -> None:
    hints(tmp_path / "out", "label-studio")
    tasks = json.loads((tmp_path / "out/tasks_train.json").read_text("utf-8"))
    interface = ElementTree.parse(tmp_path / "out/label_config.xml").getroot()
    controls = {one.get("name"): one for one in interface}
    regions = [region for task in tasks for region in task["annotations"][0]["result"]]
    assert len({region["id"] for region in regions}) == len(regions) == 3
    for region in regions:
        control = controls[region["from_name"]]
        assert control.tag.lower() == region["type"] and control.get("toName") == region["to_name"] == "image"
        labels = [label.get("value") for label in control]
        assert labels == NAMES and set(region["value"][region["type"]]) <= set(labels)
        assert region["image_rotation"] == 0 and (region["original_width"], region["original_height"]) == (80, 60)
    assert controls["image"].get("value") == "$image" and set(tasks[0]["data"]) == {"image"}
    assert regions[0]["meta"] == {"text": ["nobody has labelled this"]} and regions[0]["score"] == 0.8765
    np.testing.assert_allclose(regions[2]["value"]["points"], RING / (0.8, 0.6), atol=1e-6)
    # Parts of one object are one region.
    assert len(regions[1]["value"]["points"]) == 3 + 3 + 2


def test_labelme_opens_its_files(tmp_path: Path) -> None:
    hints(tmp_path / "out", "labelme")
    content = json.loads((tmp_path / "out/train/b.json").read_text("utf-8"))
    assert {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"} == set(content)
    assert (content["imagePath"], content["imageData"]) == ("b.jpg", None)
    assert (content["imageWidth"], content["imageHeight"]) == (80, 60)
    assert [(s["shape_type"], len(s["points"]), s["group_id"]) for s in content["shapes"]] == [
        ("rectangle", 2, None),
        ("polygon", 3, 1),
        ("polygon", 3, 1),
        ("polygon", 3, None),
    ]
    assert content["shapes"][0]["description"] == "0.877: nobody has labelled this"
    assert json.loads((tmp_path / "out/train/a.json").read_text("utf-8"))["shapes"] == []
    assert (tmp_path / "out/labels.txt").read_text("utf-8").splitlines() == NAMES


def test_coco_keeps_scores_and_notes(tmp_path: Path) -> None:
    hints(tmp_path / "out", "coco")
    content = json.loads((tmp_path / "out/annotations/instances_train.json").read_text("utf-8"))
    assert [entry.get("score") for entry in content["annotations"]] == [0.87654, None, None]
    assert content["annotations"][0]["attributes"] == {"note": "nobody has labelled this"}
    assert not (tmp_path / "out/images").exists()


@pytest.mark.parametrize("tool", ["cvat", "label-studio"])
def test_a_name_that_xml_cannot_hold_is_refused(tool: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the class 'a\\x01' holds a character"):
        write_labelled([], tmp_path / "out", ["a\x01"], to=tool)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def images() -> Any:
        yield LabelledImage("a.jpg", (80, 60), [])
        raise KeyboardInterrupt

    for tool in ("coco", "cvat", "labelme", "yolo"):
        with pytest.raises(KeyboardInterrupt):
            write_labelled(images(), tmp_path / "out", NAMES, to=tool)
    with pytest.raises(DataError, match="`to`: got 'labelstudio', expected"):
        write_labelled([], tmp_path / "out", NAMES, to="labelstudio")
    assert not list(tmp_path.iterdir())


def test_names_that_write_elsewhere_or_over_one_another_are_refused(tmp_path: Path) -> None:
    for name in ("../x.jpg", "a/b.jpg", r"a\b.jpg", ".."):
        with pytest.raises(DataError, match="must be the name of a file"):
            write_labelled([LabelledImage(name, (80, 60))], tmp_path / "out", NAMES, to="labelme")
    twins = [LabelledImage("a.jpg", (80, 60)), LabelledImage("A.png", (80, 60))]
    with pytest.raises(DataError, match=r"A\.png: another image of train"):
        write_labelled(twins, tmp_path / "out", NAMES, to="yolo")
    assert not list(tmp_path.iterdir())
    apart = [LabelledImage("a.jpg", (80, 60)), LabelledImage("a.png", (80, 60), split="val")]
    assert write_labelled(apart, tmp_path / "out", NAMES, to="yolo").exists()


def test_a_note_that_xml_cannot_hold_is_refused(tmp_path: Path) -> None:
    sign = ObjectAnnotation(NAMES[0], "", box=(1.0, 2.0, 3.0, 4.0), note="two\nlines")
    assert write_labelled([LabelledImage("a.jpg", (80, 60), [sign])], tmp_path / "good", NAMES, to="cvat").exists()
    sign.note = "a\x01"
    with pytest.raises(DataError, match=r"the note 'a\\x01' holds a character"):
        write_labelled([LabelledImage("a.jpg", (80, 60), [sign])], tmp_path / "bad", NAMES, to="cvat")

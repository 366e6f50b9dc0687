"""Out to a labelling tool's format and back by our own reader: every object, outline, class name and split is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reg_yolo.data import convert_dataset as convert
from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.data.dataset.label_rows import box_row, polygon_row
from reg_yolo.data.objects.outlines import join_rings
from reg_yolo.scenes import write_stills
from tests.data.convert.exports import write_picture

SIZE = (97, 61)
NAMES = ["ป้าย จราจร", "pole & wire <a>", "never drawn", "wall"]
TOOLS = ("coco", "cvat", "label-studio", "labelme")
SQUARE = np.array([[10.0, 10.0], [30.0, 10.0], [30.0, 40.0], [10.0, 40.0]])
HOLE = np.array([[15.0, 15.0], [15.0, 25.0], [25.0, 25.0], [25.0, 15.0]])
RIGHT = np.array([[50.5, 12.25], [70.0, 10.0], [60.0, 33.0]])
FAR = np.array([[80.0, 40.0], [95.0, 42.0], [90.0, 60.0]])


def ring(*parts: np.ndarray, hole: np.ndarray | None = None) -> np.ndarray:
    return join_rings(list(parts), [] if hole is None else [hole])


# By split and image: rows of one outline, of parts, of an outline with a hole, of boxes, and none at all.
IMAGES = {
    "train/ภาพ 1.png": [
        polygon_row(0, ring(SQUARE), SIZE),
        polygon_row(3, ring(SQUARE + 1, RIGHT), SIZE),
        polygon_row(3, ring(SQUARE + 2, RIGHT + 1, FAR), SIZE),
        box_row(1, (1.5, 2.25, 20.0, 60.0), SIZE),
    ],
    "train/a & b+c%20.png": [box_row(0, (10, 10, 30, 30), SIZE), box_row(0, (40, 10, 60, 30), SIZE)],
    "train/background.png": [],
    "val/same.png": [polygon_row(1, ring(RIGHT), SIZE)],
    "test/same.png": [box_row(3, (0, 0, 97, 61), SIZE)],
}
HOLED = polygon_row(0, ring(SQUARE, FAR, hole=HOLE), SIZE)


def write_set(root: Path, images: dict[str, list[str]] = IMAGES) -> Path:
    for number, (name, lines) in enumerate(images.items()):
        write_picture(root / "images" / name, SIZE, number)
        label = (root / "labels" / name).with_suffix(".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("".join(f"{line}\n" for line in lines))
    splits = {name.partition("/")[0] for name in images}
    text = "".join(f"{split}: images/{split}\n" for split in ("train", "val", "test") if split in splits)
    names = "".join(f"  {index}: '{name}'\n" for index, name in enumerate(NAMES))
    (root / "data.yaml").write_text(f"{text}names:\n{names}", encoding="utf-8")
    return root / "data.yaml"


def rows_of(folder: Path) -> dict[str, list[list[float]]]:
    """The rows of every label file, by split and name."""
    return {
        str(path.relative_to(folder / "labels")): [[float(v) for v in line.split()] for line in path.open()]
        for path in sorted((folder / "labels").rglob("*.txt"))
    }


def assert_same(before: Path, after: Path, *, atol: float = 1.6e-6) -> None:
    was, now = rows_of(before), rows_of(after)
    assert list(now) == list(was)
    for name, rows in was.items():
        assert [(row[0], len(row)) for row in now[name]] == [(row[0], len(row)) for row in rows], name
        for row, other in zip(rows, now[name], strict=True):
            np.testing.assert_allclose(same_start(other), same_start(row), atol=atol, err_msg=name)
    assert (
        read_dataset_yaml(after / "data.yaml", required=()).names == read_dataset_yaml(before / "data.yaml", ()).names
    )
    images = [sorted(str(p.relative_to(r / "images")) for p in (r / "images").rglob("*.*")) for r in (before, after)]
    assert images[0] == images[1]
    for name in images[0]:
        assert (after / "images" / name).read_bytes() == (before / "images" / name).read_bytes()


def same_start(row: list[float]) -> np.ndarray:
    """A polygon row with its corners in an order that does not depend on where the outline begins or its direction."""
    if len(row) == 5:
        return np.array(row)
    points = np.round(np.array(row[1:]).reshape(-1, 2), 4)
    return np.array(row[1:]).reshape(-1, 2)[np.lexsort(points.T)].ravel()


@pytest.fixture(scope="module")
def own_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"))


@pytest.mark.parametrize("tool", TOOLS)
def test_everything_is_kept(tool: str, own_set: Path, tmp_path: Path) -> None:
    summary = convert(own_set, tmp_path / "tool", to=tool, background=True)
    assert dict(summary.images) == {"train": 3, "val": 1, "test": 1} and not summary.remarks
    back = convert(tmp_path / "tool", tmp_path / "back", classes=NAMES, background=True)
    assert back.format_name == tool and not back.remarks
    assert_same(own_set.parent, tmp_path / "back")


@pytest.mark.parametrize("tool", ["cvat", "label-studio", "labelme"])
def test_holes_stay_holes(tool: str, tmp_path: Path) -> None:
    data = write_set(tmp_path / "set", {"val/a.png": [HOLED]})
    convert(data, tmp_path / "tool", to=tool)
    convert(tmp_path / "tool", tmp_path / "back", classes=NAMES)
    assert_same(tmp_path / "set", tmp_path / "back")


@pytest.mark.parametrize("tool", TOOLS)
def test_parts_are_parts_again_in_another_tool(tool: str, own_set: Path, tmp_path: Path) -> None:
    convert(own_set, tmp_path / "tool", to=tool)
    convert(tmp_path / "tool", tmp_path / "coco", to="coco")
    content = json.loads((tmp_path / "coco/annotations/instances_train.json").read_text("utf-8"))
    assert sorted(len(entry["segmentation"]) for entry in content["annotations"]) == [0, 0, 0, 1, 2, 3]


@pytest.mark.parametrize("tool", TOOLS)
def test_embedded_scenes_go_there_and_back(tool: str, scenes: Path, tmp_path: Path) -> None:
    convert(scenes / "data.yaml", tmp_path / "tool", to=tool, background=True)
    names = list(read_dataset_yaml(scenes / "data.yaml").names.values())
    convert(tmp_path / "tool", tmp_path / "back", classes=names, background=True)
    assert_same(scenes, tmp_path / "back")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "set"
    write_stills(folder, 4, (96, 64), 5, val_fraction=0.5, workers=1)
    return folder

"""Damaged files of every format: converted or refused in one line, never a traceback."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.data import convert_dataset as convert
from reg_yolo.errors import RegYoloError
from tests.data.convert.exports import coco_content, write_picture
from tests.data.convert.test_cvat import META, box
from tests.data.convert.test_voc import voc_object

COCO = coco_content(
    [
        {"bbox": [1, 2, 10, 20], "segmentation": [[1, 2, 9, 2, 9, 9]]},
        {"segmentation": {"size": [60, 80], "counts": [100, 50, 4650]}},
        {"iscrowd": 1, "segmentation": {"size": [60, 80], "counts": "P2b5"}},
    ]
)
LABELME = {
    "shapes": [
        {"label": "s", "points": [[1, 2], [9, 2], [9, 9]], "shape_type": "polygon", "group_id": 1},
        {"label": "s", "points": [[1, 2], [9, 2]], "shape_type": "circle"},
        {"label": "s", "points": [[1, 2], [9, 9]], "shape_type": "mask", "mask": "iVBORw0KGgo="},
    ],
    "imagePath": "a.png",
    "imageData": None,
    "imageWidth": 80,
    "imageHeight": 60,
}
SHAPES = (
    '<box label="s" xtl="1" ytl="2" xbr="9" ybr="9" rotation="4"/><polygon label="s" points="1,2;9,2;9,9"/>'
    '<mask label="s" rle="1, 2, 1" left="1" top="2" width="2" height="2"/>'
    '<ellipse label="s" cx="9" cy="9" rx="2" ry="3"/>'
)
IMAGES = (
    f'<annotations>{META.format(size=1, mode="annotation", stop=0)}<image name="a.png" width="80" height="60">'
    f"{SHAPES}</image></annotations>"
)
TRACKS = (
    f'<annotations>{META.format(size=4, mode="interpolation", stop=3)}<track id="0" label="s">{box(0, 1)}{box(2, 9)}'
    '<polygon frame="3" outside="0" keyframe="1" points="1,2;9,2;9,9"/></track></annotations>'
)
VOC = (
    "<annotation><filename>a.png</filename><size><width>80</width><height>60</height></size>"
    f"{voc_object(1, 2, 9, 9)}</annotation>"
)
YOLO_YAML = "train: .\nnames: {0: sign, 1: pole}\n"

FILES: dict[str, tuple[str, str, str]] = {
    "coco": ("coco", "a.json", json.dumps(COCO)),
    "labelme": ("labelme", "a.json", json.dumps(LABELME)),
    "cvat images": ("cvat", "annotations.xml", IMAGES),
    "cvat tracks": ("cvat", "annotations.xml", TRACKS),
    "voc": ("voc", "a.xml", VOC),
    "yolo rows": ("yolo", "a.txt", "0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.2 0.1 0.2 0.2\n"),
    "yolo yaml": ("yolo", "data.yaml", YOLO_YAML),
    "yolo names": ("yolo", "classes.txt", "sign\npole\n"),
}


def attempt(kind: str, content: bytes) -> list[str]:
    """Convert a folder that holds this content and return what was refused; no other error may come out."""
    refused = []
    source_format, name, _ = FILES[kind]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "in"
        write_picture(folder / "a.png")
        for frame in range(4 if kind == "cvat tracks" else 0):
            write_picture(folder / f"frame_{frame:06d}.png")
        if source_format == "yolo":
            (folder / "a.txt").write_text(FILES["yolo rows"][2])
            if kind == "yolo rows":
                (folder / "data.yaml").write_text(YOLO_YAML)
        (folder / name).write_bytes(content)
        for forced in (source_format, None):
            out = Path(temporary) / f"out {forced}"
            try:
                convert(folder, out, source_format=forced, background=True)
            except RegYoloError as error:
                refused.append(str(error))
                assert refused[-1] and not out.exists()
            else:
                assert (out / "data.yaml").is_file()
        assert not [path for path in Path(temporary).iterdir() if path.name.startswith(".")]
    return refused


# Those of COCO and Labelme hold faults from the start.
@pytest.mark.parametrize("kind", [kind for kind in FILES if kind not in ("coco", "labelme")])
def test_whole_files_convert(kind: str) -> None:
    assert attempt(kind, FILES[kind][2].encode()) == []


@pytest.mark.parametrize("kind", FILES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_damaged_bytes(kind: str, data: st.DataObject) -> None:
    content = bytearray(FILES[kind][2].encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        change = data.draw(st.sampled_from(["replace", "cut", "insert", "digit"]))
        if change == "replace":
            content[place] = data.draw(st.integers(0, 255))
        elif change == "cut":
            del content[place : place + data.draw(st.integers(1, 40))]
        elif change == "insert":
            content[place:place] = data.draw(
                st.sampled_from([b"\x00", b"\xff", b"nan", b"1e999", b"-", b"9" * 30, b"[", b"{}"])
            )
        else:
            content[place : place + 1] = b"7"
        if not content:
            content = bytearray(b" ")
    attempt(kind, bytes(content))


VALUES: list[Any] = [
    None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**400, "", "x", "\x00", "a/../../b", [], {}, [[]], [None],
    [[1, 2], [3]],
    [1, 2, 3, 4], {"size": [1, 1], "counts": [1]}, {"size": [10**9, 10**9], "counts": "0"}, {"counts": [1]}, 2**70,
]  # fmt: skip


def replaced(value: Any, choose: Callable[[int], int], depth: int = 0) -> Any:
    """The same structure with one value, somewhere, replaced by another."""
    if isinstance(value, (dict, list)) and value and (depth == 0 or choose(4)):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = keys[choose(len(keys))]
        copy = dict(value) if isinstance(value, dict) else list(value)
        if isinstance(copy, dict) and not choose(6):
            del copy[key]
        else:
            copy[key] = replaced(value[key], choose, depth + 1)
        return copy
    return VALUES[choose(len(VALUES))]


@pytest.mark.parametrize("kind, content", [("coco", COCO), ("labelme", LABELME)])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=120, deadline=None)
def test_values_of_other_types(kind: str, content: dict[str, Any], seed: int) -> None:
    random_number = random.Random(seed)
    for _ in range(random_number.randrange(1, 3)):
        content = replaced(content, random_number.randrange)
    attempt(kind, json.dumps(content).encode())


def test_brackets_nested_too_deep() -> None:
    attempt("coco", b'{"annotations": ' + b"[" * 100_000)
    attempt("cvat images", b"<annotations>" + b"<image>" * 20_000)

"""Pasted objects: where they stand, what they cover, that their labels are theirs, and the pixels under a mask."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ultralytics.data.augment import Mosaic
from ultralytics.data.build import build_yolo_dataset
from ultralytics.utils.metrics import bbox_ioa

from reg_yolo.config.sampling import CopyPasteSettings
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.datasets.rare_paste import RarePaste, find_donors, paste_rare_objects
from reg_yolo.yolo.datasets.sampling import mixing_transforms
from tests.conftest import COLOURS, HEIGHT, NAMES, WIDTH
from tests.yolo.datasets.mixed_labels import STILL, arguments, joint, write_mixed

BLUE = 2
ALWAYS = CopyPasteSettings(probability=1.0, classes=["blue"], max_objects=3)


def dataset_of(yaml: Path, task: str = "detect", **overrides: Any) -> Any:
    data = {"names": dict(enumerate(NAMES)), "nc": len(NAMES), "channels": 3}
    args = arguments(task, **{**STILL, "imgsz": 128, **overrides})
    return build_yolo_dataset(args, str(yaml.parent / "images" / "train"), 4, data, mode="train", stride=32)


def pasted(dataset: Any, paste: RarePaste, index: int) -> tuple[dict[str, Any], np.ndarray, int]:
    """An image after pasting (boxes in pixels), the image before, and its number of objects before."""
    before = dataset.get_image_and_label(index)
    original, count = before["img"].copy(), len(before["cls"])
    after = paste(before)
    # The image that the data set holds for mosaic is not painted over.
    assert np.array_equal(dataset.load_image(index)[0], original)
    return after, original, count


@pytest.mark.parametrize(("fixture", "label"), [("even_rectangles", BLUE), ("polygons", 0)])
def test_pasted_objects_are_whole_and_labelled(fixture: str, label: int, request: pytest.FixtureRequest) -> None:
    task = "segment" if fixture == "polygons" else "detect"
    dataset = dataset_of(request.getfixturevalue(fixture), task)
    paste = RarePaste(dataset, ALWAYS, [label])
    random.seed(1)
    new_objects = 0
    for index in range(len(dataset)):
        after, original, count = pasted(dataset, paste, index)
        boxes, cls = after["instances"].bboxes, after["cls"].reshape(-1)
        assert len(boxes) == len(cls)
        assert len(after["instances"].segments) == (len(boxes) if paste.has_outlines else 0)
        new_objects += len(boxes) - count
        for number in range(count, len(boxes)):
            assert cls[number] == label
            x1, y1, x2, y2 = boxes[number]
            assert 0 <= x1 < x2 <= WIDTH and 0 <= y1 < y2 <= HEIGHT
            # Nothing that was there before it is covered by more than the limit, nor stands before it.
            assert bbox_ioa(boxes[[number]], boxes[:number]).max(initial=0) <= ALWAYS.max_cover + 1e-6
            nearer = boxes[:number][boxes[:number, 3] > boxes[number, 3]]
            assert bbox_ioa(nearer, boxes[[number]]).max(initial=0) <= ALWAYS.max_cover + 1e-6
            middle = after["img"][int((y1 + y2) / 2), int((x1 + x2) / 2)].astype(int)
            later = boxes[number + 1 :]
            if not len(later):
                assert np.abs(middle - COLOURS[label]).max() <= 12
            if paste.has_outlines:
                outline = after["instances"].segments[number]
                assert np.allclose([*outline.min(0), *outline.max(0)], boxes[number], atol=0.6)
        changed = np.abs(after["img"].astype(int) - original).max(axis=2) > 0
        allowed = np.zeros_like(changed)
        for x1, y1, x2, y2 in boxes[count:]:
            # Up to a tenth of its shorter side around each.
            allowed[max(int(y1) - 6, 0) : int(y2) + 7, max(int(x1) - 6, 0) : int(x2) + 7] = True
        assert not (changed & ~allowed).any()
    assert new_objects > len(dataset) // 4


def test_an_object_keeps_its_row_and_nearly_its_place_and_size(even_rectangles: Path) -> None:
    dataset = dataset_of(even_rectangles)
    settings = ALWAYS.model_copy(update={"max_objects": 1, "shift": 0.1, "scale": 0.2})
    paste = RarePaste(dataset, settings, [BLUE])
    donors = np.array([donor.box for donor in paste.donors[BLUE]]) * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    random.seed(0)
    seen = []
    for index in range(len(dataset)):
        after, _, count = pasted(dataset, paste, index)
        for x1, y1, x2, y2 in after["instances"].bboxes[count:]:
            ratios = (x2 - x1) / (donors[:, 2] - donors[:, 0])
            same_foot = np.isclose(donors[:, 3], y2, atol=1e-3)
            same_shape = np.isclose(ratios, (y2 - y1) / (donors[:, 3] - donors[:, 1]), atol=1e-3)
            near = np.abs((x1 + x2) / 2 - donors[:, [0, 2]].mean(1)) <= 0.1 * WIDTH + 1e-3
            matches = same_foot & same_shape & near & (np.abs(ratios - 1) <= 0.2 + 1e-4)
            assert matches.any()
            seen.append(ratios[matches][0])
    assert len(seen) > 20
    assert min(seen) < 0.95 and max(seen) > 1.05


def test_a_mask_is_cut_along_its_outline(tmp_path: Path) -> None:
    yamls = write_mixed(tmp_path)
    data = {"names": dict(enumerate(["pole", "sign", "wall"])), "nc": 3, "channels": 3}
    args = arguments("segment", **STILL)
    folder = str(yamls["outlined"].parent / "images" / "train")
    dataset = build_yolo_dataset(args, folder, 4, data, mode="train", stride=32)
    settings = CopyPasteSettings(probability=1.0, classes=["wall"], max_objects=1, max_cover=1.0, shift=0.0, scale=0.0)
    paste = RarePaste(dataset, settings, [2])
    random.seed(3)
    checked = 0
    for index in range(len(dataset)):
        after, original, count = pasted(dataset, paste, index)
        for number in range(count, len(after["cls"])):
            x1, y1, x2, y2 = after["instances"].bboxes[number].astype(int)
            # A star leaves the corners of its box as they were; its middle is painted.
            corners = [y1 + 1, y1 + 1, y2 - 2, y2 - 2], [x1 + 1, x2 - 2, x1 + 1, x2 - 2]
            assert np.abs(after["img"][corners].astype(int) - original[corners]).max() <= 2
            middle = (y1 + y2) // 2, (x1 + x2) // 2
            checked += not np.array_equal(after["img"][middle], original[middle])
    assert checked


def test_joint_labels_keep_the_mark_of_objects_without_a_mask(tmp_path: Path) -> None:
    yaml = write_mixed(tmp_path)["mixed"]
    dataset = joint(yaml, "train", **STILL)
    settings = CopyPasteSettings(probability=1.0, classes=["sign"], max_objects=4, max_cover=1.0)
    paste = RarePaste(dataset, settings, [1])
    kinds = {donor.outline is None for donor in paste.donors[1]}
    assert kinds == {True, False}
    random.seed(0)
    marked = set()
    for _ in range(3):
        for index in range(len(dataset)):
            after, _, count = pasted(dataset, paste, index)
            for number in range(count, len(after["cls"])):
                box_only = after["cls"][number, 0] < 0
                assert after["cls"][number, 0] == (-2 if box_only else 1)
                assert after["instances"].segments[number].any() != box_only
                marked.add(bool(box_only))
    assert marked == {True, False}


def label(boxes: list[tuple[float, float, float, float]], cls: list[int], segments: list[Any] | None = None) -> dict:
    array = np.array(boxes, dtype=np.float32)
    return {"shape": (100, 200), "cls": np.array(cls).reshape(-1, 1), "bboxes": array, "segments": segments or []}


def test_donors_are_whole_large_enough_and_alone() -> None:
    good, cut, small = (0.5, 0.5, 0.2, 0.4), (0.05, 0.5, 0.1, 0.2), (0.5, 0.5, 0.01, 0.4)
    foreign = (0.55, 0.5, 0.2, 0.4)
    labels = [label([good, cut], [1, 1]), label([small], [1]), label([good, foreign], [1, 0]), label([good], [0])]
    assert [(donor.image, donor.label) for donor in find_donors(labels, [1], 200)[1]] == [(0, 1)]
    # At twice the size the narrow one has enough pixels.
    assert [donor.image for donor in find_donors(labels, [1], 1200)[1]] == [0, 1]
    # An outline leaves out what stands beside it.
    outline = np.array([[0.4, 0.3], [0.6, 0.3], [0.6, 0.7]])
    outlined = [label([good, foreign], [1, 0], [outline, outline])]
    assert len(find_donors(outlined, [1], 200)[1]) == 1


def test_objects_of_images_of_another_shape_stay_where_they_are(even_rectangles: Path) -> None:
    dataset = dataset_of(even_rectangles)
    for entry in dataset.labels[1:]:
        entry["shape"] = (HEIGHT, 2 * WIDTH)
    paste = RarePaste(dataset, ALWAYS, [0, 1, 2])
    paste.donors = {key: [d for d in found if d.image] for key, found in paste.donors.items()}
    after, original, count = pasted(dataset, paste, 0)
    assert len(after["cls"]) == count and np.array_equal(after["img"], original)


def test_every_image_of_a_mosaic_passes_the_pasting(even_rectangles: Path) -> None:
    dataset = dataset_of(even_rectangles, mosaic=1.0, mixup=1.0)
    usable = paste_rare_objects(dataset, ALWAYS, dict(enumerate(NAMES)), [10, 10, 10])
    assert list(usable) == ["blue"] and usable["blue"] > 5
    paste = next(step for step in mixing_transforms(dataset.transforms) if isinstance(step, Mosaic)).pre_transform
    calls = []
    place = paste._place
    paste._place = lambda *place_arguments: calls.append(1) or place(*place_arguments)
    paste.settings = ALWAYS.model_copy(update={"max_objects": 1})
    dataset.buffer = [0, 1, 2]
    dataset[0]
    # Two mosaics of four, one for each partner of mixup.
    assert len(calls) == 8
    dataset.close_mosaic(arguments("detect", **{**STILL, "imgsz": 128}))
    dataset[0]
    assert len(calls) == 8


@pytest.mark.parametrize(
    ("classes", "objects", "message"),
    [
        ("rare", [10, 9, 8], "no class has fewer objects than a third"),
        (["bleu"], [10, 9, 1], "the data set has no class bleu; expected of red, green, blue"),
    ],
)
def test_what_cannot_be_pasted_is_refused(
    even_rectangles: Path, classes: Any, objects: list[int], message: str
) -> None:
    settings = CopyPasteSettings(probability=0.5, classes=classes)
    with pytest.raises(ConfigError, match=message):
        paste_rare_objects(dataset_of(even_rectangles), settings, dict(enumerate(NAMES)), objects)

"""Copy-paste, cutmix and the large mosaic, where objects meet: a box-only object is in the way, and never cut out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import albumentations
import numpy as np
import pytest
import torch
from ultralytics.data.augment import Albumentations, Compose, CopyPaste, CutMix, Mosaic, RandomPerspective
from ultralytics.utils.instance import Instances

from reg_yolo.yolo.datasets.joint_transforms import (
    DropBoxOnly,
    JointAlbumentations,
    JointCopyPaste,
    JointCutMix,
    is_box_only,
    mark_box_only,
    replace_transforms,
    unmark,
)
from tests.yolo.datasets.mixed_labels import STILL, items, joint, reseed, write_mixed

SIZE = 100


def label_of(*objects: tuple[int, tuple[int, int, int, int], bool], colour: int = 0) -> dict[str, Any]:
    """An image of one colour with objects: class, box in pixels, whether its outline is known (a diamond)."""
    boxes = np.array([box for _, box, _ in objects], dtype=np.float32).reshape(-1, 4)
    x1, y1, x2, y2 = boxes.T
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    outlines = np.stack((np.stack((x, y1, x2, y), 1), np.stack((x, y2, x1, y), 1)), 1).reshape(-1, 4, 2)
    box_only = np.array([not known for _, _, known in objects], dtype=bool)
    outlines[box_only] = 0
    cls = np.array([[label] for label, _, _ in objects], dtype=np.float32).reshape(-1, 1)
    return {
        "img": np.full((SIZE, SIZE, 3), colour, dtype=np.uint8),
        "cls": mark_box_only(cls, box_only),
        "instances": Instances(boxes, outlines.astype(np.float32), bbox_format="xyxy", normalized=False),
    }


class OneOther:
    """A data set whose other image is always the same."""

    cache = "ram"

    def __init__(self, label: Any) -> None:
        self.label = label

    def __len__(self) -> int:
        return 1

    def get_image_and_label(self, index: int) -> dict[str, Any]:
        assert index == 0
        return self.label()


def rows(label: dict[str, Any]) -> list[tuple[int, bool, list[float]]]:
    boxes = label["instances"].bboxes
    assert len(label["instances"].segments) == len(boxes) == len(label["cls"])
    return [
        (int(c), bool(b), box.tolist())
        for c, b, box in zip(unmark(label["cls"])[:, 0], is_box_only(label["cls"]), boxes, strict=True)
    ]


def test_marks_come_off_again() -> None:
    cls = np.array([[0.0], [3.0], [0.0]], dtype=np.float32)
    marked = mark_box_only(cls, np.array([True, True, False]))
    assert marked.dtype == np.float32
    assert is_box_only(marked).tolist() == [True, True, False]
    assert unmark(marked).tolist() == cls.tolist()


def test_copy_paste_leaves_box_only_objects_alone() -> None:
    label = label_of((1, (5, 5, 25, 25), True), (0, (10, 60, 30, 80), False), colour=9)
    label["img"][60:80, 10:30] = 200
    pasted = JointCopyPaste(p=1.0)(label)
    assert rows(pasted) == [(1, False, [5, 5, 25, 25]), (1, False, [75, 5, 95, 25]), (0, True, [10, 60, 30, 80])]
    # The mirrored place of the box-only object has its old pixels.
    assert (pasted["img"][60:80, 70:90] == 9).all()


@pytest.mark.parametrize(("box", "pasted"), [((70, 5, 95, 25), 0), ((75, 20, 99, 60), 1), ((70, 70, 95, 95), 1)])
def test_copy_paste_does_not_cover_a_box_only_object(box: tuple[int, int, int, int], pasted: int) -> None:
    label = label_of((1, (5, 5, 25, 25), True), (2, (5, 40, 25, 50), True), (0, box, False))
    found = rows(JointCopyPaste(p=1.0)(label))
    assert [row for row in found if row[1]] == [(0, True, list(map(float, box)))]
    assert [row[2] for row in found].count([75, 5, 95, 25]) == pasted
    assert [row[2] for row in found].count([75, 40, 95, 50]) == 1


def test_copy_paste_from_another_picture_takes_objects_with_an_outline_only() -> None:
    def other() -> dict[str, Any]:
        return label_of((1, (40, 40, 60, 60), True), (0, (70, 70, 90, 90), False), colour=77)

    def paste(label: dict[str, Any]) -> dict[str, Any]:
        upstream = CopyPaste(OneOther(other), pre_transform=Compose([]), p=1.0, mode="mixup")
        return replace_transforms(Compose([upstream]))(label)

    found = paste(label_of((2, (5, 5, 25, 25), True)))
    assert rows(found) == [(2, False, [5, 5, 25, 25]), (1, False, [40, 40, 60, 60])]
    assert (found["img"][70:90, 70:90] == 0).all() and (found["img"][50, 50] == 77).all()
    covered = paste(label_of((2, (5, 5, 25, 25), True), (0, (42, 42, 58, 58), False)))
    assert rows(covered) == [(2, False, [5, 5, 25, 25]), (0, True, [42, 42, 58, 58])]
    assert not covered["img"].any()


class FixedArea(JointCutMix):
    """Cutmix of one known rectangle."""

    area = (50, 50, 100, 100)

    def _rand_bbox(self, width: int, height: int) -> tuple[int, int, int, int]:
        assert width == height == SIZE
        return self.area


def cut_in(label: dict[str, Any], *objects: Any) -> list[tuple[int, bool, list[float]]]:
    return rows(FixedArea(OneOther(lambda: label_of(*objects, colour=50)), p=1.0)(label))


def test_cutmix_keeps_a_box_only_object_from_a_tenth_on() -> None:
    own = (1, (5, 5, 25, 25), True)
    # 5 % and 20 % of each object lie in the rectangle.
    sliver, part = (31, 60, 51, 80), (34, 60, 54, 80)
    assert cut_in(label_of(own), (2, sliver, True), (0, part, False)) == [
        (1, False, [5, 5, 25, 25]), (2, False, [50, 60, 51, 80]), (0, True, [50, 60, 54, 80]),
    ]  # fmt: skip
    assert cut_in(label_of(own), (2, part, True), (0, sliver, False)) == [
        (1, False, [5, 5, 25, 25]), (2, False, [50, 60, 54, 80]),
    ]  # fmt: skip
    assert cut_in(label_of(own), (0, sliver, False)) == [(1, False, [5, 5, 25, 25])]
    # As upstream without the box-only object: a first image without outlines asks for a tenth of everything.
    assert cut_in(label_of((0, (5, 5, 25, 25), False)), (2, sliver, True)) == [(0, True, [5, 5, 25, 25])]


def test_cutmix_never_cuts_through_a_box_only_object() -> None:
    own = (0, (40, 40, 60, 60), False)
    assert cut_in(label_of(own), (2, (60, 60, 80, 80), True)) == [(0, True, [40, 40, 60, 60])]


def test_mosaic_of_nine(tmp_path: Path) -> None:
    yamls = write_mixed(tmp_path)
    found = {}
    for name in ("mixed", "outlined"):
        dataset = joint(yamls[name], **STILL)
        dataset.transforms.transforms[0].transforms[0] = Mosaic(dataset, imgsz=128, p=1.0, n=9)
        found[name] = items(dataset)
    boxes = 0
    for mixed, outlined in zip(found["mixed"], found["outlined"], strict=True):
        assert torch.equal(mixed["masks"].float(), outlined["masks"].float())
        assert torch.equal(mixed["bboxes"][mixed["has_mask"]], outlined["bboxes"])
        boxes += int((~mixed["has_mask"]).sum())
    assert boxes > 20


def test_a_box_only_object_that_vanishes_takes_its_row_along(tmp_path: Path) -> None:
    dataset = joint(write_mixed(tmp_path)["mixed"], **{**STILL, "translate": 0.9})
    counts = set()
    for seed in range(4):
        for item in items(dataset, seed):
            assert len(item["has_mask"]) == len(item["cls"]) == len(item["bboxes"])
            counts.add((int(item["has_mask"].sum()), int((~item["has_mask"]).sum())))
    assert {(0, 0)} < counts and any(a and not b for a, b in counts) and any(b and not a for a, b in counts)


def test_every_transform_of_a_kind_is_replaced_and_shared_ones_stay_shared(tmp_path: Path) -> None:
    dataset = joint(write_mixed(tmp_path)["mixed"], copy_paste=0.5, copy_paste_mode="mixup", mixup=0.5, cutmix=0.5)
    kinds, pending, seen = [], [dataset.transforms], set()
    while pending:
        step = pending.pop()
        if id(step) not in seen:
            seen.add(id(step))
            kinds.append(type(step))
            pending += [*getattr(step, "transforms", []), *filter(None, [getattr(step, "pre_transform", None)])]
    assert not {RandomPerspective, CopyPaste, CutMix, Albumentations} & set(kinds)
    assert kinds.count(JointCopyPaste) == 1
    _, mixup, cutmix = dataset.transforms.transforms[:3]
    assert mixup.pre_transform is cutmix.pre_transform is dataset.transforms.transforms[0]
    _, affine, paste = mixup.pre_transform.transforms
    before, drop = paste.pre_transform.transforms
    assert before.transforms[1] is affine and isinstance(drop, DropBoxOnly)


RIGHT_HALF = albumentations.Crop(x_min=50, y_min=0, x_max=100, y_max=100, p=1.0)


def test_albumentations_that_loses_every_box_keeps_the_picture_as_the_detection_pipeline_does() -> None:
    for box, width in (((5, 60, 20, 80), 100), ((60, 60, 80, 80), 50)):
        reseed(0)
        found = JointAlbumentations(transforms=[RIGHT_HALF])(label_of((0, box, False)))
        assert found["img"].shape[1] == width and len(rows(found)) == 1


def test_albumentations_that_loses_every_outline_keeps_picture_and_boxes() -> None:
    for outlined, width in (((5, 5, 25, 25), 100), ((60, 5, 90, 25), 50)):
        reseed(0)
        label = label_of((1, outlined, True), (0, (60, 60, 80, 80), False), (0, (5, 60, 20, 80), False))
        found = JointAlbumentations(transforms=[RIGHT_HALF])(label)
        assert found["img"].shape[1] == width
        found["instances"].convert_bbox("xyxy")
        found["instances"].denormalize(width, 100)
        box_only = [box for _, unknown, box in rows(found) if unknown]
        expected = [[60, 60, 80, 80], [5, 60, 20, 80]] if width == 100 else [[10, 60, 30, 80]]
        np.testing.assert_allclose(box_only, expected, atol=1e-4)

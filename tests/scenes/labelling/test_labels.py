"""Label rows against the number buffer they come from."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reg_yolo.scenes.labelling.labels import Label, contrast, visible_boxes, yolo_row
from reg_yolo.scenes.labelling.polygons import outline
from reg_yolo.scenes.rendering.camera import Camera
from reg_yolo.scenes.world.catalogue import BUS_STOP, PAVILION

CAMERA = Camera(64, 48, 60.0, 32.0, 24.0)


def drawn(polygon: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """What a reader of label files makes of a polygon: corners rounded down, filled with their border."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [polygon.astype(np.int32)], 1)
    return mask


def overlap(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(((a > 0) & (b > 0)).sum() / ((a > 0) | (b > 0)).sum())


def blank() -> NDArray[np.uint8]:
    return np.zeros((48, 64), np.uint8)


def test_rectangles_come_back_exactly() -> None:
    mask = blank()
    mask[10:20, 5:45] = 1
    polygon = outline(mask)
    assert len(polygon) == 4
    assert polygon.min(axis=0) == pytest.approx([5.25, 10.25])
    assert polygon.max(axis=0) == pytest.approx([44.75, 19.75])
    assert (drawn(polygon, mask.shape) == mask).all()


def test_a_line_one_pixel_thin_keeps_an_area() -> None:
    mask = blank()
    mask[5:40, 30] = 1
    polygon = outline(mask)
    assert cv2.contourArea(polygon.astype(np.float32)) > 10
    assert (drawn(polygon, mask.shape) == mask).all()


def test_parts_are_joined_and_specks_dropped() -> None:
    mask = blank()
    mask[10:30, 4:20] = 1
    mask[10:30, 24:50] = 1
    mask[44, 60] = 1
    polygon = outline(mask)
    back = drawn(polygon, mask.shape)
    assert overlap(back, mask) > 0.98
    assert back[44, 60] == 0
    assert cv2.connectedComponents(back)[0] == 2, "background and one piece"


def test_holes_stay_open() -> None:
    mask = blank()
    mask[4:44, 4:60] = 1
    mask[10:20, 10:20] = 0
    mask[25:40, 10:50] = 0
    mask[10:20, 30:50] = 0
    back = drawn(outline(mask), mask.shape)
    assert back[15, 15] == back[30, 30] == back[15, 40] == 0
    assert overlap(back, mask) > 0.98


def test_slanted_slits_open_their_holes() -> None:
    """A ring that stands on its corner: the nearest way out of its hole is a diagonal."""
    mask = blank()
    cv2.fillConvexPoly(mask, np.array([[32, 4], [52, 24], [32, 44], [12, 24]], np.int32), 1)
    cv2.fillConvexPoly(mask, np.array([[32, 14], [42, 24], [32, 34], [22, 24]], np.int32), 0)
    back = drawn(outline(mask), mask.shape)
    assert back[24, 32] == 0
    assert overlap(back, mask) > 0.95


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_ragged_shapes_with_parts_and_holes_come_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = blank()
    for _ in range(4):
        x, y = (int(v) for v in rng.integers(4, 30, 2))
        cv2.rectangle(
            mask, (x, y), (x + int(rng.integers(6, 30)), y + int(rng.integers(6, 16))), 1, int(rng.choice([-1, 2, 3]))
        )
    assert overlap(drawn(outline(mask), mask.shape), mask) > 0.9


def test_boxes_are_tight_to_the_visible_part() -> None:
    numbers = blank()
    numbers[10:20, 5:45] = 1
    numbers[0:30, 30:64] = 2
    numbers[40:48, 0:3] = 253
    boxes = visible_boxes(numbers, 3)
    assert boxes[0] == ((5, 10, 30, 20), 250)
    assert boxes[1][0] == (30, 0, 64, 30)
    assert boxes[2] == ((0, 0, 0, 0), 0)


def test_rows_of_both_kinds() -> None:
    numbers = blank()
    numbers[12:36, 16:48] = 1
    polygon = yolo_row(numbers, Label(1, PAVILION, (16, 12, 48, 36), 768, 1.0), CAMERA, boxes_only=False).split()
    assert polygon[0] == "0"
    assert len(polygon) == 9
    corners = np.array(polygon[1:], float).reshape(-1, 2) * [64, 48]
    assert (drawn(corners, numbers.shape) == numbers).all()
    box = yolo_row(numbers, Label(1, BUS_STOP, (16, 12, 48, 36), 768, 1.0), CAMERA, boxes_only=False).split()
    assert [float(v) for v in box] == pytest.approx([4, 0.5, 0.5, 0.5, 0.5])
    assert len(yolo_row(numbers, Label(1, PAVILION, (16, 12, 48, 36), 768, 1.0), CAMERA, boxes_only=True).split()) == 5


def test_contrast_sees_edges_and_patterns() -> None:
    numbers, grey = blank(), np.full((48, 64), 100, np.uint8)
    numbers[10:20, 10:20] = 1
    box = (10, 10, 20, 20)
    assert contrast(grey, numbers, 1, box) == 0.0
    grey[numbers == 1] = 130
    assert contrast(grey, numbers, 1, box) == pytest.approx(30.0)
    grey[:] = 100
    grey[10:20, 10:15] = 80
    grey[10:20, 15:20] = 120
    assert contrast(grey, numbers, 1, box) == pytest.approx(20.0)

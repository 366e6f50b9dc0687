"""Rings: traced, joined, taken apart, clipped."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from reg_yolo.data.objects.outlines import clip_ring, join_rings, mask_rings, ring_area, split_at_bridges


def drawn(ring: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask of a ring by the even-odd rule."""
    return coco_mask.decode(coco_mask.frPyObjects([ring.ravel().tolist()], height, width))[:, :, 0]


def random_masks(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    masks = []
    for number in range(count):
        mask = (rng.random(rng.integers(5, 40, 2)) < rng.choice([0.1, 0.5, 0.8])).astype(np.uint8)
        masks.append(cv2.medianBlur(mask, 3) if number % 2 else mask)
    return [mask for mask in masks if mask.any()]


def test_a_traced_and_joined_mask_is_the_mask() -> None:
    exact = 0
    for mask in random_masks(120):
        parts, holes, changed = mask_rings(mask)
        if changed:
            continue
        exact += 1
        joined = join_rings(parts, holes)
        np.testing.assert_array_equal(drawn(joined, *mask.shape), mask)
        assert abs(ring_area(joined)) == pytest.approx(mask.sum())
        assert abs(sum(map(ring_area, parts))) == pytest.approx(mask.sum() + abs(sum(map(ring_area, holes))))
    assert exact > 60


def test_a_joined_ring_comes_apart_again_after_rounding() -> None:
    apart = 0
    for mask in random_masks(120):
        parts, holes, changed = mask_rings(mask)
        height, width = mask.shape
        if changed or len(parts) + len(holes) == 1:
            continue
        rounded = np.round(join_rings(parts, holes) / (width, height), 6) * (width, height)
        found, gaps = split_at_bridges(rounded)
        assert sum(abs(ring_area(r)) for r in found) - sum(abs(ring_area(r)) for r in gaps) == pytest.approx(
            mask.sum(), abs=0.01 * mask.sum()
        )
        apart += len(found) == len(parts) and len(gaps) == len(holes)
    assert apart > 50


def test_parts_that_touch_and_parts_in_a_row_come_apart() -> None:
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], float)
    for offset in (4, 5, 40):
        parts = [square, square + np.array([offset, 4]), square + np.array([2 * offset, 8])]
        found, holes = split_at_bridges(join_rings(parts, []))
        assert not holes
        assert sorted(sorted(map(tuple, ring)) for ring in found) == sorted(sorted(map(tuple, ring)) for ring in parts)


def test_bridges_join_nearest_corners_and_have_no_area() -> None:
    first = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)
    joined = join_rings([first, first + np.array([15, 0])], [])
    assert ring_area(joined) == 200
    steps = np.hypot(*(joined - np.roll(joined, 1, axis=0)).T)
    assert sorted(steps)[:2] == [5, 5]


def test_a_ring_without_bridges_and_one_with_a_spike_stay_whole() -> None:
    plain = np.array([[0, 0], [4, 0], [4, 4]], float)
    spike = np.array([[0, 0], [4, 0], [9, 0], [4, 0], [4, 4]], float)
    for ring in (plain, spike):
        (part,), holes = split_at_bridges(ring)
        np.testing.assert_array_equal(part, ring)
        assert not holes


def test_clipping_cuts_at_the_border_and_moves_nothing_inside() -> None:
    ring = np.array([[-10, 5], [5, -10], [20, 5], [5, 20]], float)
    clipped = clip_ring(ring, 12, 9)
    assert clipped.min() == 0 and clipped[:, 0].max() == 12 and clipped[:, 1].max() == 9
    # The whole image but two corner triangles, beyond x + y = 25 none: all corners of the image lie inside.
    assert abs(ring_area(clipped)) == 108
    inside = np.array([[1, 1], [5, 1], [5, 5]], float)
    assert clip_ring(inside, 12, 9) is inside
    assert len(clip_ring(inside + 100, 12, 9)) == 0

"""Which boxes of a frame are of one object."""

from __future__ import annotations

import numpy as np
import pytest

from reg_yolo.inventory.drive import overlaps
from reg_yolo.inventory.drive.overlaps import Least, iou, iou_of_each, surest_on_each

BOX = np.array([0.0, 0.0, 10.0, 10.0])


def moved(*steps: float) -> np.ndarray:
    """Return boxes 10 px wide, moved to the right."""
    return BOX + np.array(steps)[:, None] * np.array([1.0, 0.0, 1.0, 0.0])


def test_overlaps() -> None:
    assert iou(moved(0), moved(0, 5, 10)).tolist() == [[1.0, pytest.approx(1 / 3), 0.0]]
    assert iou_of_each(moved(0, 5), moved(5, 5)).tolist() == [pytest.approx(1 / 3), 1.0]


def test_each_box_goes_to_the_surest_of_its_object_in_its_frame() -> None:
    boxes, least = moved(0, 2, 4, 0, 2), Least(0.5, 1.0)
    classes, confidence = np.zeros(5, np.int64), np.array([0.6, 0.9, 0.7, 0.5, 0.5])
    of_frame = np.array([0, 0, 0, 1, 1])
    # The second one has 0.67 with both; in the other frame the first of two as sure ones is taken.
    assert surest_on_each(of_frame, boxes, classes, confidence, least).tolist() == [1, 1, 1, 3, 3]


def test_a_box_that_was_given_away_takes_no_other_one() -> None:
    """The third one lies on the second one only, which is the first one's."""
    boxes, of_frame, classes = moved(0, 3, 6), np.zeros(3, np.int64), np.zeros(3, np.int64)
    confidence = np.array([0.9, 0.8, 0.7])
    assert surest_on_each(of_frame, boxes, classes, confidence, Least(0.5, 1.0)).tolist() == [0, 0, 2]


def test_classes_have_a_least_overlap_of_their_own() -> None:
    boxes, of_frame, confidence = moved(0, 1), np.zeros(2, np.int64), np.array([0.9, 0.8])
    for least, classes, expected in (
        (Least(0.9, 0.7), [0, 0], [0, 1]), (Least(0.9, 0.7), [0, 1], [0, 0]), (Least(0.5, 1.0), [0, 1], [0, 1])
    ):  # fmt: skip
        assert surest_on_each(of_frame, boxes, np.array(classes), confidence, least).tolist() == expected


def test_many_frames_are_compared_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    of_frame = np.sort(rng.integers(0, 40, 300))
    corner = rng.uniform(0, 8, (300, 2))
    boxes = np.concatenate([corner, corner + 10], 1)
    classes, confidence = rng.integers(0, 2, 300), rng.uniform(0, 1, 300)
    whole = surest_on_each(of_frame, boxes, classes, confidence, Least(0.5, 0.7))
    monkeypatch.setattr(overlaps, "_PIECE", 7)
    assert surest_on_each(of_frame, boxes, classes, confidence, Least(0.5, 0.7)).tolist() == whole.tolist()
    assert (whole != np.arange(300)).sum() > 50


def test_no_boxes() -> None:
    none = np.zeros(0, np.int64)
    assert len(surest_on_each(none, np.zeros((0, 4)), none, np.zeros(0), Least(0.5, 1.0))) == 0

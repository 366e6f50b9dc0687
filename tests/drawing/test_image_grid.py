"""Images side by side, and detections that follow when an image changes its size."""

from __future__ import annotations

import numpy as np
import pytest

from reg_yolo.detections.detections import Detection, FrameDetections
from reg_yolo.detections.masks import decode_mask, encode_mask
from reg_yolo.drawing.image_grid import GAP_PX, image_grid, resized_detections, resized_image


def plain(value: int, width: int = 200, height: int = 120) -> np.ndarray:
    """Return an image of a colour that no letter and no gap has."""
    return np.full((height, width, 3), (value, 0, 255), np.uint8)


def test_pictures_stand_in_rows_and_columns_under_their_titles() -> None:
    grid = image_grid([[plain(10), plain(20)], [plain(30, height=60), plain(40, height=60)]], ["Input", "ป้ายเตือน"])
    assert grid.shape[1] == 2 * 200 + 3 * GAP_PX
    places = {value: np.argwhere((grid == (value, 0, 255)).all(axis=2)) for value in (10, 20, 30, 40)}
    assert len(places[10]) >= 200 * 120 and len(places[40]) >= 200 * 60
    tops = {value: found[:, 0].min() for value, found in places.items()}
    assert tops[10] == tops[20] < tops[30] == tops[40]
    titles = grid[: tops[10]]
    for left in (0, 200 + GAP_PX):
        assert (titles[:, left : left + 200] < 100).any()
    assert (titles[0] == 255).all() and (titles[-1] == 255).all()


def test_captions_and_long_titles_fit() -> None:
    rows = [[plain(10), plain(20)]]
    without = image_grid(rows, ["a", "b"])
    captioned = image_grid(rows, ["a", "a title much longer than its column is wide " * 3], ["name.jpg"])
    assert captioned.shape[1] == without.shape[1] and captioned.shape[0] > without.shape[0]


def test_narrow_pictures_are_centred() -> None:
    grid = image_grid([[plain(10)], [plain(20, width=100)]], ["a"])
    columns = np.argwhere((grid == (20, 0, 255)).all(axis=2))[:, 1]
    assert (columns.min(), columns.max()) == (GAP_PX + 50, GAP_PX + 149)


def test_every_row_needs_a_picture_for_every_title() -> None:
    with pytest.raises(ValueError, match="must have 2 images"):
        image_grid([[plain(1)]], ["a", "b"])
    with pytest.raises(ValueError, match="must have 1 images"):
        image_grid([], ["a"])


def test_detections_follow_the_picture() -> None:
    mask = np.zeros((120, 200), bool)
    mask[20:60, 40:100] = True
    outline = {"polygons": [[40, 20, 100, 20, 100, 60]]}
    items = (
        Detection("a", 0, 0.5, (40, 20, 100, 60), encode_mask(mask)),
        Detection("a", 0, 0.4, (40, 20, 100, 60), outline),
        Detection("a", 0, 0.3, (40, 20, 100, 60)),
    )
    half = resized_detections(FrameDetections("x", 0, None, 200, 120, items), 100, 30)
    assert (half.width, half.height) == (100, 30)
    runs, polygons, none = half.detections
    assert runs.box_xyxy == (20, 5, 50, 15)
    assert runs.mask is not None and decode_mask(runs.mask)[5:15, 20:50].all() and decode_mask(runs.mask).sum() == 300
    assert polygons.mask == {"polygons": [[20, 5, 50, 5, 50, 15]]}
    assert none.mask is None


def test_pictures_are_averaged_when_they_get_smaller() -> None:
    stripes = np.zeros((100, 100, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (resized_image(stripes, 50, 50) == 100).all()
    assert resized_image(stripes, 300, 200).shape == (200, 300, 3)

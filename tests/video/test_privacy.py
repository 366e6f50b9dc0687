"""What is private cannot be recognised in what is stored, and nothing is stored past the one place."""

from __future__ import annotations

import numpy as np
import pytest

from reg_yolo.video.privacy import MARGIN, MOST_CELLS, ReleasedPicture, release


def textured(height: int = 120, width: int = 160) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_box_is_left_with_a_few_flat_cells_and_the_rest_as_it_is() -> None:
    picture = textured()
    released = release(picture, [(40, 30, 100, 60)])
    assert isinstance(released, ReleasedPicture)
    changed = np.argwhere((released.pixels != picture).any(axis=2))
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    margin_x, margin_y = MARGIN * 60, MARGIN * 30
    assert (left, right) == (40 - margin_x, 100 + margin_x - 1)
    assert top == int(30 - margin_y) and bottom == int(np.ceil(60 + margin_y)) - 1
    inside = released.pixels[30:60, 40:100].reshape(-1, 3)
    assert len(np.unique(inside, axis=0)) <= MOST_CELLS * MOST_CELLS
    assert np.array_equal(picture, textured())


@pytest.mark.parametrize("box", [(-20, -20, 10, 10), (150, 110, 300, 300), (5, 5, 5.4, 5.4), (-9, -9, 400, 400)])
def test_boxes_at_the_edge_and_of_any_size(box: tuple[float, float, float, float]) -> None:
    picture = textured()
    pixels = release(picture, [box]).pixels
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    part = pixels[top : int(np.ceil(box[3])), left : int(np.ceil(box[2]))].reshape(-1, 3)
    assert len(np.unique(part, axis=0)) <= MOST_CELLS * MOST_CELLS


def test_a_box_outside_the_picture_changes_nothing() -> None:
    assert np.array_equal(release(textured(), [(200, 200, 220, 220)]).pixels, textured())


def test_details_are_gone_for_good() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[::2] = 255
    other = 255 - picture
    box = [(10, 10, 54, 54)]
    difference = np.abs(
        release(picture, box).pixels[12:52, 12:52].astype(int) - release(other, box).pixels[12:52, 12:52]
    )
    # Two opposite patterns of fine lines give nearly the same cells.
    assert difference.max() < 40


def test_what_is_no_box_is_an_error_rather_than_a_picture() -> None:
    with pytest.raises(ValueError, match="private box must be finite"):
        release(textured(), [(0, 0, float("nan"), 10)])


def test_in_place_or_a_copy() -> None:
    picture = textured()
    assert release(picture, in_place=True).pixels is picture
    assert release(picture).pixels is not picture
    picture.flags.writeable = False
    assert release(picture, [(0, 0, 9, 9)], in_place=True).pixels is not picture

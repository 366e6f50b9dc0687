"""Where tiles lie, and that what lies in them is what the original shows, pixel by pixel."""

import itertools

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reg_yolo.data.dataset.label_rows import LabelRow
from reg_yolo.data.objects.outlines import join_rings, split_at_bridges
from reg_yolo.data.tile.geometry import CutObject, Piece, Window, even_odd_area, tile_windows

SIDE = 160


def polygon_row(points: NDArray[np.float64]) -> LabelRow:
    return LabelRow(1, 2, tuple((np.asarray(points) / SIDE).ravel().tolist()), True)


def filled(rings: list[NDArray[np.float64]], scale: int = 1) -> NDArray[np.bool_]:
    """What lies inside by the even-odd rule, without the painted outline: sampled at the middle of fine cells."""
    middle = (np.arange(SIDE * scale) + 0.5) / scale
    x, y = np.meshgrid(middle, middle)
    inside = np.zeros(x.shape, bool)
    for ring in rings:
        for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if y1 != y2:
                inside ^= ((y1 <= y) != (y2 <= y)) & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside


def read_back(piece: Piece, window: Window) -> NDArray[np.float64]:
    """The ring that the written row gives, in pixels of the image."""
    values = [float(value) for value in piece.label_row(window).split()]
    assert values[0] == 2 and len(values) >= 7 and len(values) % 2 == 1
    assert min(values[1:]) >= 0 and max(values[1:]) <= 1
    return np.array(values[1:]).reshape(-1, 2) * (window.width, window.height) + (window.left, window.top)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(32, 1500), st.floats(0, 0.9), st.data())
def test_windows_cover_and_small_objects_are_whole_in_one(
    width: int, height: int, size: int, overlap: float, data: st.DataObject
) -> None:
    if width * height > 400 * size * size:
        size = max(width, height) // 4 + 1
    windows = tile_windows(width, height, size, min(overlap, 0.7))
    assert len(set(windows)) == len(windows)
    for window in windows:
        assert window.left >= 0 and window.right <= width
        assert window.top >= 0 and window.bottom <= height
        assert window.width == min(size, width) and window.height == min(size, height)
    share = min(overlap, 0.7) * size
    for starts in (sorted({w.left for w in windows}), sorted({w.top for w in windows})):
        assert all(before + size - after >= share - 1e-9 for before, after in itertools.pairwise(starts))
    w = data.draw(st.floats(0, min(share, width)))
    h = data.draw(st.floats(0, min(share, height)))
    left, top = data.draw(st.floats(0, width - w)), data.draw(st.floats(0, height - h))
    assert any(
        t.left <= left and left + w <= t.right + 1e-6 and t.top <= top and top + h <= t.bottom + 1e-6 for t in windows
    )


def test_a_4k_frame_takes_the_fewest_tiles_and_the_last_ones_end_at_its_border() -> None:
    windows = tile_windows(3840, 2160, 1280, 0.2)
    assert [w.left for w in windows[:4]] == [0, 853, 1706, 2560]
    assert sorted({w.top for w in windows}) == [0, 880]
    assert len(windows) == 8
    assert tile_windows(1280, 900, 1280, 0.2) == [Window(0, 0, 1280, 900)]


def blob(seed: int, corners: int) -> NDArray[np.float64]:
    """A ragged outline around the middle, concave almost always, never crossing itself."""
    rng = np.random.default_rng(seed)
    angles = (np.arange(corners) + rng.uniform(0, 0.4, corners)) * 2 * np.pi / corners
    radii = rng.uniform(8, 75, corners)
    return np.stack([80 + radii * np.cos(angles), 80 + radii * np.sin(angles)], axis=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 40), st.sampled_from([48, 64, 100]), st.sampled_from([0.0, 0.2, 0.5]))
def test_the_tiles_masks_together_are_the_originals(seed: int, corners: int, size: int, overlap: float) -> None:
    ring = blob(seed, corners)
    cut = CutObject(polygon_row(ring), SIDE, SIDE)
    original = filled([ring])
    middle = (np.arange(len(original)) + 0.5) * SIDE / len(original)
    union = np.zeros_like(original)
    for window in tile_windows(SIDE, SIDE, size, overlap):
        piece = cut.piece_in(window)
        inside = np.ix_(
            (middle > window.top) & (middle < window.bottom), (middle > window.left) & (middle < window.right)
        )
        if piece is None:
            assert not original[inside].any()
            continue
        mask = filled([read_back(piece, window)])
        # Six decimals of a tile are a ten thousandth of a pixel; a sample may still lie on an edge.
        assert (mask[inside] != original[inside]).sum() <= 3
        outside = mask.copy()
        outside[inside] = False
        assert outside.sum() <= 3
        union |= mask
    assert (union != original).sum() <= 6


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 30))
def test_a_piece_has_the_area_and_the_box_of_the_clipped_polygon(seed: int, corners: int) -> None:
    ring = blob(seed, corners)
    whole = shapely.Polygon(ring)
    cut = CutObject(polygon_row(ring), SIDE, SIDE)
    total = 0.0
    for window in tile_windows(SIDE, SIDE, 40, 0.0):
        expected = shapely.intersection(whole, shapely.box(window.left, window.top, window.right, window.bottom))
        piece = cut.piece_in(window)
        if piece is None:
            assert expected.area < 1e-4
            continue
        assert piece.ring is not None
        assert piece.area == pytest.approx(expected.area, abs=1e-4)
        box = (*piece.ring.min(axis=0), *piece.ring.max(axis=0))
        assert box == pytest.approx(expected.bounds, abs=1e-3)
        total += piece.area
    assert total == pytest.approx(whole.area, rel=1e-6)


def test_parts_of_a_concave_polygon_stay_one_object_with_its_true_box() -> None:
    # An arch: the window sees its two legs only.
    arch = np.array([(10, 10), (150, 10), (150, 150), (120, 150), (120, 40), (40, 40), (40, 150), (10, 150)], float)
    window = Window(0, 60, 160, 160)
    piece = CutObject(polygon_row(arch), SIDE, SIDE).piece_in(window)
    assert piece is not None and piece.area == 2 * 30 * 90
    ring = read_back(piece, window)
    np.testing.assert_allclose([*ring.min(0), *ring.max(0)], [10, 60, 150, 150], atol=1e-3)
    parts, holes = split_at_bridges(ring)
    assert len(parts) == 2 and not holes
    # As training paints it: legs, and at most a bridge of one pixel between them.
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(mask, [np.rint(ring).astype(np.int32)], 1)
    assert mask[100:140, 15:35].all() and mask[100:140, 125:145].all()
    assert mask[100:140, 45:115].sum() == 0 or mask[:, 80].sum() <= 1


def test_a_hole_that_a_bridge_joins_stays_a_hole() -> None:
    outer = np.array([(10, 10), (150, 10), (150, 150), (10, 150)], float)
    hole = np.array([(50, 50), (50, 110), (110, 110), (110, 50)], float)
    ring = join_rings([outer], [hole])
    assert even_odd_area(ring).area == pytest.approx(140 * 140 - 60 * 60)
    cut = CutObject(polygon_row(ring), SIDE, SIDE)
    for window in (Window(0, 0, 80, 80), Window(0, 0, 130, 130), Window(40, 40, 120, 160), Window(0, 0, 160, 160)):
        piece = cut.piece_in(window)
        assert piece is not None
        mask, original = filled([read_back(piece, window)]), filled([outer, hole])
        size = len(mask) // SIDE
        across = slice(window.left * size, window.right * size)
        frame = (slice(window.top * size, window.bottom * size), across)
        assert (mask[frame] != original[frame]).mean() < 1e-3
    assert cut.piece_in(Window(60, 60, 100, 100)) is None


def test_an_outline_that_crosses_itself_is_cut_as_it_is_filled() -> None:
    bow = np.array([(10, 10), (150, 150), (150, 10), (10, 150)], float)
    window = Window(0, 0, 70, 160)
    piece = CutObject(polygon_row(bow), SIDE, SIDE).piece_in(window)
    assert piece is not None and piece.area == pytest.approx(60 * 140 - 60 * 60)
    mask, original = filled([read_back(piece, window)]), filled([bow])
    frame = np.s_[:, : len(mask) * 70 // 160]
    assert (mask[frame] != original[frame]).mean() < 2e-3


@settings(max_examples=100, deadline=None)
@given(st.tuples(*[st.floats(0, 1)] * 4), st.integers(0, 120), st.integers(0, 120), st.integers(10, 160))
def test_boxes_are_the_clipped_boxes(corners: tuple[float, ...], left: int, top: int, side: int) -> None:
    x1, x2 = sorted(corners[:2])
    y1, y2 = sorted(corners[2:])
    row = LabelRow(1, 2, ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), False)
    window = Window(left, top, min(left + side, SIDE), min(top + side, SIDE))
    piece = CutObject(row, SIDE, SIDE).piece_in(window)
    expected = np.array([max(x1 * SIDE, window.left), max(y1 * SIDE, window.top),
                         min(x2 * SIDE, window.right), min(y2 * SIDE, window.bottom)])  # fmt: skip
    size = expected[2:] - expected[:2]
    if piece is None:
        assert (size < 1e-9).any()
        return
    _, x, y, w, h = (float(value) for value in piece.label_row(window).split())
    found = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * ([window.width, window.height] * 2)
    np.testing.assert_allclose(found + [window.left, window.top] * 2, expected, atol=1e-3)
    assert piece.area == pytest.approx(size.prod(), abs=1e-6)
    assert piece.ring is None


def test_an_outline_without_area_has_no_piece() -> None:
    line = np.array([(10, 10), (60, 60), (110, 110)], float)
    cut = CutObject(polygon_row(line), SIDE, SIDE)
    assert cut.piece_in(Window(0, 0, 80, 80)) is None
    assert cut.piece_in(Window(0, 0, 160, 160)) is None

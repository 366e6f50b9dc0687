"""Regions and tiles: read, laid over a frame, and merged again in pixels of the full frame."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.errors import ConfigError
from reg_yolo.video.tiles import OVERLAP, Crop, View, merge_tiles, parse_region, parse_tiles


def test_a_region_in_fractions_or_in_pixels() -> None:
    assert parse_region("0,0.25,1,0.9").crop(1920, 1080) == Crop(0, 270, 1920, 972)
    assert parse_region("100, 200, 1500, 980").crop(1920, 1080) == Crop(100, 200, 1500, 980)
    # More than there is of the frame is all there is.
    assert parse_region("100,200,4000,4000").crop(1920, 1080) == Crop(100, 200, 1920, 1080)


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "a,b,c,d", "0,0.9,1,0.2", "0,0,0,1", "-1,0,1,1", "0,0,inf,1", "0,0,nan,1"]
)
def test_regions_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="`roi`: got"):
        parse_region(text)


def test_a_region_outside_the_frame_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`roi`: leaves less than 32 pixels of a frame of 640x480"):
        parse_region("700,0,900,480").crop(640, 480)


def test_sizes_of_tiles() -> None:
    assert parse_tiles("960") == (960, 960) and parse_tiles("960x540") == parse_tiles("960 × 540") == (960, 540)
    for text in ("", "0", "16", "960x", "big", "960x20", "-960"):
        with pytest.raises(ConfigError, match=r"`tiles`: got .* expected pixels from 32"):
            parse_tiles(text)


@settings(max_examples=60, deadline=None)
@given(st.integers(64, 4000), st.integers(64, 3000), st.integers(32, 1500), st.integers(32, 1500))
def test_tiles_cover_everything_and_overlap(width: int, height: int, across: int, down: int) -> None:
    whole, *tiles = View(None, (across, down)).crops(width, height)
    assert whole == Crop(0, 0, width, height)
    if not tiles:
        assert across >= width and down >= height
        return
    assert {(tile.right - tile.left, tile.bottom - tile.top) for tile in tiles} == {
        (min(across, width), min(down, height))
    }
    for start, end, side, last in (("left", "right", across, width), ("top", "bottom", down, height)):
        spans = sorted({(getattr(tile, start), getattr(tile, end)) for tile in tiles})
        assert spans[0][0] == 0 and spans[-1][1] == last
        for (_, before), (after, _) in itertools.pairwise(spans):
            assert before - after >= OVERLAP * side - 1


def test_tiles_of_a_region_lie_in_it() -> None:
    whole, *tiles = View(parse_region("0,0.5,1,1"), (600, 540)).crops(1920, 1080)
    assert whole == Crop(0, 540, 1920, 1080)
    assert len(tiles) == 4 and all(tile.top == 540 and tile.bottom == 1080 for tile in tiles)


CROPS = [Crop(0, 0, 200, 100), Crop(0, 0, 110, 100), Crop(90, 0, 200, 100)]


def merged(*rows: tuple[int, tuple[float, float, float, float], float, int]) -> list[int]:
    """Merge boxes given as crop, box, confidence, class; return which stay."""
    return merge_tiles(
        np.array([box for _, box, _, _ in rows], float).reshape(-1, 4),
        np.array([confidence for _, _, confidence, _ in rows], float),
        np.array([label for _, _, _, label in rows], np.int64),
        CROPS,
        np.array([crop for crop, _, _, _ in rows], np.int64),
        iou=0.6,
    ).tolist()


def test_the_same_object_of_two_tiles_is_one() -> None:
    assert merged((1, (95, 20, 105, 40), 0.7, 0), (2, (95, 20, 105.5, 40), 0.8, 0)) == [1]
    # Of another class it is another object.
    assert merged((1, (95, 20, 105, 40), 0.7, 0), (2, (95, 20, 105.5, 40), 0.8, 1)) == [1, 0]


def test_a_piece_of_an_object_goes_also_when_it_is_surer() -> None:
    whole = (0, (60.0, 20.0, 180.0, 60.0), 0.5, 0)
    piece = (1, (60.0, 20.0, 110.0, 60.0), 0.9, 0)
    assert merged(piece, whole) == [1]
    # A small object of its own inside a large one is not a piece: no cut runs through it.
    assert merged((1, (70.0, 25.0, 90.0, 45.0), 0.9, 0), whole) == [0, 1]
    # Without the whole, the piece is all there is.
    assert merged(piece) == [0]


def test_an_object_at_the_frames_own_edge_is_whole() -> None:
    at_edge = (1, (0.0, 20.0, 30.0, 60.0), 0.9, 0)
    large = (0, (0.0, 0.0, 100.0, 100.0), 0.5, 0)
    assert merged(at_edge, large) == [0, 1]


def test_nothing_is_merged_to_nothing() -> None:
    assert merged() == []

"""Masks as run lengths and polygons: the bytes of pycocotools, from crops and frames, and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from reg_yolo.detections.masks import decode_crop, decode_mask, encode_mask, encode_masks, mask_polygons


def by_pycocotools(mask: np.ndarray) -> dict[str, object]:
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")}


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    """Masks of every density, some of whole columns, whose runs go on from one column to the next."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    mask = rng.random((height, width)) < draw(st.sampled_from([0.0, 0.02, 0.3, 0.9, 1.0]))
    if draw(st.booleans()):
        mask[:, rng.random(width) < 0.5] = True
    return mask


@settings(max_examples=80, deadline=None)
@given(masks())
def test_bytes_are_those_of_pycocotools_and_decode_to_the_mask(mask: np.ndarray) -> None:
    encoded = encode_mask(mask)
    assert encoded == by_pycocotools(mask)
    assert (decode_mask(encoded) == mask).all()
    assert decode_mask(encoded).dtype == np.bool_


def test_a_small_mask_by_hand() -> None:
    # Down the columns, zeros first: 2 zeros, 4 ones, 3 zeros. Digits are 48 + value below 16.
    mask = np.array([[0, 1, 0], [0, 1, 0], [1, 1, 0]], np.uint8)
    assert encode_mask(mask) == {"size": [3, 3], "counts": "243"}
    assert encode_mask(np.full((3, 3), 255, np.uint8))["counts"] == "09"


@settings(max_examples=60, deadline=None)
@given(masks(), st.integers(-50, 50), st.integers(-50, 50))
def test_a_crop_gives_the_same_as_the_frame_it_is_from(crop: np.ndarray, left: int, top: int) -> None:
    """The crop may stick out of the frame, or lie outside it."""
    height, width = 37, 29
    canvas = np.zeros((height + 200, width + 200), bool)
    canvas[100 + top : 100 + top + crop.shape[0], 100 + left : 100 + left + crop.shape[1]] = crop
    frame = canvas[100 : 100 + height, 100 : 100 + width]
    assert encode_masks([crop], corners=[(left, top)], size=(height, width)) == [by_pycocotools(frame)]


def test_many_masks_of_one_frame_keep_their_order() -> None:
    crops = [np.ones((2, 3), bool), np.eye(4, dtype=bool)]
    encoded = encode_masks(crops, corners=np.array([[5, 1], [0, 6]]), size=(10, 12))
    assert decode_mask(encoded[0]).sum() == 6 and decode_mask(encoded[0])[1:3, 5:8].all()
    assert decode_mask(encoded[1])[[6, 7, 8, 9], [0, 1, 2, 3]].all()
    assert encode_masks([]) == []


@settings(max_examples=60, deadline=None)
@given(masks(), st.data())
def test_a_part_is_decoded_as_the_whole(mask: np.ndarray, data: st.DataObject) -> None:
    height, width = mask.shape
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    assert (decode_crop(encode_mask(mask), left, top, right, bottom) == mask[top:bottom, left:right]).all()


def test_polygons_follow_the_outline() -> None:
    rows, columns = np.mgrid[:90, :120]
    disc = (rows - 40) ** 2 + (columns - 70) ** 2 < 30**2
    for polygons in (mask_polygons(encode_mask(disc)), mask_polygons(disc)):
        assert len(polygons) == 1 and len(polygons[0]) < 2 * 120
        again = decode_mask({"polygons": polygons}, (90, 120))
        assert (again & disc).sum() / (again | disc).sum() > 0.99
        theirs = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, 90, 120))).astype(bool)
        assert (theirs & disc).sum() / (theirs | disc).sum() > 0.99


@pytest.mark.parametrize("size", [(40, 1), (1, 40), (1, 1), (2, 2), (40, 2)])
def test_what_is_one_pixel_wide_has_a_polygon(size: tuple[int, int]) -> None:
    mask = np.zeros((60, 60), bool)
    mask[7 : 7 + size[0], 9 : 9 + size[1]] = True
    (polygon,) = mask_polygons(mask)
    assert len(polygon) >= 6
    assert (decode_mask({"polygons": [polygon]}, (60, 60)) == mask).all()


def test_parts_are_polygons_of_their_own_and_holes_are_filled() -> None:
    mask = np.zeros((40, 60), bool)
    mask[5:30, 5:30] = True
    mask[10:25, 10:25] = False
    mask[14:20, 14:20] = True  # an island in the hole
    mask[5:10, 40:50] = True
    polygons = mask_polygons(mask)
    assert len(polygons) == 3
    filled = decode_mask({"polygons": polygons}, (40, 60))
    assert filled[5:30, 5:30].all() and filled[5:10, 40:50].all() and filled.sum() == 25 * 25 + 50


def test_an_empty_mask_has_no_polygon() -> None:
    assert mask_polygons(encode_mask(np.zeros((5, 7), bool))) == []
    assert mask_polygons(np.zeros((5, 7), bool)) == []
    assert not decode_mask({"polygons": []}, (5, 7)).any()


def test_polygons_need_a_size_and_runs_go_first() -> None:
    with pytest.raises(ValueError, match=r"size=\(height, width\)"):
        decode_mask({"polygons": [[0, 0, 3, 0, 3, 3]]})
    both = {**encode_mask(np.eye(4, dtype=bool)), "polygons": [[0, 0, 4, 0, 4, 4, 0, 4]]}
    assert decode_mask(both).sum() == 4


@pytest.mark.parametrize("counts", ["", "2", "24", "243Q", "2 3", "nn"])
def test_damaged_runs_are_refused(counts: str) -> None:
    with pytest.raises(ValueError, match="counts must"):
        decode_mask({"size": [3, 3], "counts": counts})


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match=r"shape \(H, W\), got \(2, 3, 1\)"):
        encode_mask(np.zeros((2, 3, 1)))
    with pytest.raises(ValueError, match="belong together"):
        encode_masks([np.ones((2, 2), bool)], corners=[(0, 0)])
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        encode_masks([np.ones((2, 2), bool)], corners=[(0, 0), (1, 1)], size=(4, 4))

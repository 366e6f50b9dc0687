"""COCO's compressed run-length encoding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reg_yolo.scenes import rle


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10_000), st.floats(0, 1))
def test_there_and_back(height: int, width: int, seed: int, share: float) -> None:
    mask = (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)
    encoded = rle.encode(mask)
    assert encoded["size"] == [height, width]
    assert (rle.decode(encoded) == mask).all()


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        # Runs down the columns, zeros first: 2 zeros, 4 ones, 3 zeros. Digits are 48 + value below 16.
        ([[0, 1, 0], [0, 1, 0], [1, 1, 0]], "243"),
        # A mask that begins with ones has an empty run of zeros first.
        ([[1, 1], [1, 1]], "04"),
        ([[0, 0], [0, 0]], "4"),
    ],
)
def test_small_masks_by_hand(rows: list[list[int]], counts: str) -> None:
    assert rle.encode(np.array(rows, np.uint8))["counts"] == counts


def test_long_runs_and_differences_by_hand() -> None:
    """Runs 100, 3, 97: 100 is 3 * 32 + 4, so the digits 4 + 32 and 3; from the fourth run on it is the difference."""
    mask = np.zeros((200, 1), np.uint8)
    mask[100:103] = 1
    assert rle.encode(mask)["counts"] == chr(48 + 32 + 4) + chr(48 + 3) + "3" + chr(48 + 32 + 1) + chr(48 + 3)
    mask[150:154] = 1
    # Runs 100, 3, 47, 4, 46: the last two are 4 - 3 = 1 and 46 - 47 = -1, which is the digit 31 without a successor.
    assert rle.encode(mask)["counts"][-2:] == "1" + chr(48 + 31)
    assert (rle.decode(rle.encode(mask)) == mask).all()

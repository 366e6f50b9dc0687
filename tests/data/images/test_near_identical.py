"""Pairs by matrix products are the pairs by counting bits; groups are what the pairs connect."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reg_yolo.data.images.near_identical as module
from reg_yolo.data.images.near_identical import near_identical


def distance(a: bytes, b: bytes) -> int:
    return sum((x ^ y).bit_count() for x, y in zip(a, b, strict=True))


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_pairs_and_groups_are_those_of_a_slow_search(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 14))
    signs = data.draw(
        st.lists(
            st.sampled_from([bytes([a, b]) for a in (0, 1, 3, 255) for b in (0, 7)]), min_size=count, max_size=count
        )
    )
    splits = data.draw(st.lists(st.sampled_from(["train", "val", "test"]), min_size=count, max_size=count))
    digests = data.draw(st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=count, max_size=count))
    limit = data.draw(st.integers(0, 6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BLOCK", 3)
        found = near_identical(signs, splits, digests, limit)
    pairs = [
        (a, b)
        for a, b in combinations(range(count), 2)
        if splits[a] != splits[b] and digests[a] != digests[b] and distance(signs[a], signs[b]) <= limit
    ]
    groups: list[set[int]] = []
    for pair in pairs:
        joined = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if group not in joined] + [set(pair).union(*joined)]
    assert found.groups == sorted(sorted(group) for group in groups)
    for index in range(count):
        near = [distance(signs[index], signs[a + b - index]) for a, b in pairs if index in (a, b)]
        if near:
            assert found.bits[index] == min(near)
            assert distance(signs[index], signs[found.nearest[index]]) == min(near)
            assert splits[index] != splits[found.nearest[index]]
        else:
            assert found.nearest[index] == -1


def test_a_camera_that_stood_still_is_one_group() -> None:
    """The worst case: every image is near to every other, and no list of pairs is kept."""
    count = 3000
    splits = ["train" if index % 5 else "val" for index in range(count)]
    found = near_identical([bytes(32)] * count, splits, [index.to_bytes(2, "big") for index in range(count)], 40)
    assert found.groups == [list(range(count))]
    assert np.array_equal(np.unique(found.bits), [0])

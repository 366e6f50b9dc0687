"""Nearly the same image on both sides of a split, found by perceptual hashes and gathered into groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1024


@dataclass(frozen=True)
class NearIdentical:
    """Groups of images of different splits that look alike.

    Attributes:
        groups: Indices of the images of each group, ascending; every one is near to some image of another split in
            its group.
        nearest: For every image, the index of the nearest one of another split, or -1 where none is near.
        bits: For every image, in how many bits of the hash the two differ.
    """

    groups: list[list[int]]
    nearest: NDArray[np.int64]
    bits: NDArray[np.int64]


def near_identical(
    signs: Sequence[bytes], splits: Sequence[str], digests: Sequence[bytes], most_bits: int
) -> NearIdentical:
    """Find all pairs of images of two splits whose hashes differ in `most_bits` bits or fewer.

    Every pair is compared, as a product of matrices of -1 and 1 a block at a time: exact, and for 10,000 images of
    256 bits about a second. Images with the same bytes are no pair here; they are another fault.

    Args:
        signs: Hashes, packed bits, all of one length.
        splits: The split of each image.
        digests: Digest of each file.
        most_bits: Largest distance that counts as near.
    """
    count = len(signs)
    nearest, bits = np.full(count, -1, np.int64), np.full(count, np.iinfo(np.int64).max, np.int64)
    labels = np.arange(count)
    names, split_of = np.unique(np.array(splits, dtype=object).astype(str), return_inverse=True)
    _, file_of = np.unique(np.array([digest.hex() for digest in digests]), return_inverse=True)
    members = [np.flatnonzero(split_of == index) for index in range(len(names))]
    for first in range(len(names)):
        for second in range(first + 1, len(names)):
            right = members[second]
            columns = _plus_minus(signs, right)
            for start in range(0, len(members[first]), _BLOCK):
                rows = members[first][start : start + _BLOCK]
                left = _plus_minus(signs, rows)
                distance = np.rint((left.shape[1] - left @ columns.T) / 2).astype(np.int64)
                near = (distance <= most_bits) & (file_of[rows][:, None] != file_of[right][None])
                distance[~near] = np.iinfo(np.int64).max
                _keep_nearest(nearest, bits, rows, right, distance)
                _keep_nearest(nearest, bits, right, rows, distance.T)
                for row in np.flatnonzero(near.any(axis=1)):
                    joined = np.unique(labels[right[near[row]]])
                    labels[np.isin(labels, joined)] = labels[rows[row]]
    found: dict[int, list[int]] = {}
    for index in np.flatnonzero(nearest >= 0).tolist():
        found.setdefault(int(labels[index]), []).append(index)
    return NearIdentical(sorted(found.values()), nearest, bits)


def _plus_minus(signs: Sequence[bytes], indices: NDArray[np.int64]) -> NDArray[np.float32]:
    packed = np.frombuffer(b"".join(signs[index] for index in indices), np.uint8).reshape(len(indices), -1)
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1


def _keep_nearest(
    nearest: NDArray[np.int64],
    bits: NDArray[np.int64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    distance: NDArray[np.int64],
) -> None:
    if not len(columns):
        return
    best = distance.argmin(axis=1)
    least = distance[np.arange(len(rows)), best]
    closer = least < bits[rows]
    bits[rows[closer]] = least[closer]
    nearest[rows[closer]] = columns[best[closer]]

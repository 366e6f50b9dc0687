"""Images that show the same view: pairs whose perceptual hashes differ in few bits."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from reg_yolo.data.dataset.frame_names import natural_order
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.parallel import available_cores, parallel_map

_BITS = 256
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Similarity:
    """When two images count as the same view, in bits of 256 that may differ (128 is chance).

    In real dash-camera images two of ten thousand unrelated pairs differ in fewer than 96 bits; frames of one burst
    differ in 40 to 95.

    Attributes:
        neighbour_bits: For images that follow each other in name order within a folder.
        any_bits: For any two images of the set: the same place passed twice, or copies under other names.
    """

    neighbour_bits: int = 92
    any_bits: int = 64

    def __post_init__(self) -> None:
        for name, bits in (("neighbour_bits", self.neighbour_bits), ("any_bits", self.any_bits)):
            if not 0 <= bits < _BITS // 2:
                raise ConfigError(f"{name} must be from 0 to {_BITS // 2 - 1}, got {bits}")


def similar_pairs(
    images: Sequence[Path],
    names: Sequence[PurePosixPath],
    similarity: Similarity,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, int]]:
    """Yield pairs of indices that show the same view: not all of them, but enough to tie what all of them tie.

    Args:
        images: Image files.
        names: Their names, which tell the folder and the order in it.
        similarity: What counts as the same view.
        workers: Processes; 0 takes one for each core.
        progress: Called with the images read and to read.

    Raises:
        DataError: If imagehash is not installed, or an image does not decode.
    """
    signs, hashed = _hashes(images, workers, progress)
    # Of hashes as -1 and 1 the scalar product is 256 - 2 x differing bits: one matrix product compares thousands. A
    # image without structure has a row of zeros and is near to none.
    near_neighbour, near_any = _BITS - 2 * similarity.neighbour_bits, _BITS - 2 * similarity.any_bits
    ordered = sorted(np.flatnonzero(hashed).tolist(), key=lambda i: (str(names[i].parent), natural_order(names[i])))
    for first, second in itertools.pairwise(ordered):
        if names[first].parent == names[second].parent and signs[first] @ signs[second] >= near_neighbour:
            yield first, second
    for start in range(0, len(images), _ROWS_AT_ONCE):
        rows = signs[start : start + _ROWS_AT_ONCE]
        for other in range(start, len(images), _ROWS_AT_ONCE):
            close = rows @ signs[other : other + _ROWS_AT_ONCE].T >= near_any
            yield from _ties_of_block(close, start, other)


def _ties_of_block(close: NDArray[np.bool_], start: int, other: int) -> Iterator[tuple[int, int]]:
    """Yield fewest pairs that tie what `close` ties: a camera that stands still makes millions of close pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, columns = np.nonzero(close)
    indices, nodes = np.unique(np.concatenate([rows + start, columns + other]), return_inverse=True)
    edges = np.ones(len(rows), dtype=np.bool_), (nodes[: len(rows)], nodes[len(rows) :])
    _, labels = connected_components(coo_array(edges, shape=(len(indices), len(indices))), directed=False)
    first: dict[int, int] = {}
    for index, label in zip(indices.tolist(), labels.tolist(), strict=True):
        if first.setdefault(label, index) != index:
            yield first[label], index


def _hashes(
    images: Sequence[Path], workers: int, progress: Callable[[int, int], None] | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    try:
        from reg_yolo.data.images.facts import read_image_facts
    except ImportError:
        raise DataError('Comparing images needs the package imagehash: pip install "reg-yolo[data]".') from None
    signs = np.zeros((len(images), _BITS), dtype=np.float32)
    hashed = np.zeros(len(images), dtype=np.bool_)
    for index, facts in enumerate(parallel_map(read_image_facts, images, workers or available_cores())):
        if facts.fault is not None:
            raise DataError(f"{images[index]}: {facts.fault}; replace or delete it.")
        if facts.signs is not None:
            bits = np.unpackbits(np.frombuffer(facts.signs, np.uint8))
            signs[index] = bits.astype(np.float32) * 2 - 1
            hashed[index] = True
        if progress is not None:
            progress(index + 1, len(images))
    return signs, hashed

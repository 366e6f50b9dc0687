"""Masks as COCO's compressed run-length encoding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]


def encode(mask: Mask) -> dict[str, object]:
    """A mask `[H, W]` of 0 and 1 as `{"size": [H, W], "counts": text}`.

    Runs go down the columns and begin with zeros, each as a difference to the run before the last in base-32 digits of
    six bits: what `pycocotools.mask.encode` gives.
    """
    pixels = np.asarray(mask, np.uint8).ravel(order="F")
    edges = np.flatnonzero(np.diff(pixels)) + 1
    counts = np.diff(np.concatenate([[0], edges, [len(pixels)]])).tolist()
    if len(pixels) and pixels[0]:
        counts.insert(0, 0)
    digits: list[str] = []
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            digit = value & 0x1F
            value >>= 5
            more = value != -1 if digit & 0x10 else value != 0
            digits.append(chr((digit | 0x20 if more else digit) + 48))
    return {"size": [int(mask.shape[0]), int(mask.shape[1])], "counts": "".join(digits)}


def decode(encoded: dict[str, object]) -> Mask:
    """The mask `[H, W]` of 0 and 1 that `encode` was given."""
    height, width = (int(v) for v in encoded["size"])  # type: ignore[attr-defined]
    counts: list[int] = []
    value = shift = 0
    for letter in str(encoded["counts"]):
        digit = ord(letter) - 48
        value |= (digit & 0x1F) << shift
        shift += 5
        if digit & 0x20:
            continue
        if digit & 0x10:
            value |= -1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    flat = np.repeat(np.arange(len(counts)) % 2, counts).astype(np.uint8)
    return flat.reshape((height, width), order="F")

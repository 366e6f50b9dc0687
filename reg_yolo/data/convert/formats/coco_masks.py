"""COCO's run-length masks, compressed and not, through pycocotools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from reg_yolo.data.convert.formats.reading import as_list, as_number
from reg_yolo.errors import DataError

# More than any camera has; a forged size must not take all memory.
_MOST_PIXELS = 400_000_000


def decode_mask(raw: Mapping[str, Any], size: tuple[float, float] | None, where: str) -> NDArray[np.uint8]:
    """Decode `{"size": [height, width], "counts": ...}`.

    Args:
        raw: The segmentation. Counts are a list of runs, or the text that pycocotools packs them into.
        size: Width and height of the image where the file states them; the mask must agree.
        where: For messages.

    Returns:
        Mask `[H, W]` of 0 and 1.

    Raises:
        DataError: If size or runs do not add up.
    """
    stated = [as_number(side, f"{where} size") for side in as_list(raw.get("size"), f"{where} size")]
    if len(stated) != 2 or not all(side.is_integer() and side > 0 for side in stated):
        raise DataError(f"{where} size: expected [height, width], got {raw.get('size')}.")
    height, width = (int(side) for side in stated)
    if height * width > _MOST_PIXELS:
        raise DataError(f"{where} size: a mask of {width}x{height} pixels is too large.")
    if size is not None and (width, height) != size:
        raise DataError(f"{where}: the mask is {width}x{height}, its image {size[0]:g}x{size[1]:g}.")
    counts = raw.get("counts")
    runs = _unpack(counts, where) if isinstance(counts, str) else _runs(counts, where)
    # pycocotools reads past the end where runs do not fill the image.
    if int(runs.sum()) != height * width:
        raise DataError(f"{where} counts: runs of {int(runs.sum())} pixels for an image of {height * width}.")
    encoded = coco_mask.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return np.ascontiguousarray(coco_mask.decode(encoded))


def _runs(counts: Any, where: str) -> NDArray[np.int64]:
    values = [as_number(value, f"{where} counts") for value in as_list(counts, f"{where} counts")]
    if not all(0 <= value <= _MOST_PIXELS and value.is_integer() for value in values):
        raise DataError(f"{where} counts: expected whole numbers from 0.")
    return np.array(values, dtype=np.int64)


def _unpack(text: str, where: str) -> NDArray[np.int64]:
    """Unpack COCO's text: base-32 digits from chr(48), each run as the difference to the one before the last."""
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        digit = ord(letter) - 48
        if not 0 <= digit < 64 or shift > 60:
            raise DataError(f"{where} counts: {letter!r} does not belong there.")
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift or any(not 0 <= run <= _MOST_PIXELS for run in runs):
        raise DataError(f"{where} counts: cut off or damaged.")
    return np.array(runs, dtype=np.int64)

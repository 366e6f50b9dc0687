"""COCO's three sizes of objects, by the area of the box in pixels of the image as it lies on disk."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIZES = ("small", "medium", "large")
AREA_LIMITS = (32.0**2, 96.0**2)


def size_of(areas: ArrayLike) -> NDArray[np.int64]:
    """Return the index into `SIZES` for each area in square pixels.

    Example:
        >>> size_of([1023.0, 1024.0, 9216.0]).tolist()
        [0, 1, 2]
    """
    return np.digitize(np.asarray(areas, np.float64), AREA_LIMITS).astype(np.int64)

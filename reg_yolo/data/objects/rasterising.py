"""Polygons of an image as one map of classes, drawn as Ultralytics draws them: small objects over large ones."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray


def rasterised(
    polygons: Sequence[NDArray[np.floating]], classes: Sequence[int], size: tuple[int, int], unlabelled: int
) -> NDArray[np.uint8]:
    """Return the class of every pixel.

    Args:
        polygons: Each [n, 2], x and y as shares of width and height.
        classes: The class of each, in [0, 255].
        size: Height and width in pixels.
        unlabelled: What a pixel outside of every polygon is.

    Returns:
        uint8 [height, width]. Of two objects that cover a pixel, the one with fewer pixels has it.

    Example:
        >>> whole, half = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]), np.array([[0, 0], [0.5, 0], [0.5, 1], [0, 1]])
        >>> rasterised([half, whole], [7, 8], (1, 4), unlabelled=9).tolist()
        [[7, 7, 7, 8]]
    """
    height, width = size
    drawn = []
    for polygon in polygons:
        mask = np.zeros(size, dtype=np.uint8)
        points = np.asarray(polygon, dtype=np.float32).reshape(-1, 2) * np.array([width, height], dtype=np.float32)
        cv2.fillPoly(mask, [points.astype(np.int32)], color=(1,))
        drawn.append(mask.astype(bool))
    result = np.full(size, unlabelled, dtype=np.uint8)
    for index in sorted(range(len(drawn)), key=lambda i: -int(drawn[i].sum())):
        result[drawn[index]] = classes[index]
    return result

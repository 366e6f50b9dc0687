"""Class maps on images: the colour of each pixel's class over the image, and a legend of the classes that are there."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.drawing.annotate import Colour, class_colours
from reg_yolo.drawing.text_tiles import TextTiles

_FILL = 0.5
_FONT_SCALE, _SMALLEST_FONT_PX = 0.035, 12
GREY: Colour = (128, 128, 128)


class ClassMapPainter:
    """Draws class maps; the background stays as the image is.

    Args:
        class_names: All class names in the order of their indices.
        background: Index of the class that is not painted, or None.
    """

    def __init__(self, class_names: Sequence[str], background: int | None) -> None:
        self._names = list(class_names)
        self._background = background
        objects = iter(class_colours(len(self._names)))
        self.colours = [GREY if index == background else next(objects) for index in range(len(self._names))]
        self._table = np.zeros((256, 3), np.uint8)
        self._table[: len(self.colours)] = self.colours

    def palette(self) -> list[int]:
        """Return the colours as red, green and blue of 256 values, for a palette PNG."""
        return [int(value) for value in self._table[:, ::-1].reshape(-1)]

    def paint(self, image: NDArray[np.uint8], classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the image with its class map over it and the names of the classes in it.

        Args:
            image: BGR, shape (H, W, 3), uint8.
            classes: Shape (H, W); values without a class, such as 255, are not painted.
        """
        painted = classes < len(self._names)
        if self._background is not None:
            painted &= classes != self._background
        mixed = cv2.addWeighted(image, 1.0 - _FILL, self._table[classes], _FILL, 0.0)
        result = np.where(painted[..., None], mixed, image)
        self._add_legend(result, [int(index) for index in np.unique(classes[painted])])
        return result

    def _add_legend(self, image: NDArray[np.uint8], present: Sequence[int]) -> None:
        size = max(_SMALLEST_FONT_PX, round(_FONT_SCALE * min(image.shape[:2])))
        tiles = TextTiles(size, self._names)
        top = 0
        for index in present:
            coverage = tiles.render(self._names[index])[:, : image.shape[1] - tiles.height_px]
            height, width = tiles.height_px, coverage.shape[1]
            if top + height > image.shape[0] or width < 1:
                return
            image[top : top + height, : height + width] = 255
            image[top + 2 : top + height - 2, 2 : height - 2] = self.colours[index]
            image[top : top + height, height : height + width] = 255 - coverage[..., None]
            top += height

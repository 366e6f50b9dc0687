"""An asset cut out of a frame, with everything private made unrecognisable before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.video.privacy import Box, ReleasedPicture, release

Picture = NDArray[np.uint8]
PrivateBoxes = Callable[[Picture], Sequence[Box]]
"""Gives x1, y1, x2, y2 in pixels of everything private in a BGR image; raises RegYoloError where it cannot tell."""

LONGEST_PX = 320
_MARGIN = 0.15
_LEAST_MARGIN_PX = 8


def cut_out(picture: ReleasedPicture, xyxy: Box) -> ReleasedPicture:
    """Return the asset in its box and a little of what is around it, at most 320 pixels on its longer side.

    Args:
        picture: A whole frame, blurred already: a part of a face in a crop would not be found.
        xyxy: Its box in pixels; never empty.
    """
    height, width = picture.pixels.shape[:2]
    x1, y1, x2, y2 = (float(side) for side in xyxy)
    margin_x, margin_y = (max(_LEAST_MARGIN_PX, _MARGIN * side) for side in (x2 - x1, y2 - y1))
    left, top = (int(np.clip(side, 0, most - 1)) for side, most in ((x1 - margin_x, width), (y1 - margin_y, height)))
    right, bottom = (
        int(np.clip(np.ceil(side), low + 1, most))
        for side, low, most in ((x2 + margin_x, left, width), (y2 + margin_y, top, height))
    )
    part = picture.pixels[top:bottom, left:right]
    scale = LONGEST_PX / max(part.shape[:2])
    if scale < 1:
        size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    # Of a frame that has passed already; this marks the part, too, as one that may be stored.
    return release(part)

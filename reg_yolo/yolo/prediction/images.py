"""Images as Ultralytics reads them for training, or why one cannot be read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from ultralytics.utils import LOGGER
from ultralytics.utils.patches import imread

from reg_yolo.errors import MediaError
from reg_yolo.video.probing import check_file, check_heif
from reg_yolo.video.quiet_opencv import quiet_opencv

# Formats that hold 16 bits a channel, of which 8 are kept: what fills fewer bits comes out nearly black.
_DEEP_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".jp2", ".dng"})
_NEARLY_BLACK = 16


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return an image as BGR, shape (H, W, 3), uint8; of 16 bits the upper 8.

    Raises:
        MediaError: If it does not decode, or has no 8 or 16 bits in 3 channels.
    """
    check_file(path)
    check_heif(path)
    try:
        with quiet_opencv():
            picture = imread(str(path))
    except cv2.error as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise MediaError(f"{path} does not decode as an image: {reason[:200]}") from None
    if picture is None:
        raise MediaError(f"{path} does not decode as an image: it is damaged, cut off or of another format.")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        channels = picture.shape[2] if picture.ndim == 3 else 1
        raise MediaError(
            f"{path} has {channels} channels of {picture.dtype}, expected 3 of 8 or 16 bits; convert it to 8-bit RGB"
        )
    if path.suffix.lower() in _DEEP_SUFFIXES and picture.size and picture.max() < _NEARLY_BLACK:
        LOGGER.warning(f"{path} is nearly black: if it holds 10 or 12 bits in 16, scale it to 8 bits first")
    return np.ascontiguousarray(picture)

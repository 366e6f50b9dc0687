"""Contact sheets: many images in one, small enough for a document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reg_yolo.errors import ConfigError, MediaError


def write_contact_sheet(
    pictures: Sequence[Path | str],
    out: Path | str,
    *,
    columns: int = 4,
    tile_width: int = 320,
    max_bytes: int = 300_000,
) -> int:
    """Write the images as one JPEG, row by row, and return the file's size in bytes.

    Args:
        pictures: image files of the same proportions.
        out: the sheet.
        columns: images in a row; the last row is filled up with grey.
        tile_width: width of each image in pixels.
        max_bytes: the JPEG quality is lowered from 90 until the file fits.

    Raises:
        ConfigError: no images were given.
        MediaError: an image cannot be read, or the sheet does not fit even at the lowest quality.
    """
    if not pictures:
        raise ConfigError("A contact sheet needs at least one image.")
    tiles: list[NDArray[np.uint8]] = []
    for path in pictures:
        picture = cv2.imread(str(path))
        if picture is None:
            raise MediaError(f"{path} is not an image that OpenCV can read.")
        height = round(picture.shape[0] * tile_width / picture.shape[1])
        if tiles:
            height = tiles[0].shape[0]
        tiles.append(cv2.resize(picture, (tile_width, height), interpolation=cv2.INTER_AREA))
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], 128))
    sheet = np.vstack([np.hstack(tiles[k : k + columns]) for k in range(0, len(tiles), columns)])
    for quality in range(90, 24, -5):
        _, data = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
        if len(data) <= max_bytes:
            Path(out).write_bytes(bytes(data))
            return len(data)
    raise MediaError(
        f"The sheet of {len(pictures)} images does not fit into {max_bytes} bytes; use fewer or smaller ones."
    )

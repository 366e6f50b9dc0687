"""Contact sheets: many equally large images with captions in one JPEG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from reg_yolo.drawing.text_tiles import TextTiles
from reg_yolo.files import replace_bytes

_CAPTION_PX, _MARGIN_PX = 15, 5


def contact_sheet(tiles: Sequence[tuple[str, np.ndarray]], path: Path, columns: int = 4) -> None:
    """Write equally large BGR images with captions as one JPEG; a caption is cut where its image ends."""
    if not tiles:
        return
    letters = TextTiles(_CAPTION_PX, [caption for caption, _ in tiles])
    height, width = tiles[0][1].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, (caption, image) in enumerate(tiles):
        top, left = (number // columns) * height, (number % columns) * width
        captioned = image.copy()
        text = np.pad(letters.render(caption), ((0, 0), (_MARGIN_PX, _MARGIN_PX)))[:height, :width]
        captioned[: text.shape[0], : text.shape[1]] = text[..., None]
        sheet[top : top + height, left : left + width] = captioned
    encoded = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    replace_bytes(path, encoded.tobytes())

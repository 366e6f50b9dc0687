"""Contact sheets: many equally large images with captions in one JPEG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from reg_yolo.files import replace_bytes


def contact_sheet(tiles: Sequence[tuple[str, np.ndarray]], path: Path, columns: int = 4) -> None:
    """Write equally large BGR images with captions as one JPEG."""
    if not tiles:
        return
    height, width = tiles[0][1].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, (caption, image) in enumerate(tiles):
        top, left = (number // columns) * height, (number % columns) * width
        captioned = image.copy()
        cv2.rectangle(captioned, (0, 0), (10 + 11 * len(caption), 24), (0, 0, 0), -1)
        cv2.putText(captioned, caption, (5, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
        sheet[top : top + height, left : left + width] = captioned
    encoded = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    replace_bytes(path, encoded.tobytes())

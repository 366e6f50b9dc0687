"""The pixels of tiles: read as in training, written without losing more than they must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from reg_yolo.data.images.pixels import read_pixels
from reg_yolo.errors import DataError
from reg_yolo.files import open_regular

Pixels = NDArray[Any]

# Ultralytics' own grey around letterboxed images: a network has learned that nothing is there.
_GREY = 114
_JPEG_QUALITY = 95


class SourceImage:
    """A decoded image and how its tiles are written.

    The pixels are upright and have the channels that training reads. Tiles of a JPEG are JPEGs with its own
    quantisation tables and chroma subsampling: they weigh what the source weighs and lose little against it. Tiles of
    anything else are PNGs.
    """

    def __init__(self, path: Path, channels: int = 3) -> None:
        """Decode an image.

        Args:
            path: The file.
            channels: What the data set's YAML says.

        Raises:
            DataError: If the file does not decode.
        """
        flag = {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR}.get(channels, cv2.IMREAD_UNCHANGED)
        try:
            with open_regular(path) as stream:
                content = stream.read()
            pixels = read_pixels(content, flag)
        except OSError:
            pixels = None
        if pixels is None:
            raise DataError(f"{path} does not decode; replace or delete it.")
        self.pixels: Pixels = pixels
        self._jpeg: dict[str, Any] | None = None
        if content[:3] == b"\xff\xd8\xff" and channels in (1, 3):
            self._jpeg = _jpeg_settings(path)
        self.suffix = ".png" if self._jpeg is None else ".jpg"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def write(self, pixels: Pixels, target: Path) -> None:
        """Write a part of the image to a file that ends in `suffix`."""
        if self._jpeg is None:
            target.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
            return
        grey = pixels.ndim == 2
        image = Image.fromarray(pixels if grey else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
        settings = self._jpeg
        if grey:
            settings = {key: value for key, value in settings.items() if key != "subsampling"}
        image.save(target, "JPEG", **settings)


def blank(pixels: Pixels, drop: list[NDArray[np.float64]], keep: list[NDArray[np.float64]]) -> Pixels:
    """Return a copy in which the inside of the `drop` rings is grey, but for what lies in `keep` rings.

    Args:
        pixels: The tile.
        drop: `[N, 2]` corners in its pixels.
        keep: The same of what must stay visible.
    """
    mask = np.zeros(pixels.shape[:2], np.uint8)
    for rings, value in ((drop, 1), (keep, 0)):
        for ring in rings:
            cv2.fillPoly(mask, [np.rint(ring - 0.5).astype(np.int32)], value)
    blanked = pixels.copy()
    blanked[mask > 0] = _GREY
    return blanked


def _jpeg_settings(path: Path) -> dict[str, Any]:
    # The plug-in class, not Image.open: Ultralytics replaces that one.
    with JpegImagePlugin.JpegImageFile(str(path)) as image:
        sampling = JpegImagePlugin.get_sampling(image)
        if image.mode not in ("L", "RGB") or (image.mode == "RGB" and sampling not in (0, 1, 2)):
            return {"quality": _JPEG_QUALITY}
        settings: dict[str, Any] = {"qtables": image.quantization}
        # The one table of a grey JPEG serves for colours too: training decodes it to three equal channels.
        settings["subsampling"] = sampling if image.mode == "RGB" else 0
        return settings

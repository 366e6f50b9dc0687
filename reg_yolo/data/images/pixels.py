"""One image as training reads it, whatever its format: how it is stored, how it is turned, and its upright pixels.

Ultralytics decodes with OpenCV, which turns an image by its EXIF orientation unless it is read unchanged, and AVIF and
HEIC with Pillow; TIFF is turned by OpenCV in any case, and Pillow gives the size of a turned TIFF. All commands ask
here, so that they see what training sees.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    Image,
    ImageOps,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from reg_yolo.files import open_regular

_EXIF_ORIENTATION, _TIFF_WIDTH, _TIFF_HEIGHT = 274, 256, 257
# Names of the PNG chunks that Pillow finds an orientation in: EXIF, EXIF as ImageMagick wrote it, XMP.
_PNG_EXIF_MARKS = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
# The plug-in classes, not Image.open: Ultralytics replaces that one.
_PLUGINS: dict[str, Any] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}
_MEGAPIXELS = "REG_YOLO_MAX_MEGAPIXELS"


def most_pixels() -> int:
    """Return how many pixels an image may declare: 178.9 million, above which Pillow and so Ultralytics refuse it.

    The environment variable REG_YOLO_MAX_MEGAPIXELS gives another limit, and Pillow the same one.
    """
    try:
        limit = int(float(os.environ[_MEGAPIXELS]) * 1e6)
    except (KeyError, ValueError, OverflowError):
        return 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)
    Image.MAX_IMAGE_PIXELS = -(-limit // 2)
    return limit


def format_of(start: bytes) -> str | None:
    """Tell the format by its first 16 bytes; the suffix of a file may lie."""
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith(b"BM"):
        return "BMP"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WebP"
    if start[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "TIFF"
    if start.startswith((b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")):
        return "JPEG 2000"
    if start[4:8] == b"ftyp":
        return "AVIF" if start[8:12] in (b"avif", b"avis") else "HEIC"
    return None


def stored_geometry(source: Path | BinaryIO) -> tuple[tuple[int, int], int]:
    """Return width and height as an image is stored, and its EXIF orientation, 1 to 8; no pixel is decoded.

    Args:
        source: A file, or a stream of its bytes.

    Raises:
        Exception: Of many kinds, where the header is damaged or the format is not known.
    """
    if isinstance(source, Path):
        with open_regular(source) as stream:
            return stored_geometry(stream)
    kind = format_of(source.read(16))
    source.seek(0)
    if kind == "TIFF":
        # The tags themselves: Pillow says the turned size, and knows no colours of floating point.
        start = source.read(16)
        tags = TiffImagePlugin.ImageFileDirectory_v2(start if 43 in start[2:4] else start[:8])
        source.seek(tags.next)
        tags.load(source)
        orientation = tags.get(_EXIF_ORIENTATION, 1)
        size = int(tags[_TIFF_WIDTH]), int(tags[_TIFF_HEIGHT])
        return size, orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
    with _PLUGINS[kind](source) if kind in _PLUGINS else Image.open(source) as image:
        return image.size, exif_orientation(image)


def read_pixels(content: bytes | NDArray[np.uint8], flag: int = cv2.IMREAD_COLOR) -> NDArray[Any] | None:
    """Return the pixels of an encoded image as training reads them, or None where it has none of 8 bits.

    Args:
        content: The bytes of a file.
        flag: IMREAD_COLOR (BGR), IMREAD_GRAYSCALE or IMREAD_UNCHANGED. Of 16 bits the upper 8 are kept.
    """
    raw = np.frombuffer(content, np.uint8)
    kind = format_of(raw[:16].tobytes())
    pixels: NDArray[Any] | None
    try:
        if kind in ("AVIF", "HEIC"):
            stream = io.BytesIO(raw.tobytes())
            with _PLUGINS[kind](stream) if kind in _PLUGINS else Image.open(stream) as image:
                upright = ImageOps.exif_transpose(image).convert("L" if flag == cv2.IMREAD_GRAYSCALE else "RGB")
                pixels = np.asarray(upright)
            return pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])
        if kind == "TIFF" and flag == cv2.IMREAD_COLOR:
            # Upstream takes the high byte itself; told to give 8 bits, OpenCV would round.
            pixels = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED)
            if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
                return None
            if pixels.ndim == 2 or pixels.shape[2] < 3:
                pixels = cv2.imdecode(raw, flag)
            else:
                pixels = np.ascontiguousarray(pixels[..., :3])
        else:
            pixels = cv2.imdecode(raw, flag) if len(raw) else None
    except Exception:
        # Pillow lets errors of many kinds through where a file is damaged, OpenCV its own.
        return None
    if pixels is not None and pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return pixels if pixels is not None and pixels.dtype == np.uint8 else None


def read_upright_size(path: Path) -> tuple[int, int] | None:
    """Return width and height in pixels after EXIF has turned the image, or None where they cannot be told."""
    try:
        (width, height), orientation = stored_geometry(path)
        if orientation < 5:
            return width, height
        with open_regular(path) as stream:
            content = stream.read()
        if format_of(content[:16]) in ("WebP", "TIFF"):
            # Whether OpenCV turns these depends on its version.
            pixels = read_pixels(content, cv2.IMREAD_GRAYSCALE)
            return None if pixels is None else (pixels.shape[1], pixels.shape[0])
        return height, width
    except Exception:
        # Pillow lets errors of many kinds through where a header is damaged.
        return None


def exif_of(image: Image.Image) -> Image.Exif:
    """Return the EXIF data of an opened image; of a PNG without any, no pixel is decoded.

    Raises:
        Exception: Of many kinds, where EXIF data is damaged.
    """
    if isinstance(image, PngImagePlugin.PngImageFile) and image.fp is not None:
        # It may stand behind the pixels, so that Pillow decodes them all to look for it.
        place = image.fp.tell()
        image.fp.seek(0)
        content = image.fp.read()
        image.fp.seek(place)
        if not any(mark in content for mark in _PNG_EXIF_MARKS):
            return Image.Exif()
    return image.getexif()


def exif_orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of an opened image, 1 to 8; 1 where it says none or its EXIF data is damaged."""
    try:
        orientation = exif_of(image).get(_EXIF_ORIENTATION, 1)
    except Exception:
        # Pillow lets struct.error, TypeError and others through; OpenCV passes over damaged EXIF data as well.
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1

"""What a check reads from one image: its size as it is trained on, its bytes' digest and its perceptual hash."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, JpegImagePlugin

from reg_yolo.data.images.decoding import image_fault
from reg_yolo.data.images.pixels import exif_orientation, format_of, most_pixels, read_pixels, stored_geometry
from reg_yolo.files import open_regular

# A DCT hash of 16 x 16 signs. The usual 8 x 8 does not tell one road from another: two unrelated images of a real set
# were 10 of 64 bits apart, as far as two frames of a video that follow each other at 12 Hz.
_HASH_SIDE = 16
# The most that a sensor of 12 bits writes into 16.
_DARK_16_BITS = 4096
_FLATTEST = 2.0


@dataclass(frozen=True)
class ImageFacts:
    """What was read from an image.

    Attributes:
        fault: Why it cannot be used, or None; then `size` is known.
        size: Width and height in pixels, upright.
        digest: Digest of the file's bytes; b"" where it cannot be read.
        signs: Perceptual hash, 256 bits packed into 32 bytes; None of an image without structure, such as a black one.
        orientation: EXIF orientation, 1 where it is stored upright.
        stays_turned: Whether the reader that Ultralytics uses passes over that orientation.
        dark: Whether it has 12 bits or less in 16, of which training sees the upper 8.
    """

    fault: str | None
    size: tuple[int, int] | None = None
    digest: bytes = b""
    signs: bytes | None = None
    orientation: int = 1
    stays_turned: bool = False
    dark: bool = False


def read_image_facts(path: Path, channels: int = 3) -> ImageFacts:
    """Read and decode one image, a JPEG at a reduced size.

    Args:
        path: The image.
        channels: What the data set's YAML says; Ultralytics passes over EXIF for other numbers than 1 and 3.
    """
    fault = image_fault(path)
    try:
        with open_regular(path) as stream:
            content = stream.read()
    except OSError as error:
        return ImageFacts(fault or f"it cannot be read ({error.strerror})")
    digest = hashlib.blake2b(content, digest_size=16).digest()
    if fault is not None:
        return ImageFacts(fault, digest=digest)
    try:
        gray, size, orientation = _decode(content)
    except Exception as error:
        # Pillow and its plug-ins let errors of many kinds through where a file is damaged.
        return ImageFacts(f"it does not decode ({type(error).__name__}: {error})", digest=digest)
    stays_turned = orientation != 1 and _stays_turned(content, gray, size, orientation, channels)
    return ImageFacts(None, size, digest, perceptual_signs(gray), orientation, stays_turned, _is_dark(content))


def perceptual_signs(gray: Image.Image) -> bytes | None:
    """Return the perceptual hash of a grey image as 32 bytes, or None where it has no structure to hash."""
    small = gray.resize((4 * _HASH_SIDE, 4 * _HASH_SIDE), Image.Resampling.LANCZOS)
    if np.asarray(small, np.float32).std() < _FLATTEST:
        return None
    signs: NDArray[np.bool_] = imagehash.phash(small, hash_size=_HASH_SIDE).hash
    return np.packbits(signs).tobytes()


def _decode(content: bytes) -> tuple[Image.Image, tuple[int, int], int]:
    """Return a grey image, upright and perhaps reduced, the upright size of the whole one and its orientation."""
    kind = format_of(content[:16])
    if kind == "JPEG":
        # The plug-in class, not Image.open: Ultralytics replaces that one.
        with JpegImagePlugin.JpegImageFile(io.BytesIO(content)) as image:
            width, height = image.size
            _refuse_huge(width, height)
            orientation = exif_orientation(image)
            image.draft("L", (128, 128))
            gray = ImageOps.exif_transpose(image.convert("L"))
        return gray, (height, width) if orientation >= 5 else (width, height), orientation
    size, orientation = stored_geometry(io.BytesIO(content))
    _refuse_huge(*size)
    pixels = read_pixels(content, cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise ValueError("OpenCV cannot read it")
    return Image.fromarray(pixels), (pixels.shape[1], pixels.shape[0]), orientation


def _refuse_huge(width: int, height: int) -> None:
    if width * height > most_pixels():
        raise ValueError(f"{width}x{height} pixels are more than the {most_pixels() / 1e6:.0f} million that are read")


def _is_dark(content: bytes) -> bool:
    """Whether an image has 16 bits and its brightest value less than 13 of them, so that its upper 8 bits are black."""
    kind = format_of(content[:16])
    # The ninth byte of a PNG's header is its depth.
    if kind != "TIFF" and not (kind == "PNG" and content[24:25] == b"\x10"):
        return False
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels is not None and pixels.dtype == np.uint16 and 0 < int(pixels.max()) < _DARK_16_BITS


def _stays_turned(content: bytes, upright: Image.Image, size: tuple[int, int], orientation: int, channels: int) -> bool:
    """Decode a turned image as Ultralytics does and see whether it comes out upright."""
    flag = {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR}.get(channels, cv2.IMREAD_UNCHANGED)
    pixels = read_pixels(content, flag)
    if pixels is None:
        return False
    if pixels.shape[1::-1] != size:
        return True
    if orientation >= 5 and size[0] != size[1]:
        return False
    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels[..., :3], cv2.COLOR_BGR2GRAY)
    read = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    expected = np.asarray(upright.resize((32, 32), Image.Resampling.BOX), np.float32)
    return bool(np.abs(read - _as_stored(expected, orientation)).mean() < np.abs(read - expected).mean())


def _as_stored(upright: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """Return a square image as a file with that orientation stores it."""
    stored: dict[int, NDArray[np.float32]] = {
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }
    return stored[orientation]

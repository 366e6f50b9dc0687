"""An image that can be used, and writing it upright: copied byte for byte wherever that is the same."""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

from reg_yolo.data.images.decoding import undecodable_images
from reg_yolo.data.images.pixels import most_pixels, stored_geometry

JPEG_QUALITY = 95
# Description, make, model, software, date and time, artist, copyright.
_KEPT_TAGS = (270, 271, 272, 305, 306, 315, 33432)
_EXIF_FOLDER, _GPS_FOLDER = 0x8769, 0x8825
_LEAST_SIDE_PX = 10  # Ultralytics drops smaller images
# What Pillow writes with EXIF data; a turned image of another kind becomes a PNG.
_WRITTEN = ("JPEG", "PNG", "WEBP", "TIFF")
_SUFFIX = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif"}


@dataclass
class OpenedImage:
    """An image that can be used, and what it takes to write it.

    Attributes:
        size: Width and height as stored.
        orientation: EXIF orientation, 1 to 8.
        suffix: Suffix of the file that is written.
        path: Where it comes from.
        content: Its encoded bytes, where it is not a file.
    """

    size: tuple[int, int]
    orientation: int
    suffix: str
    path: Path
    content: bytes | None = None

    def write(self, target: Path, *, link: bool = False) -> None:
        """Write it upright; `link` makes a hard link of what needs no change, where the file system can."""
        if self.orientation != 1:
            self._write_upright(target)
        elif self.content is not None:
            target.write_bytes(self.content)
        else:
            if link:
                try:
                    os.link(self.path, target)
                    return
                except OSError:
                    # Another disk, or a file system without links.
                    target.unlink(missing_ok=True)
            shutil.copyfile(self.path, target)

    def _write_upright(self, target: Path) -> None:
        with Image.open(io.BytesIO(self.content) if self.content is not None else self.path) as stored:
            # Before the pixels: Pillow turns a TIFF as it decodes it, and its tags are gone then.
            exif = stored.getexif()
            upright = ImageOps.exif_transpose(stored)
            kind = "JPEG" if stored.format == "MPO" else stored.format
            kind = kind if kind in _WRITTEN else "PNG"
            options: dict[str, Any] = {"exif": _kept_exif(exif), "icc_profile": stored.info.get("icc_profile")}
            if kind in ("JPEG", "WEBP"):
                options["quality"] = JPEG_QUALITY
            if kind == "JPEG":
                options["subsampling"] = max(JpegImagePlugin.get_sampling(stored), 0)
            upright.save(target, kind, **options)


def open_image(path: Path, content: bytes | None = None) -> tuple[OpenedImage | None, str]:
    """Open an image file, or the encoded bytes of one.

    Args:
        path: The file, or where the bytes come from.
        content: The bytes, where the image is not a file of its own.

    Returns:
        The image, or None and why it cannot be used.
    """
    if content is None and (problems := undecodable_images([path], workers=1)):
        return None, f"the image cannot be used: {problems[0].reason}"
    most_pixels()
    try:
        with Image.open(io.BytesIO(content) if content is not None else path) as opened:
            kind = opened.format or ""
            size, orientation = stored_geometry(io.BytesIO(content) if content is not None else path)
            if content is not None or orientation != 1:
                opened.load()
    # Once Ultralytics is imported, Image.open asks for a package (ImportError) where it knows no format.
    except (UnidentifiedImageError, OSError, SyntaxError, LookupError, ValueError, ImportError):
        return None, "the image cannot be decoded"
    except Image.DecompressionBombError:
        return None, "the image cannot be decoded"
    if min(size) < _LEAST_SIDE_PX:
        return None, f"the image has {size[0]}x{size[1]} pixels, the least is {_LEAST_SIDE_PX}x{_LEAST_SIDE_PX}"
    suffix = _SUFFIX.get(kind, ".png") if content is not None else path.suffix.lower()
    if orientation != 1 and kind not in (*_WRITTEN, "MPO"):
        suffix = ".png"
    return OpenedImage(size, orientation, suffix, path, content), ""


def _kept_exif(exif: Image.Exif) -> bytes:
    """Return what stays in a turned image: time, position and camera, and not its orientation."""
    kept = Image.Exif()
    for tag in _KEPT_TAGS:
        if tag in exif:
            kept[tag] = exif[tag]
    for folder in (_EXIF_FOLDER, _GPS_FOLDER):
        tags = exif.get_ifd(folder)
        if tags:
            kept[folder] = dict(tags)
    return kept.tobytes()

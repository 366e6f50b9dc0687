"""Every command sees the pixels and the size that training sees, whatever the format and however it is turned."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from ultralytics.data.utils import exif_size
from ultralytics.utils.patches import imread

from reg_yolo.data.check.images import CheckRules, ImageTask, check_image
from reg_yolo.data.images.decoding import image_fault
from reg_yolo.data.images.facts import read_image_facts
from reg_yolo.data.images.pixels import read_pixels, read_upright_size, stored_geometry
from reg_yolo.data.tile.pixels import SourceImage

SUFFIXES = ("jpg", "png", "webp", "tif", "avif")


def write_turned(path: Path, orientation: int) -> Path:
    """Write 80 x 60 stored pixels, no two corners of which are alike."""
    stored = np.full((60, 80, 3), 60, np.uint8)
    stored[:20, :30], stored[40:, :30], stored[:20, 60:] = (250, 10, 10), (10, 250, 10), (10, 10, 250)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(stored).save(path, exif=exif, quality=95)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_and_pixels_are_those_that_training_sees(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = write_turned(tmp_path / f"a.{suffix}", orientation)
    trained = imread(path)
    assert trained is not None
    assert stored_geometry(path) == ((80, 60), orientation)
    with Image.open(path) as image:
        assert read_upright_size(path) == exif_size(image) == trained.shape[1::-1]
    np.testing.assert_array_equal(read_pixels(path.read_bytes()), trained)
    np.testing.assert_array_equal(SourceImage(path).pixels, trained)
    facts = read_image_facts(path)
    assert (facts.fault, facts.size, facts.orientation) == (None, trained.shape[1::-1], orientation)
    assert not facts.stays_turned


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_twelve_bits_in_sixteen_are_read_as_training_does_and_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    pixels = np.random.default_rng(0).integers(0, 4096, (40, 60, 3), np.uint16)
    cv2.imwrite(str(path), pixels)
    np.testing.assert_array_equal(read_pixels(path.read_bytes()), imread(path))
    codes = [
        finding.code for finding in check_image(ImageTask(path, tmp_path / "a.txt", "train"), CheckRules(), 1).findings
    ]
    assert codes == ["image-dark"]
    cv2.imwrite(str(path), pixels * 16)
    assert not read_image_facts(path).dark


def test_numbers_of_floating_point_are_an_unreadable_picture(tmp_path: Path) -> None:
    grey, colour = tmp_path / "grey.tif", tmp_path / "colour.tif"
    cv2.imwrite(str(grey), np.random.default_rng(0).random((40, 60), np.float32))
    cv2.imwrite(str(colour), np.random.default_rng(0).random((40, 60, 3), np.float32))
    for path in (grey, colour):
        assert image_fault(path) == "its pixels are float32 numbers; save it with 8 bits"
        assert read_pixels(path.read_bytes()) is None


def png_of(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds no pixel of it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return content


def test_a_declared_size_is_looked_at_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(30000, 30000))
    for decoder in ("imdecode", "imdecodemulti"):
        monkeypatch.setattr(cv2, decoder, lambda *_: pytest.fail("decoded"))
    fault = image_fault(path)
    assert fault is not None and "30000x30000 pixels, more than the 179 million" in fault
    small = tmp_path / "small.png"
    Image.new("RGB", (40, 30)).save(small)
    # Pillow's own limit is put back at the end.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setenv("REG_YOLO_MAX_MEGAPIXELS", "0.001")
    fault = image_fault(small)
    assert fault is not None and "40x30 pixels" in fault
    monkeypatch.setenv("REG_YOLO_MAX_MEGAPIXELS", "1")
    assert image_fault(small) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_no_image_and_nobody_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    os.mkfifo(path)
    fault = image_fault(path)
    assert fault is not None and "pipe" in fault
    assert read_image_facts(path).fault == fault
    assert read_upright_size(path) is None

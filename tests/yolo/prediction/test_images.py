"""An image that is not 8 bits in 3 channels is one unreadable image; the others are done."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from reg_yolo.errors import MediaError
from reg_yolo.video.reading import SourceFrame, Unreadable, read_source
from reg_yolo.video.sources import resolve_source
from reg_yolo.yolo.prediction.images import read_image


def test_a_float_tiff_among_images_is_one_unreadable_image(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), np.random.default_rng(0).random((40, 60, 3), np.float32))
    cv2.imwrite(str(tmp_path / "b.jpg"), np.full((40, 60, 3), 99, np.uint8))
    (tmp_path / "c.heic").write_bytes(b"no image")
    first, second, third = read_source(resolve_source(tmp_path), read_image)
    assert (
        isinstance(first, Unreadable) and "a.tif has 3 channels of float32, expected 3 of 8 or 16 bits" in first.reason
    )
    assert isinstance(second, SourceFrame) and second.picture.shape == (40, 60, 3)
    assert isinstance(third, Unreadable) and "c.heic" in third.reason


def test_sixteen_bits_keep_the_upper_eight_and_twelve_in_sixteen_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = np.full((40, 60, 3), 0x7F40, np.uint16)
    for name in ("full.png", "full.tif"):
        cv2.imwrite(str(tmp_path / name), full)
        assert (read_image(tmp_path / name) == 0x7F).all()
    cv2.imwrite(str(tmp_path / "twelve.png"), full >> 4)
    with caplog.at_level(logging.WARNING, logger="ultralytics"):
        read_image(tmp_path / "twelve.png")
    assert [record.message.split(str(tmp_path))[-1][:28] for record in caplog.records] == [
        "/twelve.png is nearly black:"
    ]


def test_what_does_not_decode_is_one_line(tmp_path: Path) -> None:
    for name, content in (("a.jpg", b"no image"), ("b.png", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MediaError, match=r"(does not decode as an image|is empty)") as caught:
            read_image(tmp_path / name)
        assert "\n" not in str(caught.value)

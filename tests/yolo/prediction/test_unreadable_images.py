"""A folder of images of which some have no pixels of 8 bits: those are named, the others are done."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import reg_yolo
from reg_yolo.detections.files import read_detections


def test_numbers_of_floating_point_cost_one_image_and_not_the_folder(detector: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((96, 128, 3)).astype(np.float32)
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in/a.tif"), pixels)
    cv2.imwrite(str(tmp_path / "in/b.tif"), pixels[..., 0] * 255)
    cv2.imwrite(str(tmp_path / "in/c.png"), (pixels * 255).astype(np.uint8))
    summary = reg_yolo.predict(detector, tmp_path / "in", device="cpu", out=tmp_path / "out")
    assert sorted(path.name for path in summary.failed) == ["a.tif", "b.tif"]
    assert [Path(frame.source).name for frame in read_detections(summary.detections_file)] == ["c.png"]


def test_turned_avif_and_tiff_are_predicted_upright(detector: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for suffix in ("tif", "avif", "webp", "png", "jpg"):
        # Pillow takes the tag out of the one that it writes into an AVIF.
        exif = Image.Exif()
        exif[274] = 6
        Image.new("RGB", (128, 96), (90, 120, 60)).save(tmp_path / f"in/a_{suffix}.{suffix}", exif=exif)
    summary = reg_yolo.predict(detector, tmp_path / "in", device="cpu", out=tmp_path / "out")
    frames = list(read_detections(summary.detections_file))
    assert [(frame.width, frame.height) for frame in frames] == [(96, 128)] * 5

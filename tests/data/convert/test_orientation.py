"""EXIF-rotated images: labels land on the object whichever image the tool has shown."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from ultralytics.data.utils import verify_image_label
from ultralytics.utils.patches import imread

from reg_yolo.data import convert_dataset as convert
from reg_yolo.data.objects.orientation import turn_upright, upright_size
from reg_yolo.errors import DataError
from tests.data.convert.exports import coco_content, pixel_rows, write_coco

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_turn_as_pillow_turns_pixels(orientation: int) -> None:
    pixels = np.zeros((6, 8), np.uint8)
    pixels[1, 5] = 255
    upright = Image.fromarray(pixels)
    if orientation > 1:
        upright = upright.transpose(_TRANSPOSES[orientation])
    assert upright.size == upright_size(8, 6, orientation)
    (y,), (x,) = np.nonzero(np.asarray(upright))
    np.testing.assert_allclose(turn_upright(np.array([[5.5, 1.5]]), 8, 6, orientation), [[x + 0.5, y + 0.5]])


# The red object in the upright image of 60 x 80 pixels.
UPRIGHT_BOX = (10, 20, 30, 60)


def write_rotated(path: Path, orientation: int, size: tuple[int, int] = (60, 80)) -> None:
    """Write an image whose upright view has a red box, stored turned with an EXIF tag that tells it and the time."""
    upright = np.full((size[1], size[0], 3), 40, np.uint8)
    left, top, right, bottom = UPRIGHT_BOX
    upright[top:bottom, left:right] = (250, 10, 10)
    undone = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    picture = Image.fromarray(upright)
    if undone > 1:
        picture = picture.transpose(_TRANSPOSES[undone])
    exif = Image.Exif()
    exif[274], exif[306] = orientation, "2026:01:02 03:04:05"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, exif=exif, quality=95)


def box_in(view: tuple[int, int], box: tuple[float, ...]) -> dict[str, object]:
    return coco_content([{"bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]]}], images=["a.jpg"], size=view)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif"])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("shown", ["upright", "raw"])
def test_the_stated_size_tells_which_picture_was_labelled(
    tmp_path: Path, orientation: int, shown: str, suffix: str
) -> None:
    write_rotated(tmp_path / f"in/a.{suffix}", orientation)
    if shown == "upright":
        content = box_in((60, 80), UPRIGHT_BOX)
    else:
        undone = {5: 5, 6: 8, 7: 7, 8: 6}[orientation]
        corners = turn_upright(np.reshape(np.array(UPRIGHT_BOX, float), (2, 2)), 60, 80, undone)
        content = box_in((80, 60), (*corners.min(axis=0), *corners.max(axis=0)))
    content["images"][0]["file_name"] = f"a.{suffix}"
    convert(write_coco(tmp_path / "in", content), tmp_path / "out")
    assert pixel_rows(tmp_path / "out", size=(60, 80)) == [(0, list(map(float, UPRIGHT_BOX)))]
    (written,) = (tmp_path / "out/images/train").iterdir()
    assert written.suffix == (".png" if suffix == "avif" else f".{suffix}")
    with Image.open(written) as stored:
        assert stored.size == (60, 80) and stored.getexif().get(274, 1) == 1
        assert stored.getexif()[306] == "2026:01:02 03:04:05"
    # What Ultralytics trains on: its size, its pixels, and what OpenCV reads when it is told to leave the tag alone.
    shape = verify_image_label((str(written), str(tmp_path / "out/labels/train/a.txt"), "", False, 2, 0, 0, False))[2]
    assert shape == (80, 60)
    for pixels in (imread(written), cv2.imread(str(written), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)):
        left, top, right, bottom = UPRIGHT_BOX
        red = (pixels[:, :, 2] > 150) & (pixels[:, :, 1] < 100)
        assert red[top + 2 : bottom - 2, left + 2 : right - 2].all()
        assert red.sum() == pytest.approx((right - left) * (bottom - top), rel=0.1)


def test_half_turns_cannot_be_told_and_are_taken_as_upright_unless_said(tmp_path: Path) -> None:
    write_rotated(tmp_path / "in/a.jpg", 3)
    folder = write_coco(tmp_path / "in", box_in((60, 80), UPRIGHT_BOX))
    convert(folder, tmp_path / "out")
    assert pixel_rows(tmp_path / "out", size=(60, 80)) == [(0, [10, 20, 30, 60])]
    convert(folder, tmp_path / "raw", exif="raw")
    assert pixel_rows(tmp_path / "raw", size=(60, 80)) == [(0, [30, 20, 50, 60])]


def test_pictures_that_were_resized_take_their_labels_along_and_others_are_refused(tmp_path: Path) -> None:
    write_rotated(tmp_path / "in/a.jpg", 1)
    summary = convert(write_coco(tmp_path / "in", box_in((120, 160), (20, 40, 60, 120))), tmp_path / "out")
    assert pixel_rows(tmp_path / "out", size=(60, 80)) == [(0, [10, 20, 30, 60])]
    assert "scaled" in summary.remarks[0].reason
    with pytest.raises(DataError, match="labels are for 160x120 pixels, the image has 60x80"):
        convert(write_coco(tmp_path / "in", box_in((160, 120), (20, 40, 60, 120))), tmp_path / "out2")


@pytest.mark.parametrize("exif, fractions", [("auto", UPRIGHT_BOX), ("raw", (20, 30, 60, 50))])
def test_fractions_are_the_upright_pictures_unless_said(
    tmp_path: Path, exif: str, fractions: tuple[float, ...]
) -> None:
    write_rotated(tmp_path / "in/a.jpg", 6)
    size = (60, 80) if exif == "auto" else (80, 60)
    left, top, right, bottom = (value / size[k % 2] for k, value in enumerate(fractions))
    row = f"0 {(left + right) / 2} {(top + bottom) / 2} {right - left} {bottom - top}\n"
    (tmp_path / "in/a.txt").write_text(row)
    (tmp_path / "in/classes.txt").write_text("sign\n")
    convert(tmp_path / "in", tmp_path / "out", exif=exif)
    assert pixel_rows(tmp_path / "out", size=(60, 80)) == [(0, list(map(float, UPRIGHT_BOX)))]

"""Image check: it finds what Ultralytics drops, and is quick about what is whole."""

import io
import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from reg_yolo.data.images.decoding import raise_for_undecodable, undecodable_images
from reg_yolo.data.images.pixels import exif_orientation, read_upright_size
from reg_yolo.errors import DataError

RNG = np.random.default_rng(5)
PICTURE = RNG.integers(0, 255, (48, 64, 3), dtype=np.uint8)


def encoded(image_format: str, picture: np.ndarray = PICTURE) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, image_format)
    return stream.getvalue()


def upstream_keeps(path: Path) -> bool:
    from ultralytics.data.utils import check_image

    try:
        check_image(str(path))
    except Exception:
        return False
    return True


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP", "WEBP", "TIFF", "JPEG2000", "AVIF"])
@pytest.mark.parametrize("thorough", [False, True])
def test_whole_images_of_every_format_pass(tmp_path: Path, image_format: str, thorough: bool) -> None:
    path = tmp_path / "whole.jpg"  # the bytes decide, not the suffix
    path.write_bytes(encoded(image_format))
    assert undecodable_images([path], thorough=thorough) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"<html>404</html>", "not an image of a supported format"),
        (encoded("GIF"), "not an image of a supported format"),
        (encoded("JPEG")[:1500], "the JPEG is damaged or cut off"),
        (encoded("JPEG")[:100], "the JPEG is damaged or cut off"),
        (b"\xff\xd8\xff\xd9", "the JPEG is damaged or cut off"),
        (encoded("PNG")[:3000], "the PNG is damaged or cut off"),
        (encoded("PNG")[:-200] + bytes(200), "the PNG is damaged or cut off"),
        (encoded("WEBP")[:500], "the WebP image is damaged or cut off"),
        (encoded("TIFF")[:60], "the TIFF image is damaged or cut off"),
        (encoded("AVIF")[:200], "the AVIF image does not decode"),
        (encoded("JPEG", PICTURE[:9]), "it has 64x9 pixels, the least is 10x10"),
        (encoded("PNG", PICTURE[:, :3]), "it has 3x48 pixels"),
    ],
)
def test_damage_is_found_and_named_and_upstream_drops_it_too(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    (problem,) = undecodable_images([path])
    assert problem.path == path
    assert reason in problem.reason
    assert path.read_bytes() == content
    # Pillow's verification of WebP and TIFF reads the header only: there we find what upstream trips over later.
    if "WebP" not in reason and "TIFF" not in reason and "AVIF" not in reason:
        assert not upstream_keeps(path)


def test_bytes_after_the_end_of_a_jpeg_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    path.write_bytes(encoded("JPEG") + b"maker's trailer")
    assert undecodable_images([path]) == []


def test_order_missing_files_and_the_error_of_many(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index:02d}.jpg" for index in range(12)]
    for index, path in enumerate(paths):
        if index != 7:
            path.write_bytes(encoded("JPEG") if index % 2 else b"")
    problems = undecodable_images(paths, workers=4)
    assert [problem.path.stem for problem in problems] == ["00", "02", "04", "06", "07", "08", "10"]
    assert "cannot be read (No such file or directory)" in problems[4].reason
    with pytest.raises(DataError) as caught:
        raise_for_undecodable(problems, "train")
    lines = str(caught.value).splitlines()
    assert lines[0] == "7 images of the 'train' split cannot be used; replace or delete them:"
    assert f"{paths[0]}: the file is empty" in lines[1]
    assert (len(lines), lines[-1].strip()) == (7, "... and 2 more")
    raise_for_undecodable([], "train")


def test_quick_check_is_far_quicker_than_decoding(tmp_path: Path) -> None:
    picture = cv2.resize(PICTURE, (1280, 720), interpolation=cv2.INTER_CUBIC)
    path = tmp_path / "frame.jpg"
    cv2.imwrite(str(path), picture)
    paths = [path] * 40
    start = time.perf_counter()
    assert undecodable_images(paths, workers=1) == []
    middle = time.perf_counter()
    assert undecodable_images(paths, workers=1, thorough=True) == []
    assert middle - start < (time.perf_counter() - middle) / 4


@pytest.mark.parametrize("behind", [False, True], ids=["before the pixels", "behind the pixels"])
def test_a_png_is_turned_by_its_exif_wherever_that_stands(tmp_path: Path, behind: bool) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = tmp_path / "turned.png"
    Image.new("RGB", (40, 20)).save(path)
    content = path.read_bytes()
    data = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(data)) + b"eXIf" + data + struct.pack(">I", zlib.crc32(b"eXIf" + data))
    place = content.index(b"IEND" if behind else b"IDAT") - 4
    path.write_bytes(content[:place] + chunk + content[place:])
    with PngImagePlugin.PngImageFile(str(path)) as image:
        assert exif_orientation(image) == 6
        assert image.convert("L").size == (40, 20)
    assert read_upright_size(path) == (20, 40)


def test_no_pixel_of_a_png_is_decoded_to_look_for_exif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plain.png"
    Image.new("RGB", (40, 20)).save(path)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda *_: pytest.fail("decoded"))
    assert read_upright_size(path) == (40, 20)

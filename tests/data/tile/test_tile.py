"""Tiling a data set: what is kept, dropped, copied and written."""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from reg_yolo.data.dataset.dataset_yaml import label_path_for, read_dataset_yaml
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.data.dataset.label_scan import scan_labels
from reg_yolo.data.split.run import split_dataset
from reg_yolo.data.tile.run import TileResult, tile_dataset
from reg_yolo.errors import ConfigError, DataError

NAMES = ["เสา", "sign", "wall"]


def write_set(root: Path, pictures: dict[str, tuple[tuple[int, int], str]], suffix: str = ".png", **save: Any) -> Path:
    """Write images of (width, height) whose pixels tell where they are, with these label rows; return the YAML."""
    for name, ((width, height), rows) in pictures.items():
        image = root / "images" / f"{name}{suffix}"
        label = label_path_for(image)
        image.parent.mkdir(parents=True, exist_ok=True)
        label.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pattern(width, height)).save(image, **save)
        if rows is not None:
            label.write_text(rows, encoding="utf-8")
    splits = sorted({name.split("/")[0] for name in pictures})
    listed = "".join(f"{split}: images/{split}\n" for split in splits)
    (root / "data.yaml").write_text(f"{listed}names: {NAMES}\n".replace("'", ""), encoding="utf-8")
    return root / "data.yaml"


def pattern(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x // 8 + y // 8) % 2 * 60 + 90], axis=-1).astype(np.uint8)


def box(class_id: int, left: float, top: float, right: float, bottom: float, size: tuple[int, int]) -> str:
    w, h = size
    return f"{class_id} {(left + right) / 2 / w} {(top + bottom) / 2 / h} {(right - left) / w} {(bottom - top) / h}\n"


def polygon(class_id: int, points: list[tuple[float, float]], size: tuple[int, int]) -> str:
    return f"{class_id} " + " ".join(f"{x / size[0]} {y / size[1]}" for x, y in points) + "\n"


def rows_of(result: TileResult, tile: str) -> list[tuple[int, list[float]]]:
    """Rows of a tile: class and rounded box in its pixels."""
    image = next(result.data_yaml.parent.glob(f"images/{tile}.*"))
    height, width = cv2.imdecode(np.fromfile(image, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    rows = read_label_file(label_path_for(image), len(NAMES)).rows
    return [(row.class_id, [round(v * s, 2) for v, s in zip(row.box_xyxy, [width, height] * 2, strict=True)])
            for row in rows]  # fmt: skip


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()


SIZE = (300, 100)


def test_boxes_and_polygons_land_where_they_are_seen(tmp_path: Path) -> None:
    rows = box(0, 10, 20, 30, 60, SIZE) + polygon(1, [(92, 10), (130, 10), (130, 50), (92, 50)], SIZE)
    data = write_set(tmp_path, {"train/ถนน 1": (SIZE, rows)})
    result = tile_dataset(data, tmp_path / "out", size=100, overlap=0.0, background=0, workers=1)
    assert sorted(path.name for path in (tmp_path / "out/images/train").iterdir()) == [
        "ถนน 1_x00000_y00000.png", "ถนน 1_x00100_y00000.png"]  # fmt: skip
    # A fifth of the polygon is in the first tile: too little for a label.
    assert rows_of(result, "train/ถนน 1_x00000_y00000") == [(0, [10, 20, 30, 60])]
    assert rows_of(result, "train/ถนน 1_x00100_y00000") == [(1, [0, 10, 30, 50])]
    counts = result.counts["train"]
    assert (counts.images, counts.tiles, counts.empty, counts.fragments) == (1, 2, 1, 1)
    assert counts.objects == counts.rows == {0: 1, 1: 1}
    text = (tmp_path / "out/labels/train/ถนน 1_x00100_y00000.txt").read_text()
    assert len(text.split()) == 9, "a polygon stays a polygon"
    description = read_dataset_yaml(result.data_yaml, required=("train",))
    assert description.class_names == NAMES
    assert not scan_labels(description, "train", allow_mixed=True).problems


def test_pixels_are_the_originals(tmp_path: Path) -> None:
    size = (250, 130)
    data = write_set(tmp_path, {"train/a": (size, box(0, 0, 0, 250, 130, size))})
    tile_dataset(data, tmp_path / "out", size=100, overlap=0.2, min_visible=0, workers=1)
    original = pattern(*size)
    rebuilt = np.zeros_like(original)
    tiles = list((tmp_path / "out/images/train").iterdir())
    assert len(tiles) == 6
    for path in tiles:
        x, y = int(path.stem[-12:-7]), int(path.stem[-5:])
        tile = np.asarray(Image.open(path))
        assert tile.shape == (100, 100, 3)
        np.testing.assert_array_equal(tile, original[y : y + 100, x : x + 100])
        rebuilt[y : y + 100, x : x + 100] = tile
    np.testing.assert_array_equal(rebuilt, original)


def test_an_object_larger_than_a_tile_is_never_lost(tmp_path: Path) -> None:
    size = (1000, 100)
    data = write_set(tmp_path, {"train/a": (size, box(2, 5, 40, 995, 60, size))})
    result = tile_dataset(data, tmp_path / "out", size=100, overlap=0.0, workers=1)
    # Every tile has a tenth of it at most, less than min_visible of its area.
    assert result.counts["train"].rows == {2: 10}


def test_min_visible_is_measured_against_the_largest_part(tmp_path: Path) -> None:
    data = write_set(tmp_path, {"train/a": ((200, 100), box(0, 60, 10, 120, 20, (200, 100)))})
    found = {
        share: tile_dataset(data, tmp_path / f"out{share}", size=100, overlap=0.0, min_visible=share, workers=1)
        for share in (0.3, 0.5, 0.51, 1.0)
    }
    # 40 of its 60 pixels are in the left tile, 20 in the right one: half as much.
    assert {share: result.counts["train"].rows[0] for share, result in found.items()} == {0.3: 2, 0.5: 2, 0.51: 1, 1: 1}


def test_a_large_piece_of_an_object_that_is_whole_nowhere_is_no_fragment(tmp_path: Path) -> None:
    # Three quarters of the wall are in the left tile; what the right one shows is a third of its height.
    wall = polygon(2, [(0, 0), (100, 0), (100, 60), (130, 60), (130, 95), (100, 95), (100, 100), (0, 100)], (200, 100))
    data = write_set(tmp_path, {"train/a": ((200, 100), wall)})
    result = tile_dataset(data, tmp_path / "out", size=100, overlap=0.0, workers=1)
    assert rows_of(result, "train/a_x00100_y00000") == [(2, [0, 60, 30, 95])]
    # The same piece of a wall that is whole in another tile is a fragment.
    wide = tile_dataset(data, tmp_path / "wide", size=150, overlap=0.0, min_visible=0.6, background=1, workers=1)
    counts = wide.counts["train"]
    assert (counts.rows, counts.fragments, counts.tiles) == ({2: 1}, 1, 1)


def test_fragments_stay_visible_or_become_grey_around_what_is_kept(tmp_path: Path) -> None:
    rows = box(0, 90, 10, 150, 50, SIZE) + box(1, 92, 30, 99, 45, SIZE)
    data = write_set(tmp_path, {"train/a": (SIZE, rows)})
    for blanked in (False, True):
        out = tmp_path / f"out{blanked}"
        tile_dataset(data, out, size=100, overlap=0.0, blank_fragments=blanked, background=1, workers=1)
        tile = np.asarray(Image.open(out / "images/train/a_x00000_y00000.png"))
        expected = pattern(*SIZE)[:, :100].copy()
        if blanked:
            kept = expected[30:45, 92:99].copy()
            expected[10:50, 90:] = 114
            expected[30:45, 92:99] = kept
            # A pixel on an outline may go either way.
            for edge in (
                np.s_[9:52, 89:92],
                np.s_[9:12, 89:],
                np.s_[49:52, 89:],
                np.s_[29:47, 91:93],
                np.s_[29:31, 91:],
                np.s_[44:47, 91:],
                np.s_[29:47, 98:],
            ):
                expected[edge] = tile[edge]
        np.testing.assert_array_equal(tile, expected)


def test_a_tile_with_a_visible_fragment_only_is_no_background(tmp_path: Path) -> None:
    data = write_set(tmp_path, {"train/a": ((200, 100), box(0, 95, 10, 150, 50, (200, 100)))})
    shown = tile_dataset(data, tmp_path / "shown", size=100, overlap=0.0, background=1, workers=1)
    assert shown.counts["train"].tiles == 1
    grey = tile_dataset(data, tmp_path / "grey", size=100, overlap=0.0, background=1, blank_fragments=True, workers=1)
    assert (grey.counts["train"].tiles, grey.counts["train"].backgrounds) == (2, 1)


def test_background_share_and_determinism(tmp_path: Path) -> None:
    data = write_set(tmp_path, {f"train/{n}": ((700, 700), "0 0.05 0.05 0.02 0.02\n") for n in range(8)})
    first = tile_dataset(data, tmp_path / "a", size=100, overlap=0.0, background=0.25, workers=1)
    counts = first.counts["train"]
    assert counts.empty + counts.tiles == 8 * 49 and counts.tiles - counts.backgrounds == 8
    assert 0.18 < counts.backgrounds / (8 * 48) < 0.32
    seen: list[tuple[int, int]] = []
    tile_dataset(data, tmp_path / "b", size=100, overlap=0.0, background=0.25, workers=2,
                 progress=lambda done, total: seen.append((done, total)))  # fmt: skip
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert seen == [(done, 8) for done in range(1, 9)]
    tile_dataset(data, tmp_path / "c", size=100, overlap=0.0, background=0.25, seed=1, workers=1)
    # The YAML names the seed; the images differ too.
    assert digest(tmp_path / "a/images") != digest(tmp_path / "c/images")


def test_small_images_are_copied_and_splits_kept(tmp_path: Path) -> None:
    rows = "\ufeff0 0.5 0.5 0.1 0.1\r\n2 0.1 0.1 0.4 0.1 0.4 0.4\r\n"
    pictures: dict[str, Any] = {"train/day 1/a": ((90, 100), rows), "val/b": ((100, 100), None), "val/a": (SIZE, rows)}
    data = write_set(tmp_path, pictures, suffix=".jpg", quality=77)
    result = tile_dataset(data, tmp_path / "out", size=100, workers=1, background=0)
    for split, name in (("train", "day 1/a"), ("val", "b")):
        copied = tmp_path / f"out/images/{split}/{name}.jpg"
        assert copied.read_bytes() == (tmp_path / f"images/{split}/{name}.jpg").read_bytes()
    assert (tmp_path / "out/labels/train/day 1/a.txt").read_bytes() == rows.encode()
    assert result.counts["val"].copied == 1 and result.counts["val"].tiles == 4
    assert read_dataset_yaml(result.data_yaml).images("val")


@pytest.mark.parametrize(("mode", "subsampling"), [("RGB", 0), ("RGB", 1), ("RGB", 2), ("L", None), ("CMYK", None)])
def test_a_jpeg_keeps_its_quantisation(tmp_path: Path, mode: str, subsampling: int | None) -> None:
    data = write_set(tmp_path, {"train/a": (SIZE, box(0, 0, 0, 300, 100, SIZE))})
    (tmp_path / "images/train/a.png").unlink()
    source = tmp_path / "images/train/a.jpeg"
    picture = Image.fromarray(cv2.GaussianBlur(pattern(*SIZE), (0, 0), 3)).convert(mode)
    picture.save(source, quality=83, **({} if subsampling is None else {"subsampling": subsampling}))
    result = tile_dataset(data, tmp_path / "out", size=100, overlap=0.0, workers=1)
    assert result.counts["train"].tiles == 3
    before = cv2.imread(str(source))
    for path in (tmp_path / "out/images/train").iterdir():
        assert path.suffix == ".jpg"
        with JpegImagePlugin.JpegImageFile(str(path)) as tile, JpegImagePlugin.JpegImageFile(str(source)) as whole:
            if mode != "CMYK":
                assert set(map(tuple, tile.quantization.values())) == set(map(tuple, whole.quantization.values()))
            if subsampling is not None:
                assert JpegImagePlugin.get_sampling(tile) == subsampling
        x = int(path.stem[-12:-7])
        difference = cv2.absdiff(cv2.imread(str(path)), before[:, x : x + 100])
        assert difference.mean() < 1.5


def test_an_image_that_exif_turns_is_cut_upright(tmp_path: Path) -> None:
    data = write_set(tmp_path, {"train/a": (SIZE, box(1, 210, 20, 290, 90, SIZE))})
    (tmp_path / "images/train/a.png").unlink()
    exif = Image.Exif()
    exif[274] = 6
    upright = Image.fromarray(pattern(*SIZE))
    upright.rotate(90, expand=True).save(tmp_path / "images/train/a.jpg", exif=exif, quality=95, subsampling=0)
    result = tile_dataset(data, tmp_path / "out", size=100, overlap=0.0, background=0, workers=1)
    assert rows_of(result, "train/a_x00200_y00000") == [(1, [10, 20, 90, 90])]
    with Image.open(tmp_path / "out/images/train/a_x00200_y00000.jpg") as tile:
        assert tile.getexif().get(274, 1) == 1 and tile.size == (100, 100)
        assert np.abs(np.asarray(tile, int) - pattern(*SIZE)[:, 200:]).mean() < 6


def test_nothing_is_left_where_it_cannot_be_finished(tmp_path: Path) -> None:
    pictures = {f"train/{n}": (SIZE, box(0, 0, 0, 300, 100, SIZE)) for n in range(6)}
    data = write_set(tmp_path, pictures)

    def interrupt(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tile_dataset(data, tmp_path / "out", size=100, workers=1, progress=interrupt)
    (tmp_path / "images/train/4.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"4\.png does not decode"):
        tile_dataset(data, tmp_path / "out", size=100, workers=2)
    (tmp_path / "labels/train/5.txt").write_text("0 0.1 0.1\n7 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError, match=r"(?s)2 bad label rows.*5\.txt:1: 3 columns.*5\.txt:2: class id 7"):
        tile_dataset(data, tmp_path / "out", size=100)
    assert sorted(os.listdir(tmp_path)) == ["data.yaml", "images", "labels"]  # noqa: PTH208
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").touch()
    with pytest.raises(DataError, match="exists already"):
        tile_dataset(data, tmp_path / "full", size=100)


@pytest.mark.parametrize(
    ("argument", "words"),
    [({"size": 10}, "size must"), ({"overlap": 1.0}, "overlap must"), ({"overlap": float("nan")}, "overlap must"),
     ({"min_visible": 1.1}, "min_visible must"), ({"background": -0.1}, "background must")],
)  # fmt: skip
def test_arguments_out_of_range(tmp_path: Path, argument: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tile_dataset(tmp_path / "data.yaml", tmp_path / "out", **argument)


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_set(tmp_path, {"train/a1_1": (SIZE, "0 0.5 0.5 0.1 0.1\n"), "train/b1_1": (SIZE, "")})
    monkeypatch.setitem(sys.modules, "shapely", None)
    with pytest.raises(DataError, match=r'needs the package shapely: pip install "reg-yolo\[data\]"'):
        tile_dataset(data, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "imagehash", None)
    monkeypatch.delitem(sys.modules, "reg_yolo.data.images.facts", raising=False)
    with pytest.raises(DataError, match=r'needs the package imagehash: pip install "reg-yolo\[data\]"'):
        split_dataset(data, by="burst")
    split_dataset(data, by="drive")


def test_two_pictures_of_one_name_get_two_label_files(tmp_path: Path) -> None:
    rows = box(0, 0, 0, 300, 100, SIZE)
    data = write_set(tmp_path, {"train/a": (SIZE, rows), "more/a": (SIZE, rows)})
    data.write_text(f"train: [images/train, images/more]\nnames: {NAMES}\n", encoding="utf-8")
    result = tile_dataset(data, tmp_path / "out", size=100, overlap=0.0, workers=1)
    assert result.counts["train"].tiles == 6
    assert len(list((tmp_path / "out/images/train").rglob("*.png"))) == 6
    assert len(list((tmp_path / "out/labels/train").rglob("*.txt"))) == 6

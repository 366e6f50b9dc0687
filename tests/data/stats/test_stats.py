"""Statistics of a data set: counted by hand on a small set, the weights those of training, the image readable."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reg_yolo import losses
from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.data.dataset.label_scan import scan_labels
from reg_yolo.data.stats.figure import write_stats_figure
from reg_yolo.data.stats.run import DatasetStats, dataset_stats
from reg_yolo.data.stats.tables import stats_text
from reg_yolo.errors import ConfigError, DataError
from tests.data.sets import picture, write_clean_set, write_labels, write_picture


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    """Train: three images of 320x160 and one turned of 160x320; val: one image. Five classes, one of them absent."""
    for name in ("train/a", "train/b", "train/empty", "val/c"):
        write_picture(tmp_path / f"images/{name}.png", picture(len(name), 320, 160))
    exif = Image.Exif()
    exif[274] = 6
    (tmp_path / "images/train").mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(9, 320, 160)).save(tmp_path / "images/train/turned.jpg", exif=exif.tobytes())
    # 16x16, 64x64 and a repeated row; a triangle 160 x 80; a bad row.
    write_labels(
        tmp_path / "labels/train/a.txt",
        "0 0.5 0.5 0.05 0.1\n0 0.5 0.5 0.2 0.4\n0 0.5 0.5 0.2 0.4\n"
        "1 0.25 0.25 0.75 0.25 0.75 0.75\n9 0.5 0.5 0.1 0.1\n",
    )
    write_labels(tmp_path / "labels/train/b.txt", "\ufeff0 0.1 0.1 0.1 0.1\r\n2 0.5 0.5 1 1\r\n")
    write_labels(tmp_path / "labels/train/turned.txt", "3 0.5 0.5 0.5 0.5\n")
    write_labels(tmp_path / "labels/val/c.txt", "1 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.5 0.5\n")
    yaml = tmp_path / "data.yaml"
    yaml.write_text("train: images/train\nval: images/val\nnames: [ป้าย, เสา, wall, turned, absent]\n", encoding="utf-8")
    return yaml


def test_counts_by_class_and_split(counted: Path) -> None:
    stats = dataset_stats(counted)
    train, val = stats.splits["train"], stats.splits["val"]
    assert (train.images, train.images_without_objects, val.images, val.images_without_objects) == (4, 1, 1, 0)
    assert train.boxes == [3, 0, 1, 1, 0] and train.polygons == [0, 1, 0, 0, 0]
    assert train.objects == [3, 1, 1, 1, 0] and val.objects == [0, 1, 1, 0, 0]
    assert train.images_with == [2, 1, 1, 1, 0]
    assert sorted(train.objects_per_image) == [0, 1, 2, 3]
    assert (train.bad_rows, train.repeated_rows, train.unreadable_images) == (1, 1, 0)
    assert stats.objects == [3, 2, 2, 1, 0]
    assert stats.co_occurrence.tolist() == [
        [2, 1, 1, 0, 0],
        [1, 2, 1, 0, 0],
        [1, 1, 2, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0],
    ]
    assert stats.typical_size == (320, 160)


def test_sizes_in_original_and_scaled_pixels(counted: Path) -> None:
    stats = dataset_stats(counted, imgsz=640)
    # Class 0: 16x16, 64x64, 32x16; class 1: 160x80, 32x16; class 2: 320x160, 160x80; class 3: 80x160 of a turned image.
    assert stats.area_counts(scaled=False) == [[2, 1, 0], [1, 0, 1], [0, 0, 2], [0, 0, 1], [0, 0, 0]]
    assert stats.area_counts(scaled=True) == [[0, 2, 1], [0, 1, 1], [0, 0, 2], [0, 0, 1], [0, 0, 0]]
    sizes, widths, heights = (stats.size_quantiles_px(what) for what in ("size", "width", "height"))
    assert sizes[0] is not None and sizes[0][2] == pytest.approx(math.sqrt(64 * 32))
    assert widths[3] == pytest.approx([160] * 5) and heights[3] == pytest.approx([320] * 5)
    assert sizes[4] is None


def test_areas_change_at_the_limits_of_coco(tmp_path: Path) -> None:
    write_picture(tmp_path / "images/a.png", picture(0, 512, 512))
    rows = "".join(f"0 0.5 0.5 {side / 512} {side / 512}\n" for side in (31.5, 32, 95.5, 96))
    write_labels(tmp_path / "labels/a.txt", rows)
    (tmp_path / "data.yaml").write_text("train: images\nnames: [a]\n")
    assert dataset_stats(tmp_path).area_counts(scaled=False) == [[1, 2, 1]]


def test_class_weights_are_those_of_training(counted: Path) -> None:
    stats = dataset_stats(counted)
    good = counted.parent / "labels/train/a.txt"
    good.write_text("".join(f"{line}\n" for line in good.read_text().splitlines() if not line.startswith("9")))
    counts = scan_labels(read_dataset_yaml(counted), "train", allow_mixed=True).instance_counts
    assert stats.imbalance_ratio == losses.imbalance_ratio(counts) == 3
    assert stats.alphas["inverse_frequency"] == pytest.approx([2, 6, 6, 6, 5])
    assert stats.alphas["balanced"] == losses.balanced_weights(counts).tolist()
    assert stats.alphas["balanced temper 0.5"] == losses.balanced_weights(counts, 0.5).tolist()
    assert stats.alphas["dual (at the start)"] == pytest.approx(losses.DualClassWeights(counts).weights().tolist())


def test_coverage_counts_the_boxes_over_each_cell(counted: Path) -> None:
    stats = dataset_stats(counted)
    grid = stats.coverage()
    assert grid.shape == (36, 64)
    slow = np.zeros_like(grid)
    for x, y, width, height in stats.boxes.astype(float):
        left, right = math.floor((x - width / 2) * 64 + 1e-6), math.ceil((x + width / 2) * 64 - 1e-6)
        top, bottom = math.floor((y - height / 2) * 36 + 1e-6), math.ceil((y + height / 2) * 36 - 1e-6)
        slow[max(top, 0) : bottom, max(left, 0) : right] += 1
    # Edges on the border of two cells may fall to either.
    assert np.abs(grid - slow).sum() <= 0.15 * slow.sum()
    assert grid[18, 32] == slow[18, 32] == 7
    assert grid[0, 0] == 1


def test_json_holds_it_all(counted: Path) -> None:
    found = json.loads(dataset_stats(counted).as_json())
    assert found["class_names"][0] == "ป้าย"
    assert found["splits"]["train"]["objects_per_image"] == pytest.approx(
        {"mean": 1.5, "median": 1.5, "p95": 2.85, "max": 3}
    )
    assert found["areas_original"][0] == [2, 1, 0]
    assert found["co_occurrence"][0][1] == 1
    assert found["imbalance_ratio"] == 3
    assert len(found["alpha"]) == 7
    assert found["size_px_at_imgsz"][4] is None


def test_tables_say_what_a_person_asks(counted: Path) -> None:
    text = stats_text(dataset_stats(counted))
    lines = text.splitlines()
    assert any(line.split() == ["train", "4", "1", "6", "1.50", "1.5", "3", "1", "1", "0"] for line in lines)
    assert any(line.split() == ["ป้าย", "3", "0", "3", "0", "3", "37.5", "%", "2"] for line in lines)
    assert any(line.split() == ["absent", *["-"] * 7] for line in lines)
    assert "Imbalance ratio r = N_max / N_min of the training split: 3.00" in lines


def test_many_classes_list_pairs(tmp_path: Path) -> None:
    write_picture(tmp_path / "images/a.jpg", picture(0))
    write_labels(tmp_path / "labels/a.txt", "".join(f"{c} 0.5 0.5 0.{c + 1} 0.1\n" for c in range(3)))
    names = ", ".join(f"class_{index}" for index in range(60))
    (tmp_path / "data.yaml").write_text(f"train: images\nnames: [{names}]\n")
    stats = dataset_stats(tmp_path)
    assert "the 3 most frequent pairs" in stats_text(stats)
    write_stats_figure(stats, tmp_path / "stats.png")
    assert picture_of(tmp_path / "stats.png").shape[1] == 1760


def picture_of(path: Path) -> np.ndarray:
    return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.filterwarnings("error")
def test_figure_is_drawn_without_a_warning(counted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stats = dataset_stats(counted)
    target = tmp_path / "รูป.png"
    write_stats_figure(stats, target)
    # Letters without a glyph, and fonts that are not found, are warned of.
    assert caplog.records == []
    pixels = picture_of(target)
    assert pixels.shape == (1155, 1760, 3)
    # Bars of both splits and the darkest place of the heat map.
    for red, green, blue in ((0x1F, 0x5F, 0xA8), (0xF0, 0xA0, 0x30), (0x0B, 0x2A, 0x52)):
        assert (np.abs(pixels.astype(int) - (blue, green, red)).max(axis=2) <= 3).sum() > 200
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.filterwarnings("error")
def test_figure_of_a_set_without_objects(tmp_path: Path) -> None:
    yaml = write_clean_set(tmp_path)
    for path in tmp_path.glob("labels/*/*.txt"):
        path.unlink()
    stats = dataset_stats(yaml)
    assert (stats.imbalance_ratio, stats.alphas, stats.objects) == (None, {}, [0, 0, 0])
    stats_text(stats)
    json.loads(stats.as_json())
    write_stats_figure(stats, tmp_path / "stats.png")


def test_splits_that_cannot_be_read(counted: Path) -> None:
    counted.write_text(counted.read_text(encoding="utf-8") + "test: images/gone\n", encoding="utf-8")
    stats = dataset_stats(counted)
    assert list(stats.splits) == ["train", "val"]
    assert "Not counted:" in stats_text(stats) and "images/gone" in stats_text(stats)
    (counted.parent / "none.yaml").write_text("names: [a]\n")
    with pytest.raises(DataError, match=r"none\.yaml names no split"):
        dataset_stats(counted.parent / "none.yaml")
    with pytest.raises(ConfigError, match=r"^`imgsz`: got 8"):
        dataset_stats(counted, imgsz=8)


def test_unreadable_images_are_left_out_of_the_sizes(counted: Path) -> None:
    (counted.parent / "images/val/c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    stats = dataset_stats(counted)
    assert stats.splits["val"].unreadable_images == 1
    assert stats.splits["val"].objects == [0, 1, 1, 0, 0]
    assert len(stats.classes) == 6


@pytest.fixture(scope="module")
def one_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzz")
    write_picture(root / "images/a.jpg", picture(0))
    (root / "labels").mkdir()
    (root / "data.yaml").write_text("train: images\nnames: [a, b, c]\n")
    return root


@given(content=st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_random_bytes_never_end_in_a_traceback(one_image: Path, content: bytes) -> None:
    (one_image / "labels/a.txt").write_bytes(content)
    stats = dataset_stats(one_image)
    assert isinstance(stats, DatasetStats)
    stats_text(stats)
    json.loads(stats.as_json())

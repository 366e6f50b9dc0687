"""data check, stats, tile and split on sets whose pixels have classes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from reg_yolo.data.check.run import check_dataset, write_check
from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.data.images.pixel_masks import read_mask, scan_masks
from reg_yolo.data.split.run import split_dataset
from reg_yolo.data.stats.pixel_figure import write_pixel_figure
from reg_yolo.data.stats.pixels import pixel_stats
from reg_yolo.data.tile.run import tile_dataset
from reg_yolo.errors import DataError
from reg_yolo.losses import balanced_weights
from tests.conftest import HEIGHT, WIDTH
from tests.data.masked_sets import SIZE, write_masked

PIXELS = SIZE[0] * SIZE[1]


def test_a_sound_set_has_no_error_and_its_objects_are_regions(tmp_path: Path) -> None:
    report = check_dataset(write_masked(tmp_path / "set"), task="semantic", workers=1)
    assert report.count("error") == 0
    assert report.objects["train"] == [4, 2, 2]
    written = write_check(report, tmp_path / "out", workers=1)
    assert tmp_path / "out/sheets/00_class_maps.jpg" in written
    assert cv2.imread(str(written[-1])) is not None


def test_missing_wrong_and_lone_masks_are_found(tmp_path: Path) -> None:
    data = write_masked(tmp_path)
    (tmp_path / "masks/train/0.png").rename(tmp_path / "masks/train/other.png")
    cv2.imwrite(str(tmp_path / "masks/val/0.png"), np.full(SIZE, 9, np.uint8))
    report = check_dataset(data, task="semantic", workers=1)
    found = {finding.code: finding for finding in report.findings if finding.code.startswith(("mask", "label"))}
    assert set(found) == {"mask-missing", "mask-wrong", "label-orphan"}
    assert found["mask-missing"].path.name == "0.png"
    assert "the value 9, which is no class" in found["mask-wrong"].message
    assert found["label-orphan"].path.name == "other.png"


def test_polygons_are_checked_as_rows_and_boxes_refused(polygons: Path, rectangles: Path) -> None:
    assert check_dataset(polygons, task="semantic", workers=1).count("error") == 0
    refused = check_dataset(rectangles, task="semantic", workers=1)
    kinds = [finding.message for finding in refused.findings if finding.code == "row-kind"]
    assert kinds
    assert "semantic does not" in kinds[0]


def test_statistics_count_pixels_of_masks(tmp_path: Path) -> None:
    stats = pixel_stats(write_masked(tmp_path))
    counts = [800, 1200, 2 * (PIXELS - 1160)]
    assert stats.splits["train"].pixels == counts
    assert stats.alphas["balanced"] == pytest.approx(balanced_weights(counts).tolist())
    assert stats.imbalance_ratio == pytest.approx(counts[2] / 800)
    assert json.loads(stats.as_json())["splits"]["val"]["ignored"] == 160
    assert "320 pixels unknown" in stats.as_text()
    write_pixel_figure(stats, tmp_path / "figure.png")
    assert cv2.imread(str(tmp_path / "figure.png")).shape[1] == 990


def test_statistics_of_polygons_draw_them_as_training_does(polygons: Path) -> None:
    stats = pixel_stats(polygons)
    assert stats.class_names == ["red", "green", "blue", "background"]
    assert sum(stats.splits["train"].pixels) == 24 * HEIGHT * WIDTH
    assert stats.splits["train"].left_out == 0


def test_boxes_are_left_out_of_the_statistics_and_counted(rectangles: Path) -> None:
    assert pixel_stats(rectangles).splits["train"].left_out == 24


def test_tiles_have_their_part_of_the_mask(tmp_path: Path) -> None:
    data = write_masked(tmp_path / "set")
    result = tile_dataset(data, tmp_path / "tiles", size=48, overlap=0.1, background=0.0, workers=1)
    scan = scan_masks(read_dataset_yaml(result.data_yaml), "train")
    assert not scan.problems
    counts = result.counts["train"]
    assert counts.tiles == scan.images > 2
    assert counts.rows[0] == scan.pixel_counts[0] >= 800
    assert counts.objects[0] == 800
    whole = read_mask(tmp_path / "set/masks/train/0.png")
    for tile in sorted((tmp_path / "tiles/images/train").glob("0_*.png")):
        left, top = int(tile.stem[3:8]), int(tile.stem[10:15])
        part = read_mask(tmp_path / "tiles/masks/train" / tile.name)
        assert (part == whole[top : top + part.shape[0], left : left + part.shape[1]]).all()
    assert "sign: 800 pixels" in result.as_text()


def test_tiles_without_an_object_are_left_out_and_small_images_copied(tmp_path: Path) -> None:
    data = write_masked(tmp_path / "set")
    cv2.imwrite(str(tmp_path / "set/masks/train/0.png"), np.full(SIZE, 2, np.uint8))
    result = tile_dataset(data, tmp_path / "tiles", size=48, overlap=0.1, background=0.0, workers=1)
    assert result.counts["train"].empty == len(list((tmp_path / "tiles/images/val").glob("*")))
    copied = tile_dataset(data, tmp_path / "copies", size=128, workers=1)
    assert copied.counts["val"].copied == 1
    source, copy = (path / "masks/val/0.png" for path in (tmp_path / "set", tmp_path / "copies"))
    assert copy.read_bytes() == source.read_bytes()
    (tmp_path / "set/masks/val/0.png").unlink()
    with pytest.raises(DataError, match="1 bad mask in the 'val' split"):
        tile_dataset(data, tmp_path / "third", size=48, workers=1)
    assert not (tmp_path / "third").exists()


def test_a_copied_split_has_its_masks(tmp_path: Path) -> None:
    data = write_masked(tmp_path / "set")
    for image in sorted((tmp_path / "set/images").rglob("*.png")):
        # A split is stratified by label rows.
        label = tmp_path / "set/labels" / image.parent.name / f"{image.stem}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 0.1 0.1 0.4 0.1 0.4 0.3\n")
    result = split_dataset(data, by="drive", pattern="(.+)", val=0.5, copy_to=tmp_path / "copy", workers=1)
    description = read_dataset_yaml(result.data_yaml, required=())
    for split in description.present_splits:
        assert not scan_masks(description, split).problems

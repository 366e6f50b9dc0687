"""A set with keypoints: every command takes the boxes, and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reg_yolo.data import check_dataset, dataset_stats, stats_text, tile_dataset
from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.data.dataset.label_rows import read_label_file
from reg_yolo.data.dataset.label_scan import read_sound_labels, scan_labels
from reg_yolo.data.split.run import split_dataset
from tests.data.convert.exports import write_picture

BOX = "0.25 0.5 0.25 0.333333"
REMARK = "a set with keypoints (kpt_shape): the box of every row is taken, its keypoints are not"


@pytest.fixture
def keypoints(tmp_path: Path) -> Path:
    """Two keypoints of three columns behind every box; one row has none, as a tool leaves it."""
    for split in ("train", "val"):
        for number in range(2):
            write_picture(tmp_path / f"set/images/{split}/d{number}{split}_1.png", seed=number + 9 * (split == "val"))
            label = tmp_path / f"set/labels/{split}/d{number}{split}_1.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(f"0 {BOX} 0.2 0.3 2 0.9 0.9 0\n1 0.5 0.5 0.5 0.5\n")
    path = tmp_path / "set/data.yaml"
    path.write_text("train: images/train\nval: images/val\nnames: [sign, pole]\nkpt_shape: [2, 3]\nflip_idx: [1, 0]\n")
    return path


def test_the_rows_are_boxes(keypoints: Path) -> None:
    description = read_dataset_yaml(keypoints)
    assert description.keypoint_columns == 6 and description.remarks == [REMARK]
    scan = scan_labels(description, "train")
    assert (scan.box_counts, scan.polygon_counts, scan.problems) == ([2, 2], [0, 0], [])
    rows = read_label_file(keypoints.parent / "labels/train/d0train_1.txt", 2, 6).rows
    assert [row.is_polygon for row in rows] == [False, False]
    assert rows[0].coordinates == (0.25, 0.5, 0.25, 0.333333)
    ((_, sound),) = list(read_sound_labels([description.images("train")[0]], 2, 6))
    assert sound == rows
    assert not read_dataset_yaml(keypoints).without_keypoints().keypoint_columns


@pytest.mark.parametrize("shape", ["[2]", "17", "[0, 3]", "[a, b]", "[true, 3]"])
def test_a_shape_that_is_none_counts_as_no_keypoints(keypoints: Path, shape: str) -> None:
    keypoints.write_text(keypoints.read_text().replace("[2, 3]", shape))
    assert read_dataset_yaml(keypoints).keypoint_columns == 0


def test_check_and_stats_name_them_and_count_boxes(keypoints: Path) -> None:
    report = check_dataset(keypoints, workers=1, min_objects=1)
    assert [finding.code for finding in report.findings] == ["keypoints-left-out"]
    assert report.findings[0].line == 4 and report.objects == {"train": [2, 2], "val": [2, 2]}
    stats = dataset_stats(keypoints)
    assert REMARK in stats_text(stats) and stats.splits["train"].boxes == [2, 2]


@pytest.mark.parametrize("size", [32, 1280])
def test_tiles_have_boxes_and_their_yaml_no_keypoints(keypoints: Path, tmp_path: Path, size: int) -> None:
    result = tile_dataset(keypoints, tmp_path / "out", size=size, workers=1)
    assert REMARK in result.as_text()
    description = read_dataset_yaml(result.data_yaml)
    assert not description.keypoint_columns and "flip_idx" not in description.extra
    scan = scan_labels(description, "train")
    assert not scan.problems and not any(scan.polygon_counts) and all(scan.box_counts)


def test_split_counts_their_objects(keypoints: Path, tmp_path: Path) -> None:
    result = split_dataset(keypoints, by="drive", val=0.5, out=tmp_path / "set/new.yaml")
    assert read_dataset_yaml(result.data_yaml).keypoint_columns == 6


def test_training_takes_the_boxes_and_says_so(keypoints: Path, caplog: pytest.LogCaptureFixture) -> None:
    from reg_yolo.yolo.datasets.resolved import check_split

    check: Callable[..., None] = check_split
    with caplog.at_level("WARNING", logger="ultralytics"):
        check(read_dataset_yaml(keypoints), "train", "detect")
    assert REMARK in caplog.text

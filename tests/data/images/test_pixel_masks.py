"""Mask PNGs: read as Ultralytics reads them, and every one that is wrong named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from ultralytics.data.utils import img2label_paths
from ultralytics.data.utils import read_mask as upstream_read

from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.data.dataset.pixel_classes import described_pixels, pixel_classes
from reg_yolo.data.images.pixel_masks import mask_path_for, read_mask, scan_masks
from reg_yolo.errors import DataError
from tests.data.masked_sets import SIZE, write_masked


def test_every_pixel_is_counted_and_unknown_ones_apart(tmp_path: Path) -> None:
    scan = scan_masks(read_dataset_yaml(write_masked(tmp_path)), "train")
    assert scan.pixel_counts == [2 * 400, 2 * 600, 2 * (SIZE[0] * SIZE[1] - 1000 - 160)]
    assert scan.image_counts == [2, 2, 2]
    assert scan.ignored == 2 * 160
    assert not scan.problems


def test_every_bad_mask_is_named(tmp_path: Path) -> None:
    data = write_masked(tmp_path)
    (tmp_path / "masks/train/0.png").unlink()
    cv2.imwrite(str(tmp_path / "masks/train/1.png"), np.zeros((5, 5), np.uint8))
    scan = scan_masks(read_dataset_yaml(data), "train")
    with pytest.raises(DataError, match="2 bad masks in the 'train' split") as caught:
        scan.raise_for_problems()
    assert "masks/train/0.png: no such file, the mask of 0.png" in str(caught.value)
    assert "masks/train/1.png: is 5x5 pixels, and 1.png is 80x60" in str(caught.value)
    for content, part in ((np.full(SIZE, 7, np.uint8), "value 7, which is no class"), (b"rubbish", "does not decode")):
        target = tmp_path / "masks/val/0.png"
        target.write_bytes(content) if isinstance(content, bytes) else cv2.imwrite(str(target), content)
        assert part in str(scan_masks(read_dataset_yaml(data), "val").problems[0])


@pytest.mark.parametrize("mode", ["L", "P", "P grey", "1", "I;16"])
def test_masks_of_every_mode_are_read_as_upstream_reads_them(mode: str, tmp_path: Path) -> None:
    values = np.array([[0, 1, 2], [1, 0, 255]], np.uint8)
    path = tmp_path / "a.png"
    if mode == "1":
        Image.fromarray(values > 0).save(path)
    elif mode == "I;16":
        cv2.imwrite(str(path), values.astype(np.uint16))
    else:
        image = Image.fromarray(values)
        if mode.startswith("P"):
            grey = [v for v in range(256) for _ in range(3)]
            image.putpalette(grey if "grey" in mode else [*range(200), *([7] * 568)])
        image.save(path)
    with Image.open(path) as opened:
        expected = upstream_read(str(path), opened.mode)
    assert (read_mask(path) == expected).all()


def test_the_mask_of_an_image_lies_where_upstream_looks(tmp_path: Path) -> None:
    image = tmp_path / "images/a/images/train/x.y.jpg"
    assert str(mask_path_for(image, "masks")) == img2label_paths([str(image)], "masks", ".png")[0]


def test_values_are_mapped_as_the_yaml_says(tmp_path: Path) -> None:
    data = write_masked(tmp_path, "[thing, background]", "label_mapping: {0: 0, 1: ignore_label, 2: 1}\n")
    scan = scan_masks(read_dataset_yaml(data), "train")
    assert scan.pixel_counts[0] == 800
    assert scan.ignored == 2 * (600 + 160)
    data.write_text(data.read_text().replace("{0: 0, 1: ignore_label, 2: 1}", "5"))
    with pytest.raises(DataError, match="'label_mapping' is 5, expected values of masks"):
        scan_masks(read_dataset_yaml(data), "train")


@pytest.mark.parametrize(
    ("yaml", "names", "background", "unlabelled"),
    [
        ("names: [a, b]", ("a", "b", "background"), 2, 2),
        ("names: [a]", ("a", "background"), 1, 1),
        ("names: [Background, a]", ("Background", "a"), 0, 0),
        ("names: [a, b]\nunlabelled: ignore", ("a", "b"), None, 255),
        ("names: [a, b]\nmasks_dir: masks", ("a", "b"), None, 255),
        ("names: [a]\nmasks_dir: masks", ("background", "a"), 0, 255),
    ],
)
def test_the_classes_of_pixels_follow_from_the_yaml(
    tmp_path: Path, yaml: str, names: tuple[str, ...], background: int | None, unlabelled: int
) -> None:
    path = tmp_path / "data.yaml"
    path.write_text(f"train: images\n{yaml}\n")
    description = read_dataset_yaml(path, required=())
    classes = pixel_classes(description)
    assert (classes.names, classes.background, classes.unlabelled) == (names, background, unlabelled)
    written = described_pixels(description).as_ultralytics_mapping()
    assert list(written["names"].values()) == list(names)
    assert written["nc"] == len(names)
    if classes.masks_dir is None:
        assert written["bg_class_idx"] == unlabelled
        assert written["_polygon_bg_added"] is True


@pytest.mark.parametrize(
    ("yaml", "part"),
    [
        ("names: [a]\nunlabelled: ignore", "a pixel could be a only"),
        ("names: [a, b]\nunlabelled: no", "'unlabelled' is"),
        ("names: [a, b]\nmasks_dir: 3", "'masks_dir' is 3, expected the name of a folder"),
        ("names: [a, b]\nmasks_dir: m\nunlabelled: ignore", "'unlabelled' is for polygons"),
    ],
)
def test_keys_that_make_no_sense_are_refused(tmp_path: Path, yaml: str, part: str) -> None:
    path = tmp_path / "data.yaml"
    path.write_text(f"train: images\n{yaml}\n")
    with pytest.raises(DataError, match=part):
        pixel_classes(read_dataset_yaml(path, required=()))

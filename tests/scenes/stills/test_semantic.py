"""Scenes with the class of each pixel."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reg_yolo.data.dataset.dataset_yaml import read_dataset_yaml
from reg_yolo.data.images.pixel_masks import scan_masks
from reg_yolo.errors import ConfigError
from reg_yolo.scenes import CLASS_NAMES, write_stills


def test_masks_are_exact_and_of_all_seven_classes(tmp_path: Path) -> None:
    options = {"images": 3, "size": (320, 192), "seed": 4, "val_fraction": 0.0}
    plain = write_stills(tmp_path / "numbered", masks=True, **options)
    made = write_stills(tmp_path / "set", semantic=True, **options)
    description = read_dataset_yaml(made.data_yaml)
    assert description.class_names == [*CLASS_NAMES, "background"]
    assert description.extra["masks_dir"] == "masks"
    scan = scan_masks(description, "train")
    assert not scan.problems
    for name, count in made.objects["train"].items():
        assert (scan.pixel_counts[CLASS_NAMES.index(name)] > 0) == (count > 0)
    # The same pixels as the numbered masks, whose rows say the class.
    for path in sorted((plain.data_yaml.parent / "masks/train").glob("*.png")):
        numbers = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        classes = cv2.imread(str(made.data_yaml.parent / "masks/train" / path.name), cv2.IMREAD_UNCHANGED)
        rows = (plain.data_yaml.parent / "labels/train" / f"{path.stem}.txt").read_text().splitlines()
        for number, row in enumerate(rows, start=1):
            assert set(np.unique(classes[numbers == number])) == {int(row.split()[0])}
        assert set(np.unique(classes[numbers == 0])) <= {len(CLASS_NAMES), 255}


def test_one_kind_of_masks_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`masks` and `semantic` both write masks/"):
        write_stills(tmp_path / "set", 1, masks=True, semantic=True)

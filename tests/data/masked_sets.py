"""A small data set of mask PNGs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SIZE = (60, 80)
"""Height and width of its images."""


def write_masked(root: Path, names: str = "[sign, wall, background]", extra: str = "") -> Path:
    """Write two training images and one of validation, each with blocks of class 0 and 1 on 2, and return the YAML."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 1)):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
            mask = np.full(SIZE, 2, np.uint8)
            mask[5:15, 5:25] = mask[30:40, 5:25] = 0
            mask[20:50, 50:70] = 1
            mask[:2] = 255
            cv2.imwrite(str(root / "images" / split / f"{number}.png"), image)
            cv2.imwrite(str(root / "masks" / split / f"{number}.png"), mask)
    path = root / "data.yaml"
    path.write_text(f"train: images/train\nval: images/val\nmasks_dir: masks\nnames: {names}\n{extra}")
    return path

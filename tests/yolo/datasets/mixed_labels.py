"""A tiny data set that mixes box rows and polygon rows, and the same images with only one kind of row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from ultralytics.cfg import get_cfg

from reg_yolo.data.dataset.joint_sets import JointSets, read_joint_sets
from reg_yolo.yolo.datasets.joint import build_joint_dataset

NAMES = ["pole", "sign", "wall"]
MASK_CLASSES = ["sign", "wall"]
STILL: dict[str, Any] = {
    "mosaic": 0.0, "translate": 0.0, "scale": 0.0, "fliplr": 0.0, "hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0,
    "augmentations": [],
}  # fmt: skip
"""Augmentation switched off; what a test is about is switched on again."""


def star(x: float, y: float, radius: float, points: int) -> str:
    """A polygon that is not a rectangle, as a label row has it."""
    angles = np.arange(points) * 2 * np.pi / points
    radii = np.where(np.arange(points) % 2, radius, radius * 0.6)
    corners = np.stack((x + radii * np.cos(angles), y + radii * np.sin(angles)), 1)
    return " ".join(f"{value:.5f}" for value in corners.reshape(-1))


def rows_of(rng: np.random.Generator, kind: str) -> tuple[list[str], list[str]]:
    """Box rows in the upper part of an image and polygon rows in the lower part."""
    boxes = [
        f"{label} {rng.uniform(0.2, 0.8):.5f} {rng.uniform(0.13, 0.2):.5f} {rng.uniform(0.1, 0.3):.5f} 0.22"
        for label in (0, 0, 1)  # a sign may be box-only, too
    ]
    polygons = [
        f"{label} {star(rng.uniform(0.2, 0.8), rng.uniform(0.6, 0.75), rng.uniform(0.1, 0.2), points)}"
        for label, points in ((1, 8), (2, 40), (2, 12))
    ]
    if kind == "boxes":
        polygons = []
    if kind == "polygons":
        boxes = []
    if kind == "nothing":
        boxes, polygons = [], []
    return boxes, polygons


def write_mixed(root: Path, train: int = 8, sizes: tuple[tuple[int, int], ...] = ((96, 128),)) -> dict[str, Path]:
    """Write the images with mixed rows, with the polygon rows only, and with the box rows only.

    Every fourth image has all rows, box rows only, polygon rows only, or none (beside mixed ones).
    Returns the YAMLs by name: mixed, outlined, boxed.
    """
    yamls = {}
    for name in ("mixed", "outlined", "boxed"):
        rng = np.random.default_rng(5)
        for split, count in (("train", train), ("val", 5)):
            (root / name / "images" / split).mkdir(parents=True)
            (root / name / "labels" / split).mkdir(parents=True)
            for number in range(count):
                height, width = sizes[number % len(sizes)]
                image = cv2.resize(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8), (width, height))
                boxes, polygons = rows_of(rng, ("all", "all", "boxes", "all", "polygons", "all", "nothing")[number % 7])
                # Alternating, so that the order in the file is neither kind first.
                mixed = [row for pair in zip(boxes, polygons, strict=False) for row in pair] or boxes + polygons
                rows = {"mixed": mixed, "outlined": polygons, "boxed": boxes}[name]
                cv2.imwrite(str(root / name / f"images/{split}/{number:03d}.png"), image)
                (root / name / f"labels/{split}/{number:03d}.txt").write_text("".join(f"{row}\n" for row in rows))
        yamls[name] = root / name / "data.yaml"
        yamls[name].write_text(f"train: images/train\nval: images/val\nnames: {NAMES}\n")
    return yamls


def arguments(task: str = "segment", **overrides: Any) -> Any:
    """Arguments as a trainer has them, without random colours unless asked for."""
    augmentations = overrides.pop("augmentations", None)
    args = get_cfg(overrides={"task": task, "imgsz": 128, "batch": 4, "workers": 0, **overrides})
    args.augmentations = augmentations
    return args


def joint(yaml: Path, mode: Any = "train", rect: bool = False, **overrides: Any) -> Any:
    """A joint data set of one YAML."""
    sets = read_joint_sets(yaml, overrides.pop("mask_classes", MASK_CLASSES))
    return build(sets, mode, rect, **overrides)


def build(sets: JointSets, mode: Any = "train", rect: bool = False, **overrides: Any) -> Any:
    """A joint data set of what was read."""
    return build_joint_dataset(sets, mode, args=arguments(**overrides), mode=mode, batch=4, stride=32, rect=rect)


def items(dataset: Any, seed: int = 0) -> list[dict[str, Any]]:
    """Every image of a data set, each with random states of its own."""
    found = []
    for index in range(len(dataset)):
        reseed(seed * 1000 + index)
        # Else the images that a mosaic may choose from depend on the ones before.
        dataset.buffer[:] = list(range(len(dataset)))
        found.append(dataset[index])
    return found


def reseed(seed: int) -> None:
    """Seed what the augmentations draw from."""
    import random

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (upstream draws from the global state)
    torch.manual_seed(seed)

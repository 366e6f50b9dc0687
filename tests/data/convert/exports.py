"""Small hand-made exports, and a look at what became of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

WIDTH, HEIGHT = 80, 60


def write_picture(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), seed: int = 0) -> Path:
    """Write an image of noise, its folder included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    # Not cv2.imwrite, which takes no Thai names on Windows.
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def coco_content(
    annotations: Sequence[dict[str, Any]],
    images: Sequence[str] = ("a.png",),
    categories: Sequence[tuple[int, str]] = ((0, "sign"), (7, "pole")),
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> dict[str, Any]:
    """Return a COCO file's content; ids of images count from 0, of classes as given."""
    return {
        "images": [
            {"id": number, "file_name": name, "width": size[0], "height": size[1]} for number, name in enumerate(images)
        ],
        "annotations": [
            {"id": number, "image_id": 0, "category_id": 0, "iscrowd": 0, **entry}
            for number, entry in enumerate(annotations)
        ],
        "categories": [{"id": number, "name": name} for number, name in categories],
    }


def write_coco(folder: Path, content: dict[str, Any], name: str = "instances.json") -> Path:
    """Write a COCO file and its images into a folder, and return the folder."""
    for number, image in enumerate(content["images"]):
        if not (folder / image["file_name"]).exists():
            write_picture(folder / image["file_name"], (image["width"], image["height"]), number)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return folder


def rows(out: Path, stem: str = "a", split: str = "train") -> list[list[float]]:
    """Return the rows of one label file."""
    text = (out / "labels" / split / f"{stem}.txt").read_text()
    return [[float(token) for token in line.split()] for line in text.splitlines()]


def pixel_rows(
    out: Path, stem: str = "a", split: str = "train", size: tuple[int, int] = (WIDTH, HEIGHT)
) -> list[tuple[int, list[float]]]:
    """Return class and coordinates in pixels, rounded to hundredths, of each row; boxes as left, top, right, bottom."""
    result = []
    for row in rows(out, stem, split):
        values = np.array(row[1:])
        if len(values) == 4:
            x, y, w, h = values
            values = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        pixels = values.reshape(-1, 2) * np.array(size)
        result.append((int(row[0]), [round(float(v), 2) + 0.0 for v in pixels.ravel()]))
    return result


def painted(row: Sequence[float], size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    """Return the mask `[H, W]` of a polygon row by pycocotools' rule, which paints no outlines."""
    from pycocotools import mask as coco_mask

    ring = np.array(row[1:]).reshape(-1, 2) * np.array(size)
    return coco_mask.decode(coco_mask.frPyObjects([ring.ravel().tolist()], size[1], size[0]))[:, :, 0]

"""A small split with images, labels and made-up detections."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from reg_yolo.evaluation.image_results import ImageResult

NAMES = ("sign", "ป้าย <b>")
SIZE = (160, 120)


def write_split(root: Path, images: int = 6) -> list[ImageResult]:
    """Write images of rising brightness with two objects each, found in all but the first two images."""
    for folder in ("images/val", "labels/val"):
        (root / folder).mkdir(parents=True)
    (root / "data.yaml").write_text("val: images/val\nnames: [sign, 'ป้าย <b>']\n", encoding="utf-8")
    left, right = [10.0, 20.0, 50.0, 60.0], [100.0, 70.0, 160.0, 120.0]
    results = []
    for number in range(images):
        image = root / "images/val" / f"{number}.png"
        pixels = np.full((SIZE[1], SIZE[0], 3), 30 * number, np.uint8)
        cv2.rectangle(pixels, (10, 20), (50, 60), (0, 0, 255), -1)
        cv2.imwrite(str(image), pixels)
        rows = []
        for class_id, (x1, y1, x2, y2) in ((0, left), (1, right)):
            x, y, w, h = (x1 + x2) / 320, (y1 + y2) / 240, (x2 - x1) / 160, (y2 - y1) / 120
            rows.append(f"{class_id} {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n")
        (root / "labels/val" / f"{number}.txt").write_text("\n" + "".join(rows))
        found = [(left, 0.9, 0), (right, 0.8, 1)]
        if number == 0:
            found = [(left, 0.9, 1), ([60.0, 10.0, 90.0, 40.0], 0.95, 0)]
        elif number == 1:
            found = [([30.0, 20.0, 70.0, 60.0], 0.9, 0)]
        boxes, confidences, classes = zip(*found, strict=True)
        results.append(ImageResult.of(image, SIZE, (boxes, confidences, classes), ([left, right], [0, 1])))
    return results

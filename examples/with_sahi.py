"""Run weights of reg_yolo through SAHI's slices (https://github.com/obss/sahi), for objects small in a large image.

    pip install sahi
    python examples/with_sahi.py best.pt large.jpg found.json

A checkpoint of reg_yolo is a stock YOLOv8 one, so SAHI loads it as any other. The confidence threshold of each class,
which `reg-yolo train` and `val` choose, lies in the checkpoint; SAHI knows one for all, so the others are applied here.
`reg-yolo predict --tiles 960` does the same with class-wise thresholds, tracks and video.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

# Before Ultralytics is imported: no look at the network.
os.environ.setdefault("YOLO_OFFLINE", "true")

import torch
from sahi import AutoDetectionModel
from sahi.predict import get_sliced_prediction


def main(weights: str, image: str, out: str, size: str = "640") -> None:
    """Write what is found as COCO results, and print how many objects there are of each class.

    Args:
        weights: A checkpoint (.pt) that you trust: it is unpickled.
        image: An image.
        out: A JSON file that is made.
        size: Side of a slice in pixels.
    """
    # Written by `reg-yolo train`; stock weights have none.
    stored = torch.load(weights, map_location="cpu", weights_only=False).get("reg_yolo", {})
    thresholds = (stored.get("thresholds") or {}).get("values", {})
    lowest = min(thresholds.values(), default=0.25)
    model = AutoDetectionModel.from_pretrained(
        model_type="ultralytics", model_path=weights, confidence_threshold=lowest, device="cpu"
    )
    result = get_sliced_prediction(
        image, model, slice_height=int(size), slice_width=int(size), overlap_height_ratio=0.2, overlap_width_ratio=0.2,
        verbose=0,
    )  # fmt: skip
    kept = [
        found
        for found in result.object_prediction_list
        if found.score.value >= thresholds.get(found.category.name, lowest)
    ]
    results = [
        {
            "image_id": 0,
            "category_id": found.category.id,
            "bbox": [float(value) for value in found.bbox.to_xywh()],
            "score": float(found.score.value),
        }
        for found in kept
    ]
    Path(out).write_text(json.dumps(results), encoding="utf-8")
    names = [found.category.name for found in kept]
    for name in sorted(set(names)):
        print(f"{name}: {names.count(name)}")


if __name__ == "__main__":
    main(*sys.argv[1:])

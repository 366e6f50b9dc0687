"""Look at detections of images in FiftyOne (https://docs.voxel51.com).

    pip install fiftyone
    reg-yolo predict best.pt images/ --out found
    python examples/with_fiftyone.py found/detections.jsonl roads

Then `fiftyone app launch roads`. Boxes, confidences, masks and tracks come along. Frames of video are left out and
counted: FiftyOne has samples of its own for video.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# FiftyOne reports how it is used unless this says otherwise.
os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "true")

import fiftyone as fo
import numpy as np

from reg_yolo.detections import Detection, FrameDetections, decode_mask, read_detections


def label_of(found: Detection, frame: FrameDetections) -> Any:
    """Return a detection as FiftyOne has it: the box as fractions from the left top, the mask within the box."""
    left, top, right, bottom = found.box_xyxy
    box = [left / frame.width, top / frame.height, (right - left) / frame.width, (bottom - top) / frame.height]
    mask = None
    if found.mask is not None:
        whole = decode_mask(found.mask, (frame.height, frame.width))
        part = whole[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
        mask = np.ascontiguousarray(part) if part.size else None
    return fo.Detection(
        label=found.class_name, bounding_box=box, confidence=found.confidence, index=found.track, mask=mask
    )


def main(detections: str, name: str) -> None:
    """Make a data set in FiftyOne's database, or replace it.

    Args:
        detections: What `reg-yolo predict` wrote.
        name: Name of the data set.
    """
    dataset = fo.Dataset(name, overwrite=True, persistent=True)
    skipped = 0
    samples = []
    for frame in read_detections(detections):
        if frame.time_s is not None:
            skipped += 1
            continue
        labels = fo.Detections(detections=[label_of(found, frame) for found in frame.detections])
        samples.append(fo.Sample(filepath=str(Path(frame.source).absolute()), predictions=labels))
    dataset.add_samples(samples)
    print(f"{len(samples)} images, {dataset.count('predictions.detections')} objects in {name}")
    if skipped:
        print(f"Skipped: {skipped} frames of video", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Draw detections and count those in a zone with supervision (https://supervision.roboflow.com).

    pip install supervision
    reg-yolo predict best.pt drive.mp4 --track --out found
    python examples/with_supervision.py found/detections.jsonl seen.jpg

The zone is the right half of the frame. With tracks an object counts once, however many frames show it.
"""

from __future__ import annotations

import sys
from collections import Counter

import cv2
import numpy as np
import supervision as sv

from reg_yolo.detections import read_detections


def main(detections: str, picture: str) -> None:
    """Write the frame with most objects in the zone to `picture`, and print how many objects of each class were there.

    Args:
        detections: What `reg-yolo predict` wrote; the video or images that it looked at lie where they lay.
        picture: A JPEG or PNG that is made.
    """
    reader = read_detections(detections)
    seen: Counter[str] = Counter()
    known: set[int] = set()
    zone, most, best = None, -1, None
    for frame in reader:
        if zone is None:
            w, h = frame.width, frame.height
            # An object is inside where the middle of its lower edge is.
            zone = sv.PolygonZone(np.array([[w // 2, 0], [w - 1, 0], [w - 1, h - 1], [w // 2, h - 1]]))
        found = frame.to_supervision()
        inside = found[zone.trigger(found)]
        if len(inside) > most:
            most, best = len(inside), frame
        for index, name in enumerate(inside.data["class_name"] if len(inside) else ()):
            track = -1 if inside.tracker_id is None else int(inside.tracker_id[index])
            if track not in known:
                seen[str(name)] += 1
            known |= {track} - {-1}
    if best is None:
        raise SystemExit(f"{detections}: no frame")
    capture, image = cv2.VideoCapture(best.source), None
    for _ in range(best.frame + 1):
        _, image = capture.read()
    if image is None:
        raise SystemExit(f"{best.source}: no frame {best.frame}")
    found = best.to_supervision()
    image = sv.BoxAnnotator().annotate(image, found)
    image = sv.LabelAnnotator().annotate(image, found, labels=[str(name) for name in found.data["class_name"]])
    cv2.imwrite(picture, image)
    for name, count in seen.most_common():
        print(f"{name}: {count}")


if __name__ == "__main__":
    main(*sys.argv[1:])

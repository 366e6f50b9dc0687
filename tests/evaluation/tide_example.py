"""The example on which error kinds are compared with tidecv's, and what tidecv says of it.

tidecv is no dependency: it is not kept any more, and brings pandas and seaborn. To make tide_example.json
again, run this file with a Python that has it: pip install tidecv; python tests/evaluation/tide_example.py
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_suffix(".json")
CLASSES, IMAGES = 4, 24


def made() -> list[dict[str, Any]]:
    """Objects, and detections that are right, off, doubled, of another class or nowhere; no two confidences equal."""
    rng = random.Random(5)
    confidences = rng.sample([number / 10000 for number in range(10, 9990)], 2000)
    images = []
    for _ in range(IMAGES):
        image: dict[str, Any] = {"truth": [], "truth_classes": [], "boxes": [], "classes": [], "confidences": []}
        for _ in range(rng.randint(0, 7)):
            side = rng.choice((20, 50, 130))
            left, top = rng.uniform(0, 400), rng.uniform(0, 300)
            box = [left, top, left + side * rng.uniform(0.6, 1.4), top + side * rng.uniform(0.6, 1.4)]
            class_id = rng.randrange(CLASSES)
            image["truth"].append([round(value, 2) for value in box])
            image["truth_classes"].append(class_id)
            for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
                off = rng.choice((0.05, 0.05, 0.3, 0.6)) * side
                moved = [value + rng.uniform(-off, off) for value in box]
                moved = [*moved[:2], max(moved[2], moved[0] + 2), max(moved[3], moved[1] + 2)]
                image["boxes"].append([round(value, 2) for value in moved])
                image["classes"].append(class_id if rng.random() < 0.75 else rng.randrange(CLASSES))
                image["confidences"].append(confidences.pop())
        for _ in range(rng.randint(0, 2)):
            left, top = rng.uniform(0, 400), rng.uniform(0, 300)
            image["boxes"].append([round(value, 2) for value in (left, top, left + 40, top + 30)])
            image["classes"].append(rng.randrange(CLASSES))
            image["confidences"].append(confidences.pop())
        images.append(image)
    return images


def of_tidecv(images: list[dict[str, Any]]) -> dict[str, Any]:
    """What tidecv finds: mAP50, counts and costs of the six kinds, and costs by COCO's sizes."""
    from tidecv import TIDE, Data
    from tidecv.errors.qualifiers import AREA

    truth, found = Data("truth"), Data("found", max_dets=100)
    for number, image in enumerate(images):
        truth.add_image(number, str(number))
        found.add_image(number, str(number))
        for (a, b, c, d), class_id in zip(image["truth"], image["truth_classes"], strict=True):
            truth.add_ground_truth(number, class_id, [a, b, c - a, d - b])
        for (a, b, c, d), class_id, score in zip(image["boxes"], image["classes"], image["confidences"], strict=True):
            found.add_detection(number, class_id, score, [a, b, c - a, d - b])
    run = TIDE().evaluate(truth, found, mode=TIDE.BOX)
    return {
        "map50": run.ap,
        "counts": [len(errors) for errors in run.error_dict.values()],
        "costs": list(run.fix_main_errors().values()),
        "costs_by_size": [list(run.fix_main_errors(qual=size).values()) for size in AREA],
    }


if __name__ == "__main__":
    example = made()
    FILE.write_text(json.dumps({"images": example, "tidecv": of_tidecv(example)}) + "\n", encoding="utf-8")
    print(of_tidecv(example))

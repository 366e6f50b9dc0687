"""How many planted label errors stand in the first tenth of the label hints.

    python scripts/measure_label_hints.py weights/highway_yolov8n.pt data/scenes/data.yaml --seeds 5

The network runs once. For every seed 5 % of the labels, a quarter each, are dropped, given another class, shifted by
half their size, or invented (a box of the size of another label where none is); then the list is made, and a planted
error counts as found where the list's first tenth names its label, or for a dropped one a detection that overlaps it
by half. Random order finds a tenth.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reg_yolo.evaluation.image_results import ImageResult, box_overlaps
from reg_yolo.evaluation.label_hints import LabelHint, label_hints

PLANTED = ("dropped", "class", "shifted", "invented")
_TRIES = 50


@dataclass(frozen=True)
class Planted:
    """One wrong label: its image, its index among the labels afterwards, or the box of a dropped one."""

    kind: str
    image: int
    label: int | None
    box: tuple[float, ...]


def plant_errors(
    results: Sequence[ImageResult], classes: int, rng: np.random.Generator, share: float = 0.05
) -> tuple[list[ImageResult], list[Planted]]:
    """Return the same detections with a share of the labels wrong, and which are."""
    places = [(image, label) for image, result in enumerate(results) for label in range(len(result.truth_boxes))]
    chosen = rng.permutation(len(places))[: round(share * len(places))]
    orders: dict[int, list[tuple[str, int]]] = {}
    for number, place in enumerate(chosen):
        image, label = places[place]
        orders.setdefault(image, []).append((PLANTED[number % len(PLANTED)], label))
    shapes = [
        ((box[2:] - box[:2]) / (result.width, result.height), int(class_id))
        for result in results
        for box, class_id in zip(result.truth_boxes, result.truth_classes, strict=True)
    ]
    changed, planted = [], []
    for image, result in enumerate(results):
        new, own = _changed(result, image, orders.get(image, []), classes, shapes, rng)
        changed.append(new)
        planted += own
    return changed, planted


def found_share(hints: Sequence[LabelHint], planted: Sequence[Planted], part: float = 0.1) -> dict[str, float]:
    """Return by kind, and for all, the share of planted errors in the first part of the list."""
    first = hints[: math.floor(part * len(hints))]
    labels = {(hint.image, hint.label) for hint in first if hint.label is not None}
    detections: dict[int, list[tuple[float, ...]]] = {}
    for hint in first:
        if hint.label is None:
            detections.setdefault(hint.image, []).append(hint.box_xyxy)

    def is_found(one: Planted) -> bool:
        if one.label is not None:
            return (one.image, one.label) in labels
        boxes = np.array(detections.get(one.image, ())).reshape(-1, 4)
        return bool(box_overlaps(boxes, np.array([one.box])).max(initial=0.0) >= 0.5)

    shares = {kind: [is_found(one) for one in planted if one.kind == kind] for kind in PLANTED}
    means = {kind: float(np.mean(found)) for kind, found in shares.items() if found}
    return {**means, "all": float(np.mean([is_found(one) for one in planted]))}


def _changed(
    result: ImageResult,
    image: int,
    orders: Sequence[tuple[str, int]],
    classes: int,
    shapes: Sequence[tuple[np.ndarray, int]],
    rng: np.random.Generator,
) -> tuple[ImageResult, list[Planted]]:
    boxes, class_ids = result.truth_boxes.copy(), result.truth_classes.copy()
    kept, added, marks = np.ones(len(boxes), bool), [], []
    for kind, label in orders:
        if kind == "dropped":
            kept[label] = False
        elif kind == "class":
            class_ids[label] = (class_ids[label] + rng.integers(1, classes)) % classes
        elif kind == "shifted":
            angle = rng.uniform(0, 2 * np.pi)
            way = 0.5 * np.array([np.cos(angle), np.sin(angle)]) * (boxes[label, 2:] - boxes[label, :2])
            boxes[label] += np.tile(way, 2)
        else:
            added.append(_invented(result, boxes, shapes, rng))
        if kind != "invented":
            marks.append((kind, label))
    place = np.cumsum(kept) - 1
    planted = [
        Planted(kind, image, None if kind == "dropped" else int(place[label]), tuple(result.truth_boxes[label]))
        for kind, label in marks
    ]
    first = int(kept.sum())
    planted += [Planted("invented", image, first + n, tuple(box)) for n, (box, _) in enumerate(added)]
    new_boxes = np.concatenate([boxes[kept], *(box[None] for box, _ in added)])
    new_classes = [*class_ids[kept].tolist(), *(class_id for _, class_id in added)]
    found = (result.boxes, result.confidences, result.classes)
    return ImageResult.of(result.path, (result.width, result.height), found, (new_boxes, new_classes)), planted


def _invented(
    result: ImageResult, boxes: np.ndarray, shapes: Sequence[tuple[np.ndarray, int]], rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    size = np.array([result.width, result.height])
    for _ in range(_TRIES):
        share, class_id = shapes[rng.integers(len(shapes))]
        corner = rng.uniform(0, 1, 2) * (1 - share) * size
        box = np.concatenate([corner, corner + share * size])
        if box_overlaps(box[None], boxes).max(initial=0.0) < 0.1:
            break
    return box, class_id


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("data", help="data-set YAML on which the weights were not trained")
    parser.add_argument("--split", default="val")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    from reg_yolo.yolo.upstream.environment import prepare_environment

    prepare_environment(trust=False)
    import tempfile

    import reg_yolo

    with tempfile.TemporaryDirectory(prefix="label_hints_") as folder:
        out = Path(folder) / "out"
        arguments = {"split": options.split, "device": options.device, "workers": 0}
        diagnosis = reg_yolo.diagnose(options.weights, options.data, out=out, worst=0, **arguments).diagnosis
    results, classes = diagnosis.analysis.results, len(diagnosis.class_names)
    rows = []
    for seed in range(options.seeds):
        changed, planted = plant_errors(results, classes, np.random.default_rng(seed))
        hints = label_hints(changed)
        shares = found_share(hints, planted)
        rows.append(shares)
        words = ", ".join(f"{name} {100 * value:.0f} %" for name, value in shares.items())
        print(f"seed {seed}: {len(planted)} planted, {len(hints)} entries, found in the first tenth: {words}")
    mean = np.mean([row["all"] for row in rows])
    print(f"mean {100 * mean:.1f} %, least {100 * min(row['all'] for row in rows):.1f} %; by chance 10 %")


if __name__ == "__main__":
    main()

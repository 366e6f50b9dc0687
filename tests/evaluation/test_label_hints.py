"""Label hints: each kind by hand, and planted errors with a network that is made up."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from reg_yolo.evaluation.image_results import ImageResult
from reg_yolo.evaluation.label_hints import label_hints

SCRIPTS = Path(__file__).parents[2] / "scripts"
SIZE = (640, 480)


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """The script that plants errors."""
    sys.path.insert(0, str(SCRIPTS))
    yield importlib.import_module("measure_label_hints")
    sys.path.remove(str(SCRIPTS))
    del sys.modules["measure_label_hints"]


def image(found: list[tuple[list[float], float, int]], truth: list[tuple[list[float], int]]) -> ImageResult:
    boxes, confidences, classes = zip(*found, strict=True) if found else ((), (), ())
    objects, labels = zip(*truth, strict=True) if truth else ((), ())
    return ImageResult.of(Path("a.jpg"), SIZE, (boxes, confidences, classes), (objects, labels))


def good(count: int = 40) -> list[ImageResult]:
    """Images on which network and labels agree."""
    box = [10.0, 10, 50, 50]
    return [image([(box, 0.9, k % 2)], [(box, k % 2)]) for k in range(count)]


def test_each_kind_stands_before_what_agrees() -> None:
    box, off, far = [10.0, 10, 50, 50], [30.0, 10, 70, 50], [300.0, 300, 340, 340]
    doubtful = [
        image([(box, 0.9, 0), (far, 0.8, 1)], [(box, 0)]),
        image([], [(box, 0)]),
        image([(off, 0.9, 0)], [(box, 0)]),
        image([(box, 0.9, 1)], [(box, 0)]),
    ]
    hints = label_hints([*doubtful, *good()])
    assert len(hints) == 40 + 5
    first = {hint.kind: hint for hint in hints[:4]}
    assert {kind: hint.image for kind, hint in first.items()} == {"missing": 0, "unfound": 1, "box": 2, "class": 3}
    assert all(hint.kind == "agrees" for hint in hints[4:])
    missing, box_hint, confused = first["missing"], first["box"], first["class"]
    assert missing.label is None and missing.class_id == 1 and missing.box_xyxy == tuple(far)
    assert box_hint.iou == pytest.approx(1 / 3) and box_hint.found_box_xyxy == tuple(off)
    assert (confused.class_id, confused.found_class, confused.confidence) == (0, 1, 0.9)
    assert first["unfound"].found_class is None and first["unfound"].confidence is None
    # The evidence against a class counts on top of what is missing for the label's own.
    assert confused.score > first["unfound"].score > 5


def test_a_class_that_is_hard_to_find_does_not_fill_the_list() -> None:
    box, other = [10.0, 10, 50, 50], [300.0, 300, 340, 340]
    hard = [image([(box, 0.9, 0)], [(box, 0), (other, 1)]) for _ in range(40)]
    hints = label_hints([*hard, image([], [(box, 0)])])
    # None of the 40 of class 1 is found; that one of class 0 is not says more.
    assert (hints[0].class_id, hints[0].image) == (0, 40) and hints[0].score > 10 * hints[1].score


def test_a_surer_detection_never_counts_for_less() -> None:
    places = [[300.0, 300, 340, 340], [100.0, 300, 140, 340]]
    # Surer than everything that is right, and less sure.
    doubtful = image([(places[0], 0.95, 0), (places[1], 0.85, 0)], [])
    first, second = (hint for hint in label_hints([doubtful, *good()]) if hint.kind == "missing")
    assert (first.confidence, second.confidence) == (0.95, 0.85) and first.score >= second.score > 5


def test_a_place_gives_one_hint_and_a_weak_detection_none() -> None:
    box = [10.0, 10, 50, 50]
    twice = image([(box, 0.9, 0), ([11.0, 10, 50, 50], 0.6, 1), ([300.0, 300, 340, 340], 0.2, 0)], [])
    hints = label_hints([twice, *good(4)])
    assert [hint.kind for hint in hints if hint.image == 0] == ["missing"]
    assert label_hints([image([], [])]) == []


def test_planted_errors_stand_first(script: ModuleType) -> None:
    """A made-up network is sure of three quarters of the objects, unsure of most others, and sees what is not there."""
    rng = np.random.default_rng(3)
    results = []
    for _ in range(120):
        found, truth = [], []
        for _ in range(6):
            side = rng.uniform(15, 120)
            corner = rng.uniform(0, 1, 2) * (np.array(SIZE) - side)
            box, class_id = np.concatenate([corner, corner + side]), int(rng.integers(4))
            truth.append((box.tolist(), class_id))
            confidence = rng.choice([rng.beta(6, 2), rng.beta(2, 8), 0.0], p=[0.75, 0.22, 0.03])
            found.append(((box + rng.normal(0, 0.05 * side, 4)).tolist(), float(confidence), class_id))
            if rng.random() < 0.3:
                where = rng.uniform(0, 300, 2)
                found.append(([*where, *(where + 40)], float(rng.beta(2, 5)), int(rng.integers(4))))
        results.append(image(found, truth))
    changed, planted = script.plant_errors(results, 4, np.random.default_rng(0))
    assert len(planted) == 36 and sum(len(one.truth_boxes) for one in changed) == 720
    shares = script.found_share(label_hints(changed), planted)
    assert shares["all"] >= 0.6 and min(shares.values()) >= 0.3
    shuffled = label_hints(changed)
    np.random.default_rng(0).shuffle(shuffled)  # type: ignore[arg-type]
    assert script.found_share(shuffled, planted)["all"] < 0.3

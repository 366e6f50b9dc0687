"""Confidence thresholds by class: which ones count, and that they act before suppression."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ultralytics import YOLO

import reg_yolo
from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError
from reg_yolo.evaluation.thresholds import ClassThresholds
from reg_yolo.yolo.prediction.predictors import RegDetectionPredictor, drop_scores
from reg_yolo.yolo.weights.checkpoints import set_metadata, write_thresholds
from tests.detector import IMGSZ

BESIDE = {"red": 0.9, "green": 0.2, "blue": 0.6}
INSIDE = {"red": 0.7, "green": 0.65, "blue": 0.5}


@pytest.fixture
def weights(detector: Path, tmp_path: Path) -> Path:
    """Weights of the test's own, with thresholds inside, as a training run leaves them."""
    path = tmp_path / "mine.pt"
    checkpoint = torch.load(detector, weights_only=False)
    set_metadata(checkpoint, {"thresholds": ClassThresholds("best_f1", INSIDE).to_dict()})
    torch.save(checkpoint, path)
    return path


@pytest.fixture(scope="module")
def images(even_rectangles: Path) -> Path:
    """A folder of 12 images."""
    return even_rectangles.parent / "images/val"


def confidences(weights: Path, images: Path, **arguments: Any) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return the thresholds in the header, and all confidences by class."""
    summary = reg_yolo.predict(weights, images, **{"device": "cpu", "save": False, **arguments})
    reader = read_detections(summary.detections_file)
    found: dict[str, list[float]] = {name: [] for name in reader.header.classes}
    for frame in reader:
        for detection in frame.detections:
            found[detection.class_name].append(detection.confidence)
    assert dict(reader.header.thresholds) == summary.thresholds
    return summary.thresholds, found


def test_thresholds_inside_the_weights_are_used(weights: Path, images: Path) -> None:
    thresholds, found = confidences(weights, images)
    assert thresholds == INSIDE
    for name, limit in INSIDE.items():
        assert min(found[name]) >= limit - 1e-5
    # Without them there is more to be found.
    plain = confidences(weights, images, conf=0.25)[1]
    assert all(len(plain[name]) > len(found[name]) > 0 for name in INSIDE)


def test_thresholds_beside_the_weights_go_first(weights: Path, images: Path) -> None:
    write_thresholds(weights, ClassThresholds("min_precision", BESIDE, 0.9), "data.yaml")
    thresholds, found = confidences(weights, images)
    assert thresholds == BESIDE
    assert all(min(values) >= BESIDE[name] - 1e-5 for name, values in found.items())
    # The rare class's low threshold counts, which one threshold for all would not allow.
    assert 0.2 <= min(found["green"]) < 0.6


def test_thresholds_of_other_weights_are_passed_over_with_a_warning(
    weights: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_thresholds(weights, ClassThresholds("best_f1", BESIDE), "data.yaml")
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "weights_sha256": "0" * 64}))
    warnings: list[str] = []
    monkeypatch.setattr("reg_yolo.yolo.weights.thresholds.LOGGER.warning", warnings.append)
    assert confidences(weights, images)[0] == INSIDE
    assert [str(file) in line and "other weights" in line for line in warnings] == [True]


def test_conf_overrides_every_stored_threshold(weights: Path, images: Path) -> None:
    write_thresholds(weights, ClassThresholds("best_f1", BESIDE), "data.yaml")
    thresholds, found = confidences(weights, images, conf=0.8)
    assert thresholds == {"red": 0.8, "green": 0.8, "blue": 0.8}
    assert all(min(values) >= 0.8 - 1e-5 for values in found.values() if values)


def test_stock_weights_use_ultralytics_default(detector: Path, images: Path) -> None:
    thresholds, found = confidences(detector, images)
    assert thresholds == {"red": 0.25, "green": 0.25, "blue": 0.25}
    stock = YOLO(detector).predict(str(images), imgsz=IMGSZ, device="cpu", verbose=False)
    assert sum(map(len, found.values())) == sum(len(result.boxes) for result in stock)


def test_copied_weights_keep_their_thresholds(weights: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    copy = Path(shutil.copy(weights, tmp_path / "elsewhere" / "copy.pt"))
    assert confidences(copy, images)[0] == INSIDE


@pytest.mark.parametrize("conf", [-0.1, 1.01, True, "high", [0.1]])
def test_conf_out_of_range_is_refused(conf: object, weights: Path, images: Path) -> None:
    with pytest.raises(ConfigError, match="conf"):
        reg_yolo.predict(weights, images, conf=conf)
    assert not Path("runs").exists()


# The mechanism --------------------------------------------------------------------------------------------------


def raw_prediction(scores: list[list[float]], extra: int = 0) -> torch.Tensor:
    """Return a raw prediction Tensor[1, 4 + C + extra, A] whose boxes nearly coincide."""
    anchors = len(scores)
    boxes = torch.tensor([[50.0, 50.0, 40.0, 40.0]]).repeat(anchors, 1) + torch.arange(anchors).view(-1, 1) * 0.5
    return torch.cat((boxes, torch.tensor(scores), torch.full((anchors, extra), 7.0)), 1).T[None]


def test_scores_below_their_threshold_become_zero_and_nothing_else_changes() -> None:
    raw = raw_prediction([[0.5, 0.3, 0.1], [0.2, 0.9, 0.4], [0.49, 0.3, 0.8]], extra=2)
    before = raw.clone()
    kept = drop_scores(raw, [0.5, 0.3, 0.6])
    assert torch.equal(raw, before)
    assert torch.equal(kept[:, :4], raw[:, :4]) and torch.equal(kept[:, 7:], raw[:, 7:])
    expected = torch.tensor([[0.5, 0.0, 0.0], [0.3, 0.9, 0.3], [0.0, 0.0, 0.8]])
    assert torch.equal(kept[0, 4:7], expected)


@pytest.mark.parametrize("kind", [tuple, list])
def test_further_outputs_of_the_network_pass_through(kind: type) -> None:
    raw, features = raw_prediction([[0.5, 0.3, 0.1]]), [torch.zeros(1)]
    kept = drop_scores(kind((raw, features)), [0.6, 0.2, 0.2])
    assert type(kept) is kind and kept[1] is features
    assert kept[0][0, 4:, 0].tolist() == pytest.approx([0.0, 0.3, 0.0])


def test_thresholds_in_half_precision_keep_the_type() -> None:
    raw = raw_prediction([[0.5, 0.3, 0.1]]).half()
    kept = drop_scores(raw, [0.6, 0.2, 0.2])
    assert kept.dtype == torch.float16 and kept[0, 4] == 0


@pytest.fixture
def predictor(detector: Path) -> RegDetectionPredictor:
    """A predictor that is ready to postprocess."""
    settings = {"conf": 0.3, "imgsz": IMGSZ, "device": "cpu", "task": "detect", "verbose": False, "agnostic_nms": True}
    made = RegDetectionPredictor(overrides={**settings, "save_dir": "unused"})
    made.setup_model(str(detector), verbose=False)
    made.batch = (["image.png"], None, None)
    return made


def surviving(predictor: RegDetectionPredictor, raw: torch.Tensor) -> list[tuple[int, float]]:
    """Return class and score of the boxes that are left after suppression."""
    picture = np.zeros((IMGSZ, IMGSZ, 3), np.uint8)
    result = predictor.postprocess(raw.clone(), torch.zeros(1, 3, IMGSZ, IMGSZ), [picture])[0]
    return [(int(box[5]), round(float(box[4]), 4)) for box in result.boxes.data]


def test_box_that_is_not_reported_suppresses_none_that_is(predictor: RegDetectionPredictor) -> None:
    raw = raw_prediction([[0.9, 0.0, 0.0], [0.0, 0.5, 0.0]])
    # One threshold for all: the surer box suppresses the other.
    assert surviving(predictor, raw) == [(0, 0.9)]
    predictor.class_thresholds = [0.95, 0.4, 0.4]
    assert surviving(predictor, raw) == [(1, 0.5)]


def test_second_class_of_a_cell_takes_over_when_the_first_is_below(predictor: RegDetectionPredictor) -> None:
    raw = raw_prediction([[0.9, 0.5, 0.0]])
    assert surviving(predictor, raw) == [(0, 0.9)]
    predictor.class_thresholds = [0.95, 0.4, 0.4]
    assert surviving(predictor, raw) == [(1, 0.5)]


def test_score_just_at_its_threshold_is_kept(predictor: RegDetectionPredictor) -> None:
    predictor.class_thresholds = [0.5, 0.5, 0.5]
    assert surviving(predictor, raw_prediction([[0.5, 0.0, 0.0]])) == [(0, 0.5)]
    predictor.class_thresholds = [0.501, 0.5, 0.5]
    assert surviving(predictor, raw_prediction([[0.5, 0.0, 0.0]])) == []


def test_an_inventory_keeps_weak_detections_as_records_only(
    detector: Path, even_rectangles: Path, tmp_path: Path
) -> None:
    images = even_rectangles.parent / "images/val"
    options: dict[str, Any] = {"device": "cpu", "engine": "pytorch"}
    usual = reg_yolo.predict(detector, images, out=tmp_path / "usual", save=False, **options)
    weak = reg_yolo.predict(detector, images, out=tmp_path / "weak", for_inventory=True, **options)
    assert weak.annotated == [] and max(weak.thresholds.values()) <= 0.05
    extra = read_detections(weak.detections_file).header.extra
    assert extra["for_inventory"] is True and extra["stored_thresholds"] == usual.thresholds
    assert sum(weak.counts.values()) >= sum(usual.counts.values())
    chosen = reg_yolo.predict(detector, images, out=tmp_path / "conf", for_inventory=True, conf=0.5, **options)
    assert set(chosen.thresholds.values()) == {0.5}
    with pytest.raises(ConfigError, match="`for_inventory`: writes records only"):
        reg_yolo.predict(detector, images, out=tmp_path / "no", for_inventory=True, save=True, **options)

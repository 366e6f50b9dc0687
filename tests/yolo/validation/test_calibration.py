"""`val --calibration` from the validator to the file, and what `predict --calibrated` makes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reg_yolo
from reg_yolo.cli.app import main
from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError, WeightsError
from reg_yolo.evaluation.calibration import with_temperature
from reg_yolo.yolo.prediction.session import Prediction
from reg_yolo.yolo.prediction.settings import read_settings
from reg_yolo.yolo.validation.kept_samples import _of_image
from tests.conftest import NAMES
from tests.detector import write_detector

FAST: dict[str, Any] = {"device": "cpu", "workers": 0, "plots": False}


@pytest.fixture(scope="module")
def measured(detector: Path, even_rectangles: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Weights with temperatures next to them, and what measured these."""
    weights = Path(shutil.copy(detector, tmp_path_factory.mktemp("calibrated") / "best.pt"))
    return weights, reg_yolo.val(weights, even_rectangles, calibration=True, split="train", **FAST)


def frames(weights: Path, images: Path, **options: Any) -> tuple[Any, list[Any]]:
    """Header and detections."""
    reader = read_detections(reg_yolo.predict(weights, images, device="cpu", save=False, **options).detections_file)
    return reader.header, [detection for frame in reader for detection in frame.detections]


def test_an_image_is_read_out_in_its_own_pixels() -> None:
    # The image is half as large as the network's input, without padding.
    preds = {
        "bboxes": torch.tensor([[2.0, 4, 42, 64], [0.0, 0, 20, 20], [50.0, 50, 60, 60]]),
        "conf": torch.tensor([0.9, 0.3, 0.04]),
        "cls": torch.tensor([1.0, 0, 0]),
        "sigma": torch.tensor([[2.0, 4, 6, 8]]).expand(3, 4),
    }
    batch = {
        "bboxes": torch.tensor([[0.0, 0, 40, 60], [2.0, 4, 42, 64]]), "cls": torch.tensor([1.0, 0.0]),
        "imgsz": torch.Size([80, 100]), "ori_shape": (40, 50), "ratio_pad": ((2.0, 2.0), (0.0, 0.0)),
    }  # fmt: skip
    kept = _of_image(preds, batch, np.array([True, False, False]))
    # The one of the other class overlaps more.
    assert kept["off"][0].tolist() == [1.0, 2.0, 1.0, 2.0] and np.isnan(kept["off"][1]).all()
    assert kept["sigma"].tolist() == [[1.0, 2.0, 3.0, 4.0]] * 2
    assert kept["boxes"][0].tolist() == pytest.approx([11 / 50, 17 / 40, 20 / 50, 30 / 40])
    assert kept["confidence"].tolist() == pytest.approx([0.9, 0.3]) and kept["class_id"].tolist() == [1, 0]


def test_report_and_file(measured: tuple[Path, Any], even_rectangles: Path) -> None:
    weights, result = measured
    report = result.calibration
    assert report.images == (20, 20) and report.sides > 10
    assert 0 <= report.covered[0, -1] < report.covered[1, -1] <= 1
    for name in ("calibration.txt", "calibration.json", "reliability.png"):
        assert (result.folder / name).is_file()
    content = json.loads(weights.with_name("best.calibration.json").read_text())
    assert content["temperatures"]["values"] == report.temperatures.values
    assert content["data"] == str(even_rectangles) and content["suppression"] == "stock"
    assert any(value != 1.0 for value in report.temperatures.values.values())
    # Figures and thresholds are those without.
    assert reg_yolo.val(weights, even_rectangles, split="train", **FAST).metrics == result.metrics


@pytest.mark.parametrize("task", ["segment", "joint"])
def test_tasks_with_masks(
    task: str, mixed_rectangles: Path, polygons: Path, even_rectangles: Path, tmp_path: Path
) -> None:
    metadata = {"format": 1, "task": "joint", "mask_classes": ["red", "blue"], "lambda_seg": 1.0}
    training = sorted((even_rectangles.parent / "images/train").glob("*.png"))
    given = None if task == "segment" else metadata
    weights = write_detector(tmp_path / "best.pt", NAMES, training, mask_logit=3.0, metadata=given)
    data = polygons if task == "segment" else mixed_rectangles
    report = reg_yolo.val(weights, data, calibration=True, split="train", **FAST).calibration
    assert report is not None and report.classes[-1].right > 5 and report.sides > 5


def test_calibrated_confidences_and_thresholds_name_the_same_objects(
    measured: tuple[Path, Any], even_rectangles: Path
) -> None:
    weights, result = measured
    images, values = even_rectangles.parent / "images/val", result.calibration.temperatures.values
    (plain_header, plain), (header, calibrated) = (frames(weights, images, calibrated=c) for c in (None, True))
    assert "temperatures" not in plain_header.extra and header.extra["temperatures"] == values
    assert [(x.class_name, x.box_xyxy) for x in plain] == [(x.class_name, x.box_xyxy) for x in calibrated] != []
    for before, after in zip(plain, calibrated, strict=True):
        wanted = with_temperature(before.confidence, values[before.class_name])
        assert (
            after.confidence == pytest.approx(wanted, abs=2e-5)
            and after.confidence >= header.thresholds[after.class_name] - 1e-5
        )
    for name, threshold in plain_header.thresholds.items():
        assert header.thresholds[name] == pytest.approx(with_temperature(threshold, values[name]))
    # A threshold that is given is one of calibrated confidences.
    _, chosen = frames(weights, images, calibrated=True, conf=0.6)
    assert min(x.confidence for x in chosen) >= 0.6 - 1e-5 and set(header.thresholds) == set(NAMES)
    sure = [
        x for x in frames(weights, images, conf=0.01)[1] if with_temperature(x.confidence, values[x.class_name]) >= 0.6
    ]
    assert {x.box_xyxy for x in chosen} <= {x.box_xyxy for x in sure}
    # Weak ones for an inventory, too.
    header, _ = frames(weights, images, calibrated=True, for_inventory=True)
    assert max(header.thresholds.values()) <= 0.05 + 1e-9
    assert header.extra["stored_thresholds"] == pytest.approx(
        {name: float(with_temperature(t, values[name])) for name, t in plain_header.thresholds.items()}
    )


def test_other_temperatures_are_other_settings(measured: tuple[Path, Any], tmp_path: Path) -> None:
    weights = Path(shutil.copytree(measured[0].parent, tmp_path / "own") / "best.pt")
    digests = [
        Prediction(weights, read_settings(conf=0.5, device="cpu", calibrated=c)).settings_sha256 for c in (None, True)
    ]
    file = weights.with_name("best.calibration.json")
    content = json.loads(file.read_text())
    content["temperatures"]["values"]["red"] = 7.0
    file.write_text(json.dumps(content))
    digests.append(Prediction(weights, read_settings(conf=0.5, device="cpu", calibrated=True)).settings_sha256)
    assert len(set(digests)) == 3


def test_what_does_not_fit_is_refused(
    measured: tuple[Path, Any], detector: Path, even_rectangles: Path, tmp_path: Path, capsys: Any
) -> None:
    images = even_rectangles.parent / "images/val"
    bare = Path(shutil.copy(detector, tmp_path / "bare.pt"))
    with pytest.raises(ConfigError, match="no temperatures are stored with"):
        frames(bare, images, calibrated=True)
    with pytest.raises(ConfigError, match="were measured with suppression stock, rescore none"):
        frames(measured[0], images, calibrated=True, suppression="soft")
    with pytest.raises(SystemExit, match="2"):
        main(["predict", str(bare), str(images), "--calibrated"])
    assert "error: --calibrated: no temperatures" in capsys.readouterr().err
    own = Path(shutil.copytree(measured[0].parent, tmp_path / "own") / "best.pt")
    file = own.with_name("best.calibration.json")
    file.write_text(file.read_text().replace('"temperatures"', '"temperature"'))
    with pytest.raises(WeightsError, match="not a calibration file"):
        frames(own, images, calibrated=True)


def test_an_export_takes_the_temperatures_along(
    measured: tuple[Path, Any], even_rectangles: Path, tmp_path: Path
) -> None:
    exported = reg_yolo.export(measured[0], format="onnx", out=tmp_path, device="cpu").path
    images = even_rectangles.parent / "images/val"
    (header, there), (_, plain) = (frames(exported, images, calibrated=c) for c in (True, None))
    values = measured[1].calibration.temperatures.values
    assert header.engine == "onnxruntime" and header.extra["temperatures"] == values and len(there) == len(plain) > 0
    wanted = [float(with_temperature(x.confidence, values[x.class_name])) for x in plain]
    assert [x.confidence for x in there] == pytest.approx(wanted, abs=2e-5)
    # Sigma is not known there, the rest is.
    report = reg_yolo.val(exported, even_rectangles, calibration=True, split="train", **FAST).calibration
    assert report is not None and report.sides == 0 and report.classes[-1].detections > 10

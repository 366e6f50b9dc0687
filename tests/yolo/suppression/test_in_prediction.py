"""Suppression, rescoring and sigma in `predict`: every task and engine, one source and many, and the records."""

from __future__ import annotations

import json
import pickle
import shutil
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from ultralytics import YOLO

import reg_yolo
from reg_yolo.cli.app import main
from reg_yolo.detections.detections import Detection
from reg_yolo.detections.files import read_detections
from reg_yolo.detections.masks import decode_mask
from reg_yolo.errors import ConfigError, RegYoloError, WeightsError
from reg_yolo.evaluation.thresholds import ClassThresholds
from reg_yolo.jobs.manifest import read_manifest
from reg_yolo.yolo.commands.predict_many import OpenPrediction, predict_many
from reg_yolo.yolo.prediction.settings import read_settings
from reg_yolo.yolo.weights import thresholds
from reg_yolo.yolo.weights.checkpoints import write_thresholds
from tests.conftest import NAMES
from tests.detector import IMGSZ, write_detector
from tests.yolo.prediction.videos import write_video

# The detector's boxes are 4 cells wide: at this overlap those of neighbouring cells are one cluster.
FAST: dict[str, Any] = {"device": "cpu", "save": False, "conf": 0.2, "iou": 0.3}
JOINT = {"format": 1, "task": "joint", "mask_classes": ["red", "blue"], "lambda_seg": 1.0}


@pytest.fixture(scope="module")
def images(even_rectangles: Path) -> Path:
    """A folder of 12 images."""
    return even_rectangles.parent / "images/val"


@pytest.fixture
def video(images: Path, tmp_path: Path) -> Path:
    """A video of six of them."""
    return write_video(tmp_path / "road.mp4", [cv2.imread(str(path)) for path in sorted(images.glob("*.png"))[:6]])


def found(weights: Path, source: Path, **options: Any) -> tuple[Any, list[Detection]]:
    """The header and all detections."""
    reader = read_detections(reg_yolo.predict(weights, source, **{**FAST, **options}).detections_file)
    return reader.header, [detection for frame in reader for detection in frame.detections]


def exit_code(words: list[str]) -> int:
    """What the command line leaves with."""
    with pytest.raises(SystemExit) as left:
        main(words)
    return int(left.value.code or 0)


def test_stock_is_plain_ultralytics_and_the_header_says_what_suppressed(detector: Path, images: Path) -> None:
    header, ours = found(detector, images, suppression="stock")
    assert header.extra["suppression"] == "stock" and "rescore" not in header.extra
    assert ours == found(detector, images)[1] and all(one.sigma_xyxy is None for one in ours)
    theirs = YOLO(detector).predict(
        images, imgsz=IMGSZ, conf=0.2, iou=0.3, verbose=False, device="cpu", rect=True, batch=1
    )
    boxes = np.concatenate([result.boxes.data.numpy() for result in theirs])
    assert len(boxes) == len(ours) > 20
    assert np.allclose([one.box_xyxy for one in ours], boxes[:, :4], atol=0.0051)
    assert np.allclose([one.confidence for one in ours], boxes[:, 4], atol=6e-6)


@pytest.mark.parametrize("engine", ["pytorch", "onnxruntime", "openvino"])
def test_every_engine_suppresses_alike(engine: str, detector: Path, video: Path, tmp_path: Path) -> None:
    weights = Path(shutil.copy(detector, tmp_path / "best.pt"))
    stock = found(weights, video, engine=engine)[1]
    for kind in ("balanced", "soft"):
        header, there = found(weights, video, engine=engine, suppression=kind, precision="f32")
        _, here = found(detector, video, engine="pytorch", suppression=kind)
        assert (header.engine, header.extra["suppression"]) == (engine, kind)
        assert len(there) == len(here) > 6 and there != stock
        assert np.allclose([x.box_xyxy for x in there], [x.box_xyxy for x in here], atol=0.05)
        assert np.allclose([x.confidence for x in there], [x.confidence for x in here], atol=1e-3)


@pytest.mark.parametrize("metadata", [None, JOINT], ids=["segment", "joint"])
def test_masks_follow_their_boxes(metadata: Any, images: Path, even_rectangles: Path, tmp_path: Path) -> None:
    training = sorted((even_rectangles.parent / "images/train").glob("*.png"))
    weights = write_detector(tmp_path / "best.pt", NAMES, training, mask_logit=3.0, metadata=metadata)
    stock = found(weights, images)[1]
    _, balanced = found(weights, images, suppression="balanced", sigma=True)
    assert {one.box_xyxy for one in stock} != {one.box_xyxy for one in balanced}
    seen = 0
    for one in balanced:
        assert one.sigma_xyxy is not None and min(one.sigma_xyxy) > 0
        if metadata is not None and one.class_name == "green":
            assert one.mask is None
            continue
        rows, columns = np.nonzero(decode_mask(one.mask))
        edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert np.abs(np.array(edges) - np.clip(one.box_xyxy, 0, [128, 96] * 2)).max() <= 1.5
        seen += 1
    assert seen > 10
    # Sigma alone changes nothing else.
    plain = found(weights, images, sigma=True)[1]
    assert [(x.box_xyxy, x.mask) for x in plain] == [(x.box_xyxy, x.mask) for x in stock]


def test_an_empty_mask_takes_its_sigma_along(images: Path, even_rectangles: Path, tmp_path: Path) -> None:
    training = sorted((even_rectangles.parent / "images/train").glob("*.png"))
    weights = write_detector(tmp_path / "best.pt", NAMES, training, mask_logit=-3.0)
    assert found(weights, images, sigma=True)[1] == [] == found(weights, images)[1]


def test_sigma_is_in_pixels_of_the_frame(detector: Path, images: Path, tmp_path: Path) -> None:
    small = sorted(images.glob("*.png"))[0]
    large = tmp_path / "large.png"
    cv2.imwrite(str(large), cv2.resize(cv2.imread(str(small)), (512, 384), interpolation=cv2.INTER_NEAREST))
    (_, one), (_, four) = (found(detector, path, sigma=True, rescore="spread") for path in (small, large))
    header, _ = found(detector, small, sigma=True, rescore="spread")
    assert header.extra["sigma"] is True and header.extra["rescore"] == "spread"
    assert len(one) == len(four) > 0
    for near, far in zip(one, four, strict=True):
        assert np.allclose(np.array(far.sigma_xyxy) / 4, near.sigma_xyxy, atol=0.02)
    assert [x.confidence for x in one] != [x.confidence for x in found(detector, small)[1]][: len(one)]


def test_tiles_keep_sigma_with_its_box(detector: Path, images: Path) -> None:
    _, everything = found(detector, images, tiles=64, sigma=True, suppression="balanced")
    assert everything and all(one.sigma_xyxy and min(one.sigma_xyxy) > 0 for one in everything)


def test_boxes_that_are_no_boxes_are_counted(
    detector: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = torch.load(detector, weights_only=False)
    # One bin of the distribution of the left side is infinite: every box is NaN.
    for branch in checkpoint["model"].model[-1].cv2:
        branch[-1].bias.data[0] = torch.inf
    weights = tmp_path / "broken.pt"
    torch.save(checkpoint, weights)
    summary = reg_yolo.predict(weights, images, suppression="balanced", **FAST)
    assert summary.dropped_boxes > 10 and sum(summary.counts.values()) == 0
    words = [
        "predict",
        str(weights),
        str(images),
        "--suppression",
        "soft",
        "device=cpu",
        "save=false",
        "conf=0.2",
        "iou=0.3",
    ]
    assert exit_code(words) == 0
    assert f"Left out: {summary.dropped_boxes} boxes" in capsys.readouterr().out


def test_sources_are_done_again_when_the_suppression_changes(detector: Path, images: Path, tmp_path: Path) -> None:
    pictures = [cv2.imread(str(path)) for path in sorted(images.glob("*.png"))[:2]]
    drives = tmp_path / "drives"
    drives.mkdir()
    for name in ("a", "b"):
        write_video(drives / f"{name}.mp4", pictures)
    out, options = tmp_path / "out", {"engine": "pytorch", "device": "cpu", "conf": 0.2}
    assert len(predict_many(detector, drives, out=out, **options).changed) == 2
    assert predict_many(detector, drives, out=out, suppression="stock", **options).changed == []
    assert len(predict_many(detector, drives, out=out, suppression="balanced", **options).changed) == 2
    header = read_detections(out / "detections/a.mp4.jsonl").header
    assert header.extra["suppression"] == "balanced" and set(read_manifest(out).records) == {"a.mp4", "b.mp4"}
    assert predict_many(detector, drives, out=out, suppression="balanced", **options).changed == []
    assert len(predict_many(detector, drives, out=out, suppression="balanced", sigma=True, **options).changed) == 2
    # What opens a prediction on a cluster takes the same object.
    opening = OpenPrediction(str(detector), read_settings(suppression="balanced", rescore="dfl", device="cpu"))
    assert pickle.loads(pickle.dumps(opening))(threading.Event()).prediction.settings.ranking.rescore == "dfl"


def test_what_an_export_cannot_do_is_refused_in_one_line(
    detector: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = Path(shutil.copy(detector, tmp_path / "best.pt"))
    exported = reg_yolo.export(weights, format="onnx", device="cpu").path
    for option in ({"rescore": "dfl"}, {"sigma": True}):
        with pytest.raises(ConfigError, match=rf"`{next(iter(option))}`: needs .*best\.onnx.*export --distributions"):
            found(exported, images, **option)
        with pytest.raises(
            ConfigError, match=rf"^{next(iter(option))}: takes PyTorch, or an export made with .*--distributions"
        ):
            found(weights, images, engine="openvino", **option)
        assert found(weights, images, **option)[0].engine == "pytorch"
    with pytest.raises(ConfigError, match="`rescore`: needs"):
        reg_yolo.val(exported, "data.yaml", rescore="dfl")
    assert found(exported, images, suppression="balanced")[0].engine == "onnxruntime"
    inside = YOLO(weights).export(format="onnx", nms=True, imgsz=IMGSZ, verbose=False, device="cpu")
    with pytest.raises(WeightsError, match="with suppression of its own"):
        found(Path(inside), images, suppression="balanced")
    assert exit_code(["predict", str(weights), str(images), "--suppression", "balancd"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: --suppression") and "Did you mean balanced?" in error


def test_thresholds_of_another_suppression_are_warned_of(
    detector: Path, images: Path, even_rectangles: Path, tmp_path: Path
) -> None:
    weights = Path(shutil.copy(detector, tmp_path / "best.pt"))
    result = reg_yolo.val(weights, even_rectangles, suppression="balanced", rescore="dfl", device="cpu", plots=False)
    content = json.loads(result.thresholds_file.read_text())
    assert (content["suppression"], content["rescore"]) == ("balanced", "dfl")
    messages: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thresholds.LOGGER, "warning", messages.append)
        reg_yolo.predict(weights, images, device="cpu", save=False, suppression="balanced", rescore="dfl")
        assert messages == []
        reg_yolo.predict(weights, images, device="cpu", save=False)
        assert "measured with suppression balanced, rescore dfl" in messages[0]
    # An export takes along what its thresholds were measured with.
    exported = reg_yolo.export(weights, format="onnx", device="cpu").path
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thresholds.LOGGER, "warning", messages.append)
        reg_yolo.predict(exported, images, device="cpu", save=False, suppression="balanced")
    assert len(messages) == 2 and "rescore dfl" in messages[1]


def test_a_damaged_word_in_a_thresholds_file_is_named(detector: Path, images: Path, tmp_path: Path) -> None:
    weights = Path(shutil.copy(detector, tmp_path / "best.pt"))
    file = write_thresholds(weights, ClassThresholds("best_f1", dict.fromkeys(NAMES, 0.3)), "data.yaml")
    file.write_text(file.read_text().replace('"stock"', '"stok"'))
    with pytest.raises(RegYoloError, match="stok"):
        reg_yolo.predict(weights, images, device="cpu", save=False)

"""`predict` with an engine: the same boxes as upstream on the same export and frames, and what it says about itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from ultralytics import YOLO

import reg_yolo
from reg_yolo.detections.files import read_detections
from reg_yolo.video.sources import Source, resolve_source
from reg_yolo.video.tiles import View
from reg_yolo.yolo.engines import payback as engine_cost
from reg_yolo.yolo.prediction import engine as predict_engine
from reg_yolo.yolo.weights.opening import open_detector
from tests.yolo.prediction.videos import write_video


@pytest.fixture
def weights(detector: Path, tmp_path: Path) -> Path:
    """Weights that find rectangles, in a folder of their own."""
    (tmp_path / "run").mkdir()
    return Path(shutil.copy(detector, tmp_path / "run/best.pt"))


@pytest.fixture
def video(even_rectangles: Path, tmp_path: Path) -> Path:
    """A video of 12 frames of 128 x 96 pixels."""
    pictures = sorted((even_rectangles.parent / "images/val").glob("*.png"))
    return write_video(tmp_path / "road.mp4", [cv2.imread(str(path)) for path in pictures])


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_same_boxes_as_upstream_on_the_same_engine_and_frames(
    engine: str, weights: Path, video: Path, tmp_path: Path
) -> None:
    options = {"conf": 0.6, "device": "cpu", "save": False}
    summary = reg_yolo.predict(weights, video, out=tmp_path / "ours", engine=engine, **options)
    reader = read_detections(summary.detections_file)
    frames = list(reader)
    assert reader.header.engine == engine == summary.engine.engine
    assert reader.header.precision == summary.engine.precision and reader.header.imgsz == (96, 128)
    assert "as asked for" in summary.engine.reason and "agrees with PyTorch" in summary.engine.reason
    theirs = list(YOLO(summary.engine.model, task="detect").predict(video, stream=True, verbose=False, **options))
    assert len(frames) == len(theirs) == 12 and sum(len(frame.detections) for frame in frames) > 12
    for frame, result in zip(frames, theirs, strict=True):
        ours = np.array([[*found.box_xyxy, found.confidence, found.class_id] for found in frame.detections])
        assert np.allclose(ours.reshape(-1, 6), result.boxes.data.numpy(), atol=0.006)


def test_long_job_takes_another_engine_by_itself(
    weights: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = reg_yolo.predict(weights, video, out=tmp_path / "short", device="cpu", save=False)
    assert short.engine.engine == "pytorch" and "12 frames are too few" in short.engine.reason
    assert not (weights.parent / ".reg_yolo_engines").exists()
    monkeypatch.setattr(Source, "frame_count", 1_000_000)
    monkeypatch.setattr(engine_cost, "order_is_known", lambda: False)
    long = reg_yolo.predict(weights, video, out=tmp_path / "long", device="cpu", save=False, precision="f32")
    assert long.engine.engine in {"openvino", "onnxruntime"} and "the fastest installed" in long.engine.reason
    # Both were exported and timed, since the order was not known.
    assert len(list((weights.parent / ".reg_yolo_engines").glob("*/entry.json"))) == 2
    assert long.counts == short.counts


def test_pictures_of_several_sizes_get_an_export_that_takes_them(
    weights: Path, even_rectangles: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture = cv2.imread(str(even_rectangles.parent / "images/val/000.png"))
    for name, size in {"wide": (128, 64), "high": (64, 128), "plain": (128, 96)}.items():
        cv2.imwrite(str(folder / f"{name}.png"), cv2.resize(picture, size))
    options = {"device": "cpu", "save": False, "engine": "onnxruntime"}
    summary = reg_yolo.predict(weights, folder, out=tmp_path / "out", **options)
    assert "-dynamic-" in summary.engine.model.parent.name
    expected = reg_yolo.predict(weights, folder, out=tmp_path / "want", **{**options, "engine": "pytorch"})
    assert summary.counts == expected.counts and summary.frames == 3


def test_length_of_the_job_counts_what_is_left_out(weights: Path, video: Path) -> None:
    media = resolve_source(video)
    assert predict_engine.frames_to_run(media, lambda fps: 1 / fps) == 12
    assert predict_engine.frames_to_run(media, lambda fps: 4 / fps) == 3
    assert open_detector(weights).stride == 32
    pictures = predict_engine.sample_pictures(media, View())
    assert len(pictures) == 3 and {picture.shape for picture in pictures} == {(96, 128, 3)}


def test_command_keeps_usage_reports_off_and_says_what_ran(weights: Path, video: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "NNCF_CI"}}
    done = subprocess.run(
        [sys.executable, "-m", "reg_yolo.cli.app", "predict", str(weights), str(video), "save=false", "--out", "out",
         "--engine", "openvino", "--precision", "f32"],
        env={**environment, "HOME": str(home), "OMP_NUM_THREADS": "1"}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Engine: OpenVINO (f32), as asked for" in done.stdout
    assert "openvino" not in {path.name for path in home.iterdir()} and not (home / "intel").exists()

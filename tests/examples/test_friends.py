"""The scripts in examples/ run, on detections written here."""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from reg_yolo.detections import Detection, DetectionsHeader, DetectionsWriter, FrameDetections, encode_mask

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SIZE = (64, 48)


def example(name: str) -> ModuleType:
    """Import a script of examples/."""
    spec = spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def detections_of(path: Path, *frames: FrameDetections) -> Path:
    header = DetectionsHeader(
        source="here", weights_name="best.pt", weights_sha256="0" * 64, engine="pytorch", precision="f32",
        imgsz=(64, 64), device="cpu", classes=("pole", "ป้าย"), reg_yolo_version="1",
        thresholds={"pole": 0.3, "ป้าย": 0.3},
    )  # fmt: skip
    with DetectionsWriter(path, header) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def test_supervision_counts_tracks_in_the_zone_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("supervision")
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    right, left = (40.0, 5.0, 60.0, 30.0), (2.0, 5.0, 20.0, 30.0)

    def frame(number: int, *found: Detection) -> FrameDetections:
        return FrameDetections(str(tmp_path / f"{number}.png"), 0, None, *SIZE, found)

    path = detections_of(
        tmp_path / "a.jsonl",
        frame(0),
        frame(1, Detection("pole", 0, 0.9, right, track=1), Detection("pole", 0, 0.9, left, track=2)),
        frame(2, Detection("pole", 0, 0.9, right, track=1), Detection("ป้าย", 1, 0.8, right, track=3)),
    )
    example("with_supervision").main(str(path), str(tmp_path / "seen.png"))
    assert capsys.readouterr().out == "pole: 1\nป้าย: 1\n"
    assert cv2.imread(str(tmp_path / "seen.png")).any()


def test_sahi_loads_our_weights(
    detector: Path, even_rectangles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sahi")
    image = cv2.imread(str(even_rectangles.parent / "images/val/000.png"))
    cv2.imwrite(str(tmp_path / "large.png"), np.hstack([image, image]))
    example("with_sahi").main(str(detector), str(tmp_path / "large.png"), str(tmp_path / "a.json"), "128")
    found = json.loads((tmp_path / "a.json").read_text())
    assert found and {"image_id", "category_id", "bbox", "score"} == set(found[0])
    assert sum(int(line.split(": ")[1]) for line in capsys.readouterr().out.splitlines()) == len(found)


class Recording(ModuleType):
    """Stands for fiftyone, whose data sets need a MongoDB server: keeps what it is given."""

    def __init__(self) -> None:
        super().__init__("fiftyone")
        self.samples: list[Any] = []
        self.Detection = self.Detections = self.Sample = SimpleNamespace
        self.Dataset = lambda *_, **__: SimpleNamespace(add_samples=self.samples.extend, count=lambda _: 2)


def test_fiftyone_gets_fractions_masks_and_tracks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = Recording()
    monkeypatch.setitem(sys.modules, "fiftyone", module)
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[12:24, 16:32] = True
    path = detections_of(
        tmp_path / "a.jsonl",
        FrameDetections(
            "a.png", 0, None, *SIZE,
            (
                Detection("ป้าย", 1, 0.8, (16.0, 12.0, 32.0, 24.0), encode_mask(mask), 7),
                Detection("pole", 0, 0.5, (0.0, 0.0, 8.0, 48.0)),
            ),
        ),
        FrameDetections("a.mp4", 3, 0.12, *SIZE),
    )  # fmt: skip
    example("with_fiftyone").main(str(path), "roads")
    [sample] = module.samples
    sign, pole = sample.predictions.detections
    assert Path(sample.filepath).is_absolute() and sample.filepath.endswith("/a.png")
    assert (sign.label, sign.confidence, sign.index, sign.bounding_box) == ("ป้าย", 0.8, 7, [0.25, 0.25, 0.25, 0.25])
    assert sign.mask.shape == (12, 16) and sign.mask.all()
    assert pole.mask is None and pole.index is None and pole.bounding_box == [0.0, 0.0, 0.125, 1.0]
    said = capsys.readouterr()
    assert said.out == "1 images, 2 objects in roads\n" and said.err == "Skipped: 1 frames of video\n"

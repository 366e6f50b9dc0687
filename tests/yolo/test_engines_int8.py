"""INT8: calibrated on the user's pictures, its change in mAP measured, both kept with the export."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import reg_yolo
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.video.detections_io import read_detections
from reg_yolo.yolo import engine_build
from reg_yolo.yolo.detector import open_detector
from reg_yolo.yolo.engine_backend import open_backend, running_precision
from reg_yolo.yolo.exported import read_export
from reg_yolo.yolo.int8 import MapChange, calibration_data, calibration_source, calibration_split, fingerprint


@pytest.fixture
def weights(detector: Path, tmp_path: Path) -> Path:
    """Weights that find rectangles, in a folder of their own."""
    (tmp_path / "run").mkdir()
    return Path(shutil.copy(detector, tmp_path / "run/best.pt"))


def test_openvino_int8_is_calibrated_measured_and_kept(
    weights: Path, own_rectangles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = own_rectangles.parent / "images/val/000.png"
    options = {"engine": "openvino", "int8": True, "data": own_rectangles, "device": "cpu", "save": False}
    measured: list[tuple[Path, Path]] = []
    real = engine_build.measure_change

    def count(before: Path, after: Path, *arguments: object, **keywords: object) -> MapChange:
        measured.append((before, after))
        return real(before, after, *arguments, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(engine_build, "measure_change", count)
    first = reg_yolo.predict(weights, picture, out=tmp_path / "first", **options)
    assert (first.engine.engine, first.engine.precision) == ("openvino", "int8"), first.engine.reason
    assert read_export(first.engine.model).precision == "int8"
    assert "mAP50-95" in first.engine.facts["map_change"] and "3 images" in first.engine.facts["map_change"]
    opened = open_backend(first.engine.model, torch.device("cpu"))
    kinds = [op.get_type_name() for op in opened.ov_compiled_model.get_runtime_model().get_ordered_ops()]
    assert kinds and running_precision(opened) == "int8"
    header = read_detections(first.detections_file).header
    assert (header.engine, header.precision) == ("openvino", "int8")
    assert set(header.extra["int8"]) == {"map_before", "map_after"}
    # Before and after are two exports of the same engine, and measured once.
    assert len(measured) == 1 and read_export(measured[0][0]).precision == "f32"
    again = reg_yolo.predict(weights, picture, out=tmp_path / "again", **options)
    assert again.engine.model == first.engine.model and again.engine.facts == first.engine.facts and len(measured) == 1


def test_calibration_takes_train_and_leaves_val_for_the_measurement(own_rectangles: Path, detector: Path) -> None:
    description = calibration_source(open_detector(detector), own_rectangles)
    assert calibration_split(description) == "train"
    with calibration_data(description) as calibration:
        assert calibration.yaml_path.is_file() and (calibration.split, calibration.fraction) == ("train", 1.0)
        place = calibration.yaml_path
    assert not place.exists()
    description.splits.pop("train")
    assert calibration_split(description) == "val"


def test_fingerprint_changes_with_the_pictures(own_rectangles: Path, detector: Path) -> None:
    description = calibration_source(open_detector(detector), own_rectangles)
    before = fingerprint(description)
    assert before == fingerprint(description) and len(before) == 16
    picture = own_rectangles.parent / "images/train/000.png"
    shutil.copy(picture, picture.with_name("100.png"))
    assert fingerprint(description) != before


def test_wrong_data_is_refused_before_anything_is_exported(
    weights: Path, own_rectangles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_build, "export_model", None)
    other = own_rectangles.with_name("other.yaml")
    other.write_text(own_rectangles.read_text().replace("0: red", "0: pink"))
    picture = own_rectangles.parent / "images/val/000.png"
    with pytest.raises(DataError, match="class 0 is 'pink'"):
        reg_yolo.predict(weights, picture, out=tmp_path / "out", int8=True, data=other, device="cpu")
    with pytest.raises(ConfigError, match="name a data set with --data"):
        reg_yolo.predict(weights, picture, out=tmp_path / "out", int8=True, device="cpu")
    with pytest.raises(ConfigError, match="got f32 beside --int8"):
        reg_yolo.predict(weights, picture, out=tmp_path / "out", int8=True, precision="f32", device="cpu")
    assert not (tmp_path / "out").exists()


def test_change_is_said_in_points() -> None:
    assert MapChange(0.512, 0.508, 40).sentence() == ("mAP50-95 0.512 before, 0.508 with INT8 (-0.4 points, 40 images)")

"""INT8: calibrated on the user's images, its change in mAP measured, both kept with the export."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest
import torch
import yaml

import reg_yolo
from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError, DataError
from reg_yolo.yolo.commands.export import export
from reg_yolo.yolo.commands.val import val
from reg_yolo.yolo.engines import build as engine_build
from reg_yolo.yolo.engines.backend import open_backend, running_precision
from reg_yolo.yolo.engines.int8 import MapChange, calibration_data, calibration_source, fingerprint
from reg_yolo.yolo.weights.export_sidecar import read_export
from reg_yolo.yolo.weights.opening import open_detector
from tests.conftest import NAMES, mixed_row, polygon_row, write_rectangles
from tests.detector import write_detector


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
    source = calibration_source(open_detector(detector), own_rectangles)
    assert source.calibration_split == "train"
    with calibration_data(source) as calibration:
        assert calibration.yaml_path.is_file() and (calibration.split, calibration.fraction) == ("train", 1.0)
        place = calibration.yaml_path
    assert not place.exists()
    source.descriptions[0].splits.pop("train")
    assert source.calibration_split == "val"


def test_fingerprint_changes_with_the_pictures(own_rectangles: Path, detector: Path) -> None:
    source = calibration_source(open_detector(detector), own_rectangles)
    before = fingerprint(source)
    assert before == fingerprint(source) and len(before) == 16
    picture = own_rectangles.parent / "images/train/000.png"
    shutil.copy(picture, picture.with_name("100.png"))
    assert fingerprint(source) != before


def test_wrong_data_is_refused_before_anything_is_exported(
    weights: Path, own_rectangles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_build, "export_model", None)
    other = own_rectangles.with_name("other.yaml")
    other.write_text(own_rectangles.read_text().replace("0: red", "0: pink"))
    picture = own_rectangles.parent / "images/val/000.png"
    with pytest.raises(DataError, match="class 0 is 'pink'"):
        reg_yolo.predict(weights, picture, out=tmp_path / "out", int8=True, data=other, device="cpu")
    with pytest.raises(ConfigError, match=r"name a data set with `data=DATA\.yaml`"):
        reg_yolo.predict(weights, picture, out=tmp_path / "out", int8=True, device="cpu")
    with pytest.raises(ConfigError, match="got f32 next to `int8`"):
        reg_yolo.predict(weights, picture, out=tmp_path / "out", int8=True, precision="f32", device="cpu")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def joint_weights(even_rectangles: Path, tmp_path: Path) -> Path:
    """Joint weights with full masks of red and blue."""
    pictures = sorted((even_rectangles.parent / "images/train").glob("*.png"))
    metadata = {"format": 1, "task": "joint", "mask_classes": ["red", "blue"], "lambda_seg": 1.0}
    return write_detector(tmp_path / "joint/best.pt", NAMES, pictures, mask_logit=3.0, metadata=metadata)


@pytest.mark.slow
def test_joint_weights_are_calibrated_on_pictures_whose_labels_mix_boxes_and_polygons(
    joint_weights: Path, tmp_path: Path
) -> None:
    data = write_rectangles(tmp_path / "mixed", {"train": 8, "val": 4}, (0.4, 0.35, 0.25), mixed_row)
    result = export(joint_weights, int8=True, data=data, format="openvino", device="cpu")
    assert result.map_change is not None and result.map_change.images == 4
    torch_ap = val(joint_weights, data, out=tmp_path / "val", rect=False, workers=0, plots=False, device="cpu")
    assert result.map_change.before == pytest.approx(torch_ap.metrics["metrics/mAP50-95(B)"], rel=0.05)
    assert result.map_change.before > 0 and result.map_change.after > 0
    exported = open_detector(result.path)
    assert (exported.task, exported.mask_classes, exported.exported_precision) == ("joint", ["red", "blue"], "int8")
    assert not list(data.parent.rglob("*.cache"))


def test_a_pair_is_calibrated_on_the_pictures_of_both(
    joint_weights: Path, weights: Path, own_rectangles: Path, tmp_path: Path
) -> None:
    masks = write_rectangles(tmp_path / "masks", {"train": 5, "val": 2}, (0.4, 0.2, 0.4), polygon_row)
    source = calibration_source(open_detector(joint_weights), {"detect": str(own_rectangles), "segment": str(masks)})
    assert len(source.images("train")) == 11 and len(source.images("val")) == 5
    with calibration_data(source) as calibration:
        names = yaml.safe_load(calibration.yaml_path.read_text())
        assert names["names"] == dict(enumerate(NAMES)) and calibration.split == "train"
        assert len(list(Path(names["train"]).glob("*.png"))) == 11
        assert all(cv2.imread(str(picture)) is not None for picture in Path(names["train"]).iterdir())
    with pytest.raises(ConfigError, match="two data sets are for joint weights"):
        calibration_source(open_detector(weights), {"detect": "a.yaml", "segment": "b.yaml"})


def test_change_is_said_in_points() -> None:
    assert MapChange(0.512, 0.508, 40).sentence() == ("mAP50-95 0.512 before, 0.508 with INT8 (-0.4 points, 40 images)")

"""Exported models: the sidecar's round trip, `predict` and `val` on them, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import reg_yolo
from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError, RegYoloError, WeightsError
from reg_yolo.evaluation.thresholds import ClassThresholds
from reg_yolo.yolo.commands import export as export_run
from reg_yolo.yolo.commands.export import ExportResult, export
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, set_metadata, write_checkpoint, write_thresholds
from reg_yolo.yolo.weights.export_sidecar import read_sidecar, sidecar_of
from reg_yolo.yolo.weights.opening import open_detector
from tests.detector import IMGSZ

STORED = {"format": 1, "task": "detect", "reg": {"preset": "reg_v1"}, "scale": 1.25, "mask_classes": ["red"]}
THRESHOLDS = ClassThresholds("best_f1", {"red": 0.5, "green": 0.4, "blue": 0.3})


@pytest.fixture(scope="module")
def weights(detector: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that find the rectangles, with what a REG run stores and thresholds beside them."""
    path = tmp_path_factory.mktemp("weights") / "best.pt"
    checkpoint = load_checkpoint_file(detector)
    set_metadata(checkpoint, STORED)
    write_checkpoint(checkpoint, [path])
    write_thresholds(path, THRESHOLDS, "data.yaml")
    return path


@pytest.fixture(scope="module")
def exports(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExportResult]:
    """The same weights for ONNX Runtime and OpenVINO at 96 x 128 pixels."""
    folder = tmp_path_factory.mktemp("exports")
    return {name: export(weights, format=name, imgsz=[96, 128], out=folder) for name in ("onnx", "openvino")}


@pytest.mark.parametrize(("name", "made"), [("onnx", "best.onnx"), ("openvino", "best_openvino_model")])
def test_export_knows_what_its_weights_knew(
    name: str, made: str, exports: dict[str, ExportResult], weights: Path
) -> None:
    result, original = exports[name], open_detector(weights)
    assert result.path.name == made and result.sidecar == sidecar_of(result.path) and result.sidecar.is_file()
    opened = open_detector(result.path)
    assert opened.class_names == original.class_names == ["red", "green", "blue"]
    measured_with = {"suppression": "stock", "rescore": "none"}
    assert opened.metadata == {**STORED, "thresholds": THRESHOLDS.to_dict(), **measured_with}
    assert opened.trained_with["imgsz"] == [96, 128] and opened.imgsz == IMGSZ and opened.stride == 32
    assert (opened.task, opened.exported_precision, original.exported_precision) == ("detect", "f32", None)


def test_nothing_is_left_beside_weights_and_exports(
    exports: dict[str, ExportResult], weights: Path, working_directory: Path
) -> None:
    assert {path.name for path in weights.parent.iterdir()} == {"best.pt", "best.thresholds.json"}
    folder = exports["onnx"].path.parent
    assert {path.name for path in folder.iterdir()} == {"best.onnx", "best.onnx.reg_yolo.json", "best_openvino_model"}
    assert not list(working_directory.iterdir())


def test_export_goes_beside_the_weights_and_replaces_an_earlier_one(weights: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(weights, tmp_path / "best.pt"))
    (tmp_path / "best_openvino_model").mkdir()
    (tmp_path / "best_openvino_model/old.xml").write_text("old")
    result = export(copy, format="openvino", imgsz=64)
    assert result.path == tmp_path / "best_openvino_model"
    names = {path.name for path in result.path.iterdir()}
    assert names == {"best.xml", "best.bin", "metadata.yaml", "reg_yolo.json"}


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_val_measures_an_export_as_its_weights(
    name: str, exports: dict[str, ExportResult], weights: Path, even_rectangles: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"device": "cpu", "workers": 0, "plots": False, "batch": 1}
    copy = Path(shutil.copytree(exports[name].path.parent, tmp_path / "exports")) / exports[name].path.name
    ours = reg_yolo.val(copy, even_rectangles, out=tmp_path / "export", **options)
    original = Path(shutil.copy(weights, tmp_path / "best.pt"))
    theirs = reg_yolo.val(original, even_rectangles, out=tmp_path / "weights", **options)
    key = "metrics/mAP50(B)"
    assert theirs.metrics[key] > 0.05 and ours.metrics[key] == pytest.approx(theirs.metrics[key], abs=0.03)
    # Beside the export and under its full name, so that the thresholds of best.pt stay.
    assert ours.thresholds_file == copy.with_name(f"{copy.name}.thresholds.json")
    assert theirs.thresholds_file == original.with_name("best.thresholds.json")


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_predict_takes_an_export_with_its_thresholds(
    name: str, exports: dict[str, ExportResult], weights: Path, even_rectangles: Path, tmp_path: Path
) -> None:
    source = even_rectangles.parent / "images/val/000.png"
    found = {}
    for kind, model in (("export", exports[name].path), ("weights", weights)):
        options = {"precision": "f32"} if kind == "export" else {}
        summary = reg_yolo.predict(model, source, out=tmp_path / kind, device="cpu", save=False, **options)
        reader = read_detections(summary.detections_file)
        found[kind] = (summary, reader.header, next(iter(reader)))
    summary, header, frame = found["export"]
    assert summary.thresholds == THRESHOLDS.values == found["weights"][0].thresholds
    assert header.engine == {"onnx": "onnxruntime"}.get(name, name) and header.imgsz == (96, 128)
    assert header.weights_name == exports[name].path.name and header.precision == "f32"
    assert len(frame.detections) == len(found["weights"][2].detections) > 0


def test_sidecar_of_another_export_is_passed_over(exports: dict[str, ExportResult], tmp_path: Path) -> None:
    model = Path(shutil.copy(exports["onnx"].path, tmp_path / "best.onnx"))
    sidecar = Path(shutil.copy(exports["onnx"].sidecar, sidecar_of(model)))
    assert read_sidecar(model) is not None
    content = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**content, "sha256": "0" * 64}))
    assert read_sidecar(model) is None and open_detector(model).metadata == {}
    sidecar.unlink()
    assert open_detector(model).class_names == ["red", "green", "blue"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "other", "sha256": null, "metadata": {}}'])
def test_damaged_sidecar_is_named(text: str, exports: dict[str, ExportResult], tmp_path: Path) -> None:
    model = Path(shutil.copy(exports["onnx"].path, tmp_path / "best.onnx"))
    sidecar_of(model).write_text(text)
    with pytest.raises(WeightsError, match=r"best\.onnx\.reg_yolo\.json: not a sidecar of an export"):
        open_detector(model)


def test_damaged_exports_are_named(exports: dict[str, ExportResult], tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "cut.onnx").write_bytes(exports["onnx"].path.read_bytes()[:5000])
    (tmp_path / "none_openvino_model").mkdir()
    for name in ("empty.onnx", "cut.onnx", "none_openvino_model"):
        with pytest.raises(WeightsError, match=f"{name}: holds no description by Ultralytics"):
            open_detector(tmp_path / name)
    for name in ("absent.onnx", "absent_openvino_model", "absent.engine"):
        with pytest.raises(WeightsError, match=f"{name}: no such f"):
            open_detector(tmp_path / name)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"format": "onx"}, "Did you mean onnx"),
        ({"format": "coreml"}, "`yolo export model=... format=coreml` makes it"),
        ({"format": "engine"}, "TensorRT"),
        ({"nms": True}, "every class has its own threshold"),
        ({"epochs": 3}, "epochs: has no effect on an export"),
        ({"opsett": 12}, "Did you mean opset"),
        ({"imgsz": 7}, "imgsz"),
        ({"quantize": 4}, "quantize"),
        ({"quantize": 16, "int8": True}, "next to `int8`"),
        ({"int8": True}, "name a data set with `data=DATA.yaml`"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_made(
    arguments: dict[str, Any], said: str, weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(RegYoloError, match=said) as caught:
        export(weights, out=tmp_path / "out", **arguments)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_an_export_is_not_exported_again(exports: dict[str, ExportResult]) -> None:
    with pytest.raises(ConfigError, match=r"is an export already; export the \.pt weights"):
        export(exports["onnx"].path, format="openvino")


def test_failing_exporter_is_one_line_and_leaves_nothing(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reg_yolo.yolo.engines import export as engine_export

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("unsupported operator\nwith a long explanation")

    monkeypatch.setattr(engine_export, "Exporter", lambda **_: fail)
    with pytest.raises(WeightsError, match=r"cannot export it for ONNX Runtime \(AssertionError: unsupported op"):
        export_run.export(weights, out=tmp_path)
    assert not list(tmp_path.iterdir())

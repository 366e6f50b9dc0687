"""Exports that give out the box distributions: sigma and scores as PyTorch's, and plain Ultralytics on them."""

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
from reg_yolo.cli.app import main
from reg_yolo.detections.detections import Detection
from reg_yolo.detections.files import read_detections
from reg_yolo.errors import ConfigError
from reg_yolo.yolo.commands.export import ExportResult, export
from reg_yolo.yolo.engines import distributions
from reg_yolo.yolo.engines.backend import open_backend
from reg_yolo.yolo.weights.checkpoints import load_checkpoint_file, write_checkpoint
from reg_yolo.yolo.weights.opening import open_detector
from tests.conftest import NAMES
from tests.detector import write_detector

pytestmark = pytest.mark.usefixtures("one_thread")

FORMATS = ("onnx", "openvino")
FAST: dict[str, Any] = {"device": "cpu", "save": False, "conf": 0.2, "iou": 0.3}


@pytest.fixture(scope="module")
def weights(detector: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights whose distributions differ from place to place, in a folder of their own."""
    path = tmp_path_factory.mktemp("weights") / "best.pt"
    checkpoint = load_checkpoint_file(detector)
    for branch in checkpoint["model"].model[-1].cv2:
        branch[-1].weight.data *= 5.0
    write_checkpoint(checkpoint, [path])
    return path


@pytest.fixture(scope="module")
def exports(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExportResult]:
    """The weights with distributions: for ONNX Runtime and images of any size, and for OpenVINO and 96 x 128 pixels."""
    folder = tmp_path_factory.mktemp("exports")
    sizes: dict[str, Any] = {"onnx": {"dynamic": True}, "openvino": {"imgsz": [96, 128]}}
    return {name: export(weights, format=name, out=folder, distributions=True, **sizes[name]) for name in FORMATS}


@pytest.fixture(scope="module")
def image(even_rectangles: Path) -> Path:
    return even_rectangles.parent / "images/val/000.png"


def found(weights: Path, source: Path, **options: Any) -> list[Detection]:
    precision = {} if weights.suffix == ".pt" else {"precision": "f32"}
    reader = read_detections(reg_yolo.predict(weights, source, **{**FAST, **precision, **options}).detections_file)
    return [detection for frame in reader for detection in frame.detections]


def assert_same(ours: list[Detection], theirs: list[Detection], apart: float = 1.0) -> None:
    assert len(ours) == len(theirs) > 2
    assert np.allclose([x.box_xyxy for x in ours], [x.box_xyxy for x in theirs], atol=0.05)
    assert np.allclose([x.confidence for x in ours], [x.confidence for x in theirs], atol=1e-3)
    assert np.allclose([x.sigma_xyxy for x in ours], [x.sigma_xyxy for x in theirs], atol=0.02)
    assert np.ptp([x.sigma_xyxy for x in ours]) > apart


@pytest.mark.parametrize(("name", "rescore"), [("onnx", "dfl"), ("openvino", "spread")])
def test_sigma_and_rescored_confidences_are_pytorchs(
    name: str, rescore: str, exports: dict[str, ExportResult], weights: Path, image: Path
) -> None:
    options = {"sigma": True, "rescore": rescore, "suppression": "balanced"}
    ours = found(exports[name].path, image, **options)
    assert_same(ours, found(weights, image, **options))
    assert [x.confidence for x in ours] != [x.confidence for x in found(exports[name].path, image)][: len(ours)]


def test_both_records_say_so(exports: dict[str, ExportResult], weights: Path, tmp_path: Path) -> None:
    for result in exports.values():
        assert json.loads(result.sidecar.read_text())["distributions"] is True
        assert open_detector(result.path).gives_distributions
    # Ultralytics' own description says it too, so that the file may go without its sidecar.
    alone = Path(shutil.copy(exports["onnx"].path, tmp_path / "best.onnx"))
    assert open_detector(alone).gives_distributions and open_detector(weights).gives_distributions
    import onnx

    model = onnx.load(alone)
    names = [output.name for output in model.graph.output]
    assert names == ["output0", "distributions"]
    sides = [output.type.tensor_type.shape.dim for output in model.graph.output]
    assert [side[1].dim_value for side in sides] == [4 + len(NAMES), 64]
    assert [[side[axis].dim_param for axis in (0, 2)] for side in sides] == [["batch", "anchors"]] * 2
    assert {item.key: item.value for item in model.metadata_props}["head"] == "Detect"


@pytest.mark.parametrize("name", FORMATS)
def test_plain_ultralytics_finds_the_same(
    name: str, exports: dict[str, ExportResult], weights: Path, image: Path
) -> None:
    options = {"imgsz": [96, 128], "conf": 0.2, "verbose": False, "device": "cpu"}
    ours, theirs = (YOLO(path, task="detect")(image, **options)[0].boxes.data for path in (exports[name].path, weights))
    # OpenVINO computes in bfloat16 where a processor has it.
    atol = {"onnx": 1e-2, "openvino": 2.0}[name]
    assert len(ours) == len(theirs) > 2
    # Boxes that are equally sure may come in another order.
    near = (ours[:, None] - theirs).abs().amax(-1) <= atol
    assert near.any(0).all() and near.any(1).all()


def test_val_measures_the_same(
    exports: dict[str, ExportResult], weights: Path, even_rectangles: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"device": "cpu", "workers": 0, "plots": False, "batch": 1, "calibration": True}
    exported, original = (
        reg_yolo.val(
            shutil.copy(model, tmp_path / model.name), even_rectangles, rescore="dfl", out=tmp_path / name, **options
        )
        for name, model in (("export", exports["onnx"].path), ("weights", weights))
    )
    assert exported.metrics == pytest.approx(original.metrics, abs=1e-3) and exported.metrics["metrics/mAP50(B)"] > 0.05
    assert exported.calibration is not None and original.calibration is not None
    assert exported.calibration.sides == original.calibration.sides > 0
    assert np.allclose(exported.calibration.covered, original.calibration.covered)


def test_masks_keep_their_places(even_rectangles: Path, image: Path, tmp_path: Path) -> None:
    training = sorted((even_rectangles.parent / "images/train").glob("*.png"))
    weights = write_detector(tmp_path / "best.pt", NAMES, training, mask_logit=3.0)
    path = export(weights, format="onnx", imgsz=[96, 128], distributions=True).path
    ours, theirs = (found(model, image, sigma=True, rescore="spread") for model in (path, weights))
    assert_same(ours, theirs, apart=0.05)
    assert ours[0].mask is not None
    outputs = open_backend(path, torch.device("cpu"))(torch.rand(1, 3, 96, 128))
    assert [tuple(x.shape) for x in outputs] == [(1, 39, 252), (1, 32, 24, 32), (1, 64, 252)]


def test_half_precision_keeps_sigma(weights: Path, image: Path, tmp_path: Path) -> None:
    path = export(weights, format="onnx", imgsz=[96, 128], quantize=16, distributions=True, out=tmp_path).path
    ours, wanted = found(path, image, sigma=True, precision=None), found(weights, image, sigma=True)
    assert len(ours) == len(wanted) > 2
    assert np.allclose([x.sigma_xyxy for x in ours], [x.sigma_xyxy for x in wanted], atol=0.1)
    outputs = open_backend(path, torch.device("cpu"))(torch.rand(1, 3, 96, 128))
    assert {x.dtype for x in outputs} == {torch.float32}


def test_what_has_none_is_refused_in_one_line(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="distributions: INT8 would round them"):
        export(weights, format="onnx", int8=True, distributions=True)
    with pytest.raises(ConfigError, match="distributions: kept by format=onnx and format=openvino, not by TensorRT"):
        export(weights, format="engine", distributions=True)
    checkpoint = load_checkpoint_file(weights)
    checkpoint["model"].model[-1].reg_max = 1
    without = tmp_path / "without.pt"
    write_checkpoint(checkpoint, [without])
    with pytest.raises(ConfigError, match="distributions: this network has no box distributions"):
        export(without, format="onnx", distributions=True)
    assert [path.name for path in tmp_path.iterdir()] == ["without.pt"]
    with pytest.raises(SystemExit) as left:
        main(["export", str(weights), "--int8", "--distributions"])
    assert left.value.code == 2 and "error: distributions: INT8" in capsys.readouterr().err


def test_the_head_is_changed_on_the_instance_alone(weights: Path) -> None:
    first, second = (load_checkpoint_file(weights)["model"] for _ in range(2))
    kind = type(first.model[-1])

    class Pretended:
        def add_callback(self, event: str, call: Any) -> None:
            assert event == "on_export_start" and callable(call)

    distributions.give_out_distributions(Pretended(), first)  # type: ignore[arg-type]
    assert type(second.model[-1]) is kind and type(first.model[-1]) is not kind
    assert type(first.model[-1]).__name__ == kind.__name__ and "reg_yolo" not in kind.__module__
    frame = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        output, raw = second.float().eval()(frame)
        model = first.float().eval()
        assert isinstance(model(frame)[1], dict)
        model.model[-1].export = True
        ours = model(frame)
    assert len(ours) == 2 and torch.equal(ours[0], output) and torch.equal(ours[1], raw["boxes"])
    assert model.model[-1].export is True

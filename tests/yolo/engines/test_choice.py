"""The choice of an engine: the table of decisions with stand-ins, and real engines on weights that find something."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from ultralytics import YOLO
from ultralytics.utils import LOGGER

from reg_yolo.errors import ConfigError, WeightsError
from reg_yolo.yolo.engines import backend
from reg_yolo.yolo.engines import build as engine_build
from reg_yolo.yolo.engines import choice as engines
from reg_yolo.yolo.engines import payback as engine_cost
from reg_yolo.yolo.engines.backend import open_backend, running_precision
from reg_yolo.yolo.engines.cache import CacheEntry
from reg_yolo.yolo.engines.choice import EngineChoice, choose_engine
from reg_yolo.yolo.upstream import engine_kinds
from reg_yolo.yolo.upstream.engine_kinds import ONNXRUNTIME, OPENVINO, TENSORRT, EngineKind
from reg_yolo.yolo.weights.detector import Detector
from reg_yolo.yolo.weights.opening import open_detector

CPU = torch.device("cpu")
SIZE = (96, 128)


@pytest.fixture
def frames(even_rectangles: Path) -> list[np.ndarray]:
    """Three images of 128 x 96 pixels with rectangles."""
    return [cv2.imread(str(path)) for path in sorted((even_rectangles.parent / "images/val").glob("*.png"))[:3]]


@pytest.fixture
def weights(detector: Path, tmp_path: Path) -> Path:
    """Weights that find the rectangles, in a folder of their own."""
    (tmp_path / "run").mkdir()
    return Path(shutil.copy(detector, tmp_path / "run/best.pt"))


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """What Ultralytics' logger is told."""
    import logging

    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    LOGGER.addHandler(handler)
    yield said
    LOGGER.removeHandler(handler)


class StandIns:
    """Engines that were exported, checked and timed without doing any of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.facts = {
            "openvino": {"agrees": True, "engine_ms": 10.0},
            "onnxruntime": {"agrees": True, "engine_ms": 15.0},
            "tensorrt": {"agrees": True, "engine_ms": 1.0},
        }
        self.failing: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.cached: dict[str, Any] | None = None
        self.missing: set[str] = set()
        monkeypatch.setattr(engines, "checked_export", self.export)
        monkeypatch.setattr(engine_cost, "find_entry", self.find)
        monkeypatch.setattr(engine_cost, "recorded_facts", lambda *_: [])
        monkeypatch.setattr(engine_cost, "pytorch_ms", lambda _: 25.0)
        monkeypatch.setattr(engine_cost, "order_is_known", lambda: True)
        monkeypatch.setattr(engine_kinds, "openvino_cpu_precisions", lambda: ("bf16", "f32", "int8"))
        monkeypatch.setattr(engine_kinds, "onnxruntime_has_cuda", lambda: False)
        found = engine_kinds.importlib.util.find_spec
        monkeypatch.setattr(
            engine_kinds.importlib.util, "find_spec",
            lambda name: None if name.partition(".")[0] in self.missing else name == "tensorrt" or found(name),
        )  # fmt: skip

    def export(self, _request: object, kind: EngineKind, precision: str) -> CacheEntry:
        """Stand for `checked_export`."""
        self.asked.append((kind.name, precision))
        if kind.name in self.failing:
            raise WeightsError("Ultralytics cannot export it")
        facts = {"agreement": "as told", "pytorch_ms": 25.0, "precision": precision, **self.facts[kind.name]}
        return CacheEntry(Path(f"model{kind.suffix}"), facts)

    def find(self, *_: object) -> CacheEntry | None:
        """Stand for `find_entry`."""
        return None if self.cached is None else CacheEntry(Path("model"), self.cached)


@pytest.fixture
def engines_here(monkeypatch: pytest.MonkeyPatch) -> StandIns:
    """All engines are installed; what they do is told by the test."""
    return StandIns(monkeypatch)


@pytest.fixture
def some_detector(tmp_path: Path) -> Detector:
    """Weights that are only hashed."""
    (tmp_path / "best.pt").write_bytes(b"weights")
    return Detector(tmp_path / "best.pt", ["red", "green"], {}, {})


def choice_of(detector: Detector, count: int | None = 100_000, **options: Any) -> EngineChoice:
    """Choose for a job of so many frames on the CPU."""
    return choose_engine(detector, imgsz=SIZE, expected_frames=count, sample_frames=list, **{"device": CPU, **options})


@pytest.mark.parametrize(
    ("count", "engine", "said"),
    [
        (1, "pytorch", "1 frames are too few"),
        (10, "pytorch", "10 frames are too few"),
        (49, "pytorch", "too few"),
        (200, "pytorch", "would gain about 2.0 s over 200 frames and cost 4.5 s"),
        (100_000, "openvino", "the fastest installed: 10.0 ms a frame, PyTorch 25.0 ms"),
        (None, "openvino", "the fastest installed"),
    ],
)
def test_export_has_to_be_repaid(
    engines_here: StandIns, some_detector: Detector, count: int | None, engine: str, said: str
) -> None:
    choice = choice_of(some_detector, count)
    assert (choice.engine, bool(engines_here.asked)) == (engine, engine != "pytorch") and said in choice.reason
    assert choice.precision == ("bf16" if engine == "openvino" else "f32")


def test_cached_export_has_to_repay_its_loading_only(engines_here: StandIns, some_detector: Detector) -> None:
    engines_here.cached = {"pytorch_ms": 25.0, "engine_ms": 10.0}
    assert choice_of(some_detector, 200).engine == "openvino"
    assert choice_of(some_detector, 60).engine == "pytorch"


@pytest.mark.usefixtures("engines_here")
def test_recorded_export_times_replace_the_guess(some_detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"agrees": True, "build_s": 100.0, "engine_ms": 5.0, "pytorch_ms": 10.0}
    monkeypatch.setattr(engine_cost, "recorded_facts", lambda *_: [facts])
    assert "cost 101.0 s" in choice_of(some_detector, 5000).reason
    assert choice_of(some_detector, 50_000).engine == "openvino"


def test_engine_that_disagrees_is_passed_over_and_said(
    engines_here: StandIns, some_detector: Detector, warnings: list[str]
) -> None:
    engines_here.facts["openvino"] = {"agrees": False, "engine_ms": 1.0, "agreement": "boxes differ by up to 9 px"}
    choice = choice_of(some_detector)
    assert choice.engine == "onnxruntime" and engines_here.asked == [("openvino", "bf16"), ("onnxruntime", "f32")]
    assert any("OpenVINO does not agree with PyTorch" in line and "9 px" in line for line in warnings)
    engines_here.facts["onnxruntime"]["agrees"] = False
    choice = choice_of(some_detector)
    assert choice.engine == "pytorch" and choice.model == some_detector.path
    assert "OpenVINO does not agree" in choice.reason and "ONNX Runtime does not agree" in choice.reason


def test_named_engine_that_disagrees_gives_way_to_pytorch(
    engines_here: StandIns, some_detector: Detector, warnings: list[str]
) -> None:
    engines_here.facts["onnxruntime"]["agrees"] = False
    choice = choice_of(some_detector, engine="onnx")
    assert choice.engine == "pytorch" and any("PyTorch is used" in line for line in warnings)


def test_engine_that_is_not_faster_is_not_used(engines_here: StandIns, some_detector: Detector) -> None:
    engines_here.facts["openvino"]["engine_ms"] = 26.0
    assert choice_of(some_detector).engine == "onnxruntime"
    engines_here.facts["onnxruntime"]["engine_ms"] = 25.5
    choice = choice_of(some_detector)
    assert choice.engine == "pytorch" and "is not faster here" in choice.reason


def test_known_order_measures_one_candidate_and_an_unknown_one_all(
    engines_here: StandIns, some_detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines_here.facts["onnxruntime"]["engine_ms"] = 3.0
    assert choice_of(some_detector).engine == "openvino" and len(engines_here.asked) == 1
    monkeypatch.setattr(engine_cost, "order_is_known", lambda: False)
    assert choice_of(some_detector).engine == "onnxruntime"


def test_failing_export_is_said_and_the_next_one_tried(
    engines_here: StandIns, some_detector: Detector, warnings: list[str]
) -> None:
    engines_here.failing = {"openvino"}
    assert choice_of(some_detector).engine == "onnxruntime"
    assert any("cannot export it; it is skipped" in line for line in warnings)
    with pytest.raises(WeightsError, match="cannot export"):
        choice_of(some_detector, engine="openvino")


@pytest.mark.parametrize(
    ("missing", "engine", "asked"),
    [
        ({"openvino"}, "onnxruntime", [("onnxruntime", "f32")]),
        ({"onnxruntime"}, "openvino", [("openvino", "bf16")]),
        ({"openvino", "onnxslim"}, "pytorch", []),
    ],
)
def test_only_installed_engines_are_tried(
    engines_here: StandIns, some_detector: Detector, missing: set[str], engine: str, asked: list[tuple[str, str]]
) -> None:
    engines_here.missing = missing
    assert choice_of(some_detector).engine == engine and engines_here.asked == asked


@pytest.mark.parametrize(
    ("missing", "options", "said"),
    [
        ({"openvino"}, {"engine": "openvino"}, r'needs openvino, which is not.*pip install "reg-yolo\[openvino\]"'),
        ({"onnxruntime"}, {"engine": "onnxruntime"}, r"needs onnxruntime.*reg-yolo\[onnx\]"),
        ({"tensorrt"}, {"engine": "tensorrt"}, r"needs tensorrt.*reg-yolo\[tensorrt\]"),
        ({"openvino"}, {"precision": "bf16"}, r"no installed engine runs bf16 on cpu.*reg-yolo\[openvino\]"),
        (set(), {"engine": "tensorrt"}, "TensorRT does not run on cpu"),
        (set(), {"engine": "openvin"}, "Did you mean openvino"),
        (set(), {"precision": "f64"}, "expected one of f32, f16, bf16, int8"),
        (set(), {"engine": "onnxruntime", "precision": "bf16"}, "ONNX Runtime has no bf16 on cpu; it has f32, int8"),
        (set(), {"engine": "pytorch", "precision": "bf16"}, "PyTorch has no bf16"),
        (set(), {"precision": "int8"}, "name a data set with `data=DATA.yaml`"),
    ],
)  # fmt: skip
def test_what_is_not_to_be_had_is_one_line(
    engines_here: StandIns, some_detector: Detector, missing: set[str], options: dict[str, Any], said: str
) -> None:
    engines_here.missing = missing
    with pytest.raises(ConfigError, match=said) as caught:
        choice_of(some_detector, **options)
    assert "\n" not in str(caught.value)


def test_precision_is_passed_on_and_holds_for_pytorch_too(engines_here: StandIns, some_detector: Detector) -> None:
    assert choice_of(some_detector, precision="f32").precision == "f32" and engines_here.asked == [("openvino", "f32")]
    assert choice_of(some_detector, 10, precision="f32").engine == "pytorch"
    # PyTorch has no bf16 here, so that a short job pays for the export.
    assert choice_of(some_detector, 10, precision="bf16").engine == "openvino"


@pytest.mark.usefixtures("engines_here")
def test_gpu_leads_with_tensorrt_in_half_precision(some_detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda", 0)
    monkeypatch.setattr(engine_cost, "too_short", lambda *_: "")
    assert engine_kinds.candidates(cuda, None) == [TENSORRT]
    assert engine_kinds.candidates(torch.device("mps"), None) == []
    choice = choice_of(some_detector, device=cuda)
    assert (choice.engine, choice.precision) == ("tensorrt", "f16")
    monkeypatch.setattr(engine_kinds, "onnxruntime_has_cuda", lambda: True)
    assert engine_kinds.candidates(cuda, "f16") == [TENSORRT, ONNXRUNTIME]
    assert engine_kinds.candidates(CPU, "int8") == [OPENVINO, ONNXRUNTIME]


def real_choice(weights: Path, frames: list[np.ndarray], **options: Any) -> EngineChoice:
    """Choose for a long job, with nothing replaced."""
    return choose_engine(
        open_detector(weights), imgsz=SIZE, expected_frames=None, sample_frames=lambda: frames, device=CPU, **options
    )


def boxes_of(model: Path, frames: list[np.ndarray]) -> np.ndarray:
    """Return what plain Ultralytics finds with a model."""
    return np.concatenate([result.boxes.data.numpy() for result in YOLO(model, task="detect")(frames, verbose=False)])


def test_openvino_is_exported_checked_and_found_again(
    weights: Path, frames: list[np.ndarray], working_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = real_choice(weights, frames, engine="openvino", precision="f32")
    assert (choice.engine, choice.precision) == ("openvino", "f32") and "agrees with PyTorch" in choice.reason
    assert "final boxes the same" in choice.facts["agreement"] and choice.facts["build_s"] > 0
    # Nothing beside the weights but the cache, nothing in the working directory.
    assert {path.name for path in weights.parent.iterdir()} == {"best.pt", ".reg_yolo_engines"}
    assert not list(working_directory.iterdir())
    assert choice.model.is_relative_to(weights.parent / ".reg_yolo_engines")
    monkeypatch.setattr(engine_build, "export_model", None)
    assert real_choice(weights, frames, engine="openvino", precision="f32").model == choice.model


def test_precision_is_what_openvino_says_it_runs(weights: Path, frames: list[np.ndarray]) -> None:
    model = real_choice(weights, frames, engine="openvino", precision="f32").model
    batch = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    exact, native = open_backend(model, CPU, precision="f32"), open_backend(model, CPU)
    assert running_precision(exact) == "f32"
    assert str(exact.ov_compiled_model.get_property("INFERENCE_PRECISION_HINT")) == "<Type: 'float32'>"
    assert running_precision(native) == engine_kinds.openvino_cpu_precisions()[0]
    want = open_backend(weights, CPU)(batch)[0]
    assert torch.allclose(exact(batch), want, atol=2e-3, rtol=1e-4)
    # Upstream's table of backends is as it was.
    assert open_backend(model, CPU).backend.properties["INFERENCE_PRECISION_HINT"] is None


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_streams_answer_threads_side_by_side(name: str, weights: Path, frames: list[np.ndarray]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    choice = real_choice(weights, frames, engine=name, precision="f32")
    engine = choice.open(CPU, NUM_STREAMS="2")
    assert engine.backend.calls_at_once == 2 and choice.open(CPU).backend.calls_at_once == 1
    batches = [torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(seed)) for seed in range(8)]
    alone = [engine(batch).clone() for batch in batches]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda batch: engine(batch).clone(), batches))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_onnx_runtime_takes_the_cores_that_are_allowed(
    weights: Path, frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = real_choice(weights, frames, engine="onnxruntime", precision="f32")
    monkeypatch.setattr(backend, "available_cores", lambda: 6)
    for properties, threads in (({}, 6), ({"NUM_STREAMS": "4"}, 1), ({"INFERENCE_NUM_THREADS": 1}, 1)):
        session = choice.open(CPU, **properties).session
        assert session.get_session_options().intra_op_num_threads == threads


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_broken_export_is_found_and_pytorch_used(
    engine: str, weights: Path, frames: list[np.ndarray], warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from reg_yolo.yolo.engines.export import export_model

    def export_other(source: Path, folder: Path, *arguments: Any, **options: Any) -> Path:
        checkpoint = torch.load(source, weights_only=False)
        with torch.no_grad():
            checkpoint["model"].model[-1].cv3[0][-1].weight *= 0.9
        other = folder / "other.pt"
        torch.save(checkpoint, other)
        return export_model(other, folder, *arguments, **options)

    monkeypatch.setattr(engine_build, "export_model", export_other)
    choice = real_choice(weights, frames, engine=engine)
    assert (choice.engine, choice.precision, choice.model) == ("pytorch", "f32", weights)
    assert "does not agree with PyTorch" in choice.reason
    assert any("does not agree with PyTorch" in line and "PyTorch is used" in line for line in warnings)


def test_same_boxes_as_upstream_on_the_same_export(weights: Path, frames: list[np.ndarray]) -> None:
    choice = real_choice(weights, frames, engine="onnxruntime")
    theirs = boxes_of(choice.model, frames)
    assert len(theirs) >= 3
    reference = boxes_of(weights, frames)
    assert len(reference) == len(theirs) and np.allclose(reference, theirs, atol=0.01)

"""An engine opened through Ultralytics' backends, in the precision asked for, from several threads if need be."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.nn.backends import ONNXBackend, OpenVINOBackend
from ultralytics.utils import LOGGER

from reg_yolo.errors import WeightsError, first_line
from reg_yolo.parallel import available_cores
from reg_yolo.signals import use_own_stack_for_signals
from reg_yolo.yolo.upstream.engine_kinds import OPENVINO, PYTORCH, kind_of_file, precision_name
from reg_yolo.yolo.upstream.environment import without_usage_data


class PreciseOpenVINOBackend(OpenVINOBackend):
    """Upstream's backend of OpenVINO, compiled again where other properties are asked for than upstream sets.

    Every thread that calls it gets an inference request of its own, so that frames can be in flight side by side.

    Attributes:
        properties: OpenVINO's properties by name, such as ``{"INFERENCE_PRECISION_HINT": "f32"}``; set on a subclass.
    """

    properties: ClassVar[Mapping[str, Any]] = {}

    @property
    def calls_at_once(self) -> int:
        """How many threads may call it at once with a gain."""
        return int(self.properties.get("NUM_STREAMS") or 1) if self.read_model is None else 1

    def load_model(self, weight: str | Path) -> None:
        """Load and compile as upstream does, then with the properties asked for."""
        super().load_model(weight)
        self._requests = threading.local()
        wanted = {name: value for name, value in self.properties.items() if value is not None}
        if not wanted:
            return
        settings: dict[str, Any] = vars(self)["compile_model"].keywords
        compile_model = vars(self)["compile_model"].func
        config = {**settings["config"], **wanted}
        self.compile_model = partial(compile_model, device_name=settings["device_name"], config=config)
        path = Path(weight)
        file = path if path.is_file() else next(path.glob("*.xml"))
        self.ov_compiled_model = self.compile_model(str(file))

    def forward(self, im: Tensor) -> list[NDArray[Any]]:
        """Run one batch, Tensor[B, 3, H, W] in [0, 1]; returns the outputs in the order of the export."""
        if self.read_model is not None:
            # Compiled anew for every shape, which one thread at a time can do.
            return super().forward(im)
        request = getattr(self._requests, "request", None)
        if request is None:
            request = self._requests.request = self.ov_compiled_model.create_infer_request()
        batch = im.cpu().numpy().astype(np.float32, copy=False)
        return list(request.infer(batch, share_inputs=True).values())


class SharingONNXBackend(ONNXBackend):
    """Upstream's backend of ONNX Runtime, whose calls share the cores of a processor that this process may use.

    Left to itself it takes every core of the machine for each call, whatever a container leaves of them.

    Attributes:
        properties: `NUM_STREAMS` calls at once and `INFERENCE_NUM_THREADS` of them all, as for OpenVINO; set on a
            subclass.
        calls_at_once: How many threads may call it at once with a gain.
    """

    properties: ClassVar[Mapping[str, Any]] = {}
    calls_at_once = 1

    def load_model(self, weight: str | Path) -> None:
        """Load as upstream does, with as many threads for a call as are left for each."""
        on_processor = not isinstance(self.device, torch.device) or self.device.type == "cpu"
        if self.format == "onnx" and on_processor:
            import onnxruntime

            threads = int(self.properties.get("INFERENCE_NUM_THREADS") or available_cores())
            self.calls_at_once = int(self.properties.get("NUM_STREAMS") or 1)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = max(1, threads // self.calls_at_once)
            self.session_options = options
        super().load_model(weight)


def open_backend(
    model: str | Path,
    device: torch.device,
    *,
    precision: str | None = None,
    properties: Mapping[str, Any] | None = None,
) -> AutoBackend:
    """Open weights or an export for inference.

    Args:
        model: The file or folder.
        device: Where to run it.
        precision: Make OpenVINO compute with this; others compute with what they were exported for.
        properties: Further properties of OpenVINO, such as ``PERFORMANCE_HINT`` or ``INFERENCE_NUM_THREADS``; ONNX
            Runtime takes those that `SharingONNXBackend` names.

    Raises:
        WeightsError: If the engine cannot read it.
    """
    kind = kind_of_file(Path(model))
    hint = precision if kind is OPENVINO and precision in {"f32", "bf16", "f16"} else None
    asked = {**(properties or {}), "INFERENCE_PRECISION_HINT": hint}
    # Upstream finds its backends in a table on the class, and gives them no settings: classes made for this call
    # carry both, and upstream's own stay as they are.
    backends = {
        name: type("Backend", (base,), {"properties": asked})
        for name, base in (("openvino", PreciseOpenVINOBackend), ("onnx", SharingONNXBackend))
    }
    selector = type("Engine", (AutoBackend,), {"_BACKEND_MAP": {**AutoBackend._BACKEND_MAP, **backends}})

    try:
        with only_warnings(), without_usage_data():
            engine = selector(str(model), device=device, fp16=precision == "f16" and kind is PYTORCH, verbose=False)
    except (KeyboardInterrupt, MemoryError):
        raise
    except Exception as error:
        raise WeightsError(f"{model}: {kind.title} cannot open it ({first_line(error)})") from error
    use_own_stack_for_signals()
    engine.eval()
    return engine


def running_precision(engine: AutoBackend) -> str:
    """Return what an opened engine computes with, asked of the engine itself where it can say."""
    quantised = (engine.metadata.get("args") or {}).get("quantize")
    if quantised == 8:
        return "int8"
    if engine.format == "openvino":
        return precision_name(engine.ov_compiled_model.get_property("INFERENCE_PRECISION_HINT"))
    return "f16" if engine.fp16 or quantised == 16 else "f32"


@contextmanager
def only_warnings() -> Iterator[None]:
    """Keep Ultralytics' progress lines back; what comes after a warning is ours to say."""
    level = LOGGER.level
    LOGGER.setLevel(logging.ERROR)
    try:
        yield
    finally:
        LOGGER.setLevel(level)

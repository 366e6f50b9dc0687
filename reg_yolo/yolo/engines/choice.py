"""Which engine runs a prediction: the fastest installed one, if the job is long enough and it agrees with PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.utils import LOGGER

from reg_yolo.errors import ConfigError, WeightsError
from reg_yolo.yolo.engines import payback as cost
from reg_yolo.yolo.engines.backend import open_backend, running_precision
from reg_yolo.yolo.engines.build import checked_export
from reg_yolo.yolo.engines.cache import CacheEntry
from reg_yolo.yolo.engines.int8 import Int8Data
from reg_yolo.yolo.engines.request import EngineRequest
from reg_yolo.yolo.upstream.engine_kinds import (
    OPENVINO,
    PRECISIONS,
    PYTORCH,
    EngineKind,
    candidates,
    engine_kind,
    kind_of_file,
    precisions_of,
    require_installed,
)
from reg_yolo.yolo.weights.detector import Detector


@dataclass(frozen=True)
class EngineChoice:
    """What a prediction runs on.

    Attributes:
        engine: `pytorch`, `onnxruntime`, `openvino` or `tensorrt`, as in the header of a detections file.
        precision: `f32`, `f16`, `bf16` or `int8`: what it really computes with.
        model: The file or folder to open.
        reason: One sentence that says why.
        facts: Recorded figures: milliseconds a frame of it and of PyTorch, mAP before and after INT8.
    """

    engine: str
    precision: str
    model: Path
    reason: str
    facts: dict[str, Any] = field(default_factory=dict)

    def open(self, device: torch.device, **properties: Any) -> AutoBackend:
        """Open it for inference; `properties` are OpenVINO's own, by their names."""
        return open_backend(self.model, device, precision=self.precision, properties=properties)


def choose_engine(
    detector: Detector,
    *,
    engine: str = "auto",
    precision: str | None = None,
    imgsz: tuple[int, int],
    batch: int = 1,
    dynamic: bool = False,
    expected_frames: int | None,
    sample_frames: Callable[[], Sequence[NDArray[np.uint8]]],
    device: torch.device,
    data: Int8Data | None = None,
) -> EngineChoice:
    """Choose the engine of a prediction; export, check and time it where that has not been done before.

    Args:
        detector: The weights, or an exported model, which decides by itself.
        engine: `auto`, or the name of one.
        precision: `f32`, `f16`, `bf16`, `int8`, or None for what the engine takes by itself.
        imgsz: Height and width of the network's input in pixels.
        batch: Images a call.
        dynamic: Whether the size varies from image to image.
        expected_frames: Length of the job; None if unknown, which counts as long.
        sample_frames: Returns some frames of the source, BGR, uint8; called only where they are needed.
        device: Where to run.
        data: What INT8 is calibrated on.

    Raises:
        ConfigError: If the engine is not installed, or lacks the precision.
        WeightsError: If the engine that was named cannot be exported.
    """
    if precision is not None and precision not in PRECISIONS:
        raise ConfigError(f"precision: got {precision!r}, expected one of {', '.join(PRECISIONS)}")
    request = EngineRequest(detector, imgsz, batch, dynamic, device, sample_frames, data)
    given = kind_of_file(detector.path)
    if given is not PYTORCH:
        return _given_export(request, given, engine, precision)
    if precision == "int8" and data is None:
        raise ConfigError("INT8 is calibrated on your images; name a data set with `data=DATA.yaml`")
    if engine != "auto":
        return _named(request, engine_kind(engine), precision)
    found = candidates(device, precision)
    if not found:
        if precision not in {None, *precisions_of(PYTORCH, device)}:
            raise ConfigError(
                f"precision: no installed engine runs {precision} on {device}; "
                'pip install "reg-yolo[openvino]" brings one for processors, "reg-yolo[tensorrt]" one for NVIDIA GPUs'
            )
        return _pytorch(request, precision, "no other engine is installed for this device")
    if precision is None or precision in precisions_of(PYTORCH, device):
        objection = cost.too_short(request, found[0], precision, expected_frames)
        if objection:
            return _pytorch(request, precision, objection)
    return _fastest(request, found, precision)


def _named(request: EngineRequest, kind: EngineKind, precision: str | None) -> EngineChoice:
    require_installed(kind, precision)
    _require_precision(kind, precision, request.device)
    if kind is PYTORCH:
        return _pytorch(request, precision, "as asked for")
    entry = checked_export(request, kind, precision or precisions_of(kind, request.device)[0])
    if not entry.facts["agrees"]:
        said = f"{kind.title} does not agree with PyTorch on these weights ({entry.facts['agreement']})"
        LOGGER.warning(f"{said}; PyTorch is used")
        return _pytorch(request, None, said)
    return _chosen(kind, entry, "as asked for")


def _fastest(request: EngineRequest, found: list[EngineKind], precision: str | None) -> EngineChoice:
    """Return the fastest candidate that agrees; on x86 the first that is faster than PyTorch settles it."""
    measured: list[tuple[EngineKind, CacheEntry]] = []
    reasons = []
    for kind in found:
        try:
            entry = checked_export(request, kind, precision or precisions_of(kind, request.device)[0])
        except (WeightsError, OSError) as error:
            LOGGER.warning(f"{error}; it is skipped")
            reasons.append(f"{kind.title} could not be exported")
            continue
        if not entry.facts["agrees"]:
            said = f"{kind.title} does not agree with PyTorch on these weights ({entry.facts['agreement']})"
            LOGGER.warning(f"{said}; it is skipped")
            reasons.append(said)
            continue
        measured.append((kind, entry))
        if cost.order_is_known() and entry.facts["engine_ms"] < entry.facts["pytorch_ms"]:
            break
    if measured:
        kind, entry = min(measured, key=lambda pair: pair[1].facts["engine_ms"] / pair[1].facts["pytorch_ms"])
        if entry.facts["engine_ms"] < entry.facts["pytorch_ms"] or precision == "int8":
            return _chosen(kind, entry, "the fastest installed")
        reasons.append(f"{kind.title} is not faster here")
    return _pytorch(request, None if precision == "int8" else precision, "; ".join(reasons))


def _chosen(kind: EngineKind, entry: CacheEntry, why: str) -> EngineChoice:
    facts = entry.facts
    reason = (
        f"{kind.title} ({facts['precision']}), {why}: {facts['engine_ms']:.1f} ms a frame, PyTorch "
        f"{facts['pytorch_ms']:.1f} ms; it agrees with PyTorch ({facts['agreement']})"
    )
    return EngineChoice(kind.name, facts["precision"], entry.model, reason, facts)


def _pytorch(request: EngineRequest, precision: str | None, why: str) -> EngineChoice:
    chosen = precision or "f32"
    return EngineChoice(PYTORCH.name, chosen, request.detector.path, f"PyTorch ({chosen}): {why}")


def _given_export(request: EngineRequest, kind: EngineKind, engine: str, precision: str | None) -> EngineChoice:
    """Return the exported model that the user named as the weights; there is nothing to choose or to compare with."""
    path = request.detector.path
    if engine != "auto" and engine_kind(engine) is not kind:
        raise ConfigError(f"`engine`: {path} runs on {kind.title} only; leave it out, or give the .pt weights")
    require_installed(kind)
    if precision == "int8" or (precision is not None and kind is not OPENVINO):
        made_for = request.detector.exported_precision
        if precision != made_for:
            raise ConfigError(f"precision: {path} was exported for {made_for}, not {precision}; export it anew")
    # As upstream's selection of backends has it, OpenVINO's exports run on the processor, GPU or not.
    device = torch.device("cpu") if kind is OPENVINO else request.device
    _require_precision(kind, precision, device)
    running = running_precision(open_backend(path, device, precision=precision))
    return EngineChoice(kind.name, running, path, f"{kind.title} ({running}): {path.name} was exported for it")


def _require_precision(kind: EngineKind, precision: str | None, device: torch.device) -> None:
    known = precisions_of(kind, device)
    if not known:
        raise ConfigError(f"`engine`: {kind.title} does not run on {device}; write `engine=auto`, or another `device`")
    if precision is not None and precision not in known:
        raise ConfigError(f"precision: {kind.title} has no {precision} on {device}; it has {', '.join(known)}")

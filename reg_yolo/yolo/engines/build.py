"""Exports that are checked against PyTorch and timed beside it before they are kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ultralytics.utils import LOGGER

from reg_yolo.errors import WeightsError
from reg_yolo.progress import waiting_line
from reg_yolo.yolo.engines.agreement import compare, time_side_by_side
from reg_yolo.yolo.engines.backend import open_backend, running_precision
from reg_yolo.yolo.engines.cache import CacheEntry, cache_folder, entry_for, find_entry
from reg_yolo.yolo.engines.export import export_model
from reg_yolo.yolo.engines.int8 import calibration_data, measure_change
from reg_yolo.yolo.engines.payback import usual_build_s
from reg_yolo.yolo.engines.request import EngineRequest
from reg_yolo.yolo.upstream.engine_kinds import OPENVINO, EngineKind, precisions_of

# Of the mAP before; an engine that loses more does not do the weights' work any more.
LEAST_KEPT_BY_INT8 = 0.5


def checked_export(request: EngineRequest, kind: EngineKind, precision: str) -> CacheEntry:
    """Return the checked and timed export of an engine, from the cache or made now."""
    folder, key = cache_folder(request.detector.path), request.key(kind, precision)
    found = find_entry(folder, key)
    if found is not None:
        return found
    LOGGER.info(f"Exporting {request.detector.path.name} for {kind.title} ({precision}), once for these weights")
    with waiting_line(f"exporting for {kind.title} ({precision})", usual_build_s(request.detector.path, kind)):
        return entry_for(folder, key, lambda workshop: _build(request, kind, precision, workshop))


def _build(request: EngineRequest, kind: EngineKind, precision: str, workshop: Path) -> tuple[Path, dict[str, Any]]:
    started = time.perf_counter()
    settings: dict[str, Any] = {
        "precision": precision,
        "imgsz": request.imgsz,
        "batch": request.batch,
        "dynamic": request.dynamic,
        "device": request.device,
    }
    inputs = request.inputs()
    if not inputs:
        raise WeightsError(f"{kind.title}: no frame of the source could be read to check the export on")
    if precision == "int8" and request.data is not None:
        with calibration_data(request.data) as calibration:
            model = export_model(request.detector.path, workshop, kind, calibration=calibration, **settings)
    else:
        model = export_model(request.detector.path, workshop, kind, **settings)
    exported_s = time.perf_counter() - started
    classes = len(request.detector.class_names)
    reference = open_backend(request.detector.path, request.device)
    engine = open_backend(model, request.device, precision=precision)
    if kind is OPENVINO and precision in {"bf16", "f16"}:
        # The graph first, with arithmetic that hides nothing; then the one that will run.
        strict = open_backend(model, request.device, precision="f32")
        agreement = compare(reference, strict, inputs, classes, "f32")
        if agreement.agrees:
            agreement = compare(reference, engine, inputs, classes, precision)
    else:
        agreement = compare(reference, engine, inputs, classes, precision)
    times = time_side_by_side({"pytorch": reference, "engine": engine}, inputs)
    facts: dict[str, Any] = {
        "agrees": agreement.agrees,
        "agreement": agreement.reason,
        "precision": running_precision(engine),
        "pytorch_ms": round(times["pytorch"], 3),
        "engine_ms": round(times["engine"], 3),
        "export_s": round(exported_s, 2),
    }
    if precision == "int8" and request.data is not None and agreement.agrees:
        before = checked_export(request, kind, next(p for p in precisions_of(kind, request.device) if p != "int8"))
        change = measure_change(
            before.model,
            model,
            request.data,
            task=request.detector.task,
            imgsz=max(request.imgsz),
            device=str(request.device),
        )
        if change.after < LEAST_KEPT_BY_INT8 * change.before:
            said = f"on labelled images it finds less than half of what it found before: {change.sentence()}"
            facts |= {"agrees": False, "agreement": said}
        facts |= {"map_before": change.before, "map_after": change.after, "map_change": change.sentence()}
    facts["build_s"] = round(time.perf_counter() - started, 2)
    return model, facts
